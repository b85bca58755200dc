//! Layers: a module imports only from its own layer or a lower one, and layers 0 and 1 know neither
//! clocks nor I/O nor logging.

use crate::paths::{Mention, mentions};
use crate::source::Source;

/// The layer of every top-level module. A new module is put here, where it may be argued about.
const LAYERS: [(u8, &[&str]); 5] = [
    (0, &["model"]),
    (
        1,
        &[
            "config",
            "discovery",
            "engine",
            "exposition",
            "history",
            "import",
            "match_report",
            "message",
            "preflight",
            "record",
            "render",
            "ruletest",
            "toml_text",
        ],
    ),
    (
        2,
        &[
            "clock",
            "facts",
            "failpoint",
            "source",
            "hook",
            "journal",
            "recorder",
            "serve",
            "notify",
            "load",
            "live_version",
            "net",
        ],
    ),
    (3, &["daemon"]),
    (4, &["cli", "main"]),
];

/// Layers up to this one are pure.
const LAST_PURE: u8 = 1;

/// What a pure module must not mention: where effects come from.
const IMPURE: [&str; 20] = [
    "tokio",
    "tokio_rustls",
    "hyper",
    "hyper_util",
    "reqwest",
    "tracing",
    "tracing_subscriber",
    "signal_hook",
    "sd_notify",
    "rustix",
    "rustls_native_certs",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "time::Instant",
    "time::SystemTime",
];

/// What lives among the effects and is plain data all the same.
const PURE: [&str; 6] = [
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::net::SocketAddr",
    "std::net::SocketAddrV4",
    "std::net::SocketAddrV6",
];

/// Everything wrong with one file of `src/`.
pub(crate) fn check(source: &Source) -> Vec<String> {
    let module = module_of(&source.path);
    // The library's root only declares, which `style` holds; it belongs to no layer.
    let Some(top) = module.first() else { return Vec::new() };
    let Some(layer) = layer_of(top) else {
        let what = format!("module `{top}` has no layer; add it to LAYERS in tests/tidy/layers.rs");
        return vec![source.at(1, &what)];
    };
    let mut problems = Vec::new();
    for mention in mentions(source) {
        let upward = upward(&module, layer, &mention);
        let impure = (layer <= LAST_PURE).then(|| impure(layer, &mention)).flatten();
        problems.extend(upward.or(impure).map(|what| source.at(mention.line, &what)));
    }
    problems.extend(opened_bans(source, layer));
    problems
}

fn layer_of(top: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&top)).map(|(layer, _)| *layer)
}

/// `src/engine/window.rs` is `engine::window`; `src/engine/mod.rs` is `engine`; `src/lib.rs` is ``.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').filter(|s| *s != "lib").map(str::to_owned).collect()
}

/// The path from the crate's root, where it is one of our own.
pub(crate) fn resolve(module: &[String], segments: &[String]) -> Option<Vec<String>> {
    let supers = segments.iter().take_while(|s| *s == "super").count();
    let base = match segments.first()?.as_str() {
        "crate" | "rollguard" => return Some(segments[1..].to_vec()),
        "super" => &module[..module.len().saturating_sub(supers)],
        _ => return None,
    };
    Some([base, &segments[supers..]].concat())
}

fn upward(module: &[String], layer: u8, mention: &Mention) -> Option<String> {
    let path = resolve(module, &mention.segments)?;
    let top = path.first()?;
    let what = format!("`{}`", mention.segments.join("::"));
    match layer_of(top) {
        Some(other) if other > layer => {
            Some(format!("{what} is of layer {other}, this module of layer {layer}"))
        }
        Some(_) => None,
        None => Some(format!("{what} starts at no module of LAYERS in tests/tidy/layers.rs")),
    }
}

fn impure(layer: u8, mention: &Mention) -> Option<String> {
    let path = mention.segments.join("::");
    let is_inside = |root: &&&str| path.strip_prefix(**root).is_some_and(is_boundary);
    if PURE.iter().any(|root| is_inside(&root)) {
        return None;
    }
    let root = IMPURE.iter().find(is_inside)?;
    Some(format!("`{root}` in layer {layer}, which is pure: no clock, no I/O, no logging"))
}

