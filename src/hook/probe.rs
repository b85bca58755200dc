//! Asks an HTTP endpoint until it answers as expected, or a TCP port until it can be connected to.
//!
//! A probe changes nothing, so it has no marker. It counts as one attempt however often it asks.

#![expect(clippy::disallowed_methods, reason = "the owner of the schedule of requests")]

use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::client::{Client, Request, RequestError};
use super::http::fill_headers;
use super::output::neutral;
use super::secret::Secrets;
use crate::model::entry::StepResult;
use crate::model::step::Wording;
use crate::model::time::format_duration;

/// The first pause between two requests; it doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause: a service that has come up is seen within a second.
const LAST_PAUSE: Duration = Duration::from_secs(1);
/// The longest body that is read, in bytes. Health pages are a few KiB.
const MAX_BODY: usize = 1024 * 1024;
/// How much of an unexpected value is shown, in characters: a line or two.
const MAX_SHOWN: usize = 200;

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
pub(super) async fn ask(client: &Client, probe: Probe<'_>) -> (StepResult, String) {
    let first = Instant::now() + probe.timeout;
    let (headers, secrets) = match timeout_at(first, fill(probe.headers)).await {
        Ok(Ok(ready)) => ready,
        Ok(Err(why)) => return (StepResult::Failed(why), String::new()),
        Err(_) => {
            let why = "failed to read a secret in time".to_owned();
            return (StepResult::Failed(why), String::new());
        }
    };
    repeat(probe.within, Question::Http { client, probe, headers, secrets }).await
}

/// Connects until that succeeds.
pub(super) async fn connect(
    address: &str,
    within: Duration,
    each: Duration,
) -> (StepResult, String) {
    repeat(within, Question::Tcp { address, each }).await
}

/// What is asked again and again.
enum Question<'a> {
    Http { client: &'a Client, probe: Probe<'a>, headers: HeaderMap, secrets: Secrets },
    Tcp { address: &'a str, each: Duration },
}

impl Question<'_> {
    /// Asks once; the error says what came instead of what is expected.
    async fn ask(&self) -> Result<(), String> {
        match self {
            Self::Http { client, probe, headers, secrets } => {
                let missed = request(client, probe, headers.clone(), secrets).await;
                missed.map_err(|why| secrets.hide(&why))
            }
            Self::Tcp { address, each } => {
                match timeout(*each, TcpStream::connect(address)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => {
                        Err(format!("no connection: {}", neutral(&error.to_string())))
                    }
                    Err(_) => Err(format!("no connection within {}", format_duration(*each))),
                }
            }
        }
    }
}

/// Asks until it is well, with growing pauses; nothing is asked later than `within`.
async fn repeat(within: Duration, question: Question<'_>) -> (StepResult, String) {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut asked = 0_u32;
    loop {
        asked += 1;
        let missed = match question.ask().await {
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

/// Reading secrets may block, so it is done aside.
async fn fill(headers: &[(String, Wording<String>)]) -> Result<(HeaderMap, Secrets), String> {
    let headers = headers.to_vec();
    let read = tokio::task::spawn_blocking(move || {
        let mut secrets = Secrets::default();
        fill_headers(&headers, &mut secrets).map(|headers| (headers, secrets))
    });
    read.await.map_err(|error| format!("failed to read a secret: {error}"))?
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
    compare(&body, pointer, expected, secrets).map_err(|why| format!("last answer: {why}"))
}

/// Compares a document at one place.
/// The error shows no secret.
pub(super) fn compare(
    body: &[u8],
    pointer: &str,
    expected: &Value,
    secrets: &Secrets,
) -> Result<(), String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    match document.pointer(pointer) {
        Some(found) if same(found, expected) => Ok(()),
        Some(found) => Err(format!(
            "{pointer} is {}, expected {}",
            shown(found, secrets),
            shown(expected, secrets)
        )),
        None => Err(format!("{pointer} is missing, expected {}", shown(expected, secrets))),
    }
}

/// Equal as JSON means it, which has one kind of number: `1` is `1.0`.
fn same(found: &Value, expected: &Value) -> bool {
    found == expected
        || found.as_f64().zip(expected.as_f64()).is_some_and(|(found, expected)| found == expected)
}

/// A value, shortened only once no secret is in it: a part of one could not be told any more.
fn shown(value: &Value, secrets: &Secrets) -> String {
    let text = neutral(&secrets.hide(&value.to_string()));
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_answer_is_compared_at_its_place() {
        let check = |expected: Value, why: Option<&str>| {
            let body = br#"{"status":"starting","replicas":2,"a/b":[true,null]}"#;
            let pointer = match &expected {
                Value::Number(_) => "/replicas",
                Value::Bool(_) => "/a~1b/0",
                Value::Null => "/nothing",
                Value::String(_) | Value::Array(_) | Value::Object(_) => "/status",
            };
            assert_eq!(
                compare(body, pointer, &expected, &Secrets::default()).err().as_deref(),
                why
            );
        };
        check(json!("starting"), None);
        check(json!("ok"), Some("/status is \"starting\", expected \"ok\""));
        check(json!(2), None);
        check(json!(2.0), None);
        check(json!(3), Some("/replicas is 2, expected 3"));
        check(json!(true), None);
        check(json!(null), Some("/nothing is missing, expected null"));
    }

    #[test]
    fn what_a_stranger_answers_is_shown_shortened_and_harmless() {
        let value = json!("\u{1b}[31m\u{202E}".repeat(100));
        let text = shown(&value, &Secrets::default());
        assert_eq!(text.chars().count(), MAX_SHOWN + 1);
        assert!(!text.contains(['\u{1b}', '\u{202E}']), "{text}");
    }

    #[test]
    fn a_body_that_is_not_json_says_so() {
        let why = compare(b"<html>", "/status", &json!("ok"), &Secrets::default()).unwrap_err();
        assert!(why.starts_with("the body is not JSON"), "{why}");
    }
}
