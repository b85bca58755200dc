//! The hooks that are shipped as examples, read by what reads everybody's configuration: each is in
//! order, goes to the good version and nowhere else, and looks afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rollguard::cli::check::{Lints, check};
use rollguard::config::{Color, SourceFile, compile};
use rollguard::model::hook::{Hook, Placeholder, Step};
use rollguard::model::plan::Plan;
use rollguard::model::step::{Action, Method};

/// What turns something off instead of going back to a version: off is as absolute as a version.
const SWITCHES: [(&str, &str); 2] =
    [("launchdarkly.toml", "turnFlagOff"), ("unleash.toml", "/environments/production/off")];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/hooks")
}

/// The name and the text of each example.
fn examples() -> Vec<(String, String)> {
    let entries = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    files.sort();
    assert!(files.len() >= 20, "{files:?}");
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

fn plan(name: &str, text: &str) -> Plan {
    let file = |path: &str, text: String| SourceFile { path: path.to_owned(), text };
    let rules = fs::read_to_string(directory().join("../http.toml")).unwrap();
    let read = compile(&file(name, text.to_owned()), &[file("../http.toml", rules)]);
    read.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain))).plan
}

/// The hook that rolls back.
fn rollback(plan: &Plan) -> &Hook {
    plan.hooks.iter().find(|hook| hook.name.as_str() == "rollback").unwrap()
}

#[test]
fn every_example_is_in_order_and_free_of_lints() {
    for (name, _) in examples() {
        let report = check(&[directory().join(&name)], Lints::Deny, Color::Plain);
        assert_eq!((report.err.as_str(), report.failed), ("", false), "{name}");
    }
}

#[test]
fn every_example_goes_to_the_good_version_is_limited_and_tells_people_when_it_fails() {
    for (name, text) in examples() {
        let plan = plan(&name, &text);
        let hook = rollback(&plan);
        let switch = SWITCHES.iter().find(|(switch, _)| *switch == name);
        let is_off = switch.is_some_and(|(_, off)| text.contains(off));
        assert!(hook.names(Placeholder::Good) || is_off, "{name} does not say where to go");
        let limit = hook.timeout.unwrap_or_else(|| panic!("{name} may take for ever"));
        let longest = |step: &Step| match &step.action {
            Action::Probe { within, .. } | Action::Tcp { within, .. } => *within,
            Action::Run { .. } | Action::Http(_) | Action::Unix(_) | Action::Sleep(_) => {
                step.timeout
            }
        };
        let needed: std::time::Duration = hook.steps.iter().map(longest).sum();
        assert!(needed <= limit, "{name} needs {needed:?} and has {limit:?}");
        assert!(hook.cure.is_some() && hook.on_failure.is_some(), "{name}");
    }
}

/// Whether a step only reads: what it says is what the files' comments call it.
fn may_verify(step: &Step) -> bool {
    match &step.action {
        Action::Probe { .. } | Action::Tcp { .. } => true,
        // Read by POST as well: an evaluation, a range. Its answer must be looked at.
        Action::Http(call) => {
            let looks = call.expect.json.is_some() || call.expect.text.is_some();
            step.idempotent && (call.method == Method::Get || looks)
        }
        Action::Run { .. } => step.idempotent,
        Action::Unix(_) | Action::Sleep(_) => false,
    }
}

#[test]
fn every_example_verifies_after_its_last_change() {
    for (name, text) in examples() {
        let plan = plan(&name, &text);
        let hook = rollback(&plan);
        let steps = text.split("\n[hook.rollback]\n").nth(1).unwrap();
        let steps = steps.split("\n]\n").next().unwrap();
        let lines: Vec<&str> = steps.lines().map(str::trim).collect();
        let at = |what: &str| lines.iter().position(|line| line.starts_with(what));
        let change = at("# Change").unwrap_or_else(|| panic!("{name} changes nothing"));
        let verify = at("# Verify").unwrap_or_else(|| panic!("{name} does not verify"));
        assert!(change < verify, "{name} verifies before it changes");
        let is_step = |line: &&&str| line.starts_with('{');
        let before = lines[..verify].iter().filter(is_step).count();
        assert!(lines[change..verify].iter().any(|line| line.starts_with('{')), "{name}");
        assert!(before < hook.steps.len(), "{name} verifies nothing");
        assert!(may_verify(hook.steps.last().unwrap()), "{name}");
        let verifies = hook.steps[before..].iter().any(|step| match &step.action {
            Action::Sleep(_) => false,
            Action::Run { .. }
            | Action::Http(_)
            | Action::Unix(_)
            | Action::Probe { .. }
            | Action::Tcp { .. } => may_verify(step),
        });
        assert!(verifies, "{name}");
    }
}

