//! The journal, damaged in every way that a disk, a power failure or a person can: what was
//! written is recovered, or the journal is refused, and it never says anything else.

use std::collections::BTreeSet;
use std::fs;

use rollguard::config::{Color, SourceFile, compile};
use rollguard::engine::effect::Effect;
use rollguard::engine::{Durable, Guard};
use rollguard::journal::{Journal, JournalError, journal_file};
use rollguard::model::entry::{Entry, Event, RollbackEvent};
use rollguard::model::time::{Instant, Moment, Timestamp};
use rollguard::record::{self, Hash};
use serde_json::{Value, json};

/// How many random flips are tried; of all bits the tests of `record` try every one, on less.
const FLIPS: u64 = 2000;

/// Every so many bytes a cut is made in a file, too; a file takes longer than its bytes.
const FILES: usize = 37;

const PLAN: &str = r#"
mode = "auto"
[deployment]
service = "api"
bake = "1h"
then = "rollback"
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
[hook.rollback]
steps = [ { run = ["switch", "{good}"] } ]
on_failure = "page"
[hook.page]
steps = [ { run = ["page"] } ]
[signal.latency]
gauge = 'latency_seconds'
[rule.slow]
when = "latency > 2"
for = "10s"
"#;

/// A life with a record of every kind, in an order in which it may happen.
fn life() -> Vec<Entry> {
    let person = json!({"process": {"pid": 7, "uid": 1000}});
    let signal = json!({"signal": "latency", "value": 5.25, "at_least": false, "no_data": null});
    let rule = json!({
        "rule": "slow", "when": "latency > 2", "given": null, "state": "firing", "for_ms": 10000,
        "held_ms": 10000, "since": "2026-11-21T07:00:00.000Z", "severity": "critical",
        "signals": [signal], "comparisons": [{"left": 5.25, "op": ">", "right": 2.0}],
        "about": {}
    });
    let decision = json!({
        "trigger": {"rule": rule}, "hook": "rollback", "version": "v2", "good": "v1",
        "cure": "the rules clear", "rules": [rule], "signals": [signal]
    });
    let begun = |version: &str| {
        json!({"service": "api", "version": version, "good": "v1", "mode": "auto",
            "signals": [signal], "holding": ["slow"], "by": person})
    };
    let attempt =
        |step: u32, number: u32| json!({"hook": "rollback", "step": step, "number": number});
    let outcome = |number: u32, result: Value| {
        json!({"attempt": attempt(0, number), "result": result, "output": "two\nlines \"\u{e9}\"",
            "took_ms": 12})
    };
    let events = [
        (None, "started", json!({"rollguard": "0.1.0", "pid": 4711})),
        (None, "live_seen", json!({"version": "v1"})),
        (Some("d1"), "begun", begun("v1")),
        (Some("d1"), "staged", json!({"stage": "half", "enter": "shift", "by": person})),
        (Some("d1"), "stage_not_entered", json!({"stage": "half", "why": "step 1 failed"})),
        (Some("d1"), "stage_entered", json!({"stage": "half", "took_ms": 4000})),
        (Some("d1"), "hook_begun", json!({"hook": "tell", "on": "stage"})),
        (Some("d1"), "stage_overdue", json!({"stage": "half", "why": "nothing was seen"})),
        (Some("d1"), "stage_passed", json!({"stage": "half", "took_ms": 600000})),
        (
            Some("drill-1"),
            "drill_begun",
            json!({"hook": "rollback", "steps": 1, "service": "gym",
            "version": "v7", "good": "v6", "by": person}),
        ),
        (
            Some("drill-1"),
            "drill_done",
            json!({"result": "failed", "why": "step 1 failed",
            "took_ms": 12}),
        ),
        (
            Some("d1"),
            "paused",
            json!({"until": "2026-11-21T08:00:00.000Z", "reason": "work", "by": person}),
        ),
        (Some("d1"), "refused", json!({"refusal": "paused", "evidence": rule})),
        (Some("d1"), "cleared", json!({"rule": "slow"})),
        (Some("d1"), "resumed", json!({"reason": "done", "by": person})),
        (Some("d1"), "telemetry_lost", json!({"rules": ["slow"], "why": "no answer"})),
        (Some("d1"), "telemetry_back", json!({"rules": ["slow"]})),
        (Some("d1"), "set_aside", json!({"evidence": rule})),
        (Some("d1"), "reloaded", json!({"by": person, "rules": 3})),
        (Some("d1"), "reload_refused", json!({"by": person, "errors": 1, "first": "no such key"})),
        (Some("d1"), "baked", json!({"version": "v1"})),
        (Some("d2"), "begun", begun("v2")),
        (Some("d2"), "superseded", json!({"by": "d3"})),
        (Some("d3"), "begun", begun("v2")),
        (Some("d3"), "ended", json!({"reason": "enough", "by": person})),
        (Some("d4"), "begun", begun("v2")),
        (
            Some("d4"),
            "awaiting_approval",
            json!({"decision": decision,
            "until": "2026-11-21T08:00:00.000Z", "default": "deny"}),
        ),
        (Some("d4"), "denied", json!({"rule": "slow", "answer": "time_limit"})),
        (Some("d4"), "denial_lifted", json!({"rule": "slow"})),
        (
            Some("d4"),
            "awaiting_approval",
            json!({"decision": decision,
            "until": "2026-11-21T09:00:00.000Z", "default": "rollback"}),
        ),
        (Some("d4"), "lapsed", json!({"rule": "slow", "why": "the budget is spent"})),
        (
            Some("d4"),
            "live_checked",
            json!({"live": {"version": "v2"}, "judged": "v2",
            "good": "v1", "refusal": null}),
        ),
        (Some("d4"), "decided", decision.clone()),
        (Some("d4"), "intent", json!({"attempt": attempt(0, 1), "what": "switch v1"})),
        (Some("d4"), "outcome", outcome(1, json!({"failed": "exit status 1"}))),
        (Some("d4"), "intent", json!({"attempt": attempt(0, 2), "what": "switch v1"})),
        (Some("d4"), "outcome", outcome(2, json!("unknown"))),
        (Some("d4"), "failed", json!({"why": "nobody knows", "signals": [signal]})),
        (Some("d4"), "notified", json!({"hook": "page", "failure": null})),
        (
            Some("d4"),
            "told",
            json!({"channel": "chat", "change": "failed", "news": 31,
            "opened": true}),
        ),
        (Some("d5"), "begun", begun("v3")),
        (Some("d5"), "decided", decision.clone()),
        (Some("d5"), "intent", json!({"attempt": attempt(0, 1), "what": "switch v1"})),
        (Some("d5"), "outcome", outcome(1, json!("done"))),
        (Some("d5"), "cured", json!({"signals": [signal], "took_ms": 4000})),
        (Some("d5"), "stopped", json!({"by": person})),
    ];
    let entry = |(place, (of, kind, data)): (usize, (Option<&str>, &str, Value))| {
        let at = format!("2026-11-21T07:{:02}:00.000Z", place % 60);
        let event = json!({"kind": kind, "data": data});
        let entry = json!({"at": at, "deployment": of, "event": event});
        serde_json::from_value(entry).unwrap_or_else(|error| panic!("{kind}: {error}"))
    };
    events.into_iter().enumerate().map(entry).collect()
}

