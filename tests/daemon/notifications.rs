//! Channels, through the real daemon: every system is told of each change once and in its own form,
//! no channel delays a rollback or another channel, and no secret is seen anywhere else.

use std::fs;

use rustix::process::Signal;

use crate::support::common::wait_for;
use crate::support::systems::{
    BUS_TOKEN, GENIE_KEY, GRAFANA_TOKEN, ROUTING_KEY, SLACK_PATH, STATUSPAGE_KEY, Seen, Systems,
    Trouble, told, wait_told,
};
use crate::support::world::{Daemon, ID, LONG, World};

/// Every system; `AT` is where it is.
const CHANNELS: &str = r#"
[notify.chat]
slack = { url = { file = "DIR/slack.url" } }

[notify.pager]
pagerduty = { routing_key = { file = "DIR/pager.key" }, url = "http://AT/v2/enqueue", changes = true }

[notify.second-pager]
opsgenie = { key = { env = "GENIE_KEY" }, url = "http://AT/og/v2/alerts" }

[notify.curves]
grafana = { url = "http://AT", token = { file = "DIR/grafana.token" }, tags = ["web"] }
on = ["decided", "rolled_back", "failed"]

[notify.customers]
statuspage = { key = { file = "DIR/page.key" }, page = "p1", public = true, url = "http://AT", components = ["c1"] }

[notify.log]
webhook = { url = "http://AT/webhook" }

[notify.bus]
cloudevent = { url = "http://AT/events", source = "/guards/1", headers = { Authorization = { env = "BUS" } } }
on = ["begun", "decided", "rolled_back", "failed", "baked"]

[hook.rollback]"#;

/// A host with these channels, and what stands in their files.
fn world(channels: &str, systems: &Systems, changes: &[(&str, &str)]) -> Option<World> {
    let at = format!("127.0.0.1:{}", systems.port);
    let channels = channels.replace("AT/", &format!("{at}/")).replace("//AT", &format!("//{at}"));
    let all = [&[("[hook.rollback]", channels.as_str())], changes].concat();
    let world = World::new(&all)?;
    let secrets = [
        ("slack.url", format!("http://{at}{SLACK_PATH}\n")),
        ("pager.key", format!("{ROUTING_KEY}\n")),
        ("grafana.token", GRAFANA_TOKEN.to_owned()),
        ("page.key", STATUSPAGE_KEY.to_owned()),
    ];
    for (file, secret) in secrets {
        fs::write(world.path(file), secret).unwrap();
    }
    Some(world)
}

fn start(world: &World) -> Daemon {
    start_with(world, &[])
}

fn start_with(world: &World, more: &[(&str, &str)]) -> Daemon {
    let bus = format!("Bearer {BUS_TOKEN}");
    let environment = [("GENIE_KEY", GENIE_KEY), ("BUS", bus.as_str())];
    world.start_with(&[&environment[..], more].concat())
}

fn bodies(seen: &[Seen], pointer: &str) -> Vec<String> {
    let text = |seen: &Seen| seen.body.pointer(pointer)?.as_str().map(str::to_owned);
    seen.iter().filter_map(text).collect()
}

/// No file of the daemon and nothing that it says holds a secret.
#[track_caller]
fn no_secret_is_seen(world: &World) {
    let status = String::from_utf8(world.cli(&["status", "--json"]).stdout).unwrap();
    let mut places = vec![("status".to_owned(), status), ("log".to_owned(), world.log())];
    for file in ["state/journal.jsonl", "state/reports/d1.md"] {
        let text = fs::read_to_string(world.path(file)).unwrap_or_default();
        places.push((file.to_owned(), text));
    }
    for (place, text) in places {
        assert!(!text.is_empty(), "{place}");
        for secret in [ROUTING_KEY, GENIE_KEY, GRAFANA_TOKEN, STATUSPAGE_KEY, SLACK_PATH, BUS_TOKEN]
        {
            assert!(!text.contains(secret), "{place} holds {secret}: {text}");
        }
    }
}

