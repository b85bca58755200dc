//! `rollguard doctor` against real servers, files and the real daemon: it finds what a rollback
//! would trip over, and changes nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::common::{KillOnDrop, real, wait_for};
use crate::support::world::{LONG, ROLLGUARD, World};

fn doctor(world: &World, more: &[&str]) -> (i32, Value, String) {
    let config = world.path("config.toml");
    let arguments = [&["doctor", "--config", config.to_str().unwrap()], more].concat();
    let (code, text) = world.run(&arguments);
    let (_, json) = world.run(&[&arguments[..], &["--json"]].concat());
    (code, serde_json::from_str(&json).unwrap_or_default(), text)
}

/// The findings of a group: level and text.
fn found(report: &Value, group: &str) -> Vec<(String, String)> {
    let groups = report["groups"].as_array().unwrap_or_else(|| panic!("{report}"));
    let group = groups.iter().find(|known| known["group"] == group).unwrap();
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let findings = group["findings"].as_array().unwrap().iter();
    findings.map(|finding| (text(finding, "level"), text(finding, "what"))).collect()
}

#[track_caller]
fn has(report: &Value, group: &str, level: &str, part: &str) {
    let found = found(report, group);
    let is_it = |(known, what): &(String, String)| known == level && what.contains(part);
    assert!(found.iter().any(is_it), "no {level} with {part:?} in {group}: {found:#?}");
}

#[test]
fn what_works_is_ok_and_is_seen_from_inside_the_daemon() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    let before = world.journal();
    let (code, report, text) = doctor(&world, &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!((&report["inside"], &report["pid"]), (&"daemon".into(), &daemon.pid().into()));
    has(&report, "target api", "ok", "answers in");
    has(&report, "hook rollback", "ok", "hook is there and may be run");
    has(&report, "hook rollback", "ok", "/bin/sh runs it");
    has(&report, "daemon", "ok", "is what is in force");
    has(&report, "daemon", "ok", "journal may be written");
    has(&report, "drill", "warn", "no [drill]");
    // Nothing is done and nothing put on record.
    assert_eq!((world.journal(), world.effects()), (before, Vec::new()));
}

