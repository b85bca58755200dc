//! The kinds of steps: what each one does, where it goes, and what must be answered. `T` is how
//! texts are held: a [`Template`](super::hook::Template) as configured, a `String` once it is
//! filled in. Secrets are held as where they come from; what they are is read when they are sent.

use std::path::PathBuf;
use std::time::Duration;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::target::Secret;
use super::time::format_duration;

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<T> {
    /// Runs a program. Never a shell: arguments reach it as they are.
    Run {
        /// The program and its arguments; the program holds no placeholder.
        argv: Vec<T>,
        /// After the time-out: how long between TERM and KILL.
        grace: Duration,
        /// The exit statuses that mean success, at least one.
        ok_exit: Vec<u8>,
        /// How it is started.
        via: Via,
    },
    /// Asks an HTTP endpoint until it answers as expected.
    Probe {
        /// The URL.
        url: T,
        /// Headers by name.
        headers: Vec<(String, Wording<T>)>,
        /// The expected status; `None`: any from 200 to 299.
        status: Option<u16>,
        /// An RFC 6901 pointer and what must stand there. Only a string is filled in, not those
        /// within an array or a table.
        json: Option<(String, Json<T>)>,
        /// For how long it is asked again while the answer is not the expected one.
        within: Duration,
    },
    /// Connects to a TCP port until that succeeds.
    Tcp {
        /// `host:port`
        address: T,
        /// For how long it is tried.
        within: Duration,
    },
    /// Sends an HTTP request, once.
    Http(Box<HttpCall<T>>),
    /// Sends lines to a Unix socket, once.
    Unix(Box<UnixCall<T>>),
    /// Waits.
    Sleep(Duration),
}

words! {
    /// A method of HTTP. None of them says that a request may be sent twice; only the step does.
    pub enum Method {
        /// GET
        #[serde(rename = "GET")]
        Get = "GET",
        /// HEAD
        #[serde(rename = "HEAD")]
        Head = "HEAD",
        /// PUT
        #[serde(rename = "PUT")]
        Put = "PUT",
        /// DELETE
        #[serde(rename = "DELETE")]
        Delete = "DELETE",
        /// PATCH
        #[serde(rename = "PATCH")]
        Patch = "PATCH",
        /// POST
        #[serde(rename = "POST")]
        Post = "POST",
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
    /// A value of which nothing is filled in.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connections {
    /// Each line has its own: many sockets, such as that of HAProxy, close after one.
    Each,
    /// All lines go through one.
    One,
}

/// How a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// As a child of the guard.
    Child,
    /// As a transient unit of systemd, which outlives the guard.
    SystemdRun,
}

impl<T> Action<T> {
    /// The same with its texts made into others.
    pub fn map<'a, U>(&'a self, text: &impl Fn(&'a T) -> U) -> Action<U> {
        match self {
            Self::Run { argv, grace, ok_exit, via } => Action::Run {
                argv: argv.iter().map(text).collect(),
                grace: *grace,
                ok_exit: ok_exit.clone(),
                via: *via,
            },
            Self::Probe { url, headers, status, json, within } => Action::Probe {
                url: text(url),
                headers: map_headers(headers, text),
                status: *status,
                json: json.as_ref().map(|(pointer, json)| (pointer.clone(), json.map(text))),
                within: *within,
            },
            Self::Tcp { address, within } => {
                Action::Tcp { address: text(address), within: *within }
            }
            Self::Http(call) => Action::Http(Box::new(call.map(text))),
            Self::Unix(call) => Action::Unix(Box::new(UnixCall {
                path: call.path.clone(),
                send: call.send.iter().map(text).collect(),
                expect: call.expect.clone(),
                connections: call.connections,
            })),
            Self::Sleep(pause) => Action::Sleep(*pause),
        }
    }

    /// Every secret with where it stands.
    pub fn secrets(&self) -> Vec<(String, &Secret)> {
        let (mut all, headers) = match self {
            Self::Probe { headers, .. } => (Vec::new(), headers),
            Self::Http(call) => (vec![("URL".to_owned(), &call.url)], &call.headers),
            Self::Run { .. } | Self::Tcp { .. } | Self::Unix(_) | Self::Sleep(_) => {
                return Vec::new();
            }
        };
        all.extend(headers.iter().map(|(name, text)| (format!("header {name}"), text)));
        if let Self::Http(call) = self
            && let Body::Text(text) = &call.body
        {
            all.push(("body".to_owned(), text));
        }
        let secret = |(part, text)| match text {
            &Wording::Open(_) => None,
            Wording::Secret(secret) => Some((part, &secret.from)),
        };
        all.into_iter().filter_map(secret).collect()
    }

