//! Asks an HTTP endpoint until it answers as expected. It must never follow a redirect or use a
//! proxy (the answer would be somebody else's), and never read more of a body than it is willing
//! to keep.
//!
//! A probe changes nothing, so it has no marker. It counts as one attempt however often it asks.

#![expect(clippy::disallowed_methods, reason = "the owner of the schedule of requests")]

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, Response, Url, redirect};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::output::neutral;
use crate::model::entry::StepResult;
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
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'a> {
    pub(super) url: &'a str,
    pub(super) status: Option<u16>,
    pub(super) json: Option<(&'a str, &'a Value)>,
    /// No request begins later than this.
    pub(super) within: Duration,
    /// How long one request may take, with its answer.
    pub(super) timeout: Duration,
}

/// The HTTP clients, each built when it is first needed: reading the system's certificates takes
/// time, and a system that has none can still be asked without TLS.
#[derive(Debug, Default)]
pub(super) struct Prober {
    plain: OnceCell<Client>,
    tls: OnceCell<Client>,
}

impl Prober {
    pub(super) async fn ask(&self, probe: Probe<'_>) -> (StepResult, String) {
        let begun = Instant::now();
        let (url, client) = match self.prepare(probe.url).await {
            Ok(ready) => ready,
            Err(why) => return (StepResult::Failed(why), String::new()),
        };
        let mut pause = FIRST_PAUSE;
        let mut asked = 0_u32;
        loop {
            asked += 1;
            let missed = match timeout(probe.timeout, request(client, &url, probe)).await {
                Ok(Ok(())) => return (StepResult::Done, report(asked, begun)),
                Ok(Err(why)) => why,
                Err(_) => format!("no answer within {}", format_duration(probe.timeout)),
            };
            let left = probe.within.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return (StepResult::Failed(missed), report(asked, begun));
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn prepare(&self, url: &str) -> Result<(Url, &Client), String> {
        let url = Url::parse(url).map_err(|error| format!("`{url}` is not a URL: {error}"))?;
        let client = match url.scheme() {
            "http" => self.plain.get_or_try_init(|| async { client(RootCertStore::empty()) }).await,
            "https" => self.tls.get_or_try_init(|| async { client(system_roots().await?) }).await,
            other => Err(format!("cannot ask `{other}` URLs, only http and https")),
        };
        client.map(|client| (url, client))
    }
}

fn report(asked: u32, begun: Instant) -> String {
    let times = if asked == 1 { "once".to_owned() } else { format!("{asked} times") };
    format!("asked {times} in {}", format_duration(begun.elapsed()))
}

/// The TLS configuration is given even where none is needed: left to itself the client wants a
/// process-wide crypto provider and the system's certificates, and panics or fails without.
fn client(roots: RootCertStore) -> Result<Client, String> {
    let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("could not set up TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(redirect::Policy::none())
        // Each request connects anew: that a new client can connect is part of being healthy.
        .pool_max_idle_per_host(0)
        .user_agent(concat!("rollguard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("could not set up HTTP: {}", root_cause(&error)))
}

async fn system_roots() -> Result<RootCertStore, String> {
    let load = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = load.await.map_err(|error| format!("could not read certificates: {error}"))?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err("no certificate authorities on this host, install ca-certificates or set \
                    SSL_CERT_FILE"
            .to_owned());
    }
    Ok(roots)
}

/// Asks once; the error says what came instead of what is expected.
async fn request(client: &Client, url: &Url, probe: Probe<'_>) -> Result<(), String> {
    let sent = client.get(url.clone()).send().await;
    let response = sent.map_err(|error| format!("no answer: {}", root_cause(&error)))?;
    let status = response.status();
    let is_expected = probe.status.map_or(status.is_success(), |code| status.as_u16() == code);
    if !is_expected {
        return Err(format!("last answer: status {}", status.as_u16()));
    }
    let Some((pointer, expected)) = probe.json else { return Ok(()) };
    let body = body(response).await.map_err(|why| format!("last answer: {why}"))?;
    compare(&body, pointer, expected).map_err(|why| format!("last answer: {why}"))
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let broken = |error| format!("the body broke off: {}", root_cause(&error));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(format!("the body is longer than {MAX_BODY} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn compare(body: &[u8], pointer: &str, expected: &Value) -> Result<(), String> {
    let document: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    match document.pointer(pointer) {
        Some(found) if same(found, expected) => Ok(()),
        Some(found) => Err(format!("{pointer} is {}, expected {}", shown(found), shown(expected))),
        None => Err(format!("{pointer} is missing, expected {}", shown(expected))),
    }
}

/// Equal as JSON means it, which has one kind of number: `1` is `1.0`.
fn same(found: &Value, expected: &Value) -> bool {
    found == expected
        || found.as_f64().zip(expected.as_f64()).is_some_and(|(found, expected)| found == expected)
}

fn shown(value: &Value) -> String {
    let text = neutral(&value.to_string());
    if text.chars().count() <= MAX_SHOWN {
        return text;
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}

/// What is at the bottom of it; the layers above only say that a request failed.
fn root_cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| neutral(&error.to_string()), root_cause)
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
            assert_eq!(compare(body, pointer, &expected).err().as_deref(), why);
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
        let text = shown(&value);
        assert_eq!(text.chars().count(), MAX_SHOWN + 1);
        assert!(!text.contains(['\u{1b}', '\u{202E}']), "{text}");
    }

    #[test]
    fn a_body_that_is_not_json_says_so() {
        let why = compare(b"<html>", "/status", &json!("ok")).unwrap_err();
        assert!(why.starts_with("the body is not JSON"), "{why}");
    }
}
