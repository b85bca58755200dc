//! Steps through the whole daemon: interruptions, time limits, and what nobody may see.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::support::bench::Server;
use crate::support::common::wait_for;
use crate::support::world::{LONG, World};

const STEP: &str = r#"{ run = ["DIR/hook", "switch", "{good}"] },"#;
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn request(server: &Server, rest: &str) -> String {
    format!("{{ http = {{ method = \"POST\", url = \"{}\" }}{rest} }},", server.url)
}

/// A server that makes v1 current and then says nothing until there is a file `answer`.
fn switching(world: &World) -> Server {
    let (current, answer) = (world.path("current"), world.path("answer"));
    Server::start(move |_, stream| {
        let new = current.with_extension("new");
        let _ = fs::remove_file(&new);
        std::os::unix::fs::symlink("v1", &new).unwrap();
        fs::rename(&new, &current).unwrap();
        wait_for(LONG, "leave to answer", || answer.exists().then_some(()));
        let _ = stream.write_all(OK.as_bytes());
    })
}

#[test]
fn a_request_that_the_guard_did_not_live_to_see_answered_is_done_once_the_cure_is_seen() {
    let Some(world) = World::new(&[]) else { return };
    let server = switching(&world);
    world.configure(&[(STEP, &request(&server, ""))]);
    let daemon = world.start();
    world.deploy();
    wait_for(LONG, "the request", || (server.requests().len() == 1).then_some(()));
    daemon.kill();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let outcomes: Vec<_> =
        world.entries("outcome").iter().map(|e| e["data"]["result"].clone()).collect();
    assert_eq!(outcomes, [json!("unknown"), json!("done")]);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn wherever_the_guard_dies_a_request_is_sent_once() {
    // Before the intent is durable, before the claim, before the outcome is durable.
    for (place, outcomes) in [
        ("before:intent", vec![json!("done")]),
        ("after:intent", vec![json!("not_started"), json!("done")]),
        ("before:outcome", vec![json!("unknown"), json!("done")]),
        ("after:outcome", vec![json!("done")]),
    ] {
        let Some(world) = World::new(&[]) else { return };
        let server = switching(&world);
        fs::write(world.path("answer"), "").unwrap();
        world.configure(&[(STEP, &request(&server, ""))]);
        let daemon = world.start_with(&[("ROLLGUARD_CRASH_AT", place)]);
        world.deploy();
        daemon.ended();
        let _daemon = world.start();
        assert_eq!(world.verdict(), 3, "{place} {}", world.log());
        let found: Vec<_> =
            world.entries("outcome").iter().map(|e| e["data"]["result"].clone()).collect();
        assert_eq!((found, server.requests().len()), (outcomes, 1), "{place}");
    }
}

#[test]
fn a_request_that_was_not_answered_is_sent_again_only_if_it_may_be() {
    let twice = ", timeout = \"2s\", attempts = 2, backoff = \"1ms\"";
    for (rest, sent) in [(twice.to_owned(), 1), (format!("{twice}, idempotent = true"), 2)] {
        let Some(world) = World::new(&[]) else { return };
        let silent = Server::start(|_, _| std::thread::sleep(LONG));
        let cure = ("within = \"50s\"", "within = \"1s\"");
        world.configure(&[(STEP, &request(&silent, &rest)), cure]);
        let _daemon = world.start();
        world.deploy();
        assert_eq!(world.verdict(), 4, "{}", world.log());
        assert_eq!(silent.requests().len(), sent, "{rest}");
    }
}

#[test]
fn an_interrupted_request_is_sent_again_where_that_is_safe() {
    let Some(world) = World::new(&[]) else { return };
    let (current, second) = (world.path("current"), world.path("second"));
    let server = Server::start(move |_, stream| {
        if !second.exists() {
            fs::write(&second, "").unwrap();
            std::thread::sleep(LONG);
        }
        let new = current.with_extension("new");
        std::os::unix::fs::symlink("v1", &new).unwrap();
        fs::rename(&new, &current).unwrap();
        let _ = stream.write_all(OK.as_bytes());
    });
    world.configure(&[(STEP, &request(&server, ", idempotent = true"))]);
    let daemon = world.start();
    world.deploy();
    wait_for(LONG, "the request", || (server.requests().len() == 1).then_some(()));
    daemon.kill();
    let _daemon = world.start();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_that_asks_for_a_pause_is_asked_again_after_it() {
    let Some(world) = World::new(&[]) else { return };
    let (current, second) = (world.path("current"), world.path("second"));
    let server = Server::start(move |_, stream| {
        let answer = if second.exists() {
            std::os::unix::fs::symlink("v1", current.with_extension("new")).unwrap();
            fs::rename(current.with_extension("new"), &current).unwrap();
            OK
        } else {
            fs::write(&second, "").unwrap();
            "HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
        };
        let _ = stream.write_all(answer.as_bytes());
    });
    world.configure(&[(STEP, &request(&server, ", attempts = 2, backoff = \"1ms\""))]);
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 3, "{}", world.log());
    let outcome = &world.entries("outcome")[0]["data"]["result"];
    assert_eq!(*outcome, json!({ "put_off": { "why": "status 503", "after_ms": 1000 } }));
}

#[test]
fn the_time_of_the_whole_hook_ends_the_step_at_hand_and_starts_no_other() {
    let step = r#"{ run = ["sleep", "300"], timeout = "1m", attempts = 9, idempotent = true },"#;
    let Some(world) = World::new(&[(STEP, step), ("[hook.rollback]", LIMITED)]) else { return };
    let _daemon = world.start();
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    assert_eq!(world.entries("outcome").len(), 1);
    let why =
        "step 1 timed out, and the hook's time limit of 1s leaves no time for another attempt";
    assert_eq!(world.entries("failed")[0]["data"]["why"], why);
}

#[test]
fn the_time_of_the_whole_hook_goes_on_while_the_guard_is_away() {
    let step = r#"{ run = ["DIR/hook", "switch", "{good}"], attempts = 9, idempotent = true },"#;
    let Some(world) = World::new(&[(STEP, step), ("[hook.rollback]", LIMITED)]) else { return };
    world.hold("before-switch");
    let daemon = world.start();
    world.deploy();
    world.held("before-switch");
    daemon.kill();
    let decided = world.entries("decided")[0]["at"].as_str().unwrap().to_owned();
    std::thread::sleep(Duration::from_millis(1100));
    let _daemon = world.start();
    // What is found running is ended, and nothing else begins.
    assert_eq!(world.verdict(), 4, "{decided} {}", world.log());
    assert_eq!(world.entries("intent").len(), 1);
    let why = world.entries("failed")[0]["data"]["why"].as_str().unwrap().to_owned();
    assert!(
        why.ends_with("the hook's time limit of 1s leaves no time for another attempt"),
        "{why}"
    );
}

const LIMITED: &str = "[hook.rollback]\ntimeout = \"1s\"";

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path));
        } else if path.is_file() {
            files.push(path);
        }
    }
    files
}

