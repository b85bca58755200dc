//! One decision, made twice by hand: two daemons with one copied state directory that live at the
//! same time, and backups that are put back when the world has moved on. What was done is not done
//! again, and what people did since is not undone.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::live::{FILE, copy, rolled_back_in_vain, second, second_with, wait_second, with};
use crate::support::common::wait_for;
use crate::support::world::{ID, LONG, World, records};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const AGAIN: &str = r#"{ run = ["DIR/hook", "switch", "{good}"], idempotent = true },"#;
const LINK: &str = r#"{ symlink = "DIR/current", interval = "100ms" }"#;

/// The second guard's records.
fn second_journal(world: &World) -> Vec<Value> {
    records(&fs::read_to_string(world.path("copy/journal.jsonl")).unwrap_or_default())
}

#[test]
fn two_guards_that_see_the_same_rule_fire_change_the_world_once() {
    let Some(world) = with(LINK) else { return };
    let _daemon = world.start();
    world.begin();
    copy(&world, "state", "copy");
    let _second = second(&world, LINK);
    wait_second(&world, "started");
    // Every change of the release, as it happens.
    let (link, done) = (world.path("current"), Arc::new(AtomicBool::new(false)));
    let over = done.clone();
    let mut seen = vec![fs::read_link(&link).unwrap()];
    let watcher = thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let now = fs::read_link(&link);
            if let Some(now) = now.ok().filter(|now| seen.last() != Some(now)) {
                seen.push(now);
            }
            thread::sleep(Duration::from_micros(200));
        }
        seen
    });
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    // The other one did the same at the same moment, or found it done: it is not left open.
    wait_for(LONG, "the second guard's end of it", || {
        let journal = second_journal(&world);
        let count = |kind: &str| journal.iter().filter(|entry| entry["kind"] == kind).count();
        assert!(count("failed") == 0 && count("decided") <= 1, "{}", world.log());
        (count("decided") == count("cured")).then_some(())
    });
    done.store(true, Ordering::Relaxed);
    let seen = watcher.join().unwrap();
    let seen: Vec<_> = seen.iter().map(|release| release.to_str().unwrap()).collect();
    assert_eq!(seen, ["v1", "v2", "v1"], "{}", world.log());
}

#[test]
fn a_guard_that_fires_after_its_twin_is_refused_because_the_good_version_is_live() {
    let Some(world) = with(FILE) else { return };
    let _daemon = world.start();
    world.begin();
    copy(&world, "state", "copy");
    let slower = [("for = \"200ms\"", "for = \"4s\"")];
    let _second = second_with(&world, FILE, &slower);
    wait_second(&world, "started");
    // Brought back, and sick all the same: its twin's rule goes on to hold.
    rolled_back_in_vain(&world);
    let refused = wait_second(&world, "refused");
    assert_eq!(refused["data"]["refusal"], "already_at_good");
    assert_eq!(world.count("switch"), 1, "{}", world.log());
    assert!(second_journal(&world).iter().all(|entry| entry["kind"] != "decided"));
}

#[test]
fn a_restored_backup_does_not_undo_what_was_released_since() {
    let Some(world) = with(LINK) else { return };
    let daemon = world.start();
    world.begin();
    copy(&world, "state", "backup");
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    daemon.kill();
    // It is sick, too, and nobody has told the guard of it.
    world.switch("x-v2");
    fs::remove_dir_all(world.path("state")).unwrap();
    copy(&world, "backup", "state");
    let _daemon = world.start();
    let refused = world.wait_entry("refused");
    assert_eq!(refused["data"]["refusal"], "live_version_changed", "{}", world.log());
    assert_eq!(world.count("switch"), 1, "{}", world.log());
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("x-v2"));
}

#[test]
fn a_backup_from_the_middle_of_a_rollback_does_not_undo_what_was_released_since() {
    let Some(world) = with(LINK) else { return };
    let link = format!("notify = \"tell\"\nlive = {LINK}");
    let short = (r#"within = "50s""#, r#"within = "2s""#);
    world.configure(&[(r#"notify = "tell""#, &link), (STEP, AGAIN), short]);
    world.hold("before-switch");
    let daemon = world.start();
    world.deploy();
    world.held("before-switch");
    copy(&world, "state", "backup");
    world.release("before-switch");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    daemon.kill();
    world.switch("x-v2");
    fs::remove_dir_all(world.path("state")).unwrap();
    copy(&world, "backup", "state");
    let _daemon = world.start();
    // The step may be run twice, and would be, were it not for what is live.
    let code = world.run(&["deploy", "wait", ID, "--timeout", "50s"]).0;
    assert_eq!(code, 4, "{}", world.log());
    wait_for(LONG, "the page", || (world.count("page") > 0).then_some(()));
    assert_eq!(world.count("switch"), 1, "{}", world.log());
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("x-v2"));
    let why = &world.entries("failed")[0]["data"]["why"];
    assert!(why.as_str().unwrap().contains("x-v2"), "{why}");
}