#[test]
fn what_a_rollback_would_trip_over_fails_with_a_remedy() {
    let steps = r#"{ run = ["DIR/hook", "switch", "{good}"] },
  { run = ["DIR/absent"] },
  { unix = { path = "DIR/absent.sock", send = ["x"] } },
  { http = { method = "POST", url = "http://127.0.0.1:1/", headers = { A = { file = "DIR/token" } } } },
  { http = { method = "POST", url = "http://name.invalid/" } },"#;
    let changes = [(r#"{ run = ["DIR/hook", "switch", "{good}"] },"#, steps)];
    let Some(world) = World::new(&changes) else { return };
    fs::write(world.path("token"), "hunter2\n").unwrap();
    fs::set_permissions(world.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(world.path("hook"), fs::Permissions::from_mode(0o757)).unwrap();
    let _daemon = world.start();
    let (code, report, text) = doctor(&world, &[]);
    assert_eq!(code, 1, "{text}");
    let group = "hook rollback";
    has(&report, group, "fail", "everybody can write");
    has(&report, group, "fail", "absent is not there");
    has(&report, group, "fail", "absent.sock");
    has(&report, group, "fail", "http://127.0.0.1:1: Connection refused");
    has(&report, group, "fail", "everybody on this host can read header a of step 4");
    has(&report, group, "fail", "http://name.invalid: ");
    assert!(!text.contains("hunter2"), "{text}");
    let groups = report["groups"].as_array().unwrap();
    let findings = groups.iter().flat_map(|group| group["findings"].as_array().unwrap());
    for finding in findings.filter(|finding| finding["level"] != "ok") {
        assert!(finding["remedy"].is_string(), "{finding}");
    }
}

#[test]
fn a_file_that_was_changed_and_is_not_in_force_is_told() {
    let Some(world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.configure(&[("error_rate > 5%", "error_rate > 6%")]);
    has(&doctor(&world, &[]).1, "daemon", "warn", "is not in force");
    fs::copy(world.path("config.toml"), world.path("other.toml")).unwrap();
    let other = world.path("other.toml");
    let (_, json) = world.run(&["doctor", "--json", "--config", other.to_str().unwrap()]);
    has(&serde_json::from_str(&json).unwrap(), "daemon", "warn", "the daemon runs by");
    world.configure(&[("error_rate > 5%", "eror_rate > 5%")]);
    let config = world.path("config.toml");
    let (code, said) = world.run(&["doctor", "--config", config.to_str().unwrap()]);
    assert!(code == 78 && said.contains("did you mean `error_rate`?"), "{code}: {said}");
}

#[test]
fn without_a_daemon_the_command_looks_and_says_so() {
    let Some(world) = World::new(&[]) else { return };
    fs::create_dir(world.path("state")).unwrap();
    let (code, report, text) = doctor(&world, &[]);
    assert_eq!((code, &report["inside"]), (0, &"command".into()), "{text}");
    has(&report, "daemon", "warn", "not for the daemon");
}

#[test]
fn a_target_that_does_not_answer_fails() {
    let Some(mut world) = World::new(&[]) else { return };
    let _daemon = world.start();
    world.app.kill();
    let (code, report, text) = doctor(&world, &[]);
    assert_eq!(code, 1, "{text}");
    has(&report, "target api", "fail", "Connection refused");
}

#[test]
fn a_daemon_that_hangs_is_a_failure_and_is_not_waited_for() {
    let Some(world) = World::new(&[]) else { return };
    let daemon = world.start();
    daemon.signal(Signal::STOP);
    let config = world.path("config.toml");
    let (code, text) = world.run(&["doctor", "--config", config.to_str().unwrap()]);
    assert!(code == 1 && text.contains("does not answer within 5s"), "{code}: {text}");
}

/// A world of which the daemon sees less than others: no new privileges, and `srv` read-only.
fn sandboxed(world: &World) -> Option<KillOnDrop> {
    let (unshare, _setpriv) = (real("unshare")?, real("setpriv")?);
    let may = Command::new(&unshare).args(["-m", "true"]).output().unwrap();
    if !may.status.success() {
        return None;
    }
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && \
                  exec setpriv --no-new-privs \"$2\" run --config \"$3\"";
    let mut command = Command::new(unshare);
    command.args(["-m", "sh", "-c", script, "sh"]).arg(world.path("srv"));
    command.arg(ROLLGUARD).arg(world.path("config.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Some(KillOnDrop(command.spawn().unwrap()))
}

#[test]
fn what_the_sandbox_of_the_daemon_would_break_is_found_from_outside_of_it() {
    let step = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
    let steps = r#"{ run = ["DIR/suid", "DIR/srv/{good}"] }, { run = ["DIR/hook", "x"] },"#;
    let Some(world) = World::new(&[(step, steps)]) else { return };
    fs::create_dir(world.path("srv")).unwrap();
    fs::copy("/bin/true", world.path("suid")).unwrap();
    fs::set_permissions(world.path("suid"), fs::Permissions::from_mode(0o4755)).unwrap();
    let Some(daemon) = sandboxed(&world) else { return };
    let report = wait_for(LONG, "the daemon's report", || {
        let (_, report, _) = doctor(&world, &[]);
        (report["inside"] == "daemon").then_some(report)
    });
    assert_eq!(report["pid"], daemon.id());
    has(&report, "daemon", "ok", "no new privileges: yes");
    has(&report, "hook rollback", "fail", "setuid or setgid, which has no effect");
    has(&report, "hook rollback", "warn", "srv is read-only for the daemon");
    // The same configuration is fine where there is no sandbox.
    drop(daemon);
    let (_, report, _) = doctor(&world, &[]);
    assert_eq!(report["inside"], "command");
    let sandbox = |(_, what): &(String, String)| what.contains("setuid") || what.contains("srv");
    assert!(!found(&report, "hook rollback").iter().any(sandbox), "{report}");
}

#[test]
fn the_live_version_is_read_as_a_rollback_would_read_it() {
    let Some(world) = World::new(&[]) else { return };
    let with = |source: &str| {
        let path = world.path("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let text: String = text.lines().filter(|line| !line.starts_with("live = ")).fold(
            String::new(),
            |text, line| {
                let live = if line == "[deployment]" { source } else { "" };
                text + line + "\n" + live
            },
        );
        fs::write(&path, text).unwrap();
    };
    let file = world.path("LIVE");
    with(&format!("live = {{ file = \"{}\" }}\n", file.display()));
    let (code, report, text) = doctor(&world, &[]);
    has(&report, "live version", "fail", "LIVE");
    assert_eq!(code, 1, "{text}");
    fs::write(&file, "v7\n").unwrap();
    has(&doctor(&world, &[]).1, "live version", "ok", "v7 is live");
    with("live = { run = [\"no-such-program\"] }\n");
    has(&doctor(&world, &[]).1, "live version", "fail", "no-such-program");
    with("live = { metric = \"build_info\", label = \"version\" }\n");
    has(&doctor(&world, &[]).1, "live version", "ok", "label version of build_info");
}
