//! Names as newtypes: each can only hold a text that is safe to show, to write into a file and to
//! pass to a hook. None but a version is ever taken from something sampled, and no version leads
//! out of the directory that an operator puts it behind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of anything. Labels, lines and file names stay readable below it.
pub const MAX_NAME: usize = 128;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: use {rule}")]
pub struct NameError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Box<str>);

        impl $type {
            #[doc = concat!("Checks a text: `", $rule, "`.")]
            ///
            /// # Errors
            /// Says which characters are allowed.
            pub fn new(text: &str) -> Result<Self, NameError> {
                let valid: fn(&str) -> bool = $valid;
                if !text.is_empty() && text.len() <= MAX_NAME && valid(text) {
                    Ok(Self(text.into()))
                } else {
                    let text = text.chars().take(MAX_NAME).collect();
                    Err(NameError { text, what: $what, rule: $rule })
                }
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }
    };
}

name!(
    /// What is sampled: `[target.NAME]`.
    TargetName, "target name", "letters, digits, `_` and `-`, starting with a letter", is_key
);
name!(
    /// A named number: `[signal.NAME]`.
    SignalName, "signal name", "[a-z_][a-z0-9_]*", |t| {
        let t = DERIVED.into_iter().find_map(|end| t.strip_suffix(end)).unwrap_or(t);
        !t.is_empty()
            && !t.starts_with(|c: char| c.is_ascii_digit())
            && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }
);

/// What follows a signal's name in the names of the signals that are derived from it.
const DERIVED: [&str; 2] = [".baseline", ".before"];

impl SignalName {
    /// The name of the signal's baseline.
    #[must_use]
    pub fn baseline(&self) -> Self {
        Self(format!("{}.baseline", self.0).into())
    }

    /// The name of the signal's reading one window ago.
    #[must_use]
    pub fn before(&self) -> Self {
        Self(format!("{}.before", self.0).into())
    }

    /// Whether it names a baseline or an earlier reading of another signal.
    pub fn is_derived(&self) -> bool {
        self.0.contains('.')
    }
}
name!(
    /// A stage of a deployment: `canary`, `50-percent`.
    StageName, "stage name", "letters, digits, `_` and `-`, starting with a letter or digit", |t| {
        t.starts_with(|c: char| c.is_ascii_alphanumeric())
            && t.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    }
);
name!(
    /// A rule: `[rule.NAME]`.
    RuleName, "rule name", "[a-z0-9-]+", |t| {
        t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);
name!(
    /// A hook: `[hook.NAME]`.
    HookName, "hook name", "letters, digits, `_` and `-`, starting with a letter", is_key
);
name!(
    /// A channel: `[notify.NAME]`.
    ChannelName, "channel name", "letters, digits, `_` and `-`, starting with a letter", is_key
);
name!(
    /// The guarded service.
    ServiceName, "service name", "letters, digits, `.`, `_` and `-`", is_token
);
name!(
    /// A deployment. It becomes part of file names and of the key that hooks are given.
    DeploymentId, "deployment id", "letters, digits, `.`, `_`, `+` and `-`, not starting with `.`",
    |t| !t.starts_with('.') && t.bytes().all(|b| is_token_byte(b) || b == b'+')
);
name!(
    /// A version of the service: a tag, a revision, an image digest.
    Version, "version",
    "letters, digits and `.` `_` `-` `+` `:` `/` `@` `=`, no `-` or `/` first, no `..`",
    |t| {
        !t.starts_with(['-', '/'])
            && !t.split('/').any(|part| part == "..")
            && t.bytes().all(|b| is_token_byte(b) || b"+:/@=".contains(&b))
    }
);

fn is_key(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

fn is_token(text: &str) -> bool {
    text.bytes().all(is_token_byte)
}

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_only_what_is_safe_to_pass_on() {
        assert!(RuleName::new("p95-slow").is_ok());
        assert!(RuleName::new("p95_slow").is_err());
        assert!(SignalName::new("error_rate").is_ok());
        assert!(SignalName::new("5xx").is_err());
        assert!(DeploymentId::new("v2-20261121T070000Z").is_ok());
        assert!(DeploymentId::new("../../etc").is_err());
        assert!(DeploymentId::new(".hidden").is_err());
        assert!(Version::new("repo/app@sha256:0a1b").is_ok());
        assert!(Version::new("-rf").is_err());
        assert!(Version::new("1..2").is_ok());
        for path in ["/etc/passwd", "..", "../v1", "a/../../v1", "a/.."] {
            assert!(Version::new(path).is_err(), "{path}");
        }
        assert!(Version::new("v2; rm").is_err());
        assert!(Version::new("").is_err());
        assert!(Version::new(&"v".repeat(MAX_NAME + 1)).is_err());
    }
}