#[track_caller]
fn everything_was_told_once(systems: &Systems) {
    systems.all_was_right();
    let slack = bodies(&systems.seen("/services"), "/text");
    assert_eq!(slack.len(), 2, "{slack:?}");
    assert!(slack[0].starts_with("api: rolling back v2 to v1: error_rate &gt; 5%"), "{slack:?}");
    assert!(slack[1].starts_with("api: rolled back v2 to v1"), "{slack:?}");
    let pager = systems.seen("/v2/enqueue");
    assert_eq!(bodies(&pager, "/event_action"), ["trigger", "resolve"]);
    assert_eq!(bodies(&pager, "/dedup_key"), ["guard/api/d1", "guard/api/d1"]);
    assert_eq!(systems.seen("/v2/change").len(), 1);
    let opsgenie = systems.seen("/og/");
    assert_eq!(opsgenie.len(), 2);
    assert!(opsgenie[1].path.contains("/close?"));
    let grafana = systems.seen("/api/annotations");
    let methods: Vec<_> = grafana.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["POST", "PATCH"]);
    let page = systems.seen("/v1/pages");
    assert_eq!(bodies(&page, "/incident/status"), ["investigating", "resolved"]);
    let changes = bodies(&systems.seen("/webhook"), "/change");
    assert_eq!(changes, ["decided", "rolled_back"]);
    let events = systems.seen("/events");
    let types = ["begun", "decided", "rolled_back"].map(|word| format!("dev.rollguard.{word}"));
    assert_eq!(bodies(&events, "/type"), types);
    let mut ids = bodies(&events, "/id");
    ids.dedup();
    assert_eq!(ids.len(), 3, "every event has an id of its own");
}

#[test]
fn every_system_is_told_once_of_each_change_in_its_own_form() {
    let systems = Systems::start();
    let Some(world) = world(CHANNELS, &systems, &[]) else { return };
    let daemon = start(&world);
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    for channel in ["chat", "second-pager", "curves", "customers", "log"] {
        wait_told(&world, channel, &["decided", "rolled_back"]);
    }
    for channel in ["pager", "bus"] {
        wait_told(&world, channel, &["begun", "decided", "rolled_back"]);
    }
    everything_was_told_once(&systems);
    no_secret_is_seen(&world);
    // Who is started again knows who was told of what.
    daemon.kill();
    let daemon = start(&world);
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success(), "{}", world.log());
    everything_was_told_once(&systems);
}

#[test]
fn a_channel_that_hangs_or_fails_delays_neither_a_rollback_nor_another_channel() {
    let systems = Systems::start();
    systems.trouble("/services", Trouble::Hangs);
    systems.trouble("/v2/enqueue", Trouble::Fails);
    systems.trouble("/og/", Trouble::Refuses);
    let Some(world) = world(CHANNELS, &systems, &[]) else { return };
    let _daemon = start(&world);
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    wait_told(&world, "log", &["decided", "rolled_back"]);
    assert_eq!(bodies(&systems.seen("/webhook"), "/change"), ["decided", "rolled_back"]);
    // What is refused is not tried again, and what the other side says of it holds a secret.
    let refused = wait_for(LONG, "the refusal", || told(&world, "second-pager").pop());
    assert!(refused.starts_with("failed: \"status 422: "), "{refused}");
    assert_eq!(systems.seen("/og/").len(), 1);
    // What fails is tried again, what may have been taken by a chat is not.
    wait_for(LONG, "another attempt", || (systems.seen("/v2/enqueue").len() >= 2).then_some(()));
    let chat = wait_for(LONG, "the chat to be given up", || told(&world, "chat").pop());
    assert_eq!(chat, "failed: \"no answer within 10s, it may have arrived\"");
    no_secret_is_seen(&world);
}

