//! The live version, read in every way that there is, and guards that know the same story.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use crate::support::common::{KillOnDrop, free_port, real, wait_for};
use crate::support::world::{ID, LONG, ROLLGUARD, World, records};

/// The configuration with a live version.
pub(crate) fn with(live: &str) -> Option<World> {
    let notify = r#"notify = "tell""#;
    let live = format!("{notify}\nlive = {live}");
    World::new(&[(notify, &live)])
}

const ROLLED_BACK: [&str; 6] = ["begun", "live_checked", "decided", "intent", "outcome", "cured"];

/// A bad release is rolled back once the live version was found to be it, and the cure was seen
/// once the live version was the good one again.
#[track_caller]
fn rolls_back(world: &World) {
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.kinds(), ROLLED_BACK, "{}", world.log());
    let checked = &world.entries("live_checked")[0]["data"];
    assert_eq!(checked["live"]["version"], "v2");
    assert_eq!((&checked["judged"], &checked["good"]), (&"v2".into(), &"v1".into()));
    assert_eq!(world.effects(), ["switch 1"]);
    let status = world.shown("the good version", |status| status["live"]["version"] == "v1");
    assert_eq!(status["live"]["unknown"], Value::Null);
    let (_, text) = world.run(&["status"]);
    assert!(text.contains("live     v1, the good version"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

#[test]
fn a_symbolic_link_tells_the_live_version() {
    let Some(world) = with(r#"{ symlink = "DIR/current" }"#) else { return };
    rolls_back(&world);
}

#[test]
fn a_program_tells_the_live_version() {
    let Some(world) = with(r#"{ run = ["/usr/bin/readlink", "DIR/current"] }"#) else { return };
    rolls_back(&world);
}

#[test]
fn a_label_of_a_sampled_series_tells_the_live_version() {
    let live = r#"{ metric = 'app_build_info{job="api"}', label = "version", interval = "100ms" }"#;
    let Some(world) = with(live) else { return };
    rolls_back(&world);
}

/// Answers every request with what `answer` makes of it, and ends with the test.
fn serve(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                head.push(byte[0]);
            }
            let (status, body) = answer(&String::from_utf8_lossy(&head));
            let length = body.len();
            let text = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            // A client that has gone is none of its business.
            drop(stream.write_all(text.as_bytes()));
        }
    });
    port
}

#[test]
fn an_http_endpoint_tells_the_live_version_to_who_has_the_token() {
    let link: Arc<Mutex<Option<std::path::PathBuf>>> = Arc::default();
    let served = link.clone();
    let port = serve(move |head| {
        if !head.to_lowercase().contains("authorization: bearer s3cret\r\n") {
            return (401, String::new());
        }
        let link = served.lock().unwrap().clone().unwrap();
        let version = fs::read_link(link).unwrap();
        (200, format!("{{\"app\":{{\"version\":\"{}\"}}}}", version.display()))
    });
    let live = format!(
        "{{ http = \"http://127.0.0.1:{port}/version\", pointer = \"/app/version\", \
         headers = {{ authorization = {{ file = \"DIR/token\" }} }} }}"
    );
    let Some(world) = with(&live) else { return };
    *link.lock().unwrap() = Some(world.path("current"));
    fs::write(world.path("token"), "Bearer s3cret\n").unwrap();
    rolls_back(&world);
    let everything = [world.log(), format!("{:?}", world.journal())].concat();
    assert!(!everything.contains("s3cret"), "a secret is told");
}

/// Writes the file whole.
pub(crate) fn say(path: &Path, version: &str) {
    let new = path.with_extension("new");
    fs::write(&new, version).unwrap();
    fs::rename(new, path).unwrap();
}

fn refusal(world: &World) -> impl Fn(&Value) -> Option<String> + use<> {
    let _ = world;
    |status| World::rule(status, "error-rate")["refusal"].as_str().map(str::to_owned)
}

#[test]
fn a_file_tells_the_live_version_and_nothing_is_done_while_it_tells_another() {
    let live = r#"{ file = "DIR/VERSION", timeout = "200ms", interval = "100ms" }"#;
    let Some(world) = with(live) else { return };
    let file = world.path("VERSION");
    let _daemon = world.start();
    world.deploy();
    let refusal = refusal(&world);
    let refused = |why: &str| {
        world.shown(why, |status| refusal(status).as_deref() == Some(why));
    };
    refused("live_version_unknown");
    say(&file, "v1\n");
    refused("already_at_good");
    say(&file, "v3\n");
    refused("live_version_changed");
    assert!(world.effects().iter().all(|effect| effect.starts_with("tell")), "{:?}", world.log());
    let (code, said) = world.run(&["rollback", "--reason", "now"]);
    assert!(code == 5 && said.contains("the live version is v3"), "{code} {said}");
    say(&file, "v2\nbuilt today\n");
    world.wait_entry("decided");
    say(&file, "v1\n");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.count("switch"), 1);
    let report = fs::read_to_string(world.path("state/reports").join(format!("{ID}.md"))).unwrap();
    assert!(report.contains("live version changed: v3"), "{report}");
}

