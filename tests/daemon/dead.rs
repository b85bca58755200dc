//! A guard that is dead or hangs is loud: whoever asks it is told soon, the watchdog is not fed,
//! and a pipeline that waits is told when nobody comes back.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::common::{KillOnDrop, free_port, wait_for};
use crate::support::world::{ID, LONG, World, wait_ended};

/// Everything that needs the daemon.
const COMMANDS: [&[&str]; 8] = [
    &["status"],
    &["deploy", "begin", "v9"],
    &["deploy", "stage", "canary"],
    &["deploy", "end"],
    &["deploy", "wait"],
    &["deploy", "wait", ID, "--timeout", "1s"],
    &["rollback", "--reason", "x"],
    &["drill"],
];

/// How each command ends, all of them at once.
fn all(world: &World) -> Vec<(String, Option<i32>, String)> {
    let started: Vec<_> = COMMANDS
        .map(|command| (command.join(" "), KillOnDrop(world.command(command).spawn().unwrap())))
        .into();
    let end = |(command, mut child): (String, KillOnDrop)| {
        let (code, said) = said(&mut child);
        (command, code, said)
    };
    started.into_iter().map(end).collect()
}

#[track_caller]
fn said(child: &mut Child) -> (Option<i32>, String) {
    let status = wait_ended(child, "a command to end");
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

#[track_caller]
fn all_say(world: &World, part: &str) {
    for (command, code, said) in all(world) {
        assert!(code == Some(6) && said.contains(part), "{command}: {code:?} {said}");
    }
}

#[test]
fn no_socket_and_one_that_nobody_listens_on_are_told_at_once() {
    let Some(world) = World::new(&[]) else { return };
    all_say(&world, "cannot be reached");
    drop(UnixListener::bind(world.path("control")).unwrap());
    assert!(world.path("control").exists());
    all_say(&world, "cannot be reached");
}

#[test]
fn a_daemon_that_is_stopped_is_told_within_seconds_and_goes_on_afterwards() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    daemon.signal(Signal::STOP);
    all_say(&world, "does not answer within 5s: it hangs");
    daemon.signal(Signal::CONT);
    assert_eq!(world.status()["pid"], daemon.pid(), "{}", world.log());
}

#[test]
fn a_loop_that_hangs_is_not_fed_for_and_is_told() {
    let Some(world) = World::new(&[]) else { return };
    let path = world.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let manager = path.to_str().unwrap();
    let environment = [
        ("NOTIFY_SOCKET", manager),
        ("WATCHDOG_USEC", "400000"),
        ("ROLLGUARD_HANG_AT", "after:begun"),
    ];
    let _daemon = world.start_with(&environment);
    let fed = |patience: Duration| {
        socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1"))
    };
    wait_for(LONG, "three meals", || (0..3).all(|_| fed(LONG).is_some()).then_some(()));
    // Only the loop hangs: the process is there, and its other threads run.
    let (code, said) = world.run(&["deploy", "begin", "v2", "--id", ID]);
    assert!(code == 6 && said.contains("does not answer within"), "{code}: {said}");
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 4096]).is_ok() {}
    socket.set_nonblocking(false).unwrap();
    // Five times the time after which the manager would end it.
    assert_eq!(fed(Duration::from_secs(2)), None);
    assert_eq!(world.run(&["status"]).0, 6);
}

/// How many clients are connected to the host's control socket.
fn clients(world: &World) -> usize {
    let path = world.path("control");
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    // The sixth column is the state: 03 is connected, see proc(5).
    let is_client = |line: &&str| {
        let mut columns = line.split_whitespace();
        columns.nth(5) == Some("03") && columns.nth(1) == path.to_str()
    };
    sockets.lines().filter(is_client).count()
}

#[test]
fn who_waits_is_told_when_the_daemon_does_not_come_back_and_nothing_else_when_it_does() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    world.begin();
    let wait = |patience: &str| {
        let arguments = ["deploy", "wait", ID, "--patience", patience];
        KillOnDrop(world.command(&arguments).spawn().unwrap())
    };
    // The daemon may not have seen yet that the last one has gone.
    wait_for(LONG, "no client", || (clients(&world) == 0).then_some(()));
    let (mut short, mut long) = (wait("100ms"), wait("50s"));
    wait_for(LONG, "both to be connected", || (clients(&world) == 2).then_some(()));
    daemon.kill();
    let (code, said) = said(&mut short);
    assert!(code == Some(6) && said.contains("error: the daemon"), "{code:?}: {said}");
    let _daemon = world.start();
    world.switch("v2");
    assert_eq!(wait_ended(&mut long, "the verdict").code(), Some(3), "{}", world.log());
}

#[test]
fn the_page_has_a_heartbeat_that_goes_on_and_a_start_that_does_not() {
    let port = free_port();
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    let Some(world) = World::new(&[(r#"listen = "off""#, &listen)]) else { return };
    let _daemon = world.start();
    let sample = |name: &str| -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let line = page.lines().find(|line| line.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("no {name}: {page}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let heartbeat = || sample("rollguard_heartbeat_timestamp_seconds");
    let (started, first) = (sample("rollguard_start_timestamp_seconds"), heartbeat());
    assert!(started > 1.7e9 && started <= first, "{started} {first}");
    wait_for(LONG, "the next beat", || (heartbeat() > first).then_some(()));
    assert_eq!(sample("rollguard_start_timestamp_seconds").to_bits(), started.to_bits());
}
