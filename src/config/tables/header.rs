//! Headers of requests: of pages, of channels and of steps.

use crate::model::hook::Template;
use crate::model::step::Wording;
use crate::model::target::Secret;

use super::secret::{ELSEWHERE, header_value, text_or_secret};
use crate::config::syntax::{Diagnostic, TomlEntry, TomlValue, all};

/// The most labels of a target or headers of a request; nobody writes more by hand.
const MAX_PAIRS: usize = 64;

/// Words in the name of a header whose value is a secret.
const TELLTALE: [&str; 7] = ["auth", "token", "secret", "key", "cookie", "password", "credential"];

/// Headers that HTTP itself sets: another value would make another request of it.
const OF_HTTP: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// The pairs of a table whose keys are the operator's own, not too many of them.
pub(crate) fn pairs<T>(
    value: TomlValue<'_>,
    mut read: impl FnMut(TomlEntry<'_>) -> Option<T>,
) -> Option<Vec<(String, T)>> {
    let pairs = value.entries()?.into_iter();
    let pairs = all(pairs.map(|entry| Some((entry.key.to_owned(), read(entry)?))))?;
    if pairs.len() > MAX_PAIRS {
        return value.refuse(format!("{} are too many, {MAX_PAIRS} is the most", pairs.len()));
    }
    Some(pairs)
}

/// Headers of a page: each value is a text or a secret.
pub(crate) fn headers(value: TomlValue<'_>) -> Option<Vec<(String, Secret)>> {
    pairs(value, |entry| {
        if !is_header_name(entry.key) {
            return value.cx.refuse(not_a_name(&entry));
        }
        header_value(entry.key, entry.value)
    })
}

/// Headers of a channel, of which those that look like a secret stand elsewhere.
pub(crate) fn channel_headers(value: TomlValue<'_>) -> Option<Vec<(String, Secret)>> {
    let found = headers(value)?;
    let mut fine = true;
    for entry in value.entries()? {
        let name = entry.key.to_ascii_lowercase();
        if TELLTALE.iter().any(|word| name.contains(word)) && !entry.value.is_table() {
            fine = false;
            let error = entry.value.error(format!("the header `{}` holds a secret", entry.key));
            value.cx.report(error.help(ELSEWHERE));
        }
    }
    fine.then_some(found)
}

/// Headers of a step: each value is a text with placeholders or a secret.
pub(crate) fn sent_headers(value: TomlValue<'_>) -> Option<Vec<(String, Wording<Template>)>> {
    let headers = pairs(value, |entry| match wrong_header(&entry) {
        Some(error) => value.cx.refuse(error),
        None => text_or_secret(entry.value),
    })?;
    Some(headers.into_iter().map(|(name, text)| (name.to_ascii_lowercase(), text)).collect())
}

/// Why a step cannot send the header, if so.
fn wrong_header(entry: &TomlEntry<'_>) -> Option<Diagnostic> {
    let name = entry.key.to_ascii_lowercase();
    if !is_header_name(entry.key) {
        return Some(not_a_name(entry));
    }
    if OF_HTTP.contains(&name.as_str()) {
        return Some(entry.key_error(format!("the header `{}` is set by HTTP itself", entry.key)));
    }
    let error = || entry.key_error("the type of the body is no header here");
    (name == "content-type").then(|| error().help("write `content_type = \"…\"` beside `headers`"))
}

fn not_a_name(entry: &TomlEntry<'_>) -> Diagnostic {
    entry.key_error(format!("`{}` is not a header's name", entry.key.escape_debug()))
}

/// Whether it is a token of HTTP.
fn is_header_name(name: &str) -> bool {
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(is_token)
}
