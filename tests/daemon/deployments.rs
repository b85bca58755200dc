//! Deployments from their beginning to their verdict, as a pipeline and a person see them.

use std::fs;

use crate::support::common::{KillOnDrop, wait_for};
use crate::support::world::{ID, LONG, World, wait_ended};

fn said(world: &World, arguments: &[&str], code: i32, what: &str) {
    let (ended, said) = world.run(arguments);
    assert!(ended == code && said.contains(what), "{arguments:?}: {ended}, {said}");
}

#[test]
fn a_version_that_survives_its_bake_is_what_the_next_deployment_returns_to() {
    let Some(world) = World::new(&[(r#"bake = "1h""#, r#"bake = "3s""#)]) else { return };
    let _daemon = world.start();
    said(&world, &["deploy", "begin", "v1", "--id", "first"], 0, "first");
    said(&world, &["deploy", "wait", "first", "--timeout", "50s"], 0, "deployment first: baked");
    assert_eq!(world.kinds(), ["begun", "baked"]);
    assert_eq!(world.status()["good"], "v1");
    said(&world, &["deploy", "begin", "v2", "--id", ID], 0, ID);
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let status = world.status();
    assert_eq!((&status["good"], &status["deployment"]["good"]), (&"v1".into(), &"v1".into()));
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("v1"));
    // The verdict of one that is over is still known.
    said(&world, &["deploy", "wait", "first"], 0, "deployment first: baked");
}

#[test]
fn a_person_rolls_back_in_every_mode() {
    let Some(world) = World::new(&[(r#"mode = "auto""#, r#"mode = "observe""#)]) else { return };
    let _daemon = world.start();
    world.begin();
    said(&world, &["rollback"], 2, "--reason");
    said(&world, &["rollback", "--reason", " "], 5, "a reason must be");
    said(&world, &["rollback", "--reason", "why", "--deployment", "d0"], 5, "not the current one");
    said(&world, &["rollback", "--reason", "orders are lost"], 0, "rolling back deployment d1");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    said(&world, &["rollback", "--reason", "again"], 5, "already rolled back");
    assert_eq!(world.effects(), ["switch 1"]);
    let trigger = &world.entries("decided")[0]["data"]["trigger"]["person"];
    assert_eq!(trigger["reason"], "orders are lost");
    assert!(trigger["by"]["process"]["pid"].is_number(), "{trigger}");
}

#[test]
fn a_deployment_is_begun_once_however_often_it_is_asked_for() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.begin();
    said(&world, &["deploy", "begin", "v2", "--id", ID], 0, "guarded already");
    said(&world, &["deploy", "begin", "v3", "--id", ID], 5, "was used before");
    said(&world, &["deploy", "end", ID, "--reason", "by hand"], 0, "not guarded any more");
    said(&world, &["deploy", "begin", "v2", "--id", ID], 5, "was used before");
    said(&world, &["deploy", "end", ID], 5, "by hand");
    said(&world, &["deploy", "wait", ID], 1, "ended: by hand");
    assert_eq!(world.kinds(), ["begun", "ended"]);
}

#[test]
fn nothing_comes_between_a_rollback_and_its_end() {
    let Some(world) = World::new(&[]) else { return };
    world.hold("before-switch");
    let _daemon = world.start();
    world.deploy();
    world.held("before-switch");
    said(&world, &["deploy", "begin", "v3"], 5, "is being rolled back");
    said(&world, &["deploy", "end"], 5, "is being rolled back");
    said(&world, &["rollback", "--reason", "me too"], 5, "already rolled back");
    let status = world.status();
    assert_eq!(status["state"], "rolling_back");
    assert_eq!(status["deployment"]["step"], serde_json::json!([1, 1]));
    said(&world, &["deploy", "wait", ID, "--timeout", "10ms"], 1, "still rolling back");
    world.release("before-switch");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["switch 1"]);
    let kinds = ["begun", "decided", "intent", "outcome", "cured"];
    assert_eq!(world.kinds(), kinds);
    let report = fs::read_to_string(world.path("state/reports").join(format!("{ID}.md"))).unwrap();
    assert!(report.contains("error-rate"), "{report}");
    // After it the next one may begin.
    said(&world, &["deploy", "begin", "v3", "--id", "d3"], 0, "d3");
}

#[test]
fn a_deployment_that_ended_is_not_rolled_back() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.begin();
    said(&world, &["deploy", "end"], 0, "");
    world.switch("v2");
    let status = world
        .shown("the rule to fire", |status| World::rule(status, "error-rate")["state"] == "firing");
    assert_eq!(World::rule(&status, "error-rate")["refusal"], "not_armed");
    assert_eq!(status["state"], "ended");
    assert_eq!((world.kinds(), world.effects()), (vec!["begun".into(), "ended".into()], vec![]));
}

#[test]
fn a_newer_deployment_takes_the_place_of_the_one_before() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.begin();
    said(&world, &["deploy", "begin", "v3", "--id", "d3"], 0, "d3");
    said(&world, &["deploy", "wait", ID], 1, "ended: superseded by d3");
    assert_eq!(world.status()["deployment"]["id"], "d3");
}

#[test]
fn what_is_not_there_is_told_apart_by_its_exit_code() {
    let Some(world) = World::new(&[]) else { return };
    let commands: [&[&str]; 5] = [
        &["status"],
        &["deploy", "begin", "v2"],
        &["deploy", "wait", ID],
        &["deploy", "end"],
        &["rollback", "--reason", "why"],
    ];
    commands.iter().for_each(|command| said(&world, command, 6, "cannot be reached"));
    let _daemon = world.start();
    said(&world, &["deploy", "wait", "d0"], 1, "deployment d0 is not known");
    said(&world, &["deploy", "wait"], 5, "no deployment has begun");
    said(&world, &["deploy", "end"], 5, "no deployment has begun");
    said(&world, &["rollback", "--reason", "why"], 5, "no deployment has begun");
}

/// Whether a client is connected to the host's control socket.
fn is_connected(world: &World) -> bool {
    let path = world.path("control");
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    // The sixth column is the state: 03 is connected, see proc(5).
    sockets.lines().any(|line| {
        let mut columns = line.split_whitespace();
        columns.nth(5) == Some("03") && columns.nth(1) == path.to_str()
    })
}

#[test]
fn a_pipeline_waits_through_a_restart_of_the_daemon() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    // Whoever asked before this is gone.
    // The daemon may not have seen yet that the last one has gone.
    wait_for(LONG, "no client", || (!is_connected(&world)).then_some(()));
    let mut wait = KillOnDrop(world.command(&["deploy", "wait", ID]).spawn().unwrap());
    wait_for(LONG, "a client", || is_connected(&world).then_some(()));
    daemon.kill();
    let _daemon = world.start();
    world.switch("v2");
    let ended = wait_ended(&mut wait, "the pipeline's verdict");
    assert_eq!(ended.code(), Some(3), "{}", world.log());
}