/// Fail points exist in debug builds only.
const HAS_FAIL_POINTS: bool = cfg!(debug_assertions);

#[test]
fn a_guard_that_was_killed_tells_again_only_where_that_does_no_harm() {
    if !HAS_FAIL_POINTS {
        println!("skipped: this build has no fail points");
        return;
    }
    // Killed before anybody was told, and killed before the first telling was on record.
    for at in ["after:decided", "before:told"] {
        let systems = Systems::start();
        let channels = CHANNELS.replace(", changes = true", "").replace("\"begun\", ", "");
        let Some(world) = world(&channels, &systems, &[]) else { return };
        let daemon = start_with(&world, &[("ROLLGUARD_CRASH_AT", at)]);
        world.deploy();
        daemon.ended();
        let _daemon = start(&world);
        assert_eq!(world.verdict(), 3, "{at} {}", world.log());
        wait_told(&world, "pager", &["decided", "rolled_back"]);
        wait_told(&world, "log", &["decided", "rolled_back"]);
        wait_told(&world, "chat", &["rolled_back"]);
        systems.all_was_right();
        let texts = bodies(&systems.seen("/services"), "/text");
        let decided = texts.iter().filter(|text| text.contains("rolling back")).count();
        assert!(decided <= 1, "{at} {texts:?}");
        let pager = systems.seen("/v2/enqueue");
        assert_eq!(bodies(&pager, "/event_action").last().unwrap(), "resolve");
        let mut ids = bodies(&systems.seen("/webhook"), "/id");
        ids.dedup();
        assert_eq!(ids.len(), 2, "what is told again is told under the same id");
    }
}

const WARNING: (&str, &str) = ("for = \"200ms\"", "for = \"200ms\"\nseverity = \"warning\"");

#[test]
fn a_warning_is_told_when_it_fires_and_when_it_clears_each_time() {
    let systems = Systems::start();
    let Some(world) = world(CHANNELS, &systems, &[WARNING]) else { return };
    let _daemon = start(&world);
    world.deploy();
    wait_told(&world, "log", &["firing"]);
    world.switch("v1");
    wait_told(&world, "log", &["firing", "cleared"]);
    world.switch("v2");
    wait_told(&world, "log", &["firing", "cleared", "firing"]);
    // A warning wakes nobody, so nothing is resolved.
    assert_eq!(world.run(&["deploy", "end", ID, "--reason", "<!here> done"]).0, 0);
    wait_for(LONG, "the end", || world.entries("ended").pop());
    assert_eq!(systems.seen("/v2/enqueue").len(), 0);
    wait_told(&world, "chat", &["firing", "cleared", "firing"]);
    assert_eq!(bodies(&systems.seen("/services"), "/text").len(), 3);
    systems.all_was_right();
}

#[test]
fn a_reload_that_is_refused_is_told_and_so_is_the_one_that_is_not() {
    let systems = Systems::start();
    let Some(world) = world(CHANNELS, &systems, &[]) else { return };
    let daemon = start(&world);
    world.begin();
    let good = fs::read_to_string(world.path("config.toml")).unwrap();
    fs::write(world.path("config.toml"), good.replace("error_rate > 5%", "eror_rate > 5%"))
        .unwrap();
    daemon.signal(Signal::HUP);
    let about_guard = |count| {
        wait_for(LONG, "the reload to be told", || {
            (systems.seen("/services").len() == count).then_some(())
        });
    };
    about_guard(1);
    fs::write(world.path("config.toml"), &good).unwrap();
    daemon.signal(Signal::HUP);
    about_guard(2);
    daemon.signal(Signal::HUP);
    wait_for(LONG, "the second reload", || (world.entries("reloaded").len() == 2).then_some(()));
    let texts = bodies(&systems.seen("/services"), "/text");
    assert!(texts[0].contains("the new configuration is refused"), "{texts:?}");
    assert_eq!(texts[1..], ["api: the new configuration is in force"]);
}
