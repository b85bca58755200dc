//! The systems that people are told through, as one strict server on the loopback: it takes what
//! their documents say and refuses everything else. It keeps what it took, and can be told to hang
//! or to fail.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::common::wait_for;
use super::world::{LONG, World};

/// The secrets, none of which may be seen anywhere but here.
pub(crate) const ROUTING_KEY: &str = "rk5ecret0123456789abcdef01234567";
pub(crate) const GENIE_KEY: &str = "gk5ecret-0123-4567";
pub(crate) const GRAFANA_TOKEN: &str = "glsa_5ecretToken";
pub(crate) const STATUSPAGE_KEY: &str = "sp5ecret-89ab";
pub(crate) const SLACK_PATH: &str = "/services/T0/B0/5ecretSlack";
pub(crate) const BUS_TOKEN: &str = "bus5ecret";

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

/// What a system does instead of answering.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    Hangs,
    Fails,
    /// Refuses, and says what it was told in its answer.
    Refuses,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    wrong: Vec<String>,
    trouble: HashMap<&'static str, Trouble>,
    /// Connections of those that hang.
    held: Vec<TcpStream>,
}

/// The server.
pub(crate) struct Systems {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

impl Systems {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, state }
    }

    /// From now on what is posted below a path comes to grief.
    pub(crate) fn trouble(&self, prefix: &'static str, trouble: Trouble) {
        self.state.lock().unwrap().trouble.insert(prefix, trouble);
    }

    /// What came to paths that begin so, in order.
    pub(crate) fn seen(&self, prefix: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|seen| seen.path.starts_with(prefix)).cloned().collect()
    }

    /// Fails where anything was sent that a real system would refuse.
    #[track_caller]
    pub(crate) fn all_was_right(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.wrong.is_empty(), "{:#?}", state.wrong);
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<State>) {
    let Some(seen) = read(&stream) else { return };
    let mut state = shared.lock().unwrap();
    let trouble = state.trouble.iter().find(|(path, _)| seen.path.starts_with(*path));
    let (status, answer) = match trouble.map(|(_, trouble)| *trouble) {
        Some(Trouble::Hangs) => {
            state.seen.push(seen);
            return state.held.push(stream);
        }
        Some(Trouble::Fails) => (500, "{}".to_owned()),
        Some(Trouble::Refuses) => (422, format!("{:?} {}", seen.headers, seen.body)),
        None => judge(&seen).unwrap_or_else(|why| {
            state.wrong.push(format!("{why}: {seen:#?}"));
            (400, why)
        }),
    };
    state.seen.push(seen);
    drop(state);
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n");
    let _ = stream.write_all(format!("{head}\r\n{answer}").as_bytes());
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    Some(Seen { method, path, headers, body })
}

fn must(fine: bool, why: &str) -> Result<(), String> {
    if fine { Ok(()) } else { Err(why.to_owned()) }
}

fn text<'a>(body: &'a Value, pointer: &str) -> Result<&'a str, String> {
    let text = body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| format!("{pointer} is missing"))
}

fn judge(seen: &Seen) -> Result<(u16, String), String> {
    let Seen { method, path, body, .. } = seen;
    let is_json = |kind: &String| kind.starts_with("application/") && kind.contains("json");
    must(seen.headers.get("content-type").is_some_and(is_json), "no JSON")?;
    match (method.as_str(), path.as_str()) {
        ("POST", SLACK_PATH) => slack(body),
        ("POST", "/v2/enqueue") => pagerduty(body),
        ("POST", "/v2/change/enqueue") => change(body),
        ("POST" | "PATCH", path) if path.starts_with("/og/") => opsgenie(seen),
        ("POST" | "PATCH", path) if path.starts_with("/api/annotations") => grafana(seen),
        ("POST" | "PATCH", path) if path.starts_with("/v1/pages/p1/incidents") => statuspage(seen),
        ("POST", "/webhook") => webhook(seen),
        ("POST", "/events") => cloudevent(seen),
        _ => Err("nothing is there".to_owned()),
    }
}

fn slack(body: &Value) -> Result<(u16, String), String> {
    text(body, "/text")?;
    let blocks = body["blocks"].as_array().ok_or("no blocks")?;
    must((1..=50).contains(&blocks.len()), "too many blocks")?;
    for block in blocks {
        let (kind, at) = match text(block, "/type")? {
            "section" => ("section", "/text"),
            "context" => ("context", "/elements/0"),
            other => return Err(format!("block {other}")),
        };
        must(text(block, &format!("{at}/type"))? == "mrkdwn", kind)?;
        must(text(block, &format!("{at}/text"))?.chars().count() <= 3000, "too long")?;
    }
    must(!body.to_string().contains('<'), "not escaped")?;
    Ok((200, "ok".to_owned()))
}

