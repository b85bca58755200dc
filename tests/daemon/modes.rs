//! When nothing is done although a rule fires, and that it is said why.

use std::fs;

use serde_json::Value;

use crate::support::common::wait_for;
use crate::support::world::{ID, LONG, World};

/// A bad release that is not rolled back: why, and what hooks did instead.
#[track_caller]
fn refused(world: &World, why: &str, effects: &[&str]) {
    let refused = world.wait_entry("refused");
    assert_eq!(refused["data"]["refusal"], why);
    assert_eq!(refused["data"]["evidence"]["rule"], "error-rate");
    let status = world
        .shown("the rule to fire", |status| World::rule(status, "error-rate")["state"] == "firing");
    assert_eq!(World::rule(&status, "error-rate")["refusal"], why);
    assert_eq!(status["state"], "guarding");
    wait_for(LONG, "the hooks", || (world.effects() == effects).then_some(()));
    assert_eq!(world.entries("decided"), [] as [Value; 0]);
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("v2"));
}

#[test]
fn in_mode_observe_it_is_only_said_what_would_be_done() {
    let Some(world) = World::new(&[(r#"mode = "auto""#, r#"mode = "observe""#)]) else { return };
    let _daemon = world.start();
    world.deploy();
    refused(&world, "observing", &[]);
    assert_eq!(world.entries("notified"), [] as [Value; 0]);
}

#[test]
fn in_mode_notify_people_are_told_once() {
    let Some(world) = World::new(&[(r#"mode = "auto""#, r#"mode = "notify""#)]) else { return };
    let daemon = world.start();
    world.deploy();
    refused(&world, "notify_only", &["tell 1"]);
    assert_eq!(world.wait_entry("notified")["data"]["failure"], Value::Null);
    // Nor are they told again after a restart.
    daemon.kill();
    let _daemon = world.start();
    refused(&world, "notify_only", &["tell 1"]);
    assert_eq!(world.entries("refused").len(), 1);
}

#[test]
fn without_a_good_version_nothing_is_rolled_back_to_nowhere() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.shown("the first reading", |status| status["signals"][0]["value"] == 0.0);
    assert_eq!(world.run(&["deploy", "begin", "v2", "--id", ID]).0, 0);
    world.switch("v2");
    refused(&world, "no_good_version", &["tell 1"]);
    let (code, said) = world.run(&["rollback", "--reason", "a person cannot either"]);
    assert!(code == 5 && said.contains("no good version"), "{code}: {said}");
    assert_eq!(world.effects(), ["tell 1"]);
}

#[test]
fn a_sidecar_resumes_its_deployment_with_the_latch_and_never_rolls_back_twice() {
    let arm = "arm = \"always\"\nversion = \"v2\"\ngood = \"v1\"";
    let Some(world) = World::new(&[(r#"bake = "1h""#, arm)]) else { return };
    let daemon = world.start();
    let id = world.status()["deployment"]["id"].clone();
    daemon.kill();
    let daemon = world.start();
    world.shown("the first reading", |status| status["signals"][0]["value"] == 0.0);
    assert_eq!((&world.status()["deployment"]["id"], world.entries("begun").len()), (&id, 1));
    world.switch("v2");
    world.shown("the rollback", |status| status["state"] == "rolled_back");
    daemon.kill();
    world.switch("v2");
    let _daemon = world.start();
    let status = world.shown("the rule to fire again", |status| {
        World::rule(status, "error-rate")["state"] == "firing"
    });
    assert_eq!(World::rule(&status, "error-rate")["refusal"], "already_rolled_back");
    assert_eq!((&status["state"], &status["deployment"]["id"]), (&"rolled_back".into(), &id));
    assert_eq!((world.effects(), world.entries("decided").len()), (vec!["switch 1".into()], 1));
}