#[test]
fn a_person_may_insist_while_nobody_knows_what_is_live() {
    let live = r#"{ file = "DIR/VERSION", timeout = "50ms" }"#;
    let Some(world) = with(live) else { return };
    let _daemon = world.start();
    world.begin();
    let (code, said) = world.run(&["rollback", "--reason", "now"]);
    assert!(code == 5 && said.contains("live version unknown"), "{code} {said}");
    let (code, said) = world.run(&["rollback", "--reason", "now", "--force"]);
    assert!(code == 0 && said.contains("rolling back deployment d1"), "{code} {said}");
    say(&world.path("VERSION"), "v1");
    assert_eq!(world.verdict(), 3, "{}", world.log());
}

#[test]
fn a_program_that_hangs_is_ended_with_all_that_it_started() {
    let live = r#"{ run = ["DIR/stuck"], timeout = "200ms", interval = "100ms" }"#;
    let Some(world) = with(live) else { return };
    let script = "#!/bin/sh\nsleep 1000 &\necho $! > \"$(dirname \"$0\")/child\"\nwait\n";
    fs::write(world.path("stuck"), script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(world.path("stuck"), mode).unwrap();
    let _daemon = world.start();
    world.begin();
    let unknown = |status: &Value| {
        status["live"]["unknown"].as_str().is_some_and(|why| why.contains("no answer within"))
    };
    world.shown("the time limit", unknown);
    let child = fs::read_to_string(world.path("child")).unwrap();
    let state = format!("/proc/{}/stat", child.trim());
    wait_for(LONG, "the child to end", || {
        let stat = fs::read_to_string(&state).ok();
        stat.is_none_or(|stat| stat.contains(") Z ")).then_some(())
    });
}

/// A request to etcd's gateway.
fn etcd(port: u16, path: &str, body: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n");
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200").then_some(answer)
}

#[test]
fn etcd_tells_the_live_version_over_its_gateway() {
    let Some(program) = real("etcd") else { return };
    let (port, peer) = (free_port(), free_port());
    // `live` in base64, as the gateway wants keys and values.
    let live = format!(
        "{{ http = \"http://127.0.0.1:{port}/v3/kv/range\", json = {{ key = \"bGl2ZQ==\" }}, \
         pointer = \"/kvs/0/value\", base64 = true, interval = \"100ms\" }}"
    );
    let Some(world) = with(&live) else { return };
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer}");
    let mut command = Command::new(program);
    command.arg("--data-dir").arg(world.path("etcd")).args(["--name", "one"]);
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.args(["--initial-cluster", &format!("one={peer}")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _etcd = KillOnDrop(command.spawn().unwrap());
    let put = |value: &str| {
        let body = format!("{{\"key\":\"bGl2ZQ==\",\"value\":\"{value}\"}}");
        etcd(port, "/v3/kv/put", &body)
    };
    let _daemon = world.start();
    // Of a key that is not there nothing is known.
    world.shown("an answer without the key", |status| {
        status["live"]["unknown"] == "nothing stands at /kvs/0/value"
    });
    wait_for(LONG, "etcd", || put("djI="));
    world.deploy();
    world.wait_entry("decided");
    put("djE=").unwrap();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(world.kinds(), ROLLED_BACK);
}

#[test]
fn a_changed_live_version_arms_and_the_guards_own_rollback_does_not() {
    let live = r#"arm = "detect"
live = { symlink = "DIR/current", interval = "100ms" }
notify = "tell""#;
    let Some(world) = World::new(&[(r#"notify = "tell""#, live)]) else { return };
    let daemon = world.start();
    world.shown("the first reading", |status| status["signals"][0]["value"] == 0.0);
    let seen = |count: usize| {
        wait_for(LONG, "a change", || Some(world.entries("live_seen")).filter(|e| e.len() == count))
    };
    assert_eq!(seen(1)[0]["data"]["version"], "v1");
    assert_eq!(world.status()["state"], "idle");
    world.switch("v2");
    world.wait_entry("cured");
    let begun = &world.entries("begun")[0];
    assert_eq!((&begun["data"]["version"], &begun["data"]["good"]), (&"v2".into(), &"v1".into()));
    assert_eq!(begun["data"]["by"], "guard");
    assert_eq!(fs::read_link(world.path("current")).unwrap().to_str(), Some("v1"));
    assert_eq!(seen(3)[2]["data"]["version"], "v1");
    assert_eq!(world.entries("begun").len(), 1, "{}", world.log());
    // While nobody looked it changed, too.
    daemon.kill();
    world.switch("v3");
    let _daemon = world.start();
    let begun = wait_for(LONG, "v3", || world.entries("begun").into_iter().nth(1));
    assert_eq!((&begun["data"]["version"], &begun["data"]["good"]), (&"v3".into(), &"v1".into()));
    world.switch("v1");
    let ended = world.wait_entry("ended");
    assert_eq!(ended["data"]["reason"], "the live version is the good version v1 again");
    assert_eq!(world.count("switch"), 1);
}

/// Copies the state directory, as a careless administrator or a backup does.
pub(crate) fn copy(world: &World, from: &str, to: &str) {
    let (from, to) = (world.path(from), world.path(to));
    let done = Command::new("cp").arg("-aT").arg(from).arg(to).status().unwrap();
    assert!(done.success());
}

/// Starts a second guard, with a state directory and a socket of its own.
pub(crate) fn second(world: &World, live: &str) -> KillOnDrop {
    second_with(world, live, &[])
}

/// The same with more of its configuration changed.
pub(crate) fn second_with(world: &World, live: &str, changes: &[(&str, &str)]) -> KillOnDrop {
    let notify = r#"notify = "tell""#;
    let live = format!("{notify}\nlive = {live}");
    let places = [
        ("state = \"DIR/state\"", "state = \"DIR/copy\""),
        ("control = \"DIR/control\"", "control = \"DIR/control2\""),
        (notify, &live),
    ];
    world.configure_as("second.toml", &[&places[..], changes].concat());
    let log = fs::File::options().create(true).append(true).open(world.path("log")).unwrap();
    let mut command = Command::new(ROLLGUARD);
    command.arg("run").arg("--config").arg(world.path("second.toml"));
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    KillOnDrop(command.spawn().unwrap())
}

/// The second guard's records of a kind.
#[track_caller]
pub(crate) fn wait_second(world: &World, kind: &str) -> Value {
    let path = world.path("copy/journal.jsonl");
    wait_for(LONG, kind, || {
        let entries = records(&fs::read_to_string(&path).unwrap_or_default());
        entries.into_iter().rev().find(|entry| entry["kind"] == kind)
    })
}

pub(crate) const FILE: &str = r#"{ file = "DIR/VERSION", interval = "100ms", timeout = "1s" }"#;

/// One guard rolls back; the service stays sick all the same, so that whoever knows of the
/// deployment and not of the rollback would roll back, too.
pub(crate) fn rolled_back_in_vain(world: &World) {
    let file = world.path("VERSION");
    say(&file, "v2");
    world.switch("v2");
    world.wait_entry("decided");
    say(&file, "v1");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    world.switch("v2");
}

#[test]
fn a_second_guard_with_a_copied_state_directory_does_not_repeat_a_rollback() {
    let Some(world) = with(FILE) else { return };
    let _daemon = world.start();
    world.begin();
    copy(&world, "state", "copy");
    rolled_back_in_vain(&world);
    let _second = second(&world, FILE);
    let refused = wait_second(&world, "refused");
    assert_eq!(refused["data"]["refusal"], "already_at_good");
    assert_eq!(world.count("switch"), 1, "{}", world.log());
}

#[test]
fn a_second_guard_that_was_copied_in_the_middle_of_a_rollback_does_not_repeat_it() {
    let Some(world) = with(r#"{ symlink = "DIR/current", interval = "100ms" }"#) else { return };
    world.hold("before-switch");
    let _daemon = world.start();
    world.deploy();
    world.held("before-switch");
    copy(&world, "state", "copy");
    let _second = second(&world, r#"{ symlink = "DIR/current", interval = "100ms" }"#);
    wait_second(&world, "started");
    world.release("before-switch");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    wait_second(&world, "cured");
    assert_eq!(world.count("switch"), 1, "{}", world.log());
}

#[test]
fn a_restored_backup_of_the_state_directory_does_not_repeat_a_rollback() {
    let Some(world) = with(FILE) else { return };
    let daemon = world.start();
    world.begin();
    copy(&world, "state", "backup");
    rolled_back_in_vain(&world);
    daemon.kill();
    fs::remove_dir_all(world.path("state")).unwrap();
    copy(&world, "backup", "state");
    let _daemon = world.start();
    let refused = world.wait_entry("refused");
    assert_eq!(refused["data"]["refusal"], "already_at_good");
    assert_eq!(world.count("switch"), 1, "{}", world.log());
    assert!(world.entries("decided").is_empty());
}
