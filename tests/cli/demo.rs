//! The demo, run as a user runs it: the real binary, its real children, on loopback.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than the demo allows itself, also on a machine that does many things at once.
const DEADLINE: Duration = Duration::from_secs(60);

const BINARY: &str = env!("CARGO_BIN_EXE_rollguard");

/// A demo whose files go away with the test.
fn demo(arguments: &[&str], directory: &TempDir) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("demo").args(arguments).env("TMPDIR", directory.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits with a deadline; a demo that hangs fails the test.
fn finish(mut child: Child) -> Output {
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let reader = std::thread::spawn(move || {
        let mut read = (Vec::new(), Vec::new());
        stdout.as_mut().map(|pipe| pipe.read_to_end(&mut read.0).unwrap());
        stderr.as_mut().map(|pipe| pipe.read_to_end(&mut read.1).unwrap());
        read
    });
    let end = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("the demo hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (stdout, stderr) = reader.join().unwrap();
    Output { status, stdout, stderr }
}

/// The events of a demo that must succeed.
fn told(arguments: &[&str], directory: &TempDir) -> Vec<Value> {
    let output = finish(demo(arguments, directory).spawn().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{said}", output.status);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

fn path(event: &Value, field: &str) -> PathBuf {
    PathBuf::from(event[field].as_str().unwrap())
}

/// The `data` of the journal's entries of a kind.
fn journal(ended: &Value, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path(ended, "journal")).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["kind"] == kind).map(|mut entry| entry["data"].take()).collect()
}

fn release(events: &[Value]) -> PathBuf {
    let directory = path(named(events, "ready")[0], "directory");
    std::fs::read_link(directory.join("current")).unwrap()
}

#[test]
fn a_bad_release_is_rolled_back_once_cured_and_reported() {
    let directory = TempDir::new().unwrap();
    let events = told(&["--json"], &directory);
    let ended = events.last().unwrap();
    assert_eq!(ended["event"], "ended", "{ended}");
    assert_eq!(ended["state"], "rolled back");
    assert_eq!(release(&events), Path::new("releases/v1"));
    let decided = journal(ended, "decided");
    assert_eq!(decided.len(), 1);
    assert_eq!(decided[0]["trigger"]["rule"]["rule"], "error-rate");
    let steps = journal(ended, "intent").iter().map(|i| i["attempt"]["step"].clone()).collect();
    assert_eq!(Value::Array(steps), serde_json::json!([0, 1, 2]), "one run of the hook");
    assert_eq!(journal(ended, "cured").len(), 1);
    assert!(ended["decided_after_ms"].as_i64().unwrap() >= 3_000, "the rule asks for 3s: {ended}");
    assert!(ended["failed_requests"].as_u64().unwrap() > 0, "users saw it: {ended}");
    let report = std::fs::read_to_string(path(ended, "report")).unwrap();
    assert!(report.starts_with("# demo-app: v2 was rolled back to v1\n"), "{report}");
    assert!(report.contains("Rule `error-rate` fired against version v2"), "{report}");
}

#[test]
fn the_timeline_goes_from_pending_to_the_decision_to_the_cure() {
    let directory = TempDir::new().unwrap();
    let events = told(&["--json"], &directory);
    let offsets: Vec<i64> = events.iter().filter_map(|e| e["offset_ms"].as_i64()).collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
    let place = |what: &str| {
        let is = |event: &Value| {
            event["entry"]["event"]["kind"] == what
                || event["event"] == what
                || (event["rule"] == "error-rate" && event["state"] == what)
        };
        events.iter().position(is).unwrap_or_else(|| panic!("{what} was not told"))
    };
    let story = ["ready", "deployed", "pending", "decided", "intent", "outcome", "cured", "ended"];
    assert!(story.map(place).is_sorted(), "{:?}", story.map(place));
}

#[test]
fn a_good_release_survives_its_bake_and_stays() {
    let directory = TempDir::new().unwrap();
    let events = told(&["--good", "--json"], &directory);
    let ended = events.last().unwrap();
    assert_eq!(ended["state"], "baked", "{ended}");
    assert_eq!(release(&events), Path::new("releases/v2"));
    assert_eq!(journal(ended, "baked").len(), 1);
    assert_eq!(journal(ended, "intent"), Vec::<Value>::new());
    let config = path(ended, "config");
    let check = Command::new(BINARY).args(["check", "--deny-lints"]).arg(config).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

#[test]
fn what_is_piped_fits_a_terminal_and_holds_no_escape_codes() {
    let directory = TempDir::new().unwrap();
    let output = finish(demo(&[], &directory).spawn().unwrap());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert!(!line.contains(char::is_control), "{line}");
    }
    assert!(text.contains("DECIDED back to v1 with hook rollback"), "{text}");
    assert!(text.contains("# demo-app: v2 was rolled back to v1"), "{text}");
}

/// Runs a demo until everything is there, and hands out what ends it.
fn started(directory: &TempDir) -> (Child, Value, BufReader<std::process::ChildStdout>) {
    let mut child = demo(&["--json"], directory).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["event"], "ready", "{ready}");
    (child, ready, stdout)
}

/// Neither the app nor the daemon answers any more.
fn assert_alone(ready: &Value) {
    let app = ready["app"].as_str().unwrap();
    let address = app.trim_start_matches("http://").trim_end_matches('/');
    let control = path(ready, "directory").join("control");
    let end = Instant::now() + DEADLINE;
    loop {
        let app_is_there = TcpStream::connect(address).is_ok();
        let daemon_is_there = std::os::unix::net::UnixStream::connect(&control).is_ok();
        if !app_is_there && !daemon_is_there {
            return;
        }
        assert!(Instant::now() < end, "left behind: {app_is_there} {daemon_is_there}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_demo_leaves_no_process_behind() {
    let directory = TempDir::new().unwrap();
    let (child, ready, _stdout) = started(&directory);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(finish(child).status.code(), Some(1));
    assert_alone(&ready);
}

#[test]
fn a_demo_that_nobody_reads_ends_and_leaves_no_process_behind() {
    let directory = TempDir::new().unwrap();
    let (child, ready, stdout) = started(&directory);
    drop(stdout);
    assert_eq!(finish(child).status.code(), Some(1));
    assert_alone(&ready);
}
