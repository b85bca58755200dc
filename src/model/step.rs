//! What a step sends to other people's systems, and what they must answer. `T` is how texts are
//! held: a [`Template`](super::hook::Template) as configured, a `String` once it is filled in.
//! Secrets are held as where they come from; what they are is read when they are sent.

use std::path::PathBuf;

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::target::Secret;

/// A method of HTTP. None of them says that a request may be sent twice; only the step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// PUT
    Put,
    /// DELETE
    Delete,
    /// PATCH
    Patch,
    /// POST
    Post,
}

impl Method {
    /// Every method with its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("PUT", Self::Put),
        ("DELETE", Self::Delete),
        ("PATCH", Self::Patch),
        ("POST", Self::Post),
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
            Self::Post => "POST",
        }
    }
}

/// A text that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wording<T> {
    /// Anybody may see it.
    Open(T),
    /// Nobody may see it.
    Secret(SecretText),
}

/// A secret and what stands before it, as in `Bearer …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretText {
    /// What stands before it.
    pub prefix: String,
    /// Where it comes from.
    pub from: Secret,
}

/// A JSON document whose strings are texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<T> {
    /// A string.
    Text(T),
    /// Anything that holds no text: a number, a truth value.
    Exactly(Value),
    /// An array.
    List(Vec<Json<T>>),
    /// An object.
    Table(Vec<(String, Json<T>)>),
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body<T> {
    /// Nothing.
    Empty,
    /// A JSON document.
    Json(Json<T>),
    /// A text.
    Text(Wording<T>),
}

/// One HTTP request and what its answer must be.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall<T> {
    /// The method.
    pub method: Method,
    /// Where to; an open one was checked to be an `http` or `https` URL.
    pub url: Wording<T>,
    /// Headers by name.
    pub headers: Vec<(String, Wording<T>)>,
    /// The body.
    pub body: Body<T>,
    /// Its type, where there is a body.
    pub content_type: String,
    /// What must be answered.
    pub expect: HttpExpectation<T>,
}

/// What an HTTP request must be answered.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpExpectation<T> {
    /// The statuses that mean success; none: any from 200 to 299.
    pub statuses: Vec<u16>,
    /// An RFC 6901 pointer and what must stand there.
    pub json: Option<(String, Json<T>)>,
    /// What the body must say.
    pub text: Option<ReplyTest>,
}

impl<T> HttpExpectation<T> {
    /// Whether a status means success.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        match self.statuses.as_slice() {
            [] => (200..300).contains(&status),
            statuses => statuses.contains(&status),
        }
    }
}

/// What a reply must say, without the white space around it.
#[derive(Clone, Debug)]
pub enum ReplyTest {
    /// Exactly this.
    Exactly(String),
    /// This, somewhere.
    Contains(String),
    /// It begins with this.
    Prefix(String),
    /// This expression matches, somewhere.
    Matches(Regex),
}

impl ReplyTest {
    /// Whether the reply passes.
    #[must_use]
    pub fn accepts(&self, reply: &str) -> bool {
        let reply = reply.trim();
        match self {
            Self::Exactly(text) => reply == text,
            Self::Contains(text) => reply.contains(text),
            Self::Prefix(text) => reply.starts_with(text),
            Self::Matches(regex) => regex.is_match(reply),
        }
    }
}

impl std::fmt::Display for ReplyTest {
    /// As in "expected …".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(text) if text.is_empty() => f.write_str("nothing"),
            Self::Exactly(text) => write!(f, "{text:?}"),
            Self::Contains(text) => write!(f, "something with {text:?}"),
            Self::Prefix(text) => write!(f, "something that begins with {text:?}"),
            Self::Matches(regex) => write!(f, "something that matches {:?}", regex.as_str()),
        }
    }
}

impl PartialEq for ReplyTest {
    fn eq(&self, other: &Self) -> bool {
        // Each is shown in its own way, with the whole text.
        self.to_string() == other.to_string()
    }
}

/// Lines that are sent to a Unix socket, and what it must reply.
#[derive(Clone, Debug, PartialEq)]
pub struct UnixCall<T> {
    /// The socket, absolute.
    pub path: PathBuf,
    /// At least one line, without its line feed.
    pub send: Vec<T>,
    /// What each connection must reply.
    pub expect: ReplyTest,
    /// How the lines are spread over connections.
    pub connections: Connections,
}

