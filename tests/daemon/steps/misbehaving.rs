//! Hooks that misbehave in the whole daemon: whatever they do, the rollback ends in time, says what
//! is true, people are told, and nothing is left running.

use std::fs;
use std::io::Write;
use std::time::Duration;

use rollguard::hook::marker::Process;
use serde_json::json;

use crate::support::bench::Server;
use crate::support::common::wait_for;
use crate::support::world::{LONG, World};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const CURE: (&str, &str) = ("within = \"50s\"", "within = \"1s\"");

#[test]
fn a_hook_that_ends_well_and_did_nothing_fails_where_it_is_verified() {
    let Some(world) = World::new(&[]) else { return };
    let still = Server::start(|_, stream| {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"version\":\"v2\"}";
        let _ = stream.write_all(answer.as_bytes());
    });
    let steps = format!(
        "{{ run = [\"true\"], attempts = 2, idempotent = true }},\n{{ probe = {{ http = \"{}\", \
         json = {{ pointer = \"/version\", equals = \"{{good}}\" }} }}, within = \"500ms\" }},",
        still.url
    );
    world.configure(&[(STEP, &steps)]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    let why = world.entries("failed")[0]["data"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("/version is \"v2\", expected \"v1\""), "{why}");
    wait_for(LONG, "the page", || (world.count("page") == 1).then_some(()));
}

#[test]
fn a_hook_that_ends_well_and_did_nothing_fails_where_no_cure_is_seen() {
    let Some(world) = World::new(&[(STEP, "{ run = [\"true\"] },"), CURE]) else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    assert_eq!(world.entries("outcome")[0]["data"]["result"], json!("done"));
    let why = world.entries("failed")[0]["data"]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("cure"), "{why}");
    wait_for(LONG, "the page", || (world.count("page") == 1).then_some(()));
}

/// Prints without end, ignores TERM, has closed its input, never ends, and has children that left
/// its group and do the same.
const MONSTER: &str = r#"trap '' TERM; exec <&-; echo $$ >> DIR/pids; setsid sh -c 'trap \"\" TERM;
echo $$ >> DIR/pids; exec yes' & (setsid sh -c 'trap \"\" TERM; echo $$ >> DIR/pids;
exec >&- 2>&-; while :; do sleep 1; done' &) ; head -c 50000000 /dev/zero; exec yes"#;

#[test]
fn a_hook_that_does_everything_wrong_is_ended_with_all_it_started_and_people_are_told() {
    let script = MONSTER.replace('\n', " ");
    let step =
        format!("{{ run = [\"sh\", \"-c\", \"{script}\"], timeout = \"5s\", grace = \"100ms\" }},");
    let Some(world) = World::new(&[(STEP, &step)]) else { return };
    let daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    let outcome = world.entries("outcome").remove(0);
    assert_eq!(outcome["data"]["result"], json!("timed_out"));
    let took = Duration::from_millis(outcome["data"]["took_ms"].as_u64().unwrap());
    assert!(took >= Duration::from_secs(5), "{took:?}");
    let output = outcome["data"]["output"].as_str().unwrap();
    assert!(output.contains("bytes left out"), "{output}");
    assert!(output.len() < 64 * 1024, "{}", output.len());
    wait_for(LONG, "the page", || (world.count("page") == 1).then_some(()));
    let pids = fs::read_to_string(world.path("pids")).unwrap();
    assert_eq!(pids.lines().count(), 3);
    for pid in pids.lines() {
        let process = Process::with_id(pid.parse().unwrap());
        assert!(process.map_or(true, |process| !process.is_alive()), "{pid} is left");
    }
    // The daemon goes on, and is none the larger for it.
    assert_eq!(world.status()["pid"], daemon.pid());
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let peak: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(peak < 64 * 1024, "{peak} KiB");
}