fn pagerduty(body: &Value) -> Result<(u16, String), String> {
    must(body["routing_key"] == ROUTING_KEY, "another routing key")?;
    must(text(body, "/dedup_key")?.len() <= 255, "the key is too long")?;
    match text(body, "/event_action")? {
        "trigger" => {
            must(text(body, "/payload/summary")?.chars().count() <= 1024, "too long")?;
            text(body, "/payload/source")?;
            let severity = text(body, "/payload/severity")?;
            must(["critical", "error", "warning", "info"].contains(&severity), "severity")?;
            must(body.pointer("/payload/custom_details").is_some_and(Value::is_object), "details")?;
        }
        "resolve" => {}
        other => return Err(format!("event_action {other}")),
    }
    Ok((202, r#"{"status":"success","message":"Event processed"}"#.to_owned()))
}

fn change(body: &Value) -> Result<(u16, String), String> {
    must(body["routing_key"] == ROUTING_KEY, "another routing key")?;
    text(body, "/payload/summary")?;
    must(body.get("event_action").is_none() && body.get("dedup_key").is_none(), "an alert event")?;
    Ok((202, r#"{"status":"success"}"#.to_owned()))
}

fn authorized(seen: &Seen, expected: &str) -> Result<(), String> {
    let given = seen.headers.get("authorization");
    must(given.is_some_and(|given| given == expected), "not authorized")
}

fn opsgenie(seen: &Seen) -> Result<(u16, String), String> {
    authorized(seen, &format!("GenieKey {GENIE_KEY}"))?;
    match seen.path.strip_prefix("/og/v2/alerts").ok_or("another path")? {
        "" => {
            must(text(&seen.body, "/message")?.chars().count() <= 130, "too long")?;
            text(&seen.body, "/alias")?;
            let priority = text(&seen.body, "/priority")?;
            must(["P1", "P2", "P3", "P4", "P5"].contains(&priority), "priority")?;
        }
        "/guard%2Fapi%2Fd1/close?identifierType=alias" => {}
        _ => return Err("another path".to_owned()),
    }
    Ok((202, r#"{"result":"Request will be processed","requestId":"r"}"#.to_owned()))
}

fn grafana(seen: &Seen) -> Result<(u16, String), String> {
    authorized(seen, &format!("Bearer {GRAFANA_TOKEN}"))?;
    let millis = |key: &str| {
        seen.body.get(key).is_none_or(|at| at.as_i64().is_some_and(|at| at > 1_600_000_000_000))
    };
    must(millis("time") && millis("timeEnd"), "not milliseconds")?;
    text(&seen.body, "/text")?;
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/api/annotations") => {
            must(
                seen.body.get("time").is_some() && seen.body["tags"].is_array(),
                "no time or tags",
            )?;
        }
        ("PATCH", "/api/annotations/42") => {}
        _ => return Err("another path".to_owned()),
    }
    Ok((200, r#"{"message":"Annotation added","id":42}"#.to_owned()))
}

fn statuspage(seen: &Seen) -> Result<(u16, String), String> {
    authorized(seen, &format!("OAuth {STATUSPAGE_KEY}"))?;
    let status = text(&seen.body, "/incident/status")?;
    let known = ["investigating", "identified", "monitoring", "resolved"];
    must(known.contains(&status), "status")?;
    text(&seen.body, "/incident/body")?;
    must(!seen.body.to_string().contains("error"), "says too much")?;
    match (seen.method.as_str(), seen.path.as_str()) {
        ("POST", "/v1/pages/p1/incidents") => {
            text(&seen.body, "/incident/name")?;
            Ok((201, r#"{"id":"inc1","name":"x"}"#.to_owned()))
        }
        ("PATCH", "/v1/pages/p1/incidents/inc1") => Ok((200, r#"{"id":"inc1"}"#.to_owned())),
        _ => Err("another path".to_owned()),
    }
}

fn webhook(seen: &Seen) -> Result<(u16, String), String> {
    let id = text(&seen.body, "/id")?;
    let key = seen.headers.get("idempotency-key");
    must(key.is_some_and(|key| key == id), "the key is not the id")?;
    must(seen.body["key"] == "guard/api/d1", "another key")?;
    text(&seen.body, "/summary")?;
    Ok((204, String::new()))
}

fn cloudevent(seen: &Seen) -> Result<(u16, String), String> {
    authorized(seen, &format!("Bearer {BUS_TOKEN}"))?;
    let kind = seen.headers.get("content-type");
    must(kind.is_some_and(|kind| kind.starts_with("application/cloudevents+json")), "type")?;
    must(text(&seen.body, "/specversion")? == "1.0", "specversion")?;
    for field in ["/id", "/source", "/type", "/time"] {
        text(&seen.body, field)?;
    }
    must(seen.body["data"].is_object(), "no data")?;
    Ok((200, String::new()))
}

/// What was said to a channel, as far as it is on record: the change, or that it failed.
pub(crate) fn told(world: &World, channel: &str) -> Vec<String> {
    let entries = world.entries("told");
    let of = entries.iter().filter(|entry| entry["data"]["channel"] == channel);
    of.map(|entry| match entry["data"].get("failure") {
        None => entry["data"]["change"].as_str().unwrap().to_owned(),
        Some(failure) => format!("failed: {failure}"),
    })
    .collect()
}

#[track_caller]
pub(crate) fn wait_told(world: &World, channel: &str, expected: &[&str]) {
    wait_for(LONG, &format!("{channel} to be told"), || {
        let told = told(world, channel);
        assert!(told.len() <= expected.len(), "{channel} {told:?}\n{}", world.log());
        (told == expected).then_some(())
    });
}