/// How lines are spread over connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connections {
    /// Each line has its own: many sockets, such as that of HAProxy, close after one.
    Each,
    /// All lines go through one.
    One,
}

/// How a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// As a child of the guard.
    Child,
    /// As a transient unit of systemd, which outlives the guard.
    SystemdRun,
}

impl<T> Wording<T> {
    /// The same with its text made into another.
    pub fn map<U>(&self, text: &impl Fn(&T) -> U) -> Wording<U> {
        match self {
            Self::Open(open) => Wording::Open(text(open)),
            Self::Secret(secret) => Wording::Secret(secret.clone()),
        }
    }

    /// The text, where anybody may see it.
    #[must_use]
    pub const fn open(&self) -> Option<&T> {
        match self {
            Self::Open(open) => Some(open),
            Self::Secret(_) => None,
        }
    }
}

/// Headers with their texts made into others.
pub fn map_headers<T, U>(
    headers: &[(String, Wording<T>)],
    text: &impl Fn(&T) -> U,
) -> Vec<(String, Wording<U>)> {
    headers.iter().map(|(name, value)| (name.clone(), value.map(text))).collect()
}

impl<T> Json<T> {
    /// The same with its texts made into others.
    pub fn map<U>(&self, text: &impl Fn(&T) -> U) -> Json<U> {
        match self {
            Self::Text(own) => Json::Text(text(own)),
            Self::Exactly(value) => Json::Exactly(value.clone()),
            Self::List(list) => Json::List(list.iter().map(|item| item.map(text)).collect()),
            Self::Table(table) => {
                Json::Table(table.iter().map(|(key, item)| (key.clone(), item.map(text))).collect())
            }
        }
    }

    /// Shows every text.
    pub fn texts<'a>(&'a self, see: &mut impl FnMut(&'a T)) {
        match self {
            Self::Text(text) => see(text),
            Self::Exactly(_) => {}
            Self::List(list) => list.iter().for_each(|item| item.texts(see)),
            Self::Table(table) => table.iter().for_each(|(_, item)| item.texts(see)),
        }
    }
}

impl Json<String> {
    /// The document.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Exactly(value) => value.clone(),
            Self::List(list) => Value::Array(list.iter().map(Self::value).collect()),
            Self::Table(table) => {
                let entries = table.iter().map(|(key, item)| (key.clone(), item.value()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }
}

impl<T> HttpCall<T> {
    /// The same with its texts made into others.
    pub fn map<U>(&self, text: &impl Fn(&T) -> U) -> HttpCall<U> {
        let HttpExpectation { statuses, json, text: reply } = &self.expect;
        HttpCall {
            method: self.method,
            url: self.url.map(text),
            headers: map_headers(&self.headers, text),
            body: match &self.body {
                Body::Empty => Body::Empty,
                Body::Json(json) => Body::Json(json.map(text)),
                Body::Text(wording) => Body::Text(wording.map(text)),
            },
            content_type: self.content_type.clone(),
            expect: HttpExpectation {
                statuses: statuses.clone(),
                json: json.as_ref().map(|(pointer, json)| (pointer.clone(), json.map(text))),
                text: reply.clone(),
            },
        }
    }

    /// Shows every text.
    pub fn texts<'a>(&'a self, see: &mut impl FnMut(&'a T)) {
        self.url.open().into_iter().for_each(&mut *see);
        self.headers.iter().filter_map(|(_, value)| value.open()).for_each(&mut *see);
        match &self.body {
            Body::Empty => {}
            Body::Json(json) => json.texts(see),
            Body::Text(wording) => wording.open().into_iter().for_each(&mut *see),
        }
        if let Some((_, json)) = &self.expect.json {
            json.texts(see);
        }
    }
}

impl<T> UnixCall<T> {
    /// The same with its texts made into others.
    pub fn map<U>(&self, text: &impl Fn(&T) -> U) -> UnixCall<U> {
        UnixCall {
            path: self.path.clone(),
            send: self.send.iter().map(text).collect(),
            expect: self.expect.clone(),
            connections: self.connections,
        }
    }
}
