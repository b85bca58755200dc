//! One request to one system: secrets are put in, it is sent, and the answer is judged. A secret is
//! read for every use, goes nowhere but into the request, and is taken out of whatever comes back.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};

use crate::message::{ApiRequest, Fate, Header, Repeat, fate};
use crate::model::target::Secret;
use crate::net::client::{self, Answer, Client};
use crate::net::credential::{aside, header, value};
use crate::net::redact::Secrets;
use crate::render::plain;

/// How long one request may take. These systems answer within a second or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The most of an answer that is read, in bytes: an identifier, or what was wrong.
const MAX_BODY: usize = 64 * 1024;

/// How much of what a system says is shown, in characters: a line or two.
const MAX_SHOWN: usize = 200;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was taken; the body of the answer.
    Taken(Vec<u8>),
    /// It may be tried again, not before this long where that is known.
    Again(Option<Duration>, String),
    /// It failed for good.
    Failed(String),
}

/// Sends a request once.
pub(super) async fn send(client: &Client, request: &ApiRequest, repeat: Repeat) -> Sent {
    let request = request.clone();
    // Files are read away from the one thread.
    let (filled, secrets) = match aside(move || fill(request)).await {
        Ok(filled) => filled,
        // A credential that is being replaced is there again in a moment.
        Err(why) => return Sent::Again(None, why),
    };
    match client.send(filled).await {
        Ok(answer) => judge(answer, &secrets),
        Err(error) if error.may_be_received() && repeat == Repeat::Seen => {
            Sent::Failed(format!("{}, it may have arrived", secrets.hide(&error.to_string())))
        }
        Err(error) => Sent::Again(None, secrets.hide(&error.to_string())),
    }
}

fn judge(answer: Answer, secrets: &Secrets) -> Sent {
    let said = answer.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let shown: String = plain(&secrets.hide(&said)).chars().take(MAX_SHOWN).collect();
    let why = match shown.trim() {
        "" => format!("status {}", answer.status),
        said => format!("status {}: {said}", answer.status),
    };
    match fate(answer.status, answer.retry_after) {
        Fate::Taken => Sent::Taken(answer.body.unwrap_or_default()),
        Fate::Again(after) => Sent::Again(after, why),
        Fate::Refused => Sent::Failed(why),
    }
}

/// The request with its secrets, and these.
fn fill(request: ApiRequest) -> Result<(client::Request, Secrets), String> {
    let mut secrets = Secrets::default();
    let mut read = |what: &Secret, name: &str| -> Result<String, String> {
        let value = value(what).map_err(|why| format!("no {name}: {why}"))?;
        if !matches!(what, Secret::Literal(_)) {
            secrets.add(&value);
        }
        Ok(value)
    };
    let base = read(&request.address.base, "URL")?;
    let is_open = matches!(request.address.base, Secret::Literal(_));
    let url = format!("{}{}", base.trim(), request.address.rest);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(request.content_type));
    for Header { name, prefix, value } in &request.headers {
        let text = read(value, name).map(|value| format!("{prefix}{value}"));
        let (name, value) = header(name, text)?;
        headers.insert(name, value);
    }
    let mut body = request.body;
    if let (Some((field, value)), Some(body)) = (&request.secret_field, body.as_object_mut()) {
        body.insert((*field).to_owned(), read(value, field)?.into());
    }
    if !is_open {
        secrets.add_url(&base);
    }
    let body = serde_json::to_vec(&body).map_err(|error| format!("no body: {error}"))?;
    let method = Method::try_from(request.method.word()).expect("the name of a method");
    let (timeout, max_body) = (TIMEOUT, MAX_BODY);
    let filled = client::Request { method, url, headers, body: Some(body), timeout, max_body };
    Ok((filled, secrets))
}