#[test]
fn what_is_tried_more_than_once_is_safe_to_repeat() {
    for (name, text) in examples() {
        for step in &rollback(&plan(&name, &text)).steps {
            let is_safe = step.idempotent || step.action.is_harmless();
            assert!(is_safe || step.attempts == 1, "{name}");
        }
    }
}

#[test]
fn the_index_lists_exactly_what_is_there() {
    let index = fs::read_to_string(directory().join("README.md")).unwrap();
    let rows = index.lines().filter(|line| line.starts_with("| ") && line.contains(".toml"));
    let listed: Vec<String> = rows
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
            let (name, link) = cells[1].trim_matches(['[', ')']).split_once("](").unwrap();
            assert_eq!(name, link);
            name.to_owned()
        })
        .collect();
    let there: BTreeSet<String> = examples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), there);
    assert_eq!(listed.len(), there.len(), "one is listed twice");
}

/// The script of an example that moves a link, below another directory.
fn switch(name: &str, base: &str, temp: &Path, good: &str) -> bool {
    let text = fs::read_to_string(directory().join(name)).unwrap();
    let plan = plan(name, &text);
    let argv = rollback(&plan).steps.iter().find_map(|step| match &step.action {
        Action::Run { argv, .. } => {
            let argv: Vec<String> = argv.iter().map(|word| word.fill(|_| good)).collect();
            argv.iter().any(|word| word.contains("mv -T")).then_some(argv)
        }
        Action::Probe { .. }
        | Action::Tcp { .. }
        | Action::Http(_)
        | Action::Unix(_)
        | Action::Sleep(_) => None,
    });
    let argv: Vec<String> = argv.unwrap().iter().map(|word| word.replace(base, "DIR")).collect();
    let argv: Vec<String> =
        argv.iter().map(|word| word.replace("DIR", temp.to_str().unwrap())).collect();
    let mut command = std::process::Command::new(&argv[0]);
    command.args(&argv[1..]).stderr(std::process::Stdio::null()).status().unwrap().success()
}

#[test]
fn a_link_that_an_example_moves_is_in_its_place_however_often_and_never_leads_nowhere() {
    for (name, base, link, release) in [
        ("symlink-systemd.toml", "/srv/api", "current", ""),
        ("nginx.toml", "/etc/nginx", "release.conf", ".conf"),
        ("flagd.toml", "/etc/flagd", "flags.json", ".json"),
    ] {
        let temp = tempfile::tempdir().unwrap();
        for version in ["v1", "v2"] {
            let path = temp.path().join(format!("releases/{version}{release}"));
            match release {
                "" => fs::create_dir_all(path).unwrap(),
                _ => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, version).unwrap();
                }
            }
        }
        let leads = || fs::read_link(temp.path().join(link)).unwrap();
        for good in ["v2", "v1", "v1"] {
            assert!(switch(name, base, temp.path(), good), "{name}");
            assert_eq!(leads(), Path::new(&format!("releases/{good}{release}")), "{name}");
        }
        // The first has a step of its own that looks whether the release is there.
        if !release.is_empty() {
            assert!(!switch(name, base, temp.path(), "v0"), "{name}");
            assert_eq!(leads(), Path::new(&format!("releases/v1{release}")), "{name}");
        }
        // Nothing was moved into a release, and nothing is left beside the link.
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2, "{name}");
        let inside = temp.path().join(format!("releases/v1{release}"));
        assert!(!release.is_empty() || fs::read_dir(inside).unwrap().count() == 0, "{name}");
    }
}

#[test]
fn a_script_that_an_example_runs_is_beside_it_and_is_a_program() {
    use std::os::unix::fs::PermissionsExt;
    for entry in fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some() {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let used = examples().iter().any(|(_, text)| text.contains(&format!("/{name}\"")));
        assert!(used, "nothing runs {name}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o111, 0o111, "{name}");
        assert!(fs::read_to_string(&path).unwrap().starts_with("#!/bin/sh\n"), "{name}");
    }
}
