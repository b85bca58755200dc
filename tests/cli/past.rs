//! The commands about the past, run as a person runs them, on journals that the daemon's own writer
//! wrote; and the manual of the journal, which must say what is true.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use proptest::test_runner::Config;
use rollguard::journal::{Journal, journal_file};
use rollguard::model::entry::{Entry, Event};
use serde_json::{Value, json};

use crate::support::common::real;

const MANUAL: &str = include_str!("../../docs/journal.md");

/// Entries as the journal has them, without what chains them.
fn entry(at: &str, deployment: Value, kind: &str, data: Value) -> Entry {
    let event = json!({ "kind": kind, "data": data });
    serde_json::from_value(json!({ "at": at, "deployment": deployment, "event": event })).unwrap()
}

fn begun(version: &str) -> Value {
    let by = json!({ "process": { "pid": 7, "uid": 1000 } });
    let signal = json!({ "signal": "error_rate", "value": 0.001, "at_least": false });
    json!({
        "service": "api", "version": version, "good": "v1", "mode": "auto",
        "signals": [signal], "holding": [], "by": by,
    })
}

fn evidence() -> Value {
    json!({
        "rule": "error-rate", "when": "error_rate > 5%", "given": null, "state": "firing",
        "for_ms": 3000, "held_ms": 3000, "since": "2026-11-20T10:00:01Z", "severity": "critical",
        "signals": [{ "signal": "error_rate", "value": 0.2, "at_least": false }],
        "comparisons": [{ "left": 0.2, "op": ">", "right": 0.05 }],
        "about": { "description": null, "runbook": null, "owner": null },
    })
}

/// A rollback, a version that baked although a rule was refused, and one that is guarded.
fn entries() -> Vec<Entry> {
    let attempt = json!({ "hook": "rollback", "step": 0, "number": 1 });
    let decided = json!({
        "trigger": { "rule": evidence() }, "hook": "rollback", "version": "v2", "good": "v1",
        "cure": "error_rate < 1% for 1s", "rules": [evidence()],
        "signals": [{ "signal": "error_rate", "value": 0.2, "at_least": false }],
    });
    let outcome = json!({
        "attempt": attempt, "result": "done", "output": "switched\nto v1 \u{1b}[31m", "took_ms": 40,
    });
    let cured = json!({
        "signals": [{ "signal": "error_rate", "value": 0.002, "at_least": false }], "took_ms": 5000,
    });
    let by = json!("guard");
    vec![
        entry(
            "2026-11-20T09:59:00Z",
            Value::Null,
            "started",
            json!({ "rollguard": "0.1.0", "pid": 7 }),
        ),
        entry("2026-11-20T10:00:00Z", json!("v2-a"), "begun", begun("v2")),
        entry("2026-11-20T10:00:04Z", json!("v2-a"), "decided", decided),
        entry(
            "2026-11-20T10:00:04Z",
            json!("v2-a"),
            "intent",
            json!({ "attempt": attempt, "what": "switch api v1" }),
        ),
        entry("2026-11-20T10:00:05Z", json!("v2-a"), "outcome", outcome),
        entry("2026-11-20T10:00:09Z", json!("v2-a"), "cured", cured),
        entry("2026-11-21T10:00:00Z", json!("v3-b"), "begun", begun("v3")),
        entry(
            "2026-11-21T10:00:05Z",
            json!("v3-b"),
            "refused",
            json!({ "refusal": "observing", "evidence": evidence() }),
        ),
        entry("2026-11-21T11:00:00Z", json!("v3-b"), "baked", json!({ "version": "v3" })),
        entry("2026-11-21T12:00:00Z", json!("v4-c"), "begun", begun("v4")),
        entry("2026-11-21T12:00:01Z", json!("v4-c"), "stopped", json!({ "by": by })),
    ]
}

/// A state directory with a journal of these entries, and the daemon's hold on it.
fn written(entries: &[Entry]) -> (tempfile::TempDir, Journal) {
    let temp = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(temp.path()).unwrap().0;
    entries.iter().for_each(|entry| journal.append(entry).unwrap());
    (temp, journal)
}

fn rollguard(state: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    command.args(arguments);
    if !arguments.contains(&"FILE") && !arguments.iter().any(|a| a.ends_with(".jsonl")) {
        command.arg("--state").arg(state);
    }
    command.env_remove("STATE_DIRECTORY").current_dir(state).output().unwrap()
}

#[track_caller]
fn ok(state: &Path, arguments: &[&str]) -> String {
    let output = rollguard(state, arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    if !arguments.contains(&"--json") && !arguments.contains(&"--markdown") {
        let wide = text.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{arguments:?}");
    }
    text
}

#[track_caller]
fn json_of(state: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(state, &[arguments, &["--json"]].concat())).unwrap()
}

