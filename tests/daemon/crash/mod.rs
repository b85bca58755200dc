//! The guard is killed at every instant that matters, and started again: the rollback takes effect
//! once, whatever was killed when, and nothing starts that is not on record before.

mod boundaries;
mod page;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::common::wait_for;
use crate::support::world::{ID, LONG, World, records, send};

/// Where the daemon kills itself, in debug builds.
const CRASH_AT: &str = "ROLLGUARD_CRASH_AT";

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const IDEMPOTENT: &str = r#"{ run = ["DIR/hook", "switch", "{good}"], idempotent = true },"#;
const THREE_STEPS: &str = r#"
    { run = ["DIR/hook", "first"], idempotent = true },
    { run = ["DIR/hook", "second"], idempotent = true },
    { run = ["DIR/hook", "switch", "{good}"], idempotent = true },"#;
/// A cure that is looked for only shortly, for what is not going to be cured.
const SHORT_CURE: (&str, &str) = (r#"within = "50s""#, r#"within = "1s""#);

/// A daemon that ends at a fail point while it rolls a bad release back.
fn crash(world: &World, at: &str) {
    let daemon = world.start_with(&[(CRASH_AT, at)]);
    world.deploy();
    assert_eq!(daemon.ended().signal(), Some(Signal::KILL.as_raw()), "{at}");
}

/// Started again, and again when all is over: the release is rolled back, once.
#[track_caller]
fn rolled_back_once(world: &World, what: &str) {
    for start in 1..=2 {
        let daemon = world.start();
        assert_eq!(world.verdict(), 3, "{what}, start {start}: {}", world.log());
        assert_eq!(world.status()["state"], "rolled_back", "{what}, start {start}");
        daemon.kill();
    }
    assert_eq!(world.count("switch"), 1, "{what}: {:?}", world.effects());
    assert_eq!(world.entries("decided").len(), 1, "{what}");
    assert_eq!(world.entries("cured").len(), 1, "{what}");
    assert_eq!(world.count("page"), 0, "{what}");
}

/// Fail points exist in debug builds only.
fn has_fail_points() -> bool {
    if !cfg!(debug_assertions) {
        println!("skipped: this build has no fail points");
    }
    cfg!(debug_assertions)
}

#[test]
fn a_rollback_runs_at_most_once_whatever_is_killed() {
    if !has_fail_points() {
        return;
    }
    let places = [
        "before:decided",
        "after:decided",
        "before:intent",
        "after:intent",
        "after:run",
        "before:outcome",
        "after:outcome",
        "before:cured",
        "after:cured",
    ];
    thread::scope(|scope| {
        for at in places {
            scope.spawn(move || {
                let Some(world) = World::new(&[]) else { return };
                crash(&world, at);
                rolled_back_once(&world, at);
            });
        }
    });
}

#[test]
fn a_guard_that_is_killed_at_every_instant_in_turn_still_rolls_back_once() {
    let Some(world) = World::new(&[]).filter(|_| has_fail_points()) else { return };
    crash(&world, "after:decided");
    for at in ["before:intent", "after:intent", "after:run", "before:outcome", "before:cured"] {
        let daemon = world.spawn(&[(CRASH_AT, at)]);
        assert_eq!(daemon.ended().signal(), Some(Signal::KILL.as_raw()), "{at}");
    }
    rolled_back_once(&world, "every instant");
}

#[test]
fn killing_the_guard_while_pending_loses_the_hold_not_the_deployment() {
    let Some(world) = World::new(&[("for = \"200ms\"", "for = \"1s\"")]) else { return };
    let daemon = world.start();
    world.deploy();
    world.shown("the rule to be pending", |status| {
        World::rule(status, "error-rate")["state"] == "pending"
    });
    daemon.kill();
    assert_eq!(world.entries("decided"), [] as [Value; 0]);
    rolled_back_once(&world, "pending");
    let started = &world.entries("started")[1]["at"];
    let decided = &world.entries("decided")[0];
    let rule = &decided["data"]["trigger"]["rule"];
    // What was seen before does not count, and all of the time was seen.
    assert!(rule["since"].as_str() > started.as_str(), "{rule} {started}");
    assert!(rule["held_ms"].as_u64() >= Some(1000), "{rule}");
    assert_eq!(decided["deployment"], ID);
}

#[test]
fn a_step_that_outlives_the_guard_is_waited_for_and_not_started_again() {
    for place in ["before-switch", "after-switch"] {
        let Some(world) = World::new(&[]) else { return };
        world.hold(place);
        let daemon = world.start();
        world.deploy();
        world.held(place);
        daemon.kill();
        let daemon = world.start();
        // It was found running: nothing else is done until it has ended.
        world.shown("the rollback to go on", |status| status["state"] == "rolling_back");
        world.release(place);
        assert_eq!(world.verdict(), 3, "{place}: {}", world.log());
        daemon.kill();
        rolled_back_once(&world, place);
        let outcomes = world.entries("outcome");
        let results: Vec<_> = outcomes.iter().map(|entry| &entry["data"]["result"]).collect();
        assert_eq!(results, ["unknown", "done"], "{place}");
    }
}

#[test]
fn a_guard_killed_while_it_looks_for_the_cure_looks_for_it_again() {
    let Some(world) = World::new(&[]) else { return };
    world.hold("after-switch");
    let daemon = world.start();
    world.deploy();
    world.held("after-switch");
    // Without a single scrape there is no cure to be seen.
    fs::write(world.path("hang"), "").unwrap();
    world.release("after-switch");
    world.shown("the cure to be looked for", |status| status["state"] == "verifying");
    daemon.kill();
    fs::remove_file(world.path("hang")).unwrap();
    rolled_back_once(&world, "verifying");
}

/// The guard and its step die together, before the step has done anything.
fn die_together(world: &World) {
    world.hold("before-switch");
    let daemon = world.start();
    world.deploy();
    let step = world.held_pid("before-switch");
    daemon.kill();
    send(step, Signal::KILL);
    world.release("before-switch");
}

#[test]
fn an_interrupted_step_that_may_not_run_twice_is_a_persons_business() {
    let Some(world) = World::new(&[SHORT_CURE]) else { return };
    die_together(&world);
    for start in 1..=2 {
        let _daemon = world.start();
        assert_eq!(world.verdict(), 4, "start {start}: {}", world.log());
        // What is on record as told is not told again.
        wait_for(LONG, "the page", || {
            let told = world.entries("notified");
            told.iter().any(|told| told["data"]["hook"] == "page").then_some(())
        });
        assert_eq!(world.count("page"), 1, "start {start}");
    }
    assert_eq!(world.count("switch"), 0, "{:?}", world.effects());
    assert_eq!(world.entries("intent").len(), 1);
    let failed = world.entries("failed");
    let why = failed[0]["data"]["why"].as_str().unwrap();
    assert!(why.contains("was interrupted, nobody knows whether it took effect"), "{why}");
}

#[test]
fn an_interrupted_step_that_may_run_twice_is_run_again_where_the_cure_is_not_seen() {
    let Some(world) = World::new(&[(STEP, IDEMPOTENT), SHORT_CURE]) else { return };
    die_together(&world);
    // Now the cure has to be given the time that it needs; the hook is otherwise the same.
    world.configure(&[(STEP, IDEMPOTENT), (r#"within = "50s""#, r#"within = "5s""#)]);
    rolled_back_once(&world, "idempotent");
    assert_eq!(world.effects(), ["switch 2"]);
}

#[test]
fn a_guard_killed_during_every_step_runs_each_attempt_once_and_all_in_order() {
    let changes = [(STEP, THREE_STEPS), (r#"within = "50s""#, r#"within = "3s""#)];
    let Some(world) = World::new(&changes) else { return };
    let places = ["after-first", "after-second", "after-switch"];
    places.iter().for_each(|place| world.hold(place));
    let daemon = world.start();
    world.deploy();
    let mut running = daemon;
    for place in places {
        world.held(place);
        running.kill();
        running = world.start();
        world.release(place);
    }
    assert_eq!(world.verdict(), 3, "{}", world.log());
    // What was interrupted before the cure was there ran again; the last step brought it.
    assert_eq!(world.effects(), ["first 1", "first 2", "second 1", "second 2", "switch 1"]);
    running.kill();
    rolled_back_once(&world, "three steps");
}

#[test]
fn a_guard_killed_between_steps_goes_on_with_the_next_one() {
    if !has_fail_points() {
        return;
    }
    let places =
        ["after:outcome:1", "before:intent:2", "after:run:2", "after:outcome:2", "after:run:3"];
    thread::scope(|scope| {
        for at in places {
            scope.spawn(move || {
                let steps = THREE_STEPS.replace(", idempotent = true", "");
                let Some(world) = World::new(&[(STEP, &steps)]) else { return };
                crash(&world, at);
                rolled_back_once(&world, at);
                let effects = world.effects();
                let steps = effects.iter().map(|line| line.split(' ').next().unwrap());
                assert_eq!(steps.collect::<Vec<_>>(), ["first", "second", "switch"], "{at}");
            });
        }
    });
}

#[test]
fn no_step_starts_before_its_intent_is_durable() {
    let Some(world) = World::new(&[(STEP, THREE_STEPS)]) else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    for (place, step) in ["first", "second", "switch"].into_iter().enumerate() {
        // The journal as the step itself found it.
        let text = fs::read_to_string(world.path(&format!("journal.{step}"))).unwrap();
        assert!(text.ends_with('\n'), "{step}: {text}");
        let seen = records(&text);
        let about = |entry: &Value| {
            let kind = entry["kind"].as_str().unwrap();
            let of_steps = ["intent", "outcome"].contains(&kind);
            of_steps.then(|| (kind.to_owned(), entry["data"]["attempt"]["step"].as_u64().unwrap()))
        };
        let seen: Vec<_> = seen.iter().filter_map(about).collect();
        let before = (0..place as u64).flat_map(|n| [("intent".into(), n), ("outcome".into(), n)]);
        let expected: Vec<(String, u64)> =
            before.chain([("intent".into(), place as u64)]).collect();
        assert_eq!(seen, expected, "{step}");
    }
}

#[test]
fn a_released_guard_has_no_fail_points() {
    fn read(dir: &std::path::Path, text: &mut String) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, text);
            } else if !path.ends_with("failpoint.rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let uses: Vec<_> = (0..lines.len()).filter(|n| lines[*n].contains("failpoint")).collect();
    assert!(uses.len() >= 5, "{uses:?}");
    for at in uses {
        assert_eq!(lines[at - 1], "#[cfg(debug_assertions)]", "{}", lines[at]);
    }
}
