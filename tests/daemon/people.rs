//! What people decide, with the real daemon and the real command line: approvals, pauses, the
//! budget, quarantine, and what is irreversible.

use std::fs;

use serde_json::Value;

use crate::support::world::{ID, World};

/// The host's configuration with something added to `[deployment]`.
fn world(mode: &str, added: &str) -> Option<World> {
    let mode = format!("mode = \"{mode}\"");
    let added = format!("bake = \"1h\"\n{added}");
    World::new(&[("mode = \"auto\"", &mode), ("bake = \"1h\"", &added)])
}

#[track_caller]
fn said(world: &World, arguments: &[&str], code: i32, what: &str) {
    let (ended, said) = world.run(arguments);
    assert!(ended == code && said.contains(what), "{arguments:?}: {ended}, {said}");
}

fn text(world: &World) -> String {
    String::from_utf8(world.cli(&["status"]).stdout).unwrap()
}

fn report(world: &World) -> String {
    fs::read_to_string(world.path("state/reports").join(format!("{ID}.md"))).unwrap_or_default()
}

const LATER: &str = "confirm = { within = \"1h\", default = \"deny\" }";

#[test]
fn in_mode_confirm_nothing_is_rolled_back_before_a_person_approves() {
    let Some(world) = world("confirm", LATER) else { return };
    let daemon = world.start();
    said(&world, &["approve"], 5, "no deployment has begun");
    world.deploy();
    let asked = world.wait_entry("awaiting_approval");
    assert_eq!(asked["data"]["decision"]["trigger"]["rule"]["rule"], "error-rate");
    assert_eq!(asked["data"]["default"], "deny");
    said(&world, &["pause", "--reason", "not now"], 5, "awaits approval");
    // The question outlives the guard that asked it.
    daemon.kill();
    let _daemon = world.start();
    let status = world.status();
    assert_eq!(status["state"], "awaiting_approval");
    assert_eq!(status["deployment"]["approval"]["rule"], "error-rate");
    let shown = text(&world);
    assert!(
        shown.contains("awaiting approval") && shown.contains("`rollguard approve`"),
        "{shown}"
    );
    assert!(report(&world).contains("rollguard approve --deployment d1"), "{}", report(&world));
    assert_eq!((world.count("switch"), world.entries("decided").len()), (0, 0));
    said(&world, &["approve", "--deployment", "d0"], 5, "not the current one");
    said(&world, &["approve", "--deployment", ID, "--reason", "I saw it"], 0, "rolling back");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.count("switch"), 1);
    let answer = world.entries("decided")[0]["data"]["approval"]["answer"]["person"].clone();
    assert_eq!(answer["reason"], "I saw it");
    assert!(answer["by"]["process"]["uid"].is_number(), "{answer}");
    assert!(report(&world).contains("approved by process"), "{}", report(&world));
    said(&world, &["approve"], 5, "rolled back");
}

#[test]
fn a_person_who_denies_keeps_the_version() {
    let Some(world) = world("confirm", LATER) else { return };
    let _daemon = world.start();
    world.deploy();
    world.wait_entry("awaiting_approval");
    said(&world, &["deny"], 2, "--reason");
    said(&world, &["deny", "--reason", "it is the load test"], 0, "still guarded");
    let status = world.status();
    assert_eq!(status["state"], "guarding");
    assert_eq!(World::rule(&status, "error-rate")["refusal"], "denied");
    assert_eq!(
        world.entries("denied")[0]["data"]["answer"]["person"]["reason"],
        "it is the load test"
    );
    assert!(report(&world).contains("it is the load test"), "{}", report(&world));
    assert_eq!(world.count("switch"), 0);
}

#[test]
fn without_an_answer_the_configured_default_is_done() {
    let answer = "confirm = { within = \"10s\", default = \"rollback\" }";
    let Some(world) = world("confirm", answer) else { return };
    let _daemon = world.start();
    world.deploy();
    world.wait_entry("awaiting_approval");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.entries("decided")[0]["data"]["approval"]["answer"], "time_limit");
    assert!(report(&world).contains("nobody answered"), "{}", report(&world));
}

#[test]
fn a_pause_is_seen_everywhere_outlives_the_guard_and_acts_at_its_end() {
    let Some(world) = world("auto", "") else { return };
    let daemon = world.start();
    said(&world, &["resume"], 5, "not paused");
    said(&world, &["pause", "--for", "25h", "--reason", "why"], 5, "a pause lasts 1s to 1d");
    said(&world, &["pause", "--for", "1h", "--reason", "moving disks"], 0, "for 1h");
    world.deploy();
    assert_eq!(world.wait_entry("refused")["data"]["refusal"], "paused");
    daemon.kill();
    let _daemon = world.start();
    let status = world.status();
    assert_eq!(status["paused"]["reason"], "moving disks");
    assert!(status["paused"]["by"]["process"]["uid"].is_number(), "{status}");
    assert!(text(&world).starts_with("PAUSED "), "{}", text(&world));
    assert_eq!(world.count("switch"), 0);
    said(&world, &["resume", "--reason", "moved"], 0, "on again");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.status()["paused"], Value::Null);
    assert_eq!(world.entries("resumed")[0]["data"]["reason"], "moved");
}

#[test]
fn beyond_the_budget_people_are_told_and_may_roll_back_themselves() {
    let Some(world) = world("auto", "budget = { rollbacks = 1, per = \"1h\" }") else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    said(&world, &["deploy", "begin", "v3", "--good", "v1", "--id", "d3"], 0, "d3");
    world.switch("v2");
    assert_eq!(world.wait_entry("refused")["data"]["refusal"], "budget_spent");
    assert_eq!(world.status()["budget"]["spent"], 1);
    assert!(text(&world).contains("1 of 1 rollbacks in 1h, SPENT"), "{}", text(&world));
    assert_eq!(world.count("switch"), 1);
    said(&world, &["rollback", "--reason", "it is bad, too"], 0, "rolling back deployment d3");
    said(&world, &["deploy", "wait", "d3", "--timeout", "50s"], 3, "rolled back");
}

#[test]
fn a_version_that_was_rolled_back_is_deployed_again_only_by_force() {
    let Some(world) = world("auto", "") else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    said(&world, &["deploy", "begin", "v2", "--good", "v1"], 5, "version v2 was rolled back at");
    assert!(text(&world).contains("rolled back: v2"), "{}", text(&world));
    said(&world, &["deploy", "begin", "v2", "--good", "v1", "--force"], 0, "v2");
    let begun = world.entries("begun").pop().unwrap();
    assert_eq!(begun["data"]["forced"], true);
    assert!(text(&world).contains("begun by force"), "{}", text(&world));
}

#[test]
fn what_is_irreversible_is_rolled_back_only_by_a_person_who_insists() {
    let Some(world) = world("auto", "") else { return };
    let _daemon = world.start();
    world.shown("the first reading", |status| status["signals"][0]["value"] == 0.0);
    let begin = ["deploy", "begin", "v2", "--good", "v1", "--id", ID, "--irreversible"];
    said(&world, &begin, 0, ID);
    world.switch("v2");
    assert_eq!(world.wait_entry("refused")["data"]["refusal"], "irreversible");
    assert!(text(&world).contains("irreversible"), "{}", text(&world));
    said(&world, &["rollback", "--reason", "why"], 5, "begun as irreversible");
    assert_eq!(world.count("switch"), 0);
    said(&world, &["rollback", "--reason", "the schema fits both", "--force"], 0, "rolling back");
    assert_eq!(world.verdict(), 3, "{}", world.log());
}