fn is_boundary(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with("::")
}

/// The bans of clippy.toml may be opened only above the pure layers, for a whole file at its top.
fn opened_bans(source: &Source, layer: u8) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, line) in source.shipped().split('\n').enumerate() {
        if !line.contains("clippy::disallowed_methods") && !line.contains("clippy::print_std") {
            continue;
        }
        if layer <= LAST_PURE {
            let what = format!("opens a ban of clippy.toml in layer {layer}, which is pure");
            problems.push(source.at(index + 1, &what));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn fails(path: &str, text: &str, expected: &str) {
        let found = check(&Source::new(path, text)).join("\n");
        assert!(found.contains(expected), "wanted {expected:?}, found {found:?} of {text:?}");
    }

    #[track_caller]
    fn passes(path: &str, text: &str) {
        assert_eq!(check(&Source::new(path, text)), Vec::<String>::new(), "of {text:?}");
    }

    #[test]
    fn a_path_to_a_higher_layer_fails_however_it_is_written() {
        let file = "src/engine/guard.rs";
        fails(
            file,
            "\nuse crate::daemon::Daemon;",
            "src/engine/guard.rs:2: `crate::daemon::Daemon`",
        );
        fails(file, "use crate::{model::x, serve::y};", "`crate::serve::y` is of layer 2");
        fails(file, "fn f(x: crate::clock::Clock) {}", "`crate::clock::Clock` is of layer 2");
        fails(file, "use super::super::hook::exec;", "`super::super::hook::exec` is of layer 2");
        fails("src/model/name.rs", "use crate::engine::effect;", "is of layer 1");
        fails("src/model/mod.rs", "pub use super::config;", "is of layer 1");
        fails("src/hook/exec.rs", "use crate::{cli};", "is of layer 4");
        fails("src/daemon.rs", "use rollguard::cli;", "is of layer 4");
        fails("src/engine/a.rs", "use crate::*;", "starts at no module");
    }

    #[test]
    fn own_and_lower_layers_pass() {
        passes("src/engine/guard.rs", "use super::window; use crate::{config::x, model::{y, z}};");
        passes("src/model/name.rs", "use super::time; use std::time::Duration;");
        passes("src/main.rs", "use rollguard::cli;");
        passes("src/lib.rs", "pub mod anything;");
        passes("src/model/name.rs", "use std::net::{IpAddr, SocketAddr}; // addresses are data");
        passes("src/daemon.rs", "use crate::serve; use tokio::time::Instant;");
    }

    #[test]
    fn an_unknown_module_is_told_where_it_belongs() {
        fails(
            "src/util.rs",
            "//! x",
            "src/util.rs:1: module `util` has no layer; add it to LAYERS",
        );
        fails("src/bin/x.rs", "//! x", "module `bin` has no layer");
    }

    #[test]
    fn effects_in_a_pure_layer_fail_and_in_the_shell_pass() {
        for code in [
            "use std::fs;",
            "use std::{fmt, fs::File};",
            "let x = std::env::var(y);",
            "use std::time::{Duration, Instant};",
            "use std::time; fn f() { time::SystemTime::now(); }",
            "tracing::info!(x);",
            "async fn f() { tokio::select! {} }",
            "use ::std::process;",
            "use std::net::{SocketAddr, TcpStream};",
            "use std::net;",
        ] {
            fails("src/engine/x.rs", code, "which is pure");
            fails("src/model/x.rs", code, "which is pure");
            passes("src/source/http.rs", code);
        }
    }

    #[test]
    fn tests_comments_and_strings_may_name_anything() {
        passes(
            "src/model/x.rs",
            "//! std::fs\n#[cfg(test)]\nmod t { use std::fs; use crate::cli; }",
        );
        passes("src/model/x.rs", "const A: &str = \"crate::cli tokio\"; // crate::cli");
        passes("src/model/x.rs", "use std::time::Duration; fn f(x: my_tokio::A) { x.tokio(); }");
    }

    #[test]
    fn a_pure_module_may_not_open_the_bans() {
        let opened = "#![expect(clippy::disallowed_methods, reason = \"x\")]";
        fails("src/record.rs", opened, "opens a ban");
        passes("src/journal.rs", opened);
    }
}
