//! Makes what other programs say fit to be shown: a server may send back what it was sent, and a
//! program may print what it was given. No part of a secret may be left, be it a cut one, and
//! nothing that can drive a terminal.

#![expect(clippy::disallowed_methods, reason = "hides what is in the environment and is secret")]

use std::ffi::OsStr;
use std::path::PathBuf;

use reqwest::Url;

use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{SecretText, Wording};
use crate::model::target::Secret;

use super::credential::value;

/// What stands where a secret stood.
const HIDDEN: &str = "[secret]";

/// The shortest part of a secret URL that is hidden on its own. Shorter parts are words like `v1`.
const MIN_PART: usize = 8;

/// The shortest line of a longer secret that is hidden on its own. Shorter ones are its syntax.
const MIN_LINE: usize = 16;

/// The least of a secret that is hidden where the rest was cut off, in bytes. Less than that is
/// found by chance, and tells nothing.
const MIN_CUT: usize = 4;

/// The shortest value of a variable that is hidden for its name. Shorter ones are switches.
const MIN_VALUE: usize = 8;

/// How a variable's name ends whose value is a secret by custom.
const SECRET_NAMES: [&str; 8] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "_KEY", "_PASS"];

/// The directory of the credentials that systemd gives to a unit; see systemd.exec(5).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

/// The most credentials that are read. Nobody gives a guard more.
const MAX_CREDENTIALS: usize = 64;

/// Secrets that are known, in every form in which they may come back.
#[derive(Clone, Default)]
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Those that a configuration names, and those that the guard's environment holds: what a
    /// program that is a child of the guard can print. May block.
    ///
    /// What cannot be read now is left out: a program could not have read it either.
    pub(crate) fn known(kept: &[RegisteredSecret]) -> Self {
        let mut secrets = Self::default();
        for kept in kept {
            match kept {
                RegisteredSecret::Text(from) => {
                    value(from).iter().for_each(|text| secrets.add(text))
                }
                RegisteredSecret::Url(from) => {
                    value(from).iter().for_each(|url| secrets.add_url(url))
                }
            }
        }
        for (name, value) in std::env::vars_os() {
            let value = value.to_string_lossy();
            if is_secret_name(&name) && value.trim().len() >= MIN_VALUE {
                secrets.add(&value);
            }
        }
        for path in credentials() {
            value(&Secret::File(path)).iter().for_each(|text| secrets.add(text));
        }
        secrets
    }

    /// The text, read from where it is kept if it is a secret. May block.
    ///
    /// # Errors
    /// The secret is not there; the message names the place only.
    pub(crate) fn reveal(&mut self, wording: &Wording<String>) -> Result<String, String> {
        match wording {
            Wording::Open(text) => Ok(text.clone()),
            Wording::Secret(SecretText { prefix, from }) => {
                let value = value(from)?;
                self.add(&value);
                Ok(format!("{prefix}{value}"))
            }
        }
    }

    /// The same for a URL.
    pub(crate) fn reveal_url(&mut self, url: &Wording<String>) -> Result<String, String> {
        let text = self.reveal(url)?;
        if let Wording::Secret(_) = url {
            self.add_url(&text);
        }
        Ok(text)
    }

    /// The parts of a secret URL are secrets as well: answers and errors name them alone, and as
    /// HTTP writes them.
    pub(crate) fn add_url(&mut self, text: &str) {
        let written = Url::parse(text.trim()).map(String::from);
        for text in [text.trim()].into_iter().chain(written.as_deref()) {
            self.add(text);
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            self.add(rest);
            if let Some(path) = rest.find('/').filter(|path| rest.len() - path >= MIN_PART) {
                self.add(&rest[path..]);
            }
            let parts = rest.split(['/', '?', '&', '=', '@', '#']);
            parts.filter(|part| part.len() >= MIN_PART).for_each(|part| self.add(part));
        }
    }

    /// From now on this is one of them.
    pub(crate) fn add(&mut self, value: &str) {
        let lines = value.lines().filter(|line| line.trim().len() >= MIN_LINE);
        for text in std::iter::once(value).chain(lines) {
            let quoted = serde_json::to_string(text.trim()).unwrap_or_default();
            let escaped = quoted.trim_matches('"').to_owned();
            for form in [text.trim().to_owned(), escaped] {
                if form.len() > 1 && !self.0.contains(&form) {
                    self.0.push(form);
                }
            }
        }
        // The longest first, so that no rest of it is left standing.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The same and those of another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        other.0.iter().for_each(|secret| self.add(secret));
        self
    }

    /// The text without any secret.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The text without the beginning of a secret at its end.
    pub(crate) fn without_end<'t>(&self, text: &'t str) -> &'t str {
        let longest = |secret: &String| {
            let most = secret.len().min(text.len());
            let is_there = |cut: &usize| secret.get(..*cut).is_some_and(|s| text.ends_with(s));
            (MIN_CUT..=most).rev().find(is_there)
        };
        let cut = self.0.iter().filter_map(longest).max().unwrap_or(0);
        &text[..text.len() - cut]
    }

    /// The text without the end of a secret at its beginning.
    pub(crate) fn without_beginning<'t>(&self, text: &'t str) -> &'t str {
        let longest = |secret: &String| {
            let least = secret.len().saturating_sub(text.len());
            let most = secret.len().checked_sub(MIN_CUT)?;
            let is_there = |from: &usize| secret.get(*from..).is_some_and(|s| text.starts_with(s));
            (least..=most).find(is_there).map(|from| secret.len() - from)
        };
        let cut = self.0.iter().filter_map(longest).max().unwrap_or(0);
        &text[cut..]
    }
}

