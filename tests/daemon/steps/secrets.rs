//! No secret is seen anywhere but where it is sent. Each stands in another place; the servers send
//! back what they are sent and the programs print what they are given, everything fails, and then
//! whatever rollguard has written and says is searched for each.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::support::common::{KillOnDrop, free_port, wait_for};
use crate::support::world::{ID, LONG, ROLLGUARD, World};

/// The secrets by where they stand. Each has its own text, so that a leak says where it came from.
const FILES: [(&str, &str); 8] = [
    ("header", "5ecret-header-file"),
    ("body", "{\"key\": \"5ecret-body-file\"}"),
    ("url", "http://AT/hooks/5ecret-url-path?sig=5ecret%20url%20query"),
    ("probe", "5ecret-probe-header"),
    ("target", "5ecret-target-header"),
    ("slack", "http://AT/services/T0/B0/5ecretSlackUrl"),
    ("pager", "5ecret0pager0routing0key00000000"),
    ("bus", "Bearer 5ecret-bus-header"),
];

/// What systemd gives to the unit. The configuration says nothing of these.
const CREDENTIALS: [(&str, &str); 2] = [
    ("token", "5ecret-credential-of-the-unit"),
    ("key.pem", "-----BEGIN KEY-----\n5ecretPemLine0123456789\n-----END KEY-----"),
];

const VARIABLES: [(&str, &str); 4] = [
    ("HOOK_HEADER", "5ecret-header-variable"),
    ("GRAFANA", "glsa_5ecretGrafana"),
    // Of these the configuration says nothing.
    ("DEPLOY_TOKEN", "5ecret-of-a-program"),
    ("DATABASE_PASSWORD", "5ecret \"quoted\" \\ password"),
];

/// What no text may hold: whatever stands in the lists above, and this in any of its parts.
const TRACE: &str = "5ecret";

const CONFIG: &str = r#"
[notify.chat]
slack = { url = { file = "DIR/secrets/slack" } }

[notify.pager]
pagerduty = { routing_key = { file = "DIR/secrets/pager" }, url = "http://AT/v2/enqueue" }

[notify.curves]
grafana = { url = "http://AT", token = { env = "GRAFANA" } }
on = ["decided", "failed"]

[notify.bus]
cloudevent = { url = "http://AT/events", source = "/guards/1", headers = {
  Authorization = { file = "DIR/secrets/bus" } } }

[target.broken]
scrape  = "http://AT/metrics"
headers = { authorization = { file = "DIR/secrets/target" } }
interval = "200ms"

[signal.broken]
rate   = 'http_requests_total{target="broken"}'
window = "2s"

[rule.broken]
when = "broken > 5"
then = "report"

[hook.unused]
steps = [
  { http = { method = "PUT", url = { file = "DIR/secrets/url" }, headers = { a = {
    file = "DIR/secrets/header" }, b = { env = "HOOK_HEADER" } }, body = {
    file = "DIR/secrets/body" } } },
  { probe = { http = "http://AT/health", headers = { a = { file = "DIR/secrets/probe" } } } },
]

[hook.rollback]"#;

