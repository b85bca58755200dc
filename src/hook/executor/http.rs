//! Sends an HTTP request as one attempt at a step. It must never send an attempt's request twice,
//! never send one whose marker was claimed before, and never show a secret.
//!
//! The order is: the intent is durable (the shell's business), the secrets are read, the marker is
//! claimed, the request is sent. A guard that dies before the claim has certainly not sent it; one
//! that dies after it may have. Where the server certainly received nothing, the marker says so.
//!
//! A request that may have been received and was not answered is *unknown*, like an attempt whose
//! guard died, unless the step says that it may be done twice.

use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::engine::effect::Rerun;
use crate::hook::expect::{check_json, check_text, shortened};
use crate::hook::marker;
use crate::model::entry::StepResult;
use crate::model::step::{Body, HttpCall, HttpExpectation, Wording};
use crate::net::client::{Answer, Client, Request, RequestError};
use crate::net::credential::{aside, header};
use crate::net::redact::{Secrets, neutral};

/// The longest body that is read, in bytes. Answers of APIs are a few KiB.
const MAX_BODY: usize = 1024 * 1024;
/// How much of an answer is kept, in characters: an error's text with what led to it.
const MAX_KEPT: usize = 2000;

/// Sends the request: what became of it, and what was answered.
pub(super) async fn send(
    client: &Client,
    path: &Path,
    call: &HttpCall<String>,
    rerun: Rerun,
    timeout: Duration,
) -> Result<(StepResult, String), String> {
    let configured = call.clone();
    let (request, secrets) = read_in_time(timeout, move || request(&configured, timeout)).await?;
    let claim = match marker::claim_here(path) {
        Ok(claim) => claim,
        Err(result) => return Ok((result, String::new())),
    };
    Ok(match client.send(request).await {
        Ok(answer) => {
            let kept = kept(&answer, &secrets);
            (judge(answer, &call.expect, &secrets), kept)
        }
        Err(error) => {
            let why = neutral(&secrets.hide(&error.to_string()));
            let result = unanswered(&error, &why, rerun);
            if !error.may_be_received() {
                // Where this fails, the attempt counts as sent: the safe side.
                let _ = claim.note_failure(&why);
            }
            (result, why)
        }
    })
}

fn unanswered(error: &RequestError, why: &str, rerun: Rerun) -> StepResult {
    match (error, rerun) {
        (RequestError::NotAUrl(_) | RequestError::NotSent(_), _) => {
            StepResult::Failed(why.to_owned())
        }
        (RequestError::Unanswered(_) | RequestError::Late(_), Rerun::Never) => StepResult::Unknown,
        (RequestError::Late(_), Rerun::Safe) => StepResult::TimedOut,
        (RequestError::Unanswered(_), Rerun::Safe) => StepResult::Failed(why.to_owned()),
    }
}

/// What is made with secrets; reading them may block, so it is done aside.
///
/// # Errors
/// Those of `read`, or it takes too long.
pub(super) async fn read_in_time<T: Send + 'static>(
    timeout: Duration,
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = tokio::time::timeout(timeout, aside(read)).await;
    read.unwrap_or_else(|_| Err("failed to read a secret in time".to_owned()))
}

fn request(call: &HttpCall<String>, timeout: Duration) -> Result<(Request, Secrets), String> {
    let mut secrets = Secrets::default();
    let url = secrets.reveal_url(&call.url).map_err(|why| format!("failed to read the URL: {why}"));
    let mut headers = fill_headers(&call.headers, &mut secrets)?;
    let body = match &call.body {
        Body::Empty => None,
        Body::Json(json) => Some(json.value().to_string()),
        Body::Text(text) => {
            let text = secrets.reveal(text);
            Some(text.map_err(|why| format!("failed to read the body: {why}"))?)
        }
    };
    if body.is_some() {
        let value = HeaderValue::try_from(call.content_type.as_str());
        let wrong = |_| "failed to set the content type: it cannot stand in a header".to_owned();
        headers.insert(CONTENT_TYPE, value.map_err(wrong)?);
    }
    let method = Method::try_from(call.method.word()).expect("the name of a method");
    let body = body.map(String::into_bytes);
    Ok((Request { method, url: url?, headers, body, timeout, max_body: MAX_BODY }, secrets))
}

