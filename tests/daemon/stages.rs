//! Stages with the real daemon and the real command line: waiting for one, what enters one, and
//! what goes along.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::world::{ID, World, wait_ended};

/// Two stages of a second, the first entered by a hook of one step.
const STAGES: &str = r#"
[[stage]]
name = "canary"
hold = "1s"
limits = ["error_rate < 1%"]
ENTER
[[stage]]
name = "full"
hold = "1s"
rules = ["error-rate"]

[hook.shift]
steps = [{ run = ["DIR/shift", "{stage}", "{key}"], timeout = "50s", grace = "20s" }]

[hook.along]
steps = [{ run = ["DIR/hook", "along"] }]

[hook.rollback]"#;

/// A step that shifts traffic. It can be held, and when it is told to end it takes its time.
const SHIFT: &str = r#"#!/bin/sh
exec > /dev/null 2>&1
dir=$(dirname "$0")
trap 'sleep 0.5; echo "gone $1" >> "$dir/effects"; exit 1' TERM
if [ -e "$dir/hold.shift" ]; then echo $$ > "$dir/held.shift"; fi
while [ -e "$dir/hold.shift" ]; do sleep 0.01; done
echo "shift $2" >> "$dir/effects"
[ ! -e "$dir/broken" ]
"#;

fn world(enter: &str, changes: &[(&str, &str)]) -> Option<World> {
    let stages = STAGES.replace("ENTER", enter);
    let mut all = vec![("[hook.rollback]", stages.as_str())];
    all.extend_from_slice(changes);
    let world = World::new(&all)?;
    fs::write(world.path("shift"), SHIFT).unwrap();
    fs::set_permissions(world.path("shift"), fs::Permissions::from_mode(0o755)).unwrap();
    Some(world)
}

const ENTER: &str = "enter = \"shift\"";

#[track_caller]
fn said(world: &World, arguments: &[&str], code: i32, what: &str) {
    let (ended, said) = world.run(arguments);
    assert!(ended == code && said.contains(what), "{arguments:?}: {ended}, {said}");
}

const WAIT: [&str; 6] = ["deploy", "wait", "--stage", "canary", "--timeout", "50s"];

#[test]
fn a_pipeline_waits_for_each_stage_and_the_version_is_good_after_the_last() {
    let Some(world) = world("", &[("bake = \"1h\"", "bake = \"2s\"")]) else { return };
    let _daemon = world.start();
    said(&world, &["deploy", "wait", "--stage", "canary"], 5, "no deployment has begun");
    world.begin();
    said(&world, &["deploy", "wait", "--stage", "canry"], 2, "the stages are canary, full");
    said(&world, &["deploy", "stage", "full", "--id", "d0"], 5, "not the current one");
    said(&world, &WAIT, 0, "stage canary: passed");
    let shown = world.shown("the bake to be withheld", |status| {
        status["deployment"]["withheld"] == "the last stage, full, has not passed"
    });
    assert_eq!(shown["deployment"]["stages"][0]["standing"], "passed");
    assert_eq!(shown["deployment"]["stages"][1]["standing"], "next");
    said(&world, &["deploy", "stage", "full"], 0, "in stage full");
    let (code, told) = world.run(&["deploy", "wait", "--stage", "full", "--json"]);
    assert_eq!(code, 0, "{told}");
    let told: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&told["stage"], &told["final"]), (&"full".into(), &true.into()), "{told}");
    assert_eq!(world.verdict(), 0, "{}", world.log());
    assert_eq!(
        world.kinds(),
        ["begun", "staged", "stage_passed", "staged", "stage_passed", "baked"]
    );
}

#[test]
fn whoever_waits_for_a_stage_learns_of_the_rollback() {
    let Some(world) = world("", &[]) else { return };
    let _daemon = world.start();
    world.begin();
    world.switch("v2");
    let mut waits = world.command(&WAIT).spawn().unwrap();
    let ended = wait_ended(&mut waits, "the wait to end");
    assert_eq!(ended.code(), Some(3), "{}", world.log());
    said(&world, &["deploy", "stage", "full"], 5, "rolled back");
}

