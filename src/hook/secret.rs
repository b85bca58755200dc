//! Reads the secrets of a request, and keeps them from being shown: whatever an answer or an error
//! says passes through [`Secrets::hide`]. A server may send back what it was sent.

use crate::model::step::{SecretText, Wording};
use crate::source::secret;

/// What stands where a secret stood.
const HIDDEN: &str = "[secret]";

/// The shortest part of a secret URL that is hidden on its own. Shorter parts are words like `v1`.
const MIN_PART: usize = 8;

/// The secrets that a request holds.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
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

    /// The parts of a secret URL are secrets as well: answers and errors name them alone.
    pub(super) fn reveal_url(&mut self, url: &Wording<String>) -> Result<String, String> {
        let text = self.reveal(url)?;
        if let Wording::Secret(_) = url {
            let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
            self.add(rest);
            if let Some(path) = rest.find('/') {
                self.add(&rest[path..]);
            }
            let parts = rest.split(['/', '?', '&', '=', '@']);
            parts.filter(|part| part.len() >= MIN_PART).for_each(|part| self.add(part));
        }
        Ok(text)
    }

    fn add(&mut self, value: &str) {
        let quoted = serde_json::to_string(value).unwrap_or_default();
        let escaped = quoted.trim_matches('"').to_owned();
        for form in [value.trim().to_owned(), escaped] {
            if form.len() > 1 && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first, so that no rest of it is left standing.
        self.0.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// The text without any secret.
    pub(super) fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
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
    fn the_parts_of_a_secret_url_are_hidden_too() {
        let mut secrets = Secrets::default();
        let from = Secret::Literal("https://chat.example/services/T0/B0/abcdefghijkl".to_owned());
        let url = Wording::Secret(SecretText { prefix: String::new(), from });
        secrets.reveal_url(&url).unwrap();
        let said = "no /services/T0/B0/abcdefghijkl at chat.example, abcdefghijkl is unknown";
        assert_eq!(secrets.hide(said), "no [secret] at [secret], [secret] is unknown");
    }
}
