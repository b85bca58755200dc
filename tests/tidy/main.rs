//! Holds what a review forgets: layers, import circles, names, sizes and looks, reasons for
//! dependencies, and the promises of ARCHITECTURE.md. Each check is a function from a text to
//! messages `file:line: what`, and is itself tested with samples that must fail.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod ceilings;
mod circles;
mod components;
mod layers;
mod licences;
mod names;
mod package;
mod paths;
mod source;
mod strings;
mod style;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use source::Source;

/// What tools leave in the package's directory, and what is compared byte for byte.
const SKIPPED: [&str; 5] = [".git", "target", "corpus", "artifacts", "golden"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file of the package with its path from there, in order.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if SKIPPED.iter().any(|skipped| name == *skipped) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                found.push((relative(&entry.path()), text));
            }
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

/// Every Rust file; those that only `#[cfg(test)] mod name;` brings in are all test.
fn sources() -> &'static [Source] {
    static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
    SOURCES.get_or_init(read_sources)
}

fn read_sources() -> Vec<Source> {
    let rust = files().into_iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources: Vec<_> = rust.map(|(path, text)| Source::new(&path, &text)).collect();
    let test_only: Vec<_> = sources.iter().flat_map(test_modules).collect();
    for source in &mut sources {
        let path = Path::new(&source.path);
        let stem = path.with_extension("");
        if test_only.iter().any(|module| stem.starts_with(module)) {
            source.is_test.fill(true);
        }
    }
    sources
}

/// The modules that a file declares under `#[cfg(test)]` and that live in files of their own.
fn test_modules(source: &Source) -> Vec<PathBuf> {
    let path = Path::new(&source.path);
    let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    let directory = if is_root { path.parent().unwrap().into() } else { path.with_extension("") };
    let lines = source.code.lines().zip(&source.is_test).filter(|(_, test)| **test);
    let module = |line: &str| Some(line.trim().strip_suffix(';')?.split_once("mod ")?.1.to_owned());
    lines.filter_map(|(line, _)| module(line)).map(|name| directory.join(name)).collect()
}

fn shipped() -> Vec<&'static Source> {
    sources().iter().filter(|source| source.path.starts_with("src/")).collect()
}

#[track_caller]
fn none(problems: &[String]) {
    assert!(problems.is_empty(), "{} to tidy up:\n{}\n", problems.len(), problems.join("\n"));
}

#[test]
fn modules_import_only_from_their_own_layer_or_lower() {
    let sources = shipped();
    assert!(!sources.is_empty(), "no sources found under {}", root().display());
    none(&sources.into_iter().flat_map(layers::check).collect::<Vec<_>>());
}

#[test]
fn shipped_files_keep_their_size_and_looks() {
    none(&shipped().into_iter().flat_map(style::check_shipped).collect::<Vec<_>>());
}

#[test]
fn files_are_short_or_a_warning_says_which_are_not() {
    for warning in shipped().into_iter().filter_map(style::file_length) {
        println!("warning: {warning}");
    }
}

#[test]
fn import_circles_only_shrink() {
    none(&circles::check(&shipped(), ceilings::CIRCLES));
}

#[test]
fn type_names_with_several_meanings_only_become_fewer() {
    let (name, ceiling) = ("SHARED_TYPE_NAMES", ceilings::SHARED_TYPE_NAMES);
    none(&ceilings::compare(name, ceiling, &names::shared(&shipped())));
}

#[test]
fn comparisons_with_strings_only_become_fewer() {
    let found: Vec<_> = shipped().into_iter().flat_map(strings::compared).collect();
    none(&ceilings::compare("COMPARED_STRINGS", ceilings::COMPARED_STRINGS, &found));
}

#[test]
fn components_only_become_more_closed() {
    let shipped = shipped();
    let elsewhere = components::guard_elsewhere(&shipped);
    let mut problems =
        ceilings::compare("FILES_WITH_IMPL_GUARD", ceilings::FILES_WITH_IMPL_GUARD, &elsewhere);
    let open = components::open(&shipped);
    problems.extend(ceilings::compare("OPEN_COMPONENTS", ceilings::OPEN_COMPONENTS, &open));
    none(&problems);
}

#[test]
fn other_rust_files_keep_their_looks() {
    let others = sources().iter().filter(|source| !source.path.starts_with("src/"));
    none(&others.flat_map(style::check_any).collect::<Vec<_>>());
}

#[test]
fn every_dependency_says_why_it_is_here() {
    none(&package::check_manifest(&std::fs::read_to_string(root().join("Cargo.toml")).unwrap()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let found = files().into_iter().flat_map(|(path, text)| package::check_paths(&path, &text));
    none(&found.collect::<Vec<_>>());
}

#[test]
fn every_invariant_names_the_test_that_holds_it() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).ok();
    if let Some(text) = read("ARCHITECTURE.md") {
        none(&package::check_architecture(&text, &read));
    }
}

#[test]
fn a_module_in_a_file_of_its_own_under_cfg_test_is_found() {
    let source = Source::new("src/engine/guard.rs", "mod a;\n#[cfg(test)]\nmod model;\n");
    assert_eq!(test_modules(&source), [Path::new("src/engine/guard/model")]);
    let source = Source::new("src/engine/mod.rs", "#[cfg(test)]\npub(crate) mod model;\n");
    assert_eq!(test_modules(&source), [Path::new("src/engine/model")]);
}
