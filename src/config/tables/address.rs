//! Addresses and secrets of channels. A secret stands in a file or in the environment, never in a
//! configuration, which is read by many and kept for ever.

use crate::model::target::Secret;

use super::target::{self, headers, scrape_url};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Fault, Item, Text};

const ELSEWHERE: &str = "write { file = \"/run/credentials/…\" } or { env = \"NAME\" }";

/// Words in the name of a header whose value is a secret.
const TELLTALE: [&str; 7] = ["auth", "token", "secret", "key", "cookie", "password", "credential"];

/// `{ file = "…" }` or `{ env = "…" }`; `what` is how messages call it.
pub(crate) fn reference(item: Item<'_>, what: &str, sink: &mut Sink) -> Option<Secret> {
    if item.is_table() {
        return elsewhere(item, what, sink);
    }
    let message = format!("{what} is a secret and does not stand in a configuration");
    sink.report(Diagnostic::error(item.place(), message).help(ELSEWHERE));
    None
}

fn elsewhere(item: Item<'_>, what: &str, sink: &mut Sink) -> Option<Secret> {
    let otherwise = format!("{what} is `{{ file = \"…\" }}` or `{{ env = \"…\" }}`");
    target::reference(item, what, &otherwise, sink)
}

/// An `http` or `https` URL.
pub(crate) fn url(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    checked(item.text(sink)?, sink)
}

fn checked(text: Text<'_>, sink: &mut Sink) -> Option<String> {
    text.parse(sink, |url| {
        scrape_url(url).map_err(|fault| match fault.help {
            // What is said there is about pages that are scraped.
            Some(_) => Fault { help: Some(EXAMPLE.to_owned()), ..fault },
            None => fault,
        })
    })?;
    Some(text.value.to_owned())
}

const EXAMPLE: &str = "write one like \"https://alerts.example.com\", secrets in headers or a file";

/// A URL to which the path of an API is appended.
pub(crate) fn base(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    let text = item.text(sink)?;
    let url = checked(text, sink)?;
    match url.find('?') {
        None => Some(url),
        Some(at) => {
            let fault = Fault::new(at..url.len(), "a path is appended to it, so it has no query");
            sink.report(text.fault(fault));
            None
        }
    }
}

/// A URL, or where a secret one stands.
pub(crate) fn url_or_reference(item: Item<'_>, sink: &mut Sink) -> Option<Secret> {
    if item.is_table() {
        return elsewhere(item, "the URL", sink);
    }
    url(item, sink).map(Secret::Literal)
}

/// Headers, of which those that look like a secret stand elsewhere.
pub(crate) fn request_headers(item: Item<'_>, sink: &mut Sink) -> Option<Vec<(String, Secret)>> {
    let found = headers(item, sink)?;
    let section = item.section("headers", sink)?;
    let mut fine = true;
    for entry in section.entries() {
        let name = entry.key.to_ascii_lowercase();
        let telltale = TELLTALE.iter().any(|word| name.contains(word));
        if telltale && !entry.item.is_table() {
            fine = false;
            let message = format!("the header `{}` holds a secret", entry.key);
            sink.report(Diagnostic::error(entry.item.place(), message).help(ELSEWHERE));
        }
    }
    fine.then_some(found)
}
