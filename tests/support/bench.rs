//! An executor with a state directory, orders for it, and an HTTP server that does as it is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rollguard::engine::effect::{Order, Rerun};
use rollguard::hook::Executor;
use rollguard::hook::marker;
use rollguard::journal::steps_dir;
use rollguard::model::entry::{Attempt, StepResult};
use rollguard::model::name::{DeploymentId, HookName};
use rollguard::model::step::{
    Action, Body, HttpCall, HttpExpectation, Json, Method, SecretText, UnixCall, Wording,
};
use rollguard::model::target::Secret;
use tempfile::TempDir;

use super::world::{LONG, ROLLGUARD};

/// As long as a test that needs a time-out waits for it: enough to connect on a busy machine.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

pub(crate) struct Bench {
    pub(crate) temp: TempDir,
    pub(crate) executor: Executor,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let executor = Executor::new(temp.path(), ROLLGUARD.into());
        Self { temp, executor }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub(crate) async fn perform(&self, order: &Order) -> (StepResult, String) {
        let outcome = self.executor.perform(order).await;
        assert_eq!((&outcome.deployment, &outcome.attempt), (&order.deployment, &order.attempt));
        (outcome.result, outcome.output)
    }

    pub(crate) async fn inspect(&self, order: &Order) -> StepResult {
        self.executor.inspect(&order.deployment, &order.attempt, LONG).await.result
    }

    pub(crate) fn marker(&self, order: &Order) -> PathBuf {
        marker::path(&steps_dir(self.temp.path()), &order.deployment, &order.attempt)
    }
}

pub(crate) fn order(action: Action<String>) -> Order {
    Order {
        deployment: DeploymentId::new("v2-20261121T070000Z").unwrap(),
        attempt: Attempt::of(HookName::new("rollback").unwrap(), 0, 1),
        action,
        rerun: Rerun::Never,
        timeout: LONG,
        env: Vec::new(),
        document: String::new(),
    }
}

pub(crate) fn numbered(order: &Order, number: u32) -> Order {
    let mut order = order.clone();
    order.attempt.number = number;
    order
}

pub(crate) fn failed(why: &str) -> StepResult {
    StepResult::Failed(why.to_owned())
}

/// A request with a JSON body.
pub(crate) fn post(url: &str) -> HttpCall<String> {
    HttpCall {
        method: Method::Post,
        url: Wording::Open(url.to_owned()),
        headers: Vec::new(),
        body: Body::Json(Json::Table(vec![(
            "summary".to_owned(),
            Json::Text("a \"b\"\nc".to_owned()),
        )])),
        content_type: "application/json".to_owned(),
        expect: HttpExpectation { statuses: Vec::new(), json: None, text: None },
    }
}

pub(crate) fn http(call: HttpCall<String>, rerun: Rerun) -> Order {
    Order { rerun, ..order(Action::Http(Box::new(call))) }
}

pub(crate) fn unix(call: UnixCall<String>, rerun: Rerun) -> Order {
    Order { rerun, ..order(Action::Unix(Box::new(call))) }
}

pub(crate) fn secret(prefix: &str, path: PathBuf) -> Wording<String> {
    Wording::Secret(SecretText { prefix: prefix.to_owned(), from: Secret::File(path) })
}

/// What a server does with a connection whose request it has read.
type Answer = dyn Fn(&str, &mut TcpStream) + Send + Sync;

/// An HTTP server. It keeps every request that it was sent.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer): (_, Arc<Answer>) = (requests.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, kept, answer) = (stream.unwrap(), kept.clone(), answer.clone());
                std::thread::spawn(move || {
                    let request = read_request(&mut stream);
                    if !request.is_empty() {
                        kept.lock().unwrap().push(request.clone());
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self { url, requests }
    }

    /// One that always answers the same.
    pub(crate) fn saying(answer: &'static str) -> Self {
        Self::start(move |_, stream| {
            let _ = stream.write_all(answer.as_bytes());
        })
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The head and the body of a request.
fn read_request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return read;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return read,
            Ok(length) => text.extend_from_slice(&chunk[..length]),
        }
    }
}
