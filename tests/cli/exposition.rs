//! `rollguard debug exposition` as a person or a script sees it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn run(arguments: &[&str], page: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rollguard"))
        .args(["debug", "exposition"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // It may have refused its arguments and closed the pipe.
    let _ = child.stdin.take().expect("a pipe").write_all(page);
    child.wait_with_output().expect("it ends")
}

#[track_caller]
fn check(arguments: &[&str], page: &str, status: i32, samples: usize, complaint: &str) {
    let output = run(arguments, page.as_bytes());
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?} {page:?}: {err}");
    assert_eq!(out.lines().count(), samples, "{out}");
    assert!(err.contains(complaint), "{err}");
    assert!(complaint.is_empty() == err.is_empty(), "{err}");
}

#[test]
fn the_exit_status_tells_a_clean_page_from_a_malformed_one_and_from_none() {
    check(&[], "m 1\nn 2\n", 0, 2, "");
    check(&["-"], "m 1\nn{ 2\n", 1, 1, "line 2, column 4: not a label name");
    check(&["--format", "openmetrics"], "m 1 1.5\n", 0, 1, "");
    check(&["--format", "text"], "m 1 1.5\n", 1, 0, "line 1, column 5: not a timestamp");
    check(&["--strict"], "m 1\n# EOF\n", 0, 1, "");
    check(&["--strict"], "m 1\n\n", 1, 1, "line 2, column 1: blank line");
    check(&["--strict", "--format", "text"], "", 2, 0, "--strict");
    check(&["--format", "json"], "", 2, 0, "json");
    check(&["/nonexistent/page"], "", 2, 0, "/nonexistent/page");
}

#[test]
fn every_sample_is_an_object_with_the_same_fields() {
    let output =
        run(&["--format", "openmetrics"], b"m{a=\"\\\"\"} NaN 1700000000.25 # {} 1\nn -Inf\n");
    let out = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let rows: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    assert_eq!(
        rows[0],
        serde_json::json!({
            "name": "m", "labels": {"a": "\""}, "value": "NaN", "timestamp": 1_700_000_000.25,
            "exemplar": {"labels": {}, "value": "1", "timestamp": null},
        })
    );
    assert_eq!(
        rows[1],
        serde_json::json!({
            "name": "n", "labels": {}, "value": "-Inf", "timestamp": null, "exemplar": null,
        })
    );
}
