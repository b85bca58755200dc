//! Secrets. A secret stands in a file or in the environment, never in a configuration, which is
//! read by many and kept for ever. This is the only file that makes a [`Secret`], and it registers
//! each one that it makes, so that none is ever shown.

use crate::model::hook::Template;
use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{SecretText, Wording};
use crate::model::target::Secret;

use super::url::http_url;
use crate::config::syntax::{Diagnostic, TomlTable, TomlValue, template};

pub(crate) const ELSEWHERE: &str = "write { file = \"/run/credentials/…\" } or { env = \"NAME\" }";

/// What a header's name has in it whose value is a secret even where it is written out.
const SECRET_HEADERS: [&str; 5] = ["auth", "token", "key", "cookie", "secret"];

/// How a secret may come back in what is shown.
pub(crate) type SecretForm = fn(Secret) -> RegisteredSecret;

/// `{ file = "…" }` or `{ env = "…" }`; `what` is the secret's name in messages.
pub(crate) fn secret(value: TomlValue<'_>, what: &str, form: SecretForm) -> Option<Secret> {
    if value.is_table() {
        let otherwise = format!("{what} is `{{ file = \"…\" }}` or `{{ env = \"…\" }}`");
        return reference(value, what, &otherwise, form);
    }
    let message = format!("{what} is a secret and does not stand in a configuration");
    value.cx.refuse(value.error(message).help(ELSEWHERE))
}

/// A URL, or where a secret one stands.
pub(crate) fn url_or_secret(value: TomlValue<'_>) -> Option<Secret> {
    if value.is_table() {
        return secret(value, "the URL", RegisteredSecret::Url);
    }
    // Written in the configuration, it is there for everybody who may read that.
    http_url(value).map(Secret::Literal)
}

/// The value of a header: a text, `{ file = "…" }` or `{ env = "…" }`.
pub(crate) fn header_value(name: &str, value: TomlValue<'_>) -> Option<Secret> {
    if value.is_table() {
        let message = "a header is a string, `{ file = \"…\" }` or `{ env = \"…\" }`";
        return reference(value, "the header", message, RegisteredSecret::Text);
    }
    let text = value.text()?;
    if text.chars().any(char::is_control) {
        return value.refuse("a header's value holds no line breaks or other control characters");
    }
    let written = Secret::Literal(text.to_owned());
    let name = name.to_ascii_lowercase();
    if SECRET_HEADERS.iter().any(|part| name.contains(part)) {
        value.cx.secrets.borrow_mut().push(RegisteredSecret::Text(written.clone()));
    }
    Some(written)
}

fn reference(
    value: TomlValue<'_>,
    title: &str,
    otherwise: &str,
    form: SecretForm,
) -> Option<Secret> {
    let mut table = TomlTable::unchecked(value, "reference")?;
    title.clone_into(&mut table.title);
    source(&table, otherwise, form)
}

/// `file = "…"` or `env = "…"` of a table; `otherwise` is said where it has neither or both.
fn source(table: &TomlTable<'_>, otherwise: &str, form: SecretForm) -> Option<Secret> {
    if !table.check_keys() {
        return None;
    }
    let secret = match (table.get("file"), table.get("env")) {
        (Some(file), None) => Secret::File(file.path()?),
        (None, Some(env)) => Secret::Env(env.parse(variable)?),
        (Some(_), Some(_)) | (None, None) => return table.cx.refuse(table.error(otherwise)),
    };
    table.cx.secrets.borrow_mut().push(form(secret.clone()));
    Some(secret)
}

fn variable(name: &str) -> Result<String, Diagnostic> {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.bytes().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(name.to_owned());
    }
    Err(Diagnostic::new(0..name.len(), "not the name of an environment variable"))
}

/// A text with placeholders, or `{ file = "…" }` or `{ env = "…" }` with a `prefix`.
pub(crate) fn text_or_secret(value: TomlValue<'_>) -> Option<Wording<Template>> {
    if value.is_table() {
        return secret_text(value, RegisteredSecret::Text);
    }
    value.parse(|text| no_control(text).and_then(|()| template(text))).map(Wording::Open)
}

/// A secret text that is sent, which comes back in this form.
pub(crate) fn secret_text(value: TomlValue<'_>, form: SecretForm) -> Option<Wording<Template>> {
    let table = TomlTable::unchecked(value, "secret")?;
    let prefix = table.opt("prefix", |value| value.parse(plain));
    let otherwise = "it is a text, `{ file = \"…\" }` or `{ env = \"…\" }`";
    let from = source(&table, otherwise, form)?;
    Some(Wording::Secret(SecretText { prefix: prefix?.unwrap_or_default(), from }))
}

/// A text on one line.
pub(crate) fn plain(text: &str) -> Result<String, Diagnostic> {
    no_control(text).map(|()| text.to_owned())
}

/// Refuses what would end a line or drive a terminal.
pub(crate) fn no_control(text: &str) -> Result<(), Diagnostic> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => {
            let message = "there are no line breaks or other control characters here";
            Err(Diagnostic::new(at..at + c.len_utf8(), message))
        }
        None => Ok(()),
    }
}