#[track_caller]
fn fails(state: &Path, arguments: &[&str]) -> String {
    let output = rollguard(state, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[test]
fn history_is_read_while_the_daemon_has_the_journal() {
    let (temp, mut journal) = written(&entries());
    let all = json_of(temp.path(), &["history"]);
    let endings: Vec<&str> = all["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|deployment| deployment["ending"].as_str().unwrap())
        .collect();
    assert_eq!(endings, ["guarding", "baked", "rolled_back"]);
    let ended = json!({ "reason": "enough", "by": "guard" });
    journal.append(&entry("2026-11-21T13:00:00Z", json!("v4-c"), "ended", ended)).unwrap();
    let last = &json_of(temp.path(), &["history", "--last", "1"])["deployments"][0];
    assert_eq!((last["ending"].as_str(), last["why"].as_str()), (Some("ended"), Some("enough")));
    let text = ok(temp.path(), &["history"]);
    assert!(text.contains("rolled back      api v2 -> v1"), "{text}");
    assert!(text.contains("refused    observing (error-rate)"), "{text}");
}

#[test]
fn history_shows_what_is_asked_for() {
    let (temp, _journal) = written(&entries());
    let ids = |arguments: &[&str]| -> Vec<String> {
        let all = json_of(temp.path(), &[&["history"], arguments].concat());
        let all = all["deployments"].as_array().unwrap().clone();
        all.iter().map(|deployment| deployment["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&["--since", "2026-11-21"]), ["v4-c", "v3-b"]);
    assert_eq!(ids(&["--deployment", "v2-a"]), ["v2-a"]);
    assert_eq!(ids(&["--service", "other"]), Vec::<String>::new());
    assert_eq!(ids(&["--last", "2"]), ["v4-c", "v3-b"]);
    let usage = rollguard(temp.path(), &["history", "--since", "2026-13-01"]);
    assert_eq!(usage.status.code(), Some(2));
    let said = String::from_utf8(usage.stderr).unwrap();
    assert!(said.contains("is no date, write one like 2026-11-21"), "{said}");
}

#[test]
fn a_report_tells_the_whole_story_of_a_rollback() {
    let (temp, _journal) = written(&entries());
    let text = ok(temp.path(), &["report", "v2-a"]);
    for part in [
        "api v2: rolled back",
        "error_rate 0.2 > 0.05",
        "decided after 4 s, rule held 3 s, rolled back in 1 s, cured in 5 s",
        "starting rollback step 1: switch api v1",
        "| to v1  [31m",
        "cure       error_rate < 1% for 1s",
        "before          at decision     after",
        "0.001           0.2             0.002",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let markdown = ok(temp.path(), &["report", "v2-a", "--markdown"]);
    assert!(markdown.starts_with("# api: v2 was rolled back to v1\n"), "{markdown}");
    assert!(markdown.contains("| `error_rate` | 0.001 | 0.2 | 0.002 | worse | better |"));
    let report = json_of(temp.path(), &["report", "v2-a"]);
    assert_eq!(report["deployment"]["decided"], "2026-11-20T10:00:04.000Z");
    assert_eq!(report["entries"].as_array().unwrap().len(), 5);
}

#[test]
fn a_report_tells_of_deployments_that_were_not_rolled_back() {
    let (temp, _journal) = written(&entries());
    let baked = ok(temp.path(), &["report", "v3-b", "--markdown"]);
    assert!(baked.starts_with("# api: v3 baked and counts as good\n"), "{baked}");
    assert!(baked.contains("| `error-rate` | observing |"), "{baked}");
    assert!(!baked.contains("rolled back"), "{baked}");
    assert!(ok(temp.path(), &["report", "v3-b"]).contains("nothing done, observing: rule error"));
    assert!(ok(temp.path(), &["report", "last"]).contains("api v4: guarding"));
}

#[test]
fn an_unknown_deployment_is_answered_with_those_that_may_be_meant() {
    let (temp, _journal) = written(&entries());
    let said = fails(temp.path(), &["report", "v3-a"]);
    assert!(said.contains("no deployment v3-a") && said.contains("did you mean\n  v"), "{said}");
    let said = fails(temp.path(), &["report", "nothing-like-it"]);
    assert!(said.contains("the newest is v4-c"), "{said}");
    let empty = written(&[]);
    assert!(fails(empty.0.path(), &["report", "last"]).contains("no deployment has begun"));
    assert_eq!(ok(empty.0.path(), &["history"]), "no deployment\n");
}

#[test]
fn stats_count_verdicts_and_measure_what_is_on_record() {
    let (temp, _journal) = written(&entries());
    let stats = json_of(temp.path(), &["stats", "--by", "month"]);
    let all = &stats["all"];
    assert_eq!(all["change_failure_rate"], 0.5);
    assert_eq!(all["counts"]["under_way"], 1);
    assert_eq!(all["times"]["holding_to_decision"]["median_ms"], 3_000);
    assert_eq!(all["times"]["decision_to_cure"]["max_ms"], 5_000);
    assert_eq!(all["refusals"], json!([{ "reason": "observing", "count": 1, "deployments": 1 }]));
    assert_eq!(stats["periods"][0]["period"], "2026-11");
    let none = ok(temp.path(), &["stats", "--since", "2026-11-22"]);
    assert!(none.contains("change failure rate: none"), "{none}");
    let text = ok(temp.path(), &["stats", "--by", "week"]);
    assert!(text.contains("change failure rate: 50% (1 of 2 with a verdict)"), "{text}");
}

#[test]
fn verify_tells_whole_torn_and_damaged_apart() {
    let (temp, journal) = written(&entries());
    drop(journal);
    let path = journal_file(temp.path());
    let whole = fs::read(&path).unwrap();
    let verified = json_of(temp.path(), &["journal", "verify"]);
    assert_eq!((&verified["verdict"], &verified["entries"]), (&json!("whole"), &json!(11)));
    assert_eq!(verified["bytes"], whole.len());
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    let torn = ok(temp.path(), &["journal", "verify"]);
    assert!(torn.contains("line 11 at byte") && torn.contains("never counted"), "{torn}");
    assert!(ok(temp.path(), &["history", "--last", "1"]).contains("guarding"));

    let mut damaged = whole.clone();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    damaged[first + 30] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let said = fails(temp.path(), &["journal", "verify"]);
    assert!(said.contains(&format!("line 2 at byte {first}: its hash does not fit")), "{said}");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(words.join(" ").contains("line 1 is trustworthy, nothing from there on"), "{said}");
    for command in [&["history"][..], &["report", "last"], &["stats"]] {
        let said = fails(temp.path(), command);
        assert!(said.contains("line 2 at byte") && said.contains("journal verify"), "{said}");
    }
    assert!(fails(temp.path(), &["journal", "verify", "none.jsonl"]).contains("No such file"));
}

#[test]
fn a_head_that_was_noted_shows_a_cut_and_a_rewritten_journal() {
    let (temp, mut journal) = written(&entries());
    let head = |state: &Path| -> String {
        json_of(state, &["journal", "verify"])["head"].as_str().unwrap().to_owned()
    };
    let noted = head(temp.path());
    let with_head = ["journal", "verify", "--head", &noted];
    assert!(ok(temp.path(), &with_head).contains("nothing was written since"));
    let stopped = entry("2026-11-21T13:00:00Z", Value::Null, "stopped", json!({ "by": "guard" }));
    journal.append(&stopped).unwrap();
    assert!(ok(temp.path(), &with_head).contains("is line 11: 1 entry was written since"));
    drop(journal);
    // Cut at a line: every line verifies.
    let path = journal_file(temp.path());
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    fs::write(&path, lines[..9].concat()).unwrap();
    assert_eq!(json_of(temp.path(), &["journal", "verify"])["verdict"], "whole");
    assert!(fails(temp.path(), &with_head).contains("cut short or written anew"));
    // Written anew without the refusal: it verifies, too.
    let mut others = entries();
    others.remove(7);
    let (other, _journal) = written(&others);
    assert_eq!(json_of(other.path(), &["journal", "verify"])["verdict"], "whole");
    assert!(fails(other.path(), &with_head).contains("cut short or written anew"));
    let usage = rollguard(temp.path(), &["journal", "verify", "--head", "abc"]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn the_state_directory_is_found_by_a_configuration_that_is_wrong_otherwise() {
    let (temp, _journal) = written(&entries());
    let config = temp.path().join("rollguard.toml");
    let state = temp.path().display();
    fs::write(&config, format!("state = \"{state}\"\nnonsense = 1\n[target.a]\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    let output = command.args(["history", "--config"]).arg(&config).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("api v4"), "{:?}", output.stderr);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rollguard"));
    let output = command.args(["history", "--config", "/nonexistent"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}

/// The Python of the manual.
fn python() -> &'static str {
    MANUAL.split("```python\n").nth(1).unwrap().split("```").next().unwrap()
}

#[test]
fn the_python_of_the_manual_finds_what_verify_finds() {
    let Some(python3) = real("python3") else { return };
    let (temp, journal) = written(&entries());
    drop(journal);
    let path = journal_file(temp.path());
    let whole = fs::read(&path).unwrap();
    let run = || {
        let mut command = Command::new(&python3);
        command.arg("-c").arg(python()).arg(&path).output().unwrap()
    };
    let agrees = |output: Output| {
        let said = String::from_utf8(output.stdout).unwrap();
        let verified = json_of(temp.path(), &["journal", "verify"]);
        let head = verified["head"].as_str().unwrap();
        let expected = format!("{} entries, head {head}\n", verified["entries"]);
        assert!(said.ends_with(&expected), "{said} {:?}", output.stderr);
    };
    agrees(run());
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    agrees(run());
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(!run().status.success(), "byte {at}");
        fails(temp.path(), &["journal", "verify"]);
    }
}

/// Every kind that this version knows, as it lists them itself.
fn kinds() -> Vec<String> {
    let unknown = json!({ "kind": "none of them", "data": {} });
    let said = serde_json::from_value::<Event>(unknown).unwrap_err().to_string();
    let listed = said.split_once("expected one of ").unwrap().1;
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_manual_has_every_kind() {
    let kinds = kinds();
    assert!(kinds.len() >= 19 && kinds.contains(&"notified".to_owned()), "{kinds:?}");
    let lacks = |kind: &&String| !MANUAL.contains(&format!("\n| `{kind}` |"));
    assert_eq!(kinds.iter().filter(lacks).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What the manual says of the kinds, and what the record has.
#[test]
fn the_manual_has_the_fields_of_a_kind() {
    for entry in entries() {
        let event = serde_json::to_value(&entry.event).unwrap();
        let kind = event["kind"].as_str().unwrap();
        let row = MANUAL.lines().find(|line| line.starts_with(&format!("| `{kind}` |")));
        let row = row.unwrap_or_else(|| panic!("no row for {kind}"));
        for field in event["data"].as_object().unwrap().keys() {
            assert!(row.contains(&format!("`{field}`")), "no `{field}` in {row}");
        }
    }
}

#[test]
fn the_manual_has_every_field_of_json() {
    let (temp, _journal) = written(&entries());
    let answers = [
        json_of(temp.path(), &["history", "--last", "1"])["deployments"][0].clone(),
        json_of(temp.path(), &["history"]),
        json_of(temp.path(), &["report", "last"]),
        json_of(temp.path(), &["journal", "verify"]),
        json_of(temp.path(), &["stats", "--by", "week"]),
        json_of(temp.path(), &["stats"])["all"].clone(),
        json_of(temp.path(), &["stats"])["all"]["counts"].clone(),
        json_of(temp.path(), &["stats"])["all"]["times"].clone(),
        json_of(temp.path(), &["stats"])["all"]["times"]["begun_to_decision"].clone(),
        json_of(temp.path(), &["stats"])["all"]["hints"].clone(),
    ];
    for field in answers.iter().flat_map(|answer| answer.as_object().unwrap().keys()) {
        assert!(MANUAL.contains(&format!("`{field}`")), "the manual has no `{field}`");
    }
}

/// A few are enough: the codec itself is damaged in every way in its own tests.
fn few() -> Config {
    Config { cases: 24, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn a_damaged_journal_is_told_as_far_as_it_is_whole_or_not_at_all(
        cut in any::<prop::sample::Index>(),
        flip in proptest::option::of((any::<prop::sample::Index>(), 0..8_u8)),
    ) {
        let (temp, journal) = written(&entries());
        drop(journal);
        let path = journal_file(temp.path());
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole[..cut.index(whole.len() + 1)].to_vec();
        if let Some((at, bit)) = flip.filter(|_| !damaged.is_empty()) {
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
        }
        fs::write(&path, &damaged).unwrap();
        let output = rollguard(temp.path(), &["history", "--json"]);
        let verified = rollguard(temp.path(), &["journal", "verify", "--json"]);
        prop_assert_eq!(output.status.code(), verified.status.code());
        let verified: Value = serde_json::from_slice(&verified.stdout).unwrap();
        let lines = usize::try_from(verified["entries"].as_u64().unwrap()).unwrap();
        let whole_lines = whole.split_inclusive(|byte| *byte == b'\n');
        let bytes: usize = whole_lines.take(lines).map(<[u8]>::len).sum();
        prop_assert_eq!(&damaged[..bytes], &whole[..bytes]);
        if output.status.success() {
            let (clean, _journal) = written(&entries()[..lines]);
            let expected = rollguard(clean.path(), &["history", "--json"]);
            prop_assert_eq!(output.stdout, expected.stdout);
        } else {
            prop_assert!(output.stdout.is_empty());
        }
    }
}
