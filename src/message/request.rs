//! What the kinds of channels have in common: the alert, what it means for the alert that is open
//! under the same dedup key, who sends it, and a request as a value. A request names its secrets
//! and never holds one.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::step::Method;
use crate::model::target::Secret;

/// Hexadecimal digits of a hash that keep two long keys apart.
const DIGITS: usize = 16;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The host's name.
    pub host: String,
    /// rollguard's version.
    pub rollguard: String,
}

impl Sender {
    /// The sender, as people read it.
    pub(super) fn name(&self) -> String {
        format!("rollguard on {}", self.host)
    }
}

/// What a channel has to do with an alert that it wants, or with one that it has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventAction {
    /// It tells of an event that changes nothing about an open alert.
    Inform,
    /// It opens an alert, or updates the one that is open.
    Trigger,
    /// It closes the alert that is open on it.
    Resolve,
    /// It tells of an end, although nothing is open on it, or another alert still is.
    InformOfEnd,
}

/// What a channel composes its requests from.
pub(super) struct Context<'a> {
    pub(super) telling: &'a Telling,
    pub(super) news: &'a News,
    pub(super) action: EventAction,
    /// The identifier that the other system gave to the open alert.
    pub(super) reference: Option<&'a str>,
    pub(super) sender: &'a Sender,
}

/// One request to one system.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiRequest {
    /// How.
    pub method: Method,
    /// Where to.
    pub address: Address,
    /// Headers beside `Content-Type`.
    pub headers: Vec<Header>,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Value,
    /// A field of the body that holds a secret, and which.
    pub secret_field: Option<(&'static str, Secret)>,
}

/// Where a request goes: a base from the configuration, and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The base, which may itself be secret.
    pub base: Secret,
    /// What follows; empty, or starts with `/`.
    pub rest: String,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// What stands before the secret, as `Bearer `.
    pub prefix: &'static str,
    /// Its value.
    pub value: Secret,
}

/// Whether a request that may have arrived may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// The other system takes the second for the first.
    Harmless,
    /// Everybody would see it twice, so it is made again only if it certainly did not arrive.
    Seen,
}

/// A request, and what its sender has to know about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// The request.
    pub request: ApiRequest,
    /// Whether it may be made again.
    pub repeat: Repeat,
    /// What it changes once the other system has accepted it.
    pub then: OnAccepted,
}

/// What a request changes, once the other system has accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnAccepted {
    /// Nothing.
    Nothing,
    /// An alert is open there.
    Opened,
    /// The alert is not open any more.
    Closed,
}

/// A base from the configuration, to which a path that starts with `/` is appended.
pub(super) fn base(url: &str) -> Secret {
    Secret::Literal(url.trim_end_matches('/').to_owned())
}

impl ApiRequest {
    /// A POST of a JSON document.
    pub(super) fn post(base: Secret, rest: impl Into<String>, body: Value) -> Self {
        Self {
            method: Method::Post,
            address: Address { base, rest: rest.into() },
            headers: Vec::new(),
            content_type: "application/json",
            body,
            secret_field: None,
        }
    }

    pub(super) fn patch(base: Secret, rest: impl Into<String>, body: Value) -> Self {
        Self { method: Method::Patch, ..Self::post(base, rest, body) }
    }

    pub(super) fn with_header(mut self, name: &str, prefix: &'static str, value: &Secret) -> Self {
        self.headers.push(Header { name: name.to_owned(), prefix, value: value.clone() });
        self
    }

    pub(super) fn with_headers(self, headers: &[(String, Secret)]) -> Self {
        headers.iter().fold(self, |request, (name, value)| request.with_header(name, "", value))
    }

    pub(super) fn authorized(self, prefix: &'static str, value: &Secret) -> Self {
        self.with_header("Authorization", prefix, value)
    }

    pub(super) const fn sent(self, repeat: Repeat, then: OnAccepted) -> Outgoing {
        Outgoing { request: self, repeat, then }
    }
}

/// The key, or where it is too long its beginning and a hash of the whole: no two keys become one.
pub(super) fn bounded(key: &str, most: usize) -> String {
    if key.len() <= most {
        return key.to_owned();
    }
    let hash = Sha256::digest(key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut ends = (0..=most.saturating_sub(DIGITS + 1)).rev();
    let end = ends.find(|end| key.is_char_boundary(*end)).unwrap_or(0);
    format!("{}-{}", &key[..end], &hash[..DIGITS])
}

/// A text as a segment of a URL's path.
pub(super) fn segment(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_too_long_stays_apart_from_its_neighbours() {
        assert_eq!(bounded("guard/api/d1", 255), "guard/api/d1");
        let (one, two) = ("x".repeat(260) + "1", "x".repeat(260) + "2");
        assert_eq!(bounded(&one, 255).len(), 255);
        assert_ne!(bounded(&one, 255), bounded(&two, 255));
        assert!(bounded(&"é".repeat(200), 255).len() <= 255);
    }

    #[test]
    fn a_segment_holds_no_slash() {
        assert_eq!(segment("guard/api/v1+2"), "guard%2Fapi%2Fv1%2B2");
    }
}
