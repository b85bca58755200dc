//! Reads secrets, and keeps them from being shown: whatever an answer, an error or a program says
//! passes through [`Secrets::hide`]. A server may send back what it was sent, and a program may
//! print what it was given. It must never show a part of a secret, be it a cut one.

#![expect(clippy::disallowed_methods, reason = "hides what is in the environment and is secret")]

use std::ffi::OsStr;
use std::path::PathBuf;

use reqwest::Url;

use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{SecretText, Wording};
use crate::model::target::Secret;
use crate::source::secret;

use super::output::cut;

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
    pub(super) fn known(kept: &[RegisteredSecret]) -> Self {
        let mut secrets = Self::default();
        for kept in kept {
            match kept {
                RegisteredSecret::Text(from) => {
                    secret::value(from).iter().for_each(|text| secrets.add(text))
                }
                RegisteredSecret::Url(from) => {
                    secret::value(from).iter().for_each(|url| secrets.add_url(url))
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
            secret::value(&Secret::File(path)).iter().for_each(|text| secrets.add(text));
        }
        secrets
    }

    /// The text, read from where it is kept if it is a secret. May block.
    ///
    /// # Errors
    /// The secret is not there; the message names the place only.
    pub(super) fn reveal(&mut self, wording: &Wording<String>) -> Result<String, String> {
        match wording {
            Wording::Open(text) => Ok(text.clone()),
            Wording::Secret(SecretText { prefix, from }) => {
                let value = secret::value(from)?;
                self.add(&value);
                Ok(format!("{prefix}{value}"))
            }
        }
    }

    /// The same for a URL.
    pub(super) fn reveal_url(&mut self, url: &Wording<String>) -> Result<String, String> {
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
    pub(super) fn and(mut self, other: Self) -> Self {
        other.0.iter().for_each(|secret| self.add(secret));
        self
    }

    /// The text without any secret.
    pub(crate) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }

    /// The same for what a program printed, of which the middle may be left out: that may have
    /// gone through a secret.
    pub(super) fn hide_printed(&self, text: &str) -> String {
        let text = self.hide(text);
        let (mut shown, mut rest) = (String::new(), text.as_str());
        while let Some(cut) = cut(rest) {
            let head = &rest[..cut.start];
            shown.push_str(self.without_end(head));
            shown.push_str(&rest[cut.clone()]);
            rest = self.without_beginning(&rest[cut.end..]);
        }
        shown + rest
    }

    /// The text without the beginning of a secret at its end.
    fn without_end<'t>(&self, text: &'t str) -> &'t str {
        let longest = |secret: &String| {
            let most = secret.len().min(text.len());
            let is_there = |cut: &usize| secret.get(..*cut).is_some_and(|s| text.ends_with(s));
            (MIN_CUT..=most).rev().find(is_there)
        };
        let cut = self.0.iter().filter_map(longest).max().unwrap_or(0);
        &text[..text.len() - cut]
    }

    /// The text without the end of a secret at its beginning.
    fn without_beginning<'t>(&self, text: &'t str) -> &'t str {
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
    fn a_secret_that_was_cut_off_is_hidden_as_far_as_it_is_there() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2-token");
        for cut in 0..="hunter2-token".len() {
            let (head, tail) = "hunter2-token".split_at(cut);
            let text = format!("begin {head}\n[7 bytes left out]\n{tail} end");
            let shown = secrets.hide_printed(&text);
            assert!(shown.starts_with("begin ") && shown.ends_with(" end"), "{shown}");
            assert!(shown.contains("\n[7 bytes left out]\n"), "{shown}");
            assert!(!shown.contains("hunt") && !shown.contains("oken"), "{shown}");
        }
        assert_eq!(secrets.hide_printed("no [x bytes left out]\n"), "no [x bytes left out]\n");
        assert_eq!(secrets.hide_printed("hunt"), "hunt");
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
