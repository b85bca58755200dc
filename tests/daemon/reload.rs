//! New rules under a running guard.

use rustix::process::Signal;
use serde_json::Value;

use crate::support::world::World;

const SLOW: (&str, &str) = ("for = \"200ms\"", "for = \"30m\"");
const ANOTHER: (&str, &str) =
    ("[hook.rollback]", "[rule.another]\nwhen = \"error_rate > 90%\"\n[hook.rollback]");

#[test]
fn a_bad_file_never_replaces_a_good_one() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    world.configure(&[("error_rate > 5%", "eror_rate > 5%"), ("for = \"200ms\"", "for = 3")]);
    daemon.signal(Signal::HUP);
    let refused = world.wait_entry("reload_refused");
    assert_eq!(refused["data"]["errors"], 2);
    assert!(refused["data"]["by"]["process"]["pid"].is_number(), "{refused}");
    let first = refused["data"]["first"].as_str().unwrap();
    let place = format!("{}:", world.path("config.toml").display());
    let line = first.strip_prefix(&place).unwrap_or_else(|| panic!("no file in {first}"));
    assert!(
        line.starts_with(|c: char| c.is_ascii_digit()) && line.contains("eror_rate"),
        "{first}"
    );
    let status = world.status();
    assert_eq!(status["reload_error"].as_str(), Some(first));
    assert_eq!(World::rule(&status, "error-rate")["when"], "error_rate > 5%");
    let said = world.run(&["status"]).1;
    assert!(said.contains("the newest configuration is not in force"), "{said}");
    let log = world.log();
    assert!(log.contains("eror_rate") && log.contains("rollguard check"), "{log}");
    // The old rules do what they did.
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    world.configure(&[ANOTHER]);
    daemon.signal(Signal::HUP);
    assert_eq!(world.wait_entry("reloaded")["data"]["rules"], 2);
    assert_eq!(world.status()["reload_error"], Value::Null);
}

#[test]
fn a_file_that_is_gone_does_not_end_the_guard() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    std::fs::remove_file(world.path("config.toml")).unwrap();
    daemon.signal(Signal::HUP);
    assert_eq!(world.wait_entry("reload_refused")["data"]["errors"], 1);
    assert_eq!(world.status()["state"], "guarding");
}

#[test]
fn a_rule_that_is_still_the_same_stays_pending_over_a_reload() {
    let Some(world) = World::new(&[SLOW]) else { return };
    let daemon = world.start();
    world.deploy();
    let pending = |status: &Value| World::rule(status, "error-rate")["state"] == "pending";
    let before = world.shown("the rule to be pending", pending);
    world.configure(&[SLOW, ANOTHER]);
    daemon.signal(Signal::HUP);
    let reloaded = world.wait_entry("reloaded");
    let held = |status: &Value| World::rule(status, "error-rate")["held_ms"].as_u64();
    let after = world.shown("the hold to grow", |after| held(after) > held(&before));
    let since = &World::rule(&after, "error-rate")["since"];
    assert!(since.as_str() < reloaded["at"].as_str(), "{since} {reloaded}");
    assert!(pending(&after) && after["rules"].as_array().unwrap().len() == 2, "{after:#}");
    assert_eq!(after["deployment"]["id"], before["deployment"]["id"]);
}

#[test]
fn a_reload_during_a_rollback_waits_for_its_end() {
    let Some(world) = World::new(&[]) else { return };
    world.hold("before-switch");
    let daemon = world.start();
    world.deploy();
    world.held("before-switch");
    // Without this hook the rollback could not go on.
    world.configure(&[("\"switch\"", "\"other\""), ANOTHER]);
    daemon.signal(Signal::HUP);
    world.release("before-switch");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    world.wait_entry("reloaded");
    let kinds: Vec<_> = world.kinds().into_iter().filter(|kind| kind != "begun").collect();
    assert_eq!(kinds, ["decided", "intent", "outcome", "cured", "reloaded"]);
    assert_eq!(world.effects(), ["switch 1"]);
}