#[test]
fn a_secret_is_sent_and_appears_nowhere_else() {
    let Some(world) = World::new(&[]) else { return };
    // It sends back what it was sent, and refuses it.
    let echo = Server::start(|request, stream| {
        let head = "HTTP/1.1 403 Forbidden\r\nContent-Length";
        let _ = stream.write_all(format!("{head}: {}\r\n\r\n{request}", request.len()).as_bytes());
    });
    fs::create_dir(world.path("secrets")).unwrap();
    fs::write(world.path("secrets/token"), "hunter2-token\n").unwrap();
    fs::write(world.path("secrets/url"), format!("{}/hunter2-path\n", echo.url)).unwrap();
    let headers = "authorization = { file = \"DIR/secrets/token\", prefix = \"Bearer \" }, \
                   x-env = { env = \"STEPS_TEST_SECRET\" }";
    let probe = format!(
        "{{ probe = {{ http = \"{}\", headers = {{ {headers} }} }}, within = \"1ms\" }},",
        echo.url
    );
    let call = format!(
        "{{ http = {{ method = \"PUT\", url = {{ file = \"DIR/secrets/url\" }}, \
         headers = {{ {headers} }}, body = {{ file = \"DIR/secrets/token\" }} }} }},"
    );
    let page = format!("[hook.page]\nsteps = [{probe}]\n[hook.unused]\n");
    world.configure(&[(STEP, &call), ("[hook.page]\n", &page)]);
    let daemon = world.start_with(&[("STEPS_TEST_SECRET", "hunter2-env")]);
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    wait_for(LONG, "the page", || (echo.requests().len() >= 2).then_some(()));
    wait_for(LONG, "its outcome", || (!world.entries("notified").is_empty()).then_some(()));
    let why = &world.entries("failed")[0]["data"]["why"];
    assert_eq!(*why, json!("step 1 failed: status 403"));
    for word in ["hunter2-token", "hunter2-path", "hunter2-env"] {
        assert!(echo.requests()[0].contains(word), "{word} was not sent");
    }
    let mut said = vec![world.log(), world.status().to_string()];
    for arguments in [&["status"][..], &["status", "--json"], &["check", "config.toml"]] {
        let output = world.cli(arguments);
        said.push(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
    }
    daemon.kill();
    let kept = files_below(&world.path(""));
    let kept = kept.into_iter().filter(|path| !path.starts_with(world.path("secrets")));
    let mut journal = false;
    for path in kept {
        journal |= path.ends_with("journal.jsonl");
        said.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
    }
    assert!(journal);
    for text in said {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