    /// Whether doing it twice, or once more than anybody knows of, changes nothing.
    pub const fn is_harmless(&self) -> bool {
        match self {
            Self::Probe { .. } | Self::Tcp { .. } | Self::Sleep(_) => true,
            Self::Run { .. } | Self::Http(_) | Self::Unix(_) => false,
        }
    }

    /// How long the end of an attempt may take once it is asked for.
    pub const fn grace(&self) -> Duration {
        if let Self::Run { grace, .. } = self { *grace } else { Duration::ZERO }
    }

    /// How long it may take at most, with this limit for an attempt.
    pub fn longest(&self, timeout: Duration) -> Duration {
        match self {
            Self::Run { grace, .. } => timeout + *grace,
            Self::Probe { within, .. } | Self::Tcp { within, .. } => *within + timeout,
            Self::Http(_) | Self::Unix(_) => timeout,
            Self::Sleep(pause) => *pause,
        }
    }

    /// From now on it is not tried again later than `left` after its beginning.
    pub fn limit(&mut self, left: Duration) {
        if let Self::Probe { within, .. } | Self::Tcp { within, .. } = self {
            *within = (*within).min(left);
        }
    }
}

impl Action<String> {
    /// What it does, in a line for people and the journal. It holds no secret, nor the query of a
    /// URL, which is often nobody's business.
    pub fn describe(&self) -> String {
        match self {
            Self::Run { argv, via: Via::Child, .. } => argv.join(" "),
            Self::Run { argv, via: Via::SystemdRun, .. } => {
                format!("{} (in a unit of its own)", argv.join(" "))
            }
            Self::Probe { url, within, .. } => {
                format!("probe {url} within {}", format_duration(*within))
            }
            Self::Tcp { address, within } => {
                format!("connect to {address} within {}", format_duration(*within))
            }
            Self::Http(call) => {
                let url = call
                    .url
                    .open()
                    .map_or("a secret URL", |url| url.split('?').next().unwrap_or_default());
                format!("{} {url}", call.method.word())
            }
            Self::Unix(call) => {
                format!("send to {}: {}", call.path.display(), call.send.join("; "))
            }
            Self::Sleep(pause) => format!("sleep {}", format_duration(*pause)),
        }
    }
}

impl<T> Wording<T> {
    /// The same with its text made into another.
    pub fn map<'a, U>(&'a self, text: &impl Fn(&'a T) -> U) -> Wording<U> {
        match self {
            Self::Open(open) => Wording::Open(text(open)),
            Self::Secret(secret) => Wording::Secret(secret.clone()),
        }
    }

    /// The text, where anybody may see it.
    pub const fn open(&self) -> Option<&T> {
        match self {
            Self::Open(open) => Some(open),
            Self::Secret(_) => None,
        }
    }
}

/// Headers with their texts made into others.
fn map_headers<'a, T, U>(
    headers: &'a [(String, Wording<T>)],
    text: &impl Fn(&'a T) -> U,
) -> Vec<(String, Wording<U>)> {
    headers.iter().map(|(name, value)| (name.clone(), value.map(text))).collect()
}

impl<T> Json<T> {
    /// The same with its texts made into others.
    pub fn map<'a, U>(&'a self, text: &impl Fn(&'a T) -> U) -> Json<U> {
        match self {
            Self::Text(own) => Json::Text(text(own)),
            Self::Exactly(value) => Json::Exactly(value.clone()),
            Self::List(list) => Json::List(list.iter().map(|item| item.map(text)).collect()),
            Self::Table(table) => {
                Json::Table(table.iter().map(|(key, item)| (key.clone(), item.map(text))).collect())
            }
        }
    }
}

impl Json<String> {
    /// The document.
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
    fn map<'a, U>(&'a self, text: &impl Fn(&'a T) -> U) -> HttpCall<U> {
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
}