/// Headers with their secrets.
///
/// # Errors
/// A secret is not there or cannot stand in a header; the message names the header and the place.
pub(super) fn fill_headers(
    headers: &[(String, Wording<String>)],
    secrets: &mut Secrets,
) -> Result<HeaderMap, String> {
    headers.iter().map(|(name, wording)| header(name, secrets.reveal(wording))).collect()
}

fn judge(answer: Answer, expect: &HttpExpectation<String>, secrets: &Secrets) -> StepResult {
    let Answer { status, retry_after, body } = answer;
    if !expect.accepts(status) {
        return refused(status, retry_after);
    }
    let checked = if expect.json.is_some() || expect.text.is_some() {
        body.and_then(|body| check(&body, expect, secrets))
    } else {
        Ok(())
    };
    match checked {
        Ok(()) => StepResult::Done,
        Err(why) => StepResult::Failed(neutral(&secrets.hide(&format!("status {status}, {why}")))),
    }
}

/// A status that does not mean success. What a client did wrong it does wrong the next time, too.
fn refused(status: u16, retry_after: Option<Duration>) -> StepResult {
    let why = format!("status {status}");
    match (status, retry_after) {
        (429 | 503, Some(after)) => {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            StepResult::PutOff { why, after_ms }
        }
        (408 | 425 | 429, _) => StepResult::Failed(why),
        (300..400, _) => StepResult::Final(format!("{why}, a redirect is not followed")),
        (400..500, _) => StepResult::Final(why),
        (_, _) => StepResult::Failed(why),
    }
}

fn check(body: &[u8], expect: &HttpExpectation<String>, secrets: &Secrets) -> Result<(), String> {
    if let Some((pointer, expected)) = &expect.json {
        let expected: Value = expected.value();
        check_json(body, pointer, &expected, secrets)?;
    }
    match &expect.text {
        Some(test) => check_text(&String::from_utf8_lossy(body), test, secrets),
        None => Ok(()),
    }
}

/// What is kept of an answer, without secrets and harmless.
fn kept(answer: &Answer, secrets: &Secrets) -> String {
    let body = match &answer.body {
        Ok(body) => String::from_utf8_lossy(body).into_owned(),
        Err(why) => why.clone(),
    };
    let body = shortened(&neutral(&secrets.hide(&body)), MAX_KEPT);
    let line = if body.is_empty() { "" } else { "\n" };
    format!("status {}{line}{body}", answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_did_wrong_is_final_and_what_a_server_cannot_do_now_is_not() {
        let after = Some(Duration::from_secs(7));
        let put_off =
            |status| StepResult::PutOff { why: format!("status {status}"), after_ms: 7000 };
        assert_eq!(refused(429, after), put_off(429));
        assert_eq!(refused(503, after), put_off(503));
        assert_eq!(refused(500, after), StepResult::Failed("status 500".into()));
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert_eq!(refused(status, None), StepResult::Failed(format!("status {status}")));
        }
        for status in [400, 401, 403, 404, 409, 410, 422] {
            assert_eq!(refused(status, None), StepResult::Final(format!("status {status}")));
        }
        assert!(matches!(refused(302, None), StepResult::Final(why) if why.contains("redirect")));
    }

    #[test]
    fn only_a_request_that_was_certainly_not_received_has_failed_for_certain() {
        let lost = [RequestError::Late(Duration::ZERO), RequestError::Unanswered("x".into())];
        for error in &lost {
            assert_eq!(unanswered(error, "x", Rerun::Never), StepResult::Unknown);
        }
        assert_eq!(unanswered(&lost[0], "x", Rerun::Safe), StepResult::TimedOut);
        assert_eq!(unanswered(&lost[1], "x", Rerun::Safe), StepResult::Failed("x".into()));
        let not_sent = RequestError::NotSent("x".into());
        assert_eq!(unanswered(&not_sent, "x", Rerun::Never), StepResult::Failed("x".into()));
    }
}