fn written(entries: &[Entry]) -> Vec<u8> {
    let (mut last, mut bytes) = (Hash::GENESIS, Vec::new());
    for (seq, entry) in (1..).zip(entries) {
        let (line, hash) = record::encode(seq, &last, entry).unwrap();
        bytes.extend_from_slice(line.as_bytes());
        last = hash;
    }
    bytes
}

/// How many whole lines there are.
fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }
}

#[test]
fn the_journal_of_these_tests_has_every_kind_of_record() {
    let known: BTreeSet<String> = Event::kinds().map(str::to_owned).collect();
    let kind = |entry: &Entry| {
        serde_json::to_value(&entry.event).unwrap()["kind"].as_str().unwrap().to_owned()
    };
    let here: BTreeSet<String> = life().iter().map(kind).collect();
    assert_eq!(here, known, "add what is missing to `life`");
}

#[test]
fn cut_at_any_byte_the_guard_is_the_one_of_the_whole_lines_before_it() {
    let life = life();
    let whole = written(&life);
    let ledgers: Vec<Durable> = (0..=life.len()).map(|to| Durable::replay(&life[..to])).collect();
    for cut in 0..=whole.len() {
        let read = record::read(&whole[..cut]).unwrap();
        let count = lines(&whole[..cut]);
        assert_eq!(read.0, life[..count], "cut at {cut}");
        assert_eq!(read.1.torn.is_some(), read.1.valid_bytes != cut as u64, "cut at {cut}");
        if read.1.torn.is_none() {
            assert_eq!(Durable::replay(&read.0), ledgers[count], "cut at {cut}");
        }
    }
}