/// Prints all that it can find, to both streams: its environment, its input, every secret of a
/// file, one over and over, so that what is kept of it is cut somewhere in one.
const DUMP: &str = r#"#!/bin/sh
dir=$(dirname "$0")
cat
env
cat "$dir"/secrets/* "$dir"/credentials/* >&2
for i in $(seq 3000); do printf 'x%s' 5ecret-header-file; done
echo; env >&2; cat "$dir"/secrets/*
exit 3
"#;

/// A server that refuses everything and says in its answer what it was asked, in several ways.
struct Echo {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let shared = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { port, asked }
    }

    fn was_sent(&self, secret: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked.contains(secret))
    }
}

fn answer(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            body.len() >= length.unwrap_or(0)
        });
        if whole {
            break;
        }
        match stream.read(&mut chunk) {
            Ok(read @ 1..) => request.extend(&chunk[..read]),
            Ok(0) | Err(_) => return,
        }
    }
    let text = String::from_utf8_lossy(&request).into_owned();
    asked.lock().unwrap().push(text.clone());
    // A page that cannot be read, with the header in it; an answer that quotes all it was asked.
    let (status, body) = if text.starts_with("GET /metrics") {
        let header = text.lines().find(|line| line.starts_with("authorization")).unwrap();
        (200, format!("up 1\nhttp_requests_total{{x=\"{header}\"}} {header}\n"))
    } else if text.starts_with("GET /health") {
        (200, serde_json::json!({ "version": text }).to_string())
    } else {
        (403, format!("{text}\n{}", Value::from(text.as_str())))
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n", body.len());
    let _ = stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes());
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A host with all that, whose rollback is these steps; `listen` is where the page is.
fn world(echo: &Echo, steps: &str, listen: u16) -> Option<World> {
    let world = World::new(&[])?;
    let at = format!("127.0.0.1:{}", echo.port);
    for (name, text) in FILES {
        write(&world.path(&format!("secrets/{name}")), &format!("{}\n", text.replace("AT", &at)));
    }
    for (name, text) in CREDENTIALS {
        write(&world.path(&format!("credentials/{name}")), &format!("{text}\n"));
    }
    write(&world.path("dump"), DUMP);
    Command::new("chmod").arg("+x").arg(world.path("dump")).status().unwrap();
    let config = CONFIG.replace("AT", &at);
    world.configure(&[
        ("[hook.rollback]", &config),
        ("{ run = [\"DIR/hook\", \"switch\", \"{good}\"] },", &steps.replace("AT", &at)),
        ("listen = \"off\"", &format!("listen = \"127.0.0.1:{listen}\"")),
        ("{status=~\"5..\"}'", "{status=~\"5..\",target=\"api\"}'"),
        ("to = 'http_requests_total'", "to = 'http_requests_total{target=\"api\"}'"),
        // Whoever is told that it failed fails in the same ways.
        ("steps = [{ run = [\"DIR/hook\", \"page\"] }]", "steps = [{ run = [\"DIR/dump\"] }]"),
    ]);
    Some(world)
}

/// A daemon that logs all that it can.
fn start(world: &World) -> KillOnDrop {
    let log = fs::File::options().create(true).append(true).open(world.path("log")).unwrap();
    let mut command = Command::new(ROLLGUARD);
    command.args(["run", "--log", "trace", "--config"]).arg(world.path("config.toml"));
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
    command.envs(VARIABLES).env("CREDENTIALS_DIRECTORY", world.path("credentials"));
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let mut daemon = KillOnDrop(command.spawn().unwrap());
    wait_for(LONG, "the daemon to answer", || {
        assert!(daemon.try_wait().unwrap().is_none(), "the daemon ended: {}", world.log());
        world.cli(&["status", "--json"]).status.success().then_some(())
    });
    daemon
}

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

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Everything that rollguard has written and says, each with where it stands.
fn all_that_is_said(world: &World, listen: u16) -> Vec<(String, String)> {
    let mut said = Vec::new();
    let journal = world.path("state").display().to_string();
    let config = world.path("config.toml").display().to_string();
    for arguments in [
        &["status"][..],
        &["status", "--json"],
        &["history", "--state", &journal],
        &["history", "--state", &journal, "--json"],
        &["history", "--last", "1", "--state", &journal],
        &["report", ID, "--state", &journal],
        &["report", ID, "--state", &journal, "--json"],
        &["report", ID, "--state", &journal, "--markdown"],
        &["stats", "--state", &journal],
        &["journal", "verify", "--state", &journal],
        &["check", &config],
        &["deploy", "wait", ID, "--timeout", "1s"],
    ] {
        said.push((arguments.join(" "), world.run(arguments).1));
    }
    for path in ["/metrics", "/healthz", "/readyz", "/"] {
        said.push((path.to_owned(), get(listen, path)));
    }
    for path in files_below(&world.path("")) {
        let is_source = ["secrets", "credentials", "dump"].map(|name| world.path(name));
        if !is_source.iter().any(|source| path.starts_with(source)) {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            said.push((path.display().to_string(), text));
        }
    }
    said
}

#[track_caller]
fn nothing_is_seen(world: &World, listen: u16) {
    let said = all_that_is_said(world, listen);
    for name in ["journal.jsonl", "d1.md", "log"] {
        assert!(
            said.iter().any(|(place, text)| place.ends_with(name) && text.len() > 100),
            "{name}"
        );
    }
    for (place, text) in said {
        // The script is no secret, and names one; a mistake of the test would hide every leak.
        let at = text.find(TRACE);
        let around = at.map(|at| text[at.saturating_sub(200)..].chars().take(400));
        assert!(at.is_none(), "{place} holds a secret: {}", around.unwrap().collect::<String>());
    }
}

/// Rolls back in this way, which fails, and looks everywhere.
fn fails_without_a_word(steps: &str, sent: &[&str]) {
    let (echo, listen) = (Echo::start(), free_port());
    let Some(world) = world(&echo, steps, listen) else { return };
    let _daemon = start(&world);
    world.deploy();
    assert_eq!(world.verdict(), 4, "{}", world.log());
    wait_for(LONG, "the page", || (!world.entries("notified").is_empty()).then_some(()));
    for channel in ["chat", "pager", "curves", "bus"] {
        wait_for(LONG, channel, || {
            let told = world.entries("told");
            told.iter().any(|told| told["data"]["channel"] == channel).then_some(())
        });
    }
    for secret in
        sent.iter().chain(&["5ecret-target-header", "5ecretSlackUrl", "glsa_5ecretGrafana"])
    {
        assert!(echo.was_sent(secret), "{secret} was not sent");
    }
    nothing_is_seen(&world, listen);
}

#[test]
fn no_secret_of_a_request_is_seen_though_the_server_sends_it_back() {
    let steps = r#"{ http = { method = "POST", url = { file = "DIR/secrets/url" }, headers = {
        authorization = { file = "DIR/secrets/header", prefix = "Bearer " },
        x-env = { env = "HOOK_HEADER" } }, body = { file = "DIR/secrets/body" },
        content_type = "application/json" } },"#;
    let steps = steps.replace('\n', " ");
    fails_without_a_word(&steps, &["5ecret-header-file", "5ecret-header-variable", "5ecret-body"]);
}

#[test]
fn no_secret_of_a_request_is_seen_where_its_answer_is_not_the_expected_one() {
    let steps = r#"{ http = { method = "POST", url = { file = "DIR/secrets/url" }, headers = {
        authorization = { file = "DIR/secrets/header", prefix = "Bearer " } },
        expect = { status = 403, text = "ok" } }, attempts = 2, backoff = "1ms",
        idempotent = true },"#;
    fails_without_a_word(&steps.replace('\n', " "), &["5ecret-header-file", "5ecret-url-path"]);
}

#[test]
fn no_secret_of_a_probe_is_seen_though_the_server_sends_it_back() {
    let steps = r#"{ probe = { http = "http://AT/health", headers = {
        authorization = { file = "DIR/secrets/probe" } },
        json = { pointer = "/version", equals = "{good}" } }, within = "1ms" },"#;
    fails_without_a_word(&steps.replace('\n', " "), &["5ecret-probe-header"]);
}

#[test]
fn no_secret_is_seen_that_a_program_prints() {
    fails_without_a_word(r#"{ run = ["DIR/dump"] },"#, &[]);
}
