//! A request as a value. It names its secrets and never holds one.

use serde_json::Value;

use crate::model::target::Secret;

/// One request to one system.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiRequest {
    /// How.
    pub method: RequestMethod,
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

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestMethod {
    /// To make or to say something.
    Post,
    /// To change what was made.
    Patch,
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
            method: RequestMethod::Post,
            address: Address { base, rest: rest.into() },
            headers: Vec::new(),
            content_type: "application/json",
            body,
            secret_field: None,
        }
    }

    pub(super) fn patch(base: Secret, rest: impl Into<String>, body: Value) -> Self {
        Self { method: RequestMethod::Patch, ..Self::post(base, rest, body) }
    }

    pub(super) fn with_headers(mut self, headers: &[(String, Secret)]) -> Self {
        self.headers.extend(headers.iter().map(|(name, value)| Header {
            name: name.clone(),
            prefix: "",
            value: value.clone(),
        }));
        self
    }

    pub(super) fn authorized(mut self, prefix: &'static str, value: &Secret) -> Self {
        let name = "Authorization".to_owned();
        self.headers.push(Header { name, prefix, value: value.clone() });
        self
    }

    pub(super) const fn sent(self, repeat: Repeat, then: OnAccepted) -> Outgoing {
        Outgoing { request: self, repeat, then }
    }
}
