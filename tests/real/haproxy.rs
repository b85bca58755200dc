//! The shipped hook for HAProxy against a real one that is reloaded afterwards, as every renewal of
//! a certificate does it: what a runtime socket has changed is gone then, unless it was saved.

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::servers::{get, haproxy_state, start};
use crate::support::bench::Server;
use crate::support::common::{free_port, real, wait_for};
use crate::support::world::{LONG, World, send};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const V1: &str = "HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n{\"version\":\"v1\"}";
const V2: &str = "HTTP/1.0 200 OK\r\nContent-Length: 16\r\n\r\n{\"version\":\"v2\"}";

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/hooks").join(name)
}

/// The steps of the shipped hook, with the paths of this host.
fn steps(front: u16) -> String {
    let text = fs::read_to_string(shipped("haproxy.toml")).unwrap();
    let steps = text.split("\n[hook.rollback]\n").nth(1).unwrap();
    let steps = steps.split_once("steps = [\n").unwrap().1.split_once("\n]\n").unwrap().0;
    let changes = [
        ("/usr/local/bin/haproxy-save-state", shipped("haproxy-save-state").display().to_string()),
        ("/run/haproxy/admin.sock", "DIR/admin.sock".to_owned()),
        ("/var/lib/haproxy/server-state", "DIR/server-state".to_owned()),
        ("127.0.0.1:8080", format!("127.0.0.1:{front}")),
    ];
    changes.into_iter().fold(steps.to_owned(), |steps, (old, new)| {
        assert!(steps.contains(old), "the example has no {old}");
        steps.replace(old, &new)
    })
}

/// What HAProxy's socket replies to a line.
fn reply(socket: &Path, line: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(format!("{line}\n").as_bytes()).ok()?;
    stream.shutdown(Shutdown::Write).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// The process that serves now.
fn worker(socket: &Path) -> Option<String> {
    let info = reply(socket, "show info")?;
    info.lines().find_map(|line| line.strip_prefix("Pid: ")).map(str::to_owned)
}

/// Who answers the next requests, each once.
fn serving(front: u16) -> Vec<&'static str> {
    let answers: Vec<String> = (0..10).filter_map(|_| get(front, "/version")).collect();
    assert_eq!(answers.len(), 10);
    let is_there =
        |name: &&str| answers.iter().any(|answer| answer.contains(&format!("\"{name}\"")));
    ["v1", "v2"].into_iter().filter(is_there).collect()
}

/// Rolls back with these steps, reloads HAProxy and says who serves before and after that; `None`:
/// skip the test.
fn roll_back_and_reload(changed: impl Fn(String) -> String) -> Option<[Vec<&'static str>; 2]> {
    let (haproxy, _) = (real("haproxy")?, real("socat")?);
    let world = World::new(&[])?;
    let (socket, front) = (world.path("admin.sock"), free_port());
    let port = |server: &Server| server.url.trim_end_matches("/hook").replace("http://", "");
    let (one, two) = (Server::saying(V1), Server::saying(V2));
    let config = format!(
        "global\n  stats socket {socket} mode 600 level admin expose-fd listeners\n  \
         server-state-file {dir}/server-state\ndefaults\n  mode http\n  \
         load-server-state-from-file global\n  timeout connect 5s\n  timeout client 5s\n  \
         timeout server 5s\nfrontend fe\n  bind 127.0.0.1:{front}\n  default_backend be\n\
         backend be\n  server v1 {one}\n  server v2 {two}\n",
        socket = socket.display(),
        dir = world.path("").display().to_string().trim_end_matches('/'),
        one = port(&one),
        two = port(&two),
    );
    fs::write(world.path("haproxy.cfg"), config).unwrap();
    let master = start(&world, &haproxy, &["-W", "-f", "haproxy.cfg"]);
    wait_for(LONG, "haproxy", || haproxy_state(&socket, "v1"));
    // The deployment of v2 sent all traffic to it.
    assert_eq!(reply(&socket, "set server be/v1 state maint").unwrap().trim(), "");
    assert_eq!(serving(front), ["v2"]);
    world.configure(&[(STEP, &format!("{}\n{STEP}", changed(steps(front))))]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let before = serving(front);
    let old = worker(&socket).unwrap();
    send(i32::try_from(master.id()).unwrap(), Signal::USR2);
    wait_for(LONG, "the next process", || worker(&socket).filter(|new| *new != old));
    Some([before, serving(front)])
}

#[test]
fn what_was_switched_at_runtime_and_saved_outlives_a_reload() {
    let Some(served) = roll_back_and_reload(|steps| steps) else { return };
    assert_eq!(served, [vec!["v1"], vec!["v1"]]);
}

#[test]
fn what_was_switched_at_runtime_and_not_saved_is_lost_at_a_reload() {
    let without_saving = |steps: String| {
        let kept = |line: &&str| !line.contains("haproxy-save-state");
        let left: Vec<_> = steps.lines().filter(kept).collect();
        assert_eq!(left.len() + 1, steps.lines().count());
        left.join("\n")
    };
    let Some(served) = roll_back_and_reload(without_saving) else { return };
    assert_eq!(served, [vec!["v1"], vec!["v1", "v2"]]);
}

#[test]
fn a_state_that_cannot_be_read_whole_replaces_none() {
    if real("socat").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let (socket, file) = (temp.path().join("socket"), temp.path().join("server-state"));
    for said in ["", "1\n# be_id be_name srv_id srv_name srv_addr\n", "Unknown command\n"] {
        fs::write(&file, "the old state").unwrap();
        let _ = fs::remove_file(&socket);
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(said.as_bytes());
        });
        let mut command = std::process::Command::new(shipped("haproxy-save-state"));
        assert!(!command.arg(&socket).arg(&file).status().unwrap().success(), "{said:?}");
        server.join().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "the old state", "{said:?}");
        let left = fs::read_dir(temp.path()).unwrap().count();
        assert_eq!(left, 2, "{said:?}");
    }
}