#[test]
fn a_file_cut_at_any_place_is_recovered_and_what_is_torn_is_dropped_and_said() {
    let life = life();
    let whole = written(&life);
    let temp = tempfile::tempdir().unwrap();
    let path = journal_file(temp.path());
    let at_line_ends =
        (0..whole.len()).filter(|at| whole[*at] == b'\n').flat_map(|at| [at, at + 1]);
    for cut in (0..whole.len()).step_by(FILES).chain(at_line_ends) {
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut journal, entries, torn) = Journal::open(temp.path()).unwrap();
        let count = lines(&whole[..cut]);
        assert_eq!(entries, life[..count], "cut at {cut}");
        assert_eq!(torn.is_some(), cut > 0 && whole[cut - 1] != b'\n', "cut at {cut}");
        // The chain goes on as if nothing had been there.
        if let Some(next) = life.get(count) {
            journal.append(next).unwrap();
            let end = usize::try_from(journal.size()).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole[..end], "cut at {cut}");
        }
    }
}

#[test]
fn flipped_at_random_bytes_it_is_refused_and_left_as_it_is() {
    let life = life();
    let whole = written(&life);
    let temp = tempfile::tempdir().unwrap();
    let path = journal_file(temp.path());
    for seed in 0..FLIPS {
        let mut random = Random(seed);
        let mut damaged = whole.clone();
        for _ in 0..=random.below(3) {
            damaged[random.below(whole.len())] ^= u8::try_from(1 + random.below(255)).unwrap();
        }
        // Two of them may undo each other.
        if damaged == whole {
            continue;
        }
        assert!(record::read(&damaged).is_err(), "ROLLGUARD_SEED={seed}");
        if seed % 20 == 0 {
            fs::write(&path, &damaged).unwrap();
            let opened = Journal::open(temp.path());
            assert!(matches!(opened, Err(JournalError::Broken { .. })), "{seed}: {opened:?}");
            assert_eq!(fs::read(&path).unwrap(), damaged, "{seed}");
        }
    }
}

#[test]
fn flipped_and_cut_it_says_what_was_written_or_nothing() {
    let life = life();
    let whole = written(&life);
    let mut recovered = 0;
    for seed in 0..FLIPS {
        let mut random = Random(seed);
        let cut = 1 + random.below(whole.len());
        let mut damaged = whole[..cut].to_vec();
        damaged[random.below(cut)] ^= u8::try_from(1 + random.below(255)).unwrap();
        if let Ok(read) = record::read(&damaged) {
            recovered += 1;
            assert!(life.starts_with(&read.0), "{seed}");
            let valid = usize::try_from(read.1.valid_bytes).unwrap();
            assert_eq!(damaged[..valid], whole[..valid], "{seed}");
        }
    }
    assert!(recovered > 0, "what is torn and flipped is dropped");
}

#[test]
fn a_guard_of_any_beginning_of_it_repeats_nothing() {
    let file = SourceFile { path: "plan.toml".to_owned(), text: PLAN.to_owned() };
    let plan = compile(&file, &[]).unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain)));
    let plan = std::sync::Arc::new(plan.plan);
    let life = life();
    for to in 0..=life.len() {
        let mut guard = Guard::new(plan.clone(), &life[..to]);
        let wall = Timestamp::from_millis(1_795_000_000_000);
        let effects = guard.start(Moment { at: Instant::ZERO, wall }, "0.1.0", 1);
        let mut rolling = false;
        for entry in &life[..to] {
            rolling |= matches!(entry.event, Event::Rollback(RollbackEvent::Decided(_)));
            rolling &= !matches!(
                entry.event,
                Event::Rollback(RollbackEvent::Cured { .. })
                    | Event::Rollback(RollbackEvent::Failed { .. })
            );
        }
        for effect in &effects {
            let acts = matches!(effect, Effect::Run(_) | Effect::Inspect { .. });
            assert!(!acts || rolling, "after {to} records: {effect:?}");
            let Effect::Append(entry) = effect else { continue };
            assert!(
                !matches!(entry.event, Event::Rollback(RollbackEvent::Decided(_))),
                "after {to} records: decided anew"
            );
        }
    }
}
