//! Two real Alertmanagers beside one that is gone.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::common::{KillOnDrop, free_port, real, wait_for};
use crate::support::systems::wait_told;
use crate::support::world::{LONG, World};

/// The alerts that a real Alertmanager holds active.
fn active(port: u16) -> Option<Vec<Value>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /api/v2/alerts?active=true HTTP/1.0\r\nHost: a\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let body: Value = serde_json::from_str(body).ok().filter(|_| head.contains(" 200 "))?;
    body.as_array().cloned()
}

fn alertmanager(program: &Path, home: &Path) -> (KillOnDrop, u16) {
    fs::create_dir(home).unwrap();
    let config = home.join("am.yml");
    fs::write(&config, "route:\n  receiver: none\nreceivers:\n  - name: none\n").unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.path={}", home.join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg("--cluster.listen-address=");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = KillOnDrop(command.spawn().unwrap());
    wait_for(LONG, "Alertmanager to answer", || active(port));
    (server, port)
}

#[test]
fn a_real_alertmanager_shows_the_rollback_until_it_is_over() {
    let Some(program) = real("prometheus-alertmanager") else { return };
    let Some(world) = World::new(&[]) else { return };
    let (_first, one) = alertmanager(&program, &world.path("am-1"));
    let (_second, two) = alertmanager(&program, &world.path("am-2"));
    let gone = free_port();
    let channel = format!(
        "[notify.alerts]\nalertmanager = {{ urls = [\"http://127.0.0.1:{gone}\", \
         \"http://127.0.0.1:{one}\", \"http://127.0.0.1:{two}/\"] }}\n[hook.rollback]"
    );
    world.configure(&[("[hook.rollback]", &channel)]);
    world.hold("before-switch");
    let daemon = world.start();
    world.deploy();
    world.held("before-switch");
    let shown = |port| {
        wait_for(LONG, "the alert", || active(port).filter(|alerts| alerts.len() == 1)).remove(0)
    };
    for port in [one, two] {
        let alert = shown(port);
        let labels = &alert["labels"];
        assert_eq!(labels["alertname"], "RollguardRollback");
        assert_eq!((&labels["service"], &labels["deployment"]), (&"api".into(), &"d1".into()));
        assert_eq!(alert["status"]["state"], "active", "{alert}");
        assert!(alert["endsAt"].as_str() > alert["updatedAt"].as_str(), "{alert}");
    }
    // A guard that is started again goes on telling of it, and ends it.
    daemon.kill();
    let _daemon = world.start();
    world.release("before-switch");
    assert_eq!(world.verdict(), 3, "{}", world.log());
    for port in [one, two] {
        wait_for(LONG, "the alert to end", || active(port).filter(Vec::is_empty));
    }
    wait_told(&world, "alerts", &["decided", "rolled_back"]);
}