fn is_secret_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

fn credentials() -> Vec<PathBuf> {
    let directory = std::env::var_os(CREDENTIALS);
    let listed = directory.and_then(|directory| std::fs::read_dir(directory).ok());
    let paths = listed.into_iter().flatten().flatten().map(|entry| entry.path());
    paths.take(MAX_CREDENTIALS).collect()
}

/// The text without what could drive a terminal or mislead a reader: control characters other than
/// line feed and tab, and the marks that change the direction of writing, become U+FFFD.
pub(crate) fn neutral(text: &str) -> String {
    let is_harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    text.replace("\r\n", "\n").replace(is_harmful, "\u{FFFD}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::target::Secret;

    fn secret(value: &str) -> Wording<String> {
        let from = Secret::Literal(value.to_owned());
        Wording::Secret(SecretText { prefix: "Bearer ".to_owned(), from })
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_in_which_it_comes_back() {
        let mut secrets = Secrets::default();
        assert_eq!(secrets.reveal(&secret("hunter\"2")).unwrap(), "Bearer hunter\"2");
        assert_eq!(secrets.hide("got hunter\"2!"), "got [secret]!");
        assert_eq!(secrets.hide(r#"{"got":"hunter\"2"}"#), r#"{"got":"[secret]"}"#);
    }

    #[test]
    fn each_line_of_a_long_secret_is_hidden() {
        let mut secrets = Secrets::default();
        secrets.add("-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nw0B\n-----END KEY-----\n");
        assert_eq!(secrets.hide("  MIIEvQIBADANBgkqhkiG\r\n"), "  [secret]\r\n");
    }

    #[test]
    fn a_variable_is_a_secret_by_its_name() {
        for name in ["API_TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY", "TOKEN"] {
            assert!(is_secret_name(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "CREDENTIALS_DIRECTORY", "SSH_AUTH_SOCK", "KEYBOARD", "TOKENS_MAX"] {
            assert!(!is_secret_name(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn the_parts_of_a_secret_url_are_hidden_too() {
        let mut secrets = Secrets::default();
        let from = Secret::Literal("https://chat.example/services/T0/B0/abcdefghijkl".to_owned());
        let url = Wording::Secret(SecretText { prefix: String::new(), from });
        secrets.reveal_url(&url).unwrap();
        let said = "no /services/T0/B0/abcdefghijkl at chat.example, abcdefghijkl is unknown";
        assert_eq!(secrets.hide(said), "no [secret] at [secret], [secret] is unknown");
    }
}