#[test]
fn the_fields_of_the_status_are_those_that_scripts_know() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.begin();
    let status = world.status();
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let sorted = |mut names: Vec<&str>| {
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let check = |value, names| {
        let mut keys = keys(value);
        keys.sort_unstable();
        assert_eq!(keys, sorted(names), "{value:#}");
    };
    let top = "at budget colour config deployment drill good journal_ok live mode paused pid \
               quarantine reload_error rollguard rules service signals skipped_slots started state \
               targets turned";
    check(&status, top.split_whitespace().collect());
    let of_deployment = "approval bakes_at begun decided_at decision forced good id irreversible \
                         lost stage stages step version warm_at why withheld";
    check(&status["deployment"], of_deployment.split(' ').collect());
    let of_rule = "about comparisons for_ms given held_ms no_data refusal rule severity signals \
                   since state verdict when";
    check(&status["rules"][0], of_rule.split_whitespace().collect());
    let of_signal = "at_least description no_data signal unit value";
    check(&status["signals"][0], of_signal.split(' ').collect());
    let of_target =
        "age_s bytes failure interval_ms malformed name pace samples sharpened took_s up url";
    check(&status["targets"][0], of_target.split(' ').collect());
    assert_eq!((&status["state"], &status["mode"]), (&"guarding".into(), &"auto".into()));
    assert_eq!(status["targets"][0]["up"], true);
}
