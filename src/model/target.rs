//! Targets: what is sampled, how often and within which limits.

use std::path::PathBuf;
use std::time::Duration;

use super::name::TargetName;

/// Something that is sampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name; matchable as the label `target`.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// The time between two scrapes, 100 ms to 5 min.
    pub interval: Duration,
    /// The time between two scrapes while something that the target feeds is about to be decided,
    /// 100 ms to less than the interval; `None`: the interval. The timeout stays what it is: a
    /// sample that takes longer than this is still worth having.
    pub sharpen: Option<Duration>,
    /// How long one scrape may take, from connecting to the last byte; at most the interval.
    pub timeout: Duration,
    /// Labels that every series gets; they win over its own.
    pub labels: Vec<(String, String)>,
}

/// What is sampled, with what only this kind of target has. A kind is added here, in
/// `config/tables/target.rs` and in `source/kind.rs` with a file of its own; nothing else knows
/// kinds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A metrics page over HTTP.
    Page(HttpPage),
}

/// A metrics page over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPage {
    /// Where the page is.
    pub url: ScrapeUrl,
    /// Headers of the request.
    pub headers: Vec<(String, Secret)>,
    /// Authorities that sign for an https page; `None`: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The largest page in bytes, after decompression.
    pub max_body: u64,
    /// Whether native histograms may be asked for.
    pub native_histograms: NativeHistograms,
}

/// Whether a target is asked for the one format that has native histograms, protobuf, where a
/// signal could use them. A target that has no such format answers as it always did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum NativeHistograms {
    /// It is.
    #[default]
    Ask,
    /// It is not: what the signals read is what the operator sees with curl.
    Never,
}

/// Where a page is, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScrapeUrl {
    /// `https` rather than `http`.
    pub scheme: Scheme,
    /// Host name or address; an IPv6 address without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, starting with `/`.
    pub path: String,
}

words! {
    /// How a page is reached.
    pub enum Scheme {
        /// In the clear.
        Http = "http",
        /// With TLS.
        Https = "https",
    }
}

/// A value that may be secret and therefore may come from elsewhere. `Debug` and every message
/// show where it comes from, never what it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Written in the configuration.
    Literal(String),
    /// The content of a file, less the newline at its end; read again for every use.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("Literal(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
        }
    }
}

impl Target {
    /// How old a sample of this target may be and still count, unless a signal says otherwise:
    /// three intervals and the timeout, so that one or two missed scrapes change nothing.
    pub fn stale(&self) -> Duration {
        self.interval * 3 + self.timeout
    }

    /// The value that a label has on every series of this target, where the target gives it one.
    pub fn own_label(&self, name: &str) -> Option<&str> {
        if name == "target" {
            return Some(self.name.as_str());
        }
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl HttpPage {
    /// The largest page that may be allowed, and the default: ten times the largest page of a sane
    /// service, and what can be read within one interval.
    pub const MAX_BODY: u64 = 64 << 20;

    /// The page at this URL, everything else as it is by default.
    pub const fn new(url: ScrapeUrl) -> Self {
        Self {
            url,
            headers: Vec::new(),
            ca_file: None,
            max_body: Self::MAX_BODY,
            native_histograms: NativeHistograms::Ask,
        }
    }
}

impl TargetKind {
    /// The headers that are sent, which may hold secrets.
    pub fn headers(&self) -> &[(String, Secret)] {
        let Self::Page(page) = self;
        &page.headers
    }

    /// The host that it is on.
    pub fn host(&self) -> &str {
        let Self::Page(page) = self;
        &page.url.host
    }

    /// Whether its server is verified by authorities that the configuration names.
    pub const fn names_authorities(&self) -> bool {
        let Self::Page(page) = self;
        page.ca_file.is_some()
    }
}

impl std::fmt::Display for TargetKind {
    /// Where it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Page(page) = self;
        page.url.fmt(f)
    }
}

impl std::fmt::Display for ScrapeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scheme, host, port, path } = self;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{scheme}://{open}{host}{close}:{port}{path}")
    }
}
