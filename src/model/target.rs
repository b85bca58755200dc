//! Targets: what is sampled, how often and within which limits.

use std::path::PathBuf;
use std::time::Duration;

use super::name::TargetName;

/// A metrics page that is scraped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name; matchable as the label `target`.
    pub name: TargetName,
    /// Where the page is.
    pub url: ScrapeUrl,
    /// The time between two scrapes, 100 ms to 5 min.
    pub interval: Duration,
    /// The time between two scrapes while something that the target feeds is about to be decided,
    /// 100 ms to less than the interval; `None`: the interval. The timeout stays what it is: a
    /// page that takes longer than this is still worth having.
    pub sharpen: Option<Duration>,
    /// How long one scrape may take, from connecting to the last byte; at most the interval.
    pub timeout: Duration,
    /// Labels that every series of the page gets; they win over the page's own.
    pub labels: Vec<(String, String)>,
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

/// How a page is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// With TLS.
    Https,
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
    #[must_use]
    pub fn stale(&self) -> Duration {
        self.interval * 3 + self.timeout
    }

    /// The value that a label has on every series of this target, where the target gives it one.
    #[must_use]
    pub fn own_label(&self, name: &str) -> Option<&str> {
        if name == "target" {
            return Some(self.name.as_str());
        }
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl std::fmt::Display for ScrapeUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}{}", self.host, self.port, self.path)
        } else {
            write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
        }
    }
}
