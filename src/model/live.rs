//! The live version: how it is read, and what was read. A reading that failed is unknown, never
//! one version or another.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::name::Version;
use super::selector::Selector;
use super::target::Secret;

/// `live` of `[deployment]`.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveSettings {
    /// What is read.
    pub source: LiveSource,
    /// How long one reading may take.
    pub timeout: Duration,
    /// The time between two readings while a change is looked for.
    pub interval: Duration,
    /// What is done where the live version cannot be read.
    pub unknown: LiveUnknown,
}

/// Where the live version is read.
#[derive(Clone, Debug, PartialEq)]
pub enum LiveSource {
    /// The last component of what a symbolic link leads to.
    Symlink(PathBuf),
    /// The first line of a file, or a place in its JSON document.
    File {
        /// The file.
        path: PathBuf,
        /// RFC 6901; `None`: the first line.
        pointer: Option<String>,
    },
    /// A label of a scraped series, as in `app_build_info{version="v2"} 1`.
    Metric {
        /// The series; those whose value is 0 do not count.
        of: Selector,
        /// The label that says it.
        label: String,
    },
    /// What an HTTP endpoint answers.
    Http(LiveHttp),
    /// The first line that a program prints. Never a shell.
    Run(Vec<String>),
}

/// A request for the live version.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveHttp {
    /// Where.
    pub url: String,
    /// How.
    pub method: LiveMethod,
    /// Headers, as a target has them.
    pub headers: Vec<(String, Secret)>,
    /// The body of a POST.
    pub json: Option<Value>,
    /// RFC 6901; `None`: the answer's first line is the version.
    pub pointer: Option<String>,
    /// How the version is written there.
    pub encoding: LiveEncoding,
}

/// A method that changes nothing where it is used as meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LiveMethod {
    /// `GET`
    #[default]
    Get,
    /// `POST`, for services that are asked so.
    Post,
}

/// How a version is written in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveEncoding {
    /// As it is.
    #[default]
    Plain,
    /// In base64, as etcd's gateway does.
    Base64,
}

/// What is done where a rollback is due and the live version cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LiveUnknown {
    /// Nothing, and people are told.
    #[default]
    Refuse,
    /// It is rolled back.
    Proceed,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Live {
    /// This version is live.
    Version(Version),
    /// Nobody knows, and why.
    Unknown(String),
}

impl Live {
    /// The longest reason why it is unknown, in bytes. It goes into the journal.
    pub const MAX_WHY: usize = 300;

    /// Unknown, for a reason that is cut where it is too long.
    pub fn unknown(why: &str) -> Self {
        let neutral = |c: char| if c.is_control() { ' ' } else { c };
        let mut text: String = why.chars().map(neutral).collect();
        if text.len() > Self::MAX_WHY {
            let end = (0..=Self::MAX_WHY).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or_default());
        }
        Self::Unknown(text)
    }

    /// The first line of a text, trimmed, if it is a version.
    pub fn of_text(text: &str) -> Self {
        let line = text.trim_start().lines().next().unwrap_or_default().trim();
        match Version::new(line) {
            Ok(version) => Self::Version(version),
            Err(_) if line.is_empty() => Self::unknown("nothing is written there"),
            Err(error) => Self::unknown(&error.to_string()),
        }
    }

    /// A string, or a whole number, at a place of a JSON document.
    pub fn of_json(document: &Value, pointer: &str) -> Self {
        match document.pointer(pointer) {
            Some(Value::String(text)) => Self::of_text(text),
            Some(Value::Number(number)) => Self::of_text(&number.to_string()),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                Self::unknown(&format!("at {pointer} stands no string"))
            }
            None => Self::unknown(&format!("nothing stands at {pointer}")),
        }
    }

    /// The version, where it is known.
    pub const fn version(&self) -> Option<&Version> {
        match self {
            Self::Version(version) => Some(version),
            Self::Unknown(_) => None,
        }
    }

    /// Whether it is this version, for certain.
    pub fn is(&self, version: &Version) -> bool {
        self.version() == Some(version)
    }
}

impl fmt::Display for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(f),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn version(text: &str) -> Live {
        Live::Version(Version::new(text).unwrap())
    }

    #[test]
    fn the_first_line_is_the_version_and_anything_else_is_unknown() {
        assert_eq!(Live::of_text("v2\n"), version("v2"));
        assert_eq!(Live::of_text("  v2  \nbuilt today\n"), version("v2"));
        for text in ["", "\n", "two words", "-rf", "v2;reboot", &"v".repeat(200)] {
            assert!(matches!(Live::of_text(text), Live::Unknown(_)), "{text:?}");
        }
    }

    #[test]
    fn a_document_says_it_where_the_pointer_leads() {
        let document = json!({ "app": { "version": "v2", "build": 7, "ok": true } });
        assert_eq!(Live::of_json(&document, "/app/version"), version("v2"));
        assert_eq!(Live::of_json(&document, "/app/build"), version("7"));
        for pointer in ["/app", "/app/ok", "/nothing", ""] {
            assert!(matches!(Live::of_json(&document, pointer), Live::Unknown(_)), "{pointer}");
        }
    }

    #[test]
    fn a_reason_is_bounded_and_of_one_line() {
        let Live::Unknown(why) = Live::unknown(&format!("a\nb\x1b{}", "ü".repeat(500))) else {
            panic!("it is unknown");
        };
        assert!(why.len() <= Live::MAX_WHY && !why.contains(char::is_control), "{why}");
    }
}
