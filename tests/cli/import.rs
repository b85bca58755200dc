//! `rollguard import prometheus` as people and scripts call it: what goes where, and exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const FITS: &str = "\
groups:
- name: g
  rules:
  - alert: Errors
    expr: sum(rate(errors_total{job=\"api\"}[1m])) > 1
";

fn import(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rollguard"))
        .args(["import", "prometheus"])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn directory(rules: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a.yml"), rules).unwrap();
    directory
}

#[test]
fn rules_go_to_standard_output_and_what_became_of_them_to_standard_error() {
    let directory = directory(FITS);
    let output = import(directory.path(), &["a.yml"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("\n[rule.errors]\n"));
    assert!(text(&output.stderr).contains("a.yml:4:12: alert Errors: imported as errors\n"));
    assert!(text(&output.stderr).ends_with("1 imported, 0 not\n"));
}

#[test]
fn a_file_is_written_once_and_never_over_another() {
    let directory = directory(FITS);
    let arguments = ["a.yml", "--output", "rules.toml", "--target", "api=web"];
    let output = import(directory.path(), &arguments);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), ""));
    let path = directory.path().join("rules.toml");
    assert!(fs::read_to_string(&path).unwrap().contains("target = \"web\""));
    fs::write(&path, "mine").unwrap();
    let output = import(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("failed to write rules.toml"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn json_has_every_alert_and_the_rules() {
    let rules = format!("{FITS}  - alert: Quick\n    expr: irate(a[5m]) > 1\n");
    let directory = directory(&rules);
    let output = import(directory.path(), &["a.yml", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["imported"][0]["rule"], "errors");
    assert_eq!(json["not_imported"][0]["place"]["line"], 7);
    assert_eq!(json["not_imported"][0]["place"]["column"], 11);
    assert_eq!(json["dropped_labels"][0]["label"], "job");
    assert_eq!(json["summary"]["not_imported"], 1);
    assert!(json["toml"].as_str().unwrap().contains("[rule.errors]"));
}

#[test]
fn what_is_no_file_of_rules_is_bad_configuration_and_wrong_use_is_usage() {
    let directory = directory("a: [");
    assert_eq!(import(directory.path(), &["a.yml"]).status.code(), Some(78));
    let output = import(directory.path(), &["none.yml"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).starts_with("error: failed to read none.yml: "));
    assert_eq!(import(directory.path(), &[]).status.code(), Some(2));
    assert_eq!(import(directory.path(), &["a.yml", "--target", "-x"]).status.code(), Some(2));
}
