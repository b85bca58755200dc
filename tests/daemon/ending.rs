//! How the daemon starts and ends, and what it tells its service manager.

use std::fs;
use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::common::wait_for;
use crate::support::world::{LONG, World};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const TWO_STEPS: &str =
    r#"{ run = ["DIR/hook", "first"] }, { run = ["DIR/hook", "switch", "{good}"] },"#;

fn stopped(world: &World, times: usize) {
    wait_for(LONG, "the signal", || (world.entries("stopped").len() == times).then_some(()));
}

#[test]
fn a_daemon_that_is_told_to_stop_ends_cleanly() {
    let Some(world) = World::new(&[]) else { return };
    for (signal, times) in [(Signal::TERM, 1), (Signal::INT, 2)] {
        let daemon = world.start();
        daemon.signal(signal);
        assert_eq!(daemon.ended().code(), Some(0), "{}", world.log());
        assert!(!world.path("control").exists());
        let by = &world.entries("stopped")[times - 1]["data"]["by"]["process"];
        assert_eq!(by["pid"], std::process::id());
    }
}

#[test]
fn a_daemon_that_is_told_to_stop_runs_the_steps_first_and_verifies_when_it_is_back() {
    let Some(world) = World::new(&[(STEP, TWO_STEPS)]) else { return };
    world.hold("before-first");
    let daemon = world.start();
    world.deploy();
    world.held("before-first");
    // Without a single scrape there is no cure to be seen.
    fs::write(world.path("hang"), "").unwrap();
    daemon.signal(Signal::TERM);
    stopped(&world, 1);
    assert_eq!(world.status()["state"], "rolling_back");
    world.release("before-first");
    assert_eq!(daemon.ended().code(), Some(0), "{}", world.log());
    assert_eq!(world.effects(), ["first 1", "switch 1"]);
    let results = world.entries("outcome");
    assert!(results.iter().all(|entry| entry["data"]["result"] == "done"), "{results:?}");
    assert_eq!((results.len(), world.entries("cured").len()), (2, 0));
    fs::remove_file(world.path("hang")).unwrap();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["first 1", "switch 1"]);
}

#[test]
fn a_daemon_that_is_told_twice_leaves_the_next_step_to_the_next_start() {
    let Some(world) = World::new(&[(STEP, TWO_STEPS)]) else { return };
    world.hold("before-first");
    let daemon = world.start();
    world.deploy();
    world.held("before-first");
    daemon.signal(Signal::TERM);
    stopped(&world, 1);
    daemon.signal(Signal::TERM);
    stopped(&world, 2);
    world.release("before-first");
    assert_eq!(daemon.ended().code(), Some(0), "{}", world.log());
    assert_eq!(world.effects(), ["first 1"]);
    assert_eq!((world.entries("intent").len(), world.entries("outcome").len()), (1, 1));
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.effects(), ["first 1", "switch 1"]);
}

#[test]
fn a_daemon_that_is_told_to_stop_does_not_wait_for_a_pager_that_hangs() {
    let tell = r#"{ run = ["DIR/hook", "tell"] }"#;
    let patient = r#"{ run = ["DIR/hook", "tell"], timeout = "30m" }"#;
    let changes = [(r#"mode = "auto""#, r#"mode = "notify""#), (tell, patient)];
    let Some(world) = World::new(&changes) else { return };
    world.hold("before-tell");
    let daemon = world.start();
    world.deploy();
    world.held("before-tell");
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.ended().code(), Some(0), "{}", world.log());
}

#[test]
fn two_daemons_never_share_a_state_directory_or_a_socket() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    let pid = daemon.pid();
    world.configure(&[("DIR/control", "DIR/other")]);
    assert_eq!(world.spawn(&[]).ended().code(), Some(1));
    let log = world.log();
    assert!(log.contains(&format!("another rollguard (pid {pid}) uses it")), "{log}");
    world.configure(&[("DIR/state", "DIR/other")]);
    assert_eq!(world.spawn(&[]).ended().code(), Some(1));
    let log = world.log();
    assert!(log.contains("another daemon answers there") && log.contains("set another"), "{log}");
    assert_eq!(world.status()["pid"], pid, "the first one is unharmed");
}

#[test]
fn a_daemon_does_not_start_on_a_bad_file() {
    let Some(world) = World::new(&[("error_rate > 5%", "eror_rate > 5%")]) else { return };
    assert_eq!(world.spawn(&[]).ended().code(), Some(78));
    assert!(world.log().contains("did you mean `error_rate`?"), "{}", world.log());
    assert!(!world.path("state").exists());
}

#[test]
fn the_service_manager_is_told_of_readiness_status_and_every_turn_of_the_loop() {
    let Some(world) = World::new(&[]) else { return };
    let path = world.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let next = |wanted: &str| loop {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.lines().any(|line| line.starts_with(wanted)) {
            return text;
        }
    };
    let manager = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000")];
    world.hold("before-switch");
    let daemon = world.spawn(&manager);
    next("READY=1");
    // Ready means that it answers and that its journal is read.
    assert_eq!(world.status()["journal_ok"], true);
    (0..3).for_each(|_| drop(next("WATCHDOG=1")));
    world.deploy();
    next("STATUS=guarding d1");
    next("STATUS=rolling back d1");
    world.held("before-switch");
    // A step that hangs does not keep the loop from turning.
    (0..3).for_each(|_| drop(next("WATCHDOG=1")));
    world.release("before-switch");
    next("STATUS=rolled back d1");
    daemon.signal(Signal::TERM);
    next("STOPPING=1");
    assert_eq!(daemon.ended().code(), Some(0));
    assert_eq!(world.entries("notified"), [] as [Value; 0]);
}

#[test]
fn a_result_that_cannot_be_printed_is_an_error_and_never_a_panic() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for arguments in [&["status"][..], &["status", "--json"], &["deploy", "begin", "v2"]] {
        let output = world.command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("error: the result cannot be printed: No space left"), "{said}");
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let unread = world.command(&["status"]).stdout(writer).output().unwrap();
        assert_eq!(unread.status.code(), Some(0));
    }
    let mute = world.command(&["deploy", "end"]).stderr(full()).output().unwrap();
    assert_eq!(mute.status.code(), Some(0));
    let wait = world.command(&["deploy", "wait", "--json"]).stdout(full()).output().unwrap();
    assert_eq!(wait.status.code(), Some(1));
}

#[test]
fn a_socket_whose_path_is_too_long_is_explained() {
    let Some(world) = World::new(&[]) else { return };
    let long = format!("/tmp/{}", "x".repeat(200));
    let (code, said) = world.run(&["status", "--control", &long]);
    assert_eq!((code, said.contains("a socket's path has 107 bytes at most")), (6, true), "{said}");
}