#[test]
fn a_stage_that_was_not_entered_is_told_and_entered_when_it_is_asked_for_again() {
    let Some(world) = world(ENTER, &[]) else { return };
    fs::write(world.path("broken"), "").unwrap();
    let _daemon = world.start();
    world.begin();
    said(&world, &WAIT, 1, "not entered: step 1 failed: exit status 1");
    let status = String::from_utf8(world.cli(&["status"]).stdout).unwrap();
    assert!(status.contains("not entered"), "{status}");
    fs::remove_file(world.path("broken")).unwrap();
    said(&world, &["deploy", "stage", "canary"], 0, "enters stage canary with hook shift");
    said(&world, &WAIT, 0, "stage canary: passed");
    let key = format!("shift {ID}/shift/0/canary.1");
    world.shown("people to be told", |_| world.count("tell") == 1);
    let shifted: Vec<String> =
        world.effects().into_iter().filter(|line| line.starts_with("shift")).collect();
    assert_eq!(shifted, [key.clone(), key], "the key of a step is the same in each attempt");
}

#[test]
fn a_rollback_begins_after_the_hook_that_enters_a_stage_was_called_off_and_is_gone() {
    let Some(world) = world(ENTER, &[]) else { return };
    world.hold("shift");
    let _daemon = world.start();
    world.begin();
    world.held("shift");
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["gone canary", "switch 1"]);
    let kinds = world.kinds();
    let place = |kind: &str| kinds.iter().position(|known| known == kind).unwrap();
    assert!(place("decided") < place("outcome"), "{kinds:?}");
    assert_eq!(world.entries("outcome")[0]["data"]["result"], "called_off");
}

#[test]
fn a_guard_that_is_killed_while_it_calls_off_ends_what_it_left_before_it_rolls_back() {
    let Some(world) = world(ENTER, &[]) else { return };
    world.hold("shift");
    let daemon = world.start_with(&[("ROLLGUARD_CRASH_AT", "after:decided")]);
    world.begin();
    world.held("shift");
    world.switch("v2");
    daemon.ended();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["gone canary", "switch 1"]);
}

#[test]
fn a_guard_that_is_killed_while_a_stage_is_entered_says_that_nobody_knows() {
    let Some(world) = world(ENTER, &[]) else { return };
    world.hold("shift");
    let daemon = world.start();
    world.begin();
    world.held("shift");
    daemon.kill();
    let _daemon = world.start();
    world.release("shift");
    said(&world, &WAIT, 1, "it was interrupted");
    assert_eq!(world.count("shift"), 1, "it was run again");
    said(&world, &["deploy", "stage", "full"], 5, "was not entered");
    said(&world, &["deploy", "stage", "canary"], 0, "enters stage canary");
    said(&world, &WAIT, 0, "stage canary: passed");
    assert_eq!(world.count("shift"), 2);
}

#[test]
fn hooks_go_along_once_each_whatever_is_restarted_and_delay_nothing() {
    let along = "notify = \"tell\"\non_begin = \"along\"\non_trip = \"along\"";
    let Some(world) = world("", &[("notify = \"tell\"", along)]) else { return };
    let daemon = world.start();
    world.begin();
    world.shown("the hook to be run", |_| world.count("along") == 1);
    world.wait_entry("notified");
    daemon.kill();
    let _daemon = world.start();
    world.hold("before-along");
    world.switch("v2");
    world.held("before-along");
    assert_eq!(world.verdict(), 3, "a hook that goes along hangs: {}", world.log());
    world.release("before-along");
    world.shown("the hook to be run", |_| world.count("along") == 2);
    let begun: Vec<_> = world.entries("hook_begun");
    let on: Vec<&str> = begun.iter().map(|entry| entry["data"]["on"].as_str().unwrap()).collect();
    assert_eq!(on, ["begin", "trip"]);
}

#[test]
fn without_stages_waiting_for_one_is_a_mistake() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.begin();
    said(&world, &["deploy", "stage", "anything"], 0, "in stage anything");
    said(&world, &WAIT, 2, "write [[stage]]");
}
