//! `live` of `[deployment]`: how the live version is read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::live::{
    LiveEncoding, LiveHttp, LiveMethod, LiveSettings, LiveSource, LiveUnknown,
};

use super::probe::pointer;
use super::step::command;
use super::target::{MAX_INTERVAL, MIN_INTERVAL, headers, scrape_url};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::json::json;
use crate::config::syntax::selector::selector_within;
use crate::config::syntax::tree::{Fault, Item, Section};

/// How long one reading may take: a rollback waits for it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The longest that one reading may take. What answers later is not there when it is needed.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);

const MIN_TIMEOUT: Duration = Duration::from_millis(10);

/// The time between two readings while a change is looked for: as often as targets are sampled.
const INTERVAL: Duration = Duration::from_secs(1);

/// What says where it is read, one of which there is.
const SOURCES: [&str; 5] = ["symlink", "file", "metric", "http", "run"];

const COMMON: [&str; 2] = ["timeout", "interval"];

/// Reads `live`, and what is done where it cannot be read.
pub(crate) fn live(deployment: &Section<'_>, sink: &mut Sink) -> Option<Option<Arc<LiveSettings>>> {
    let words = [("refuse", LiveUnknown::Refuse), ("proceed", LiveUnknown::Proceed)];
    let unknown =
        deployment.or("live_unknown", LiveUnknown::Refuse, |item| item.choice(&words, &[], sink));
    let Some(item) = deployment.get("live") else {
        let Some(unknown) = deployment.get("live_unknown") else { return Some(None) };
        let error =
            Diagnostic::error(unknown.place(), "`live_unknown` says nothing without `live`");
        sink.report(error.help("write live = { file = \"/srv/api/VERSION\" }, for example"));
        return None;
    };
    let section = item.section("`live`", sink)?;
    let named: Vec<&str> =
        SOURCES.into_iter().filter(|source| section.get(source).is_some()).collect();
    let [source] = named.as_slice() else {
        // A key that is none of them says more than that one of them is missing.
        let keys = [&SOURCES[..], &COMMON, &KEYS].concat();
        if section.only(&keys, &[], sink) {
            let list: Vec<String> = SOURCES.iter().map(|source| format!("`{source}`")).collect();
            let message = format!("`live` has exactly one of {}", list.join(", "));
            sink.report(Diagnostic::error(item.place(), message));
        }
        return None;
    };
    let timeout =
        section.or("timeout", TIMEOUT, |item| item.duration_within(MIN_TIMEOUT, MAX_TIMEOUT, sink));
    let interval = section
        .or("interval", INTERVAL, |item| item.duration_within(MIN_INTERVAL, MAX_INTERVAL, sink));
    let source = read_source(source, &section, sink);
    let (source, timeout, interval, unknown) = (source?, timeout?, interval?, unknown?);
    Some(Some(Arc::new(LiveSettings { source, timeout, interval, unknown })))
}

/// Keys of single sources.
const KEYS: [&str; 6] = ["json", "label", "method", "headers", "pointer", "base64"];

fn read_source(source: &str, section: &Section<'_>, sink: &mut Sink) -> Option<LiveSource> {
    let keys: &[&str] = match source {
        "file" => &["json"],
        "metric" => &["label"],
        "http" => &["method", "headers", "json", "pointer", "base64"],
        _ => &[],
    };
    let known = section.only(&[&[source][..], keys, &COMMON].concat(), &[], sink);
    let item = section.get(source)?;
    let read = match source {
        "symlink" => item.path(sink).map(LiveSource::Symlink),
        "file" => {
            let pointer = section.opt("json", |item| pointer(item, sink));
            let path = item.path(sink);
            path.zip(pointer).map(|(path, pointer)| LiveSource::File { path, pointer })
        }
        "metric" => metric(item, section, sink),
        "http" => http(item, section, sink).map(LiveSource::Http),
        _ => run(item, sink).map(LiveSource::Run),
    };
    read.filter(|_| known)
}

fn metric(item: Item<'_>, section: &Section<'_>, sink: &mut Sink) -> Option<LiveSource> {
    let label = section.required("label", sink).and_then(|item| item.string(sink));
    let text = item.text(sink)?;
    let read = selector_within(text.value, &mut sink.room);
    let of = read.map_err(|fault| sink.report(text.fault(fault))).ok()?;
    label.map(|label| LiveSource::Metric { of, label })
}

fn http(item: Item<'_>, section: &Section<'_>, sink: &mut Sink) -> Option<LiveHttp> {
    let url = item.text(sink).and_then(|text| {
        text.parse(sink, scrape_url)?;
        Some(text.value.to_owned())
    });
    let body = section.opt("json", |item| json(item, sink));
    let default = if section.get("json").is_some() { LiveMethod::Post } else { LiveMethod::Get };
    let words = [("GET", LiveMethod::Get), ("POST", LiveMethod::Post)];
    let method = section.or("method", default, |item| item.choice(&words, &[], sink));
    if let (Some(LiveMethod::Get), Some(json)) = (method, section.get("json")) {
        let error = Diagnostic::error(json.place(), "a GET has no body");
        sink.report(error.help("write method = \"POST\""));
        return None;
    }
    let headers = section.or("headers", Vec::new(), |item| headers(item, sink));
    let pointer = section.opt("pointer", |item| pointer(item, sink));
    let encoding = section.or("base64", LiveEncoding::Plain, |item| {
        let encoded = item.boolean(sink)?;
        Some(if encoded { LiveEncoding::Base64 } else { LiveEncoding::Plain })
    });
    Some(LiveHttp {
        url: url?,
        method: method?,
        headers: headers?,
        json: body?,
        pointer: pointer?,
        encoding: encoding?,
    })
}

/// A program and its arguments, as they are: nothing is filled in.
fn run(item: Item<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let list = command(item, sink)?;
    let words: Vec<_> = list.iter().map(|word| argument(*word, sink)).collect();
    let words: Vec<String> = words.into_iter().collect::<Option<_>>()?;
    let program = words.first().map_or("", String::as_str);
    let fine = Path::new(program).is_absolute() || !program.contains('/');
    if fine && !program.trim().is_empty() && !program.starts_with('-') {
        return Some(words);
    }
    let message = "the program is neither an absolute path nor a bare name";
    sink.report(Diagnostic::error(list[0].place(), message));
    None
}

fn argument(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    match item.value().as_str() {
        Some(text) if text.trim().is_empty() => Some(text.to_owned()),
        Some(_) => item.text(sink)?.parse(sink, |text| match text.find('\0') {
            Some(at) => Err(Fault::new(at..at + 1, "an argument holds no NUL character")),
            None => Ok(text.to_owned()),
        }),
        None => item.expected("a string", sink),
    }
}
