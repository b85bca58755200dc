//! The shipped units against systemd's own tools: what it warns of, an operator would meet.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::common::real;

/// The most that `systemd-analyze security` may find exposed, in tenths of its scale to 10. The
/// unit is at 14; what is left is mostly the network, which it is there to use.
const EXPOSURE: &str = "--threshold=20";

/// The unit as shipped, but for the path of the binary, which must exist to be verified.
fn unit(directory: &Path) -> PathBuf {
    let text =
        shipped("rollguard.service").replace("/usr/bin/rollguard", env!("CARGO_BIN_EXE_rollguard"));
    let path = directory.join("rollguard.service");
    std::fs::write(&path, text).unwrap();
    path
}

fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    std::fs::read_to_string(path).unwrap()
}

fn add_drop_in(directory: &Path, text: &str) {
    let drop_ins = directory.join("rollguard.service.d");
    std::fs::create_dir_all(&drop_ins).unwrap();
    std::fs::write(drop_ins.join("hooks.conf"), text).unwrap();
}

/// Runs the analysis and gives what it said; `Err` where it was not content.
fn analyze(analyzer: &Path, arguments: &[&str], unit: &Path) -> Result<String, String> {
    let output = Command::new(analyzer).args(arguments).arg(unit).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Verifies the unit and its drop-ins alone, not what they refer to on this machine.
fn verify(analyzer: &Path, unit: &Path) -> String {
    let arguments = ["verify", "--man=no", "--recursive-errors=no"];
    analyze(analyzer, &arguments, unit).unwrap_or_else(|said| said)
}

/// The drop-in with every setting that it offers in use.
fn all_of_it(text: &str) -> String {
    let setting =
        |line: &str| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).map(str::to_owned);
    text.lines().map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

#[test]
fn the_unit_has_nothing_that_systemd_warns_of() {
    let Some(analyzer) = real("systemd-analyze") else { return };
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(directory.path());
    assert_eq!(verify(&analyzer, &unit), "");
    // Proof that it reads the file at all.
    let text = std::fs::read_to_string(&unit).unwrap();
    std::fs::write(&unit, text + "[Service]\nWatchdogSecs=1\n").unwrap();
    assert!(verify(&analyzer, &unit).contains("WatchdogSecs"));
}

#[test]
fn the_drop_in_for_hooks_has_nothing_that_systemd_warns_of() {
    let Some(analyzer) = real("systemd-analyze") else { return };
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(directory.path());
    let text = shipped("rollguard-hooks.conf");
    add_drop_in(directory.path(), &text);
    assert_eq!(verify(&analyzer, &unit), "");
    add_drop_in(directory.path(), &all_of_it(&text));
    assert_eq!(verify(&analyzer, &unit), "");
    // Proof that the drop-in is read.
    add_drop_in(directory.path(), "[Service]\nWatchdogSecs=1\n");
    assert!(verify(&analyzer, &unit).contains("WatchdogSecs"));
}

#[test]
fn the_strict_unit_exposes_little() {
    let Some(analyzer) = real("systemd-analyze") else { return };
    let directory = tempfile::tempdir().unwrap();
    let unit = unit(directory.path());
    let arguments = ["security", "--offline=yes", "--no-pager", EXPOSURE];
    analyze(&analyzer, &arguments, &unit).unwrap();
}

/// A panic is a bug: going on with half-changed state could roll back twice or never. The process
/// dies at once instead, is started again, and knows from its journal where it was.
#[test]
fn a_panic_aborts_and_the_supervisor_restarts_it() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    assert_eq!(manifest["profile"]["release"]["panic"].as_str(), Some("abort"));
    let unit = shipped("rollguard.service");
    let says = |setting: &str| unit.lines().any(|line| line == setting);
    assert!(says("Restart=always"));
    assert!(says("StartLimitIntervalSec=0"), "a start limit would leave a dead guard dead");
    assert!(says("WatchdogSec=30"), "a hang is a panic that says nothing");
}
