//! Without a journal that can be trusted nothing is done, and it is said.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::common::{KillOnDrop, free_port, wait_for};
use crate::support::world::{ID, LONG, World, wait_ended};

const JOURNAL: &str = "state/journal.jsonl";

fn change(world: &World, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(world.path(JOURNAL)).unwrap();
    change(&mut bytes);
    fs::write(world.path(JOURNAL), bytes).unwrap();
}

#[test]
fn a_journal_that_was_changed_is_refused_and_left_as_it_is() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    daemon.kill();
    change(&world, |bytes| bytes[40] ^= 1);
    let before = fs::read(world.path(JOURNAL)).unwrap();
    assert_eq!(world.spawn(&[]).ended().code(), Some(1));
    let log = world.log();
    assert!(log.contains("journal.jsonl") && log.contains("line 1 at byte 0 is damaged"), "{log}");
    assert_eq!(fs::read(world.path(JOURNAL)).unwrap(), before);
}

#[test]
fn a_torn_end_of_the_journal_is_dropped_and_said() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    daemon.kill();
    let whole = world.journal();
    change(&world, |bytes| bytes.extend(br#"{"seq":3,"at":"20"#));
    let _daemon = world.start();
    assert!(world.log().contains("the journal's last line was torn and is dropped"));
    assert_eq!(world.status()["state"], "guarding");
    let journal = world.journal();
    assert_eq!(journal[..whole.len()], whole);
    world.switch("v2");
    assert_eq!(world.verdict(), 3, "{}", world.log());
}

/// The status and the body of a page.
fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// As a log rotation does it: what is appended to the old file is lost at the next start.
fn rotate(world: &World) {
    fs::rename(world.path(JOURNAL), world.path("rotated")).unwrap();
    fs::copy(world.path("rotated"), world.path(JOURNAL)).unwrap();
}

#[test]
fn nobody_is_told_of_a_verdict_that_is_not_on_record() {
    let Some(world) = World::new(&[(r#"bake = "1h""#, r#"bake = "2s""#)]) else { return };
    let daemon = world.start();
    world.begin();
    rotate(&world);
    let mut wait = KillOnDrop(world.command(&["deploy", "wait", ID]).spawn().unwrap());
    let status = world.shown("the loss", |status| status["journal_ok"] == false);
    assert_eq!(status["state"], "guarding");
    assert_eq!(status["good"], Value::Null);
    // Nothing will be decided any more, and who waits for it is not left waiting.
    assert_eq!(wait_ended(&mut wait, "the end of it").code(), Some(1), "{}", world.log());
    // A restart reads it anew, and then the version bakes.
    daemon.kill();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 0, "{}", world.log());
    assert_eq!(world.status()["good"], "v2");
}

#[test]
fn an_attempt_that_cannot_be_put_on_record_is_not_made() {
    let step = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
    let again = r#"{ run = ["DIR/hook", "fail"], attempts = 2, backoff = "2s" },"#;
    let Some(world) = World::new(&[(step, again)]) else { return };
    let daemon = world.start();
    world.deploy();
    assert_eq!(world.wait_entry("outcome")["data"]["attempt"]["number"], 1);
    // It pauses now, and finds the journal gone when it goes on.
    rotate(&world);
    world.shown("the loss", |status| status["journal_ok"] == false);
    wait_for(LONG, "people to be told", || (world.count("page") == 1).then_some(()));
    assert_eq!(world.effects(), ["fail 1", "page 1"]);
    daemon.kill();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    assert_eq!(world.count("fail"), 2, "{:?}", world.effects());
    assert_eq!(world.entries("intent").len(), 2);
}

#[test]
fn without_a_journal_no_rollback_runs_and_people_are_told() {
    let port = free_port();
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    let Some(world) = World::new(&[(r#"listen = "off""#, &listen)]) else { return };
    let daemon = world.start();
    world.begin();
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 200 "));
    rotate(&world);
    world.switch("v2");
    let status = world.shown("the loss", |status| status["journal_ok"] == false);
    assert_eq!(World::rule(&status, "error-rate")["refusal"], "journal_unusable", "{status:#}");
    wait_for(LONG, "people to be told", || (world.effects() == ["page 1"]).then_some(()));
    // What is not on record did not happen.
    assert_eq!(status["state"], "guarding");
    assert_eq!(status["deployment"]["decision"], Value::Null);
    assert!(world.log().contains("the journal cannot be written"), "{}", world.log());
    let (code, said) = world.run(&["rollback", "--reason", "a person cannot either"]);
    assert!(code == 5 && said.contains("journal unusable"), "{code}: {said}");
    assert!(get(port, "/readyz").starts_with("HTTP/1.1 503 "));
    assert!(get(port, "/metrics").contains("rollguard_journal_usable 0"));
    assert_eq!(world.entries("decided"), [] as [Value; 0]);
    // A restart reads it anew, and then the guard acts.
    daemon.kill();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["page 1", "switch 1"]);
}
