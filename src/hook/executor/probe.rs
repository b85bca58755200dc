//! Asks an HTTP endpoint until it answers as expected, or a TCP port until it can be connected to.
//!
//! A probe changes nothing, so it has no marker. It counts as one attempt however often it asks.

#![expect(clippy::disallowed_methods, reason = "the owner of the schedule of requests")]

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::http::{fill_headers, read_in_time};
use crate::hook::expect::check_json;
use crate::model::entry::StepResult;
use crate::model::step::Wording;
use crate::model::time::format_duration;
use crate::net::client::{Client, Request, RequestError};
use crate::net::redact::{Secrets, neutral};

/// The first pause between two requests; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a service that has come up is seen within a second.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// The longest body that is read, in bytes. Health pages are a few KiB.
const MAX_BODY: usize = 1024 * 1024;

/// What is asked and what is expected.
#[derive(Clone, Debug)]
pub(super) struct Probe<'a> {
    pub(super) url: &'a str,
    pub(super) headers: &'a [(String, Wording<String>)],
    pub(super) status: Option<u16>,
    pub(super) json: Option<(&'a str, Value)>,
    /// No request begins later than this.
    pub(super) within: Duration,
    /// How long one request may take, with its answer.
    pub(super) timeout: Duration,
}

/// Asks until the answer is the expected one.
///
/// # Errors
/// Why nothing was asked.
pub(super) async fn ask(
    client: &Client,
    probe: &Probe<'_>,
) -> Result<(StepResult, String), String> {
    let configured = probe.headers.to_vec();
    let read = move || {
        let mut secrets = Secrets::default();
        fill_headers(&configured, &mut secrets).map(|headers| (headers, secrets))
    };
    let (headers, secrets) = &read_in_time(probe.timeout, read).await?;
    let asked = repeat(probe.within, || async move {
        let missed = request(client, probe, headers.clone(), secrets).await;
        missed.map_err(|why| secrets.hide(&why))
    });
    Ok(asked.await)
}

/// Connects until that succeeds.
pub(super) async fn connect(
    address: &str,
    within: Duration,
    each: Duration,
) -> (StepResult, String) {
    let connected = repeat(within, || async move {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(format!("no connection: {}", neutral(&error.to_string()))),
            Err(_) => Err(format!("no connection within {}", format_duration(each))),
        }
    });
    connected.await
}

/// Asks until it is well, with growing pauses; nothing is asked later than `within`. The error of
/// `ask` says what came instead of what is expected.
async fn repeat<F>(within: Duration, ask: impl Fn() -> F) -> (StepResult, String)
where
    F: Future<Output = Result<(), String>>,
{
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut asked = 0_u32;
    loop {
        asked += 1;
        let missed = match ask().await {
            Ok(()) => return (StepResult::Done, report(asked, begun)),
            Err(why) => why,
        };
        let left = within.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return (StepResult::Failed(missed), report(asked, begun));
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

fn report(asked: u32, begun: Instant) -> String {
    let times = if asked == 1 { "once".to_owned() } else { format!("{asked} times") };
    format!("asked {times} in {}", format_duration(begun.elapsed()))
}

/// Asks once; the error says what came instead of what is expected.
async fn request(
    client: &Client,
    probe: &Probe<'_>,
    headers: HeaderMap,
    secrets: &Secrets,
) -> Result<(), String> {
    let request = Request {
        method: Method::GET,
        url: probe.url.to_owned(),
        headers,
        body: None,
        timeout: probe.timeout,
        max_body: if probe.json.is_some() { MAX_BODY } else { 0 },
    };
    let answer = client.send(request).await.map_err(|error| match error {
        RequestError::NotAUrl(why) => format!("`{}`: {why}", neutral(probe.url)),
        error
        @ (RequestError::NotSent(_) | RequestError::Unanswered(_) | RequestError::Late(_)) => {
            error.to_string()
        }
    })?;
    let is_success = (200..300).contains(&answer.status);
    if !probe.status.map_or(is_success, |code| answer.status == code) {
        return Err(format!("last answer: status {}", answer.status));
    }
    let Some((pointer, expected)) = &probe.json else { return Ok(()) };
    let body = answer.body.map_err(|why| format!("last answer: {why}"))?;
    check_json(&body, pointer, expected, secrets).map_err(|why| format!("last answer: {why}"))
}
