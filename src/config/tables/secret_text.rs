//! Texts that a step sends: as written, with placeholders, or from where secrets are kept.

use crate::model::hook::Template;
use crate::model::step::{SecretText, Wording};

use super::target::{is_header_name, secret_source};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::template::template;
use crate::config::syntax::tree::{Fault, Item};

/// The most headers of a request; nobody writes more by hand.
const MAX_HEADERS: usize = 64;

/// Headers that HTTP itself sets: another value would make another request of it.
const OF_HTTP: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

/// `{ name = "text" }`, `{ name = { file = "…" } }` or `{ name = { env = "…" } }`.
pub(crate) fn headers(item: Item<'_>, sink: &mut Sink) -> Option<Vec<(String, Wording<Template>)>> {
    let entries = item.section("headers", sink)?.entries();
    if entries.len() > MAX_HEADERS {
        let message = format!("{} are too many, {MAX_HEADERS} is the most", entries.len());
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    let headers: Vec<_> = entries
        .into_iter()
        .map(|entry| {
            let name = entry.key.to_ascii_lowercase();
            let wrong = if !is_header_name(entry.key) {
                Some((format!("`{}` is not a header's name", entry.key.escape_debug()), None))
            } else if OF_HTTP.contains(&name.as_str()) {
                Some((format!("the header `{}` is set by HTTP itself", entry.key), None))
            } else if name == "content-type" {
                let help = "write `content_type = \"…\"` beside `headers`";
                Some(("the type of the body is no header here".to_owned(), Some(help)))
            } else {
                None
            };
            if let Some((message, help)) = wrong {
                let error = Diagnostic::error(entry.key_place(), message);
                sink.report(match help {
                    Some(help) => error.help(help),
                    None => error,
                });
                return None;
            }
            Some((name, wording(entry.item, sink)?))
        })
        .collect();
    headers.into_iter().collect()
}

/// A text with placeholders, or `{ file = "…" }` or `{ env = "…" }` with a `prefix`.
pub(crate) fn wording(item: Item<'_>, sink: &mut Sink) -> Option<Wording<Template>> {
    if !item.is_table() {
        return plain(item, sink).map(Wording::Open);
    }
    let section = item.section("the secret", sink)?;
    if !section.only(&["file", "env", "prefix"], &[], sink) {
        return None;
    }
    let prefix = section.or("prefix", String::new(), |item| {
        let text = item.text(sink)?;
        text.parse(sink, |text| no_control(text).map(|()| text.to_owned()))
    });
    let otherwise = "it is a text, `{ file = \"…\" }` or `{ env = \"…\" }`";
    let from = secret_source(&section, item, otherwise, sink)?;
    Some(Wording::Secret(SecretText { prefix: prefix?, from }))
}

/// A text with placeholders on one line.
fn plain(item: Item<'_>, sink: &mut Sink) -> Option<Template> {
    item.text(sink)?.parse(sink, |text| {
        no_control(text)?;
        template(text)
    })
}

/// Refuses what would end a line or drive a terminal.
pub(crate) fn no_control(text: &str) -> Result<(), Fault> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => {
            let message = "there are no line breaks or other control characters here";
            Err(Fault::new(at..at + c.len_utf8(), message))
        }
        None => Ok(()),
    }
}
