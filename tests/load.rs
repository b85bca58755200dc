//! Which files belong to a configuration, and which are refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rollguard::config::{Level, Listen};
use rollguard::load::{Directories, LoadError, load, load_rules, load_with};
use tempfile::TempDir;

const MAIN: &str = r#"
rules = ["rules.d/*.toml"]

[deployment]
service = "api"
then    = "rollback"

[target.api]
scrape = "http://127.0.0.1:9000/metrics"

[hook.rollback]
steps = [{ run = ["switch", "{good}"] }]
"#;

/// A directory with a main file and, below `rules.d`, one rule in each of the named files.
fn configuration(main: &str, rules: &[&str]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("rules.d")).unwrap();
    for (n, name) in rules.iter().enumerate() {
        let text = format!("[signal.s{n}]\ngauge = 'g'\n[rule.r{n}]\nwhen = \"s{n} > 1\"\n");
        fs::write(directory.path().join("rules.d").join(name), text).unwrap();
    }
    let path = directory.path().join("rollguard.toml");
    fs::write(&path, main).unwrap();
    (directory, path)
}

fn names(files: &[PathBuf]) -> Vec<&str> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect()
}

fn message(path: &Path) -> String {
    load(path).unwrap_err().to_string()
}

#[test]
fn rules_are_read_in_the_order_of_their_names_and_leftovers_are_not_read() {
    let files = [
        "20-b.toml",
        "10-a.toml",
        ".hidden.toml",
        "a.toml~",
        "a.toml.rpmnew",
        "a.toml.dpkg-dist",
        "a.test.toml",
        "README",
    ];
    let (_directory, path) = configuration(MAIN, &files);
    let loaded = load(&path).unwrap();
    assert_eq!(names(&loaded.files), ["rollguard.toml", "10-a.toml", "20-b.toml"]);
    assert_eq!(loaded.plan.rules.len(), 2);
    assert!(loaded.lints.is_empty());
}

#[test]
fn the_order_of_files_is_that_of_their_names_however_the_directory_has_them() {
    let mut files: Vec<String> = (10..60).rev().map(|n| format!("{n}.toml")).collect();
    let (_directory, path) =
        configuration(MAIN, &files.iter().map(String::as_str).collect::<Vec<_>>());
    files.sort();
    assert_eq!(names(&load(&path).unwrap().files[1..]), files);
}

#[test]
fn a_file_that_two_patterns_match_is_read_once() {
    let main = MAIN.replace("\"rules.d/*.toml\"", "\"rules.d/a.toml\", \"rules.d/*.toml\"");
    let (_directory, path) = configuration(&main, &["a.toml", "b.toml"]);
    assert_eq!(names(&load(&path).unwrap().files), ["rollguard.toml", "a.toml", "b.toml"]);
}

#[test]
fn a_pattern_that_matches_nothing_is_a_lint_and_a_named_file_that_is_not_there_an_error() {
    let (_directory, path) = configuration(MAIN, &[]);
    let lints = load(&path).unwrap().lints;
    assert!(lints.iter().any(|lint| lint.message == "no file matches `rules.d/*.toml`"));
    assert_eq!(lints.count(Level::Error), 0);
    let main = MAIN.replace("*.toml", "absent.toml");
    let (_directory, path) = configuration(&main, &[]);
    let message = message(&path);
    assert!(message.contains("absent.toml") && message.contains("No such file"), "{message}");
}

#[test]
fn what_cannot_be_a_configuration_is_refused_with_its_path() {
    let (directory, _) = configuration(MAIN, &[]);
    let at = |name: &str| directory.path().join(name);
    assert!(matches!(load(&at("absent.toml")), Err(LoadError::Read { .. })));
    assert!(matches!(load(directory.path()), Err(LoadError::NotAFile(_))));
    fs::write(at("large.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(load(&at("large.toml")), Err(LoadError::TooLarge(_))));
    fs::write(at("latin.toml"), b"# caf\xe9\n").unwrap();
    assert!(matches!(load(&at("latin.toml")), Err(LoadError::NotText(_))));
    assert!(message(&at("latin.toml")).contains("latin.toml"));
}

#[test]
fn more_files_than_anyone_means_are_refused() {
    let files: Vec<String> = (0..300).map(|n| format!("{n}.toml")).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let (_directory, path) = configuration(MAIN, &files);
    assert!(matches!(load(&path), Err(LoadError::TooMany(_))));
}

#[test]
fn root_refuses_files_that_others_can_write() {
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let rules = directory.path().join("rules.d/a.toml");
    for file in [&path, &rules] {
        fs::set_permissions(file, Permissions::from_mode(0o646)).unwrap();
        let loaded = load(&path);
        if rustix::process::geteuid().is_root() {
            let error = loaded.unwrap_err();
            assert!(matches!(&error, LoadError::Untrusted { path, .. } if path == file));
            assert!(error.to_string().contains("everybody can write it"), "{error}");
        } else {
            assert!(loaded.is_ok());
        }
        fs::set_permissions(file, Permissions::from_mode(0o664)).unwrap();
    }
    // Group root is root.
    assert!(load(&path).is_ok());
}

#[test]
fn a_link_leads_to_its_file_and_a_pipe_blocks_nobody() {
    let (directory, path) = configuration(MAIN, &["a.toml"]);
    let link = directory.path().join("link.toml");
    symlink(&path, &link).unwrap();
    assert_eq!(load(&link).unwrap().plan, load(&path).unwrap().plan);
    let pipe = directory.path().join("rules.d/pipe.toml");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(matches!(load(&path), Err(LoadError::NotAFile(_))));
}

#[test]
fn places_come_from_the_file_then_the_service_manager_then_the_defaults() {
    let (_directory, path) = configuration(MAIN, &["a.toml"]);
    let none = load_with(&path, &Directories::default()).unwrap().places;
    assert_eq!(none.state, Path::new("/var/lib/rollguard"));
    assert_eq!(none.control, Path::new("/run/rollguard/rollguard.sock"));
    assert_eq!(none.listen, Listen::Addr("127.0.0.1:9786".parse().unwrap()));
    let made = Directories { state: Some("/srv/s".into()), runtime: Some("/srv/r".into()) };
    let places = load_with(&path, &made).unwrap().places;
    assert_eq!(places.state, Path::new("/srv/s"));
    assert_eq!(places.control, Path::new("/srv/r/rollguard.sock"));
    let stated = "state = \"/a\"\ncontrol = \"/b\"\nlisten = \"off\"\n".to_owned() + MAIN;
    let (_directory, path) = configuration(&stated, &["a.toml"]);
    let places = load_with(&path, &made).unwrap().places;
    assert_eq!((places.state, places.control), ("/a".into(), "/b".into()));
    assert_eq!(places.listen, Listen::Off);
}

#[test]
fn the_same_files_give_the_same_plan() {
    let (_directory, path) = configuration(MAIN, &["a.toml", "b.toml"]);
    assert_eq!(load(&path).unwrap(), load(&path).unwrap());
}

#[test]
fn rules_files_are_checked_together() {
    let (directory, _) = configuration(MAIN, &["a.toml", "b.toml"]);
    let files = ["a.toml", "b.toml"].map(|name| directory.path().join("rules.d").join(name));
    let checked = load_rules(&files).unwrap();
    assert_eq!((checked.signals, checked.rules), (2, 2));
}
