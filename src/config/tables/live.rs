//! `live` of `[deployment]`: how the live version is read.

use std::path::Path;
use std::sync::Arc;

use crate::model::live::{
    LiveEncoding, LiveHttp, LiveMethod, LiveSettings, LiveSource, LiveUnknown,
};

use super::header::headers;
use super::probe::pointer;
use super::run_step::{command, no_nul};
use super::selector::selector;
use super::url::scrape_url;
use crate::config::syntax::json::json;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue, all};

/// Reads `live`, and what is done where it cannot be read.
pub(crate) fn live(
    deployment: &TomlTable<'_>,
    sink: &mut ErrorSink,
) -> Option<Option<Arc<LiveSettings>>> {
    let words = [("refuse", LiveUnknown::Refuse), ("proceed", LiveUnknown::Proceed)];
    let unknown = deployment.read("live_unknown", sink, |value, sink| value.choice(&words, sink));
    let Some(value) = deployment.get("live") else {
        let Some(unknown) = deployment.get("live_unknown") else { return Some(None) };
        let error = unknown.error("`live_unknown` says nothing without `live`");
        return sink
            .refuse(error.help("write live = { file = \"/srv/api/VERSION\" }, for example"));
    };
    let table = TomlTable::of(value, "live", sink)?;
    let kinds = table.kinds();
    let [kind] = kinds.as_slice() else {
        // A key that is none of them says more than that one of them is missing.
        if table.check_keys(sink) {
            let list: Vec<_> = table.one_of().iter().map(|kind| format!("`{kind}`")).collect();
            let message = format!("`live` has exactly one of {}", list.join(", "));
            sink.report(value.error(message));
        }
        return None;
    };
    let timeout = table.read("timeout", sink, TomlValue::duration);
    let interval = table.read("interval", sink, TomlValue::duration);
    let known = table.check_keys_for(kind.key, &[], sink);
    let source = source(kind.key, &table, sink).filter(|_| known);
    let (source, timeout, interval, unknown) = (source?, timeout?, interval?, unknown?);
    Some(Some(Arc::new(LiveSettings { source, timeout, interval, unknown })))
}

fn source(kind: &str, table: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<LiveSource> {
    match kind {
        "symlink" => table.read(kind, sink, TomlValue::path).map(LiveSource::Symlink),
        "file" => {
            let pointer = table.opt("json", sink, pointer);
            let path = table.read(kind, sink, TomlValue::path);
            Some(LiveSource::File { path: path?, pointer: pointer? })
        }
        "metric" => {
            let label = table.read("label", sink, TomlValue::string);
            let of = table.read(kind, sink, selector);
            Some(LiveSource::Metric { of: of?, label: label? })
        }
        "http" => http(table, sink).map(LiveSource::Http),
        _ => table.read(kind, sink, run).map(LiveSource::Run),
    }
}

fn http(table: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<LiveHttp> {
    let url = |value: TomlValue<'_>, sink: &mut ErrorSink| {
        value.parse(sink, |url| scrape_url(url).map(|_| url.to_owned()))
    };
    let url = table.read("http", sink, url);
    let body = table.opt("json", sink, json);
    let words = [("GET", LiveMethod::Get), ("POST", LiveMethod::Post)];
    let method = table.opt("method", sink, |value, sink| value.choice(&words, sink));
    if let (Some(Some(LiveMethod::Get)), Some(json)) = (method, table.get("json")) {
        return sink.refuse(json.error("a GET has no body").help("write method = \"POST\""));
    }
    let default = if table.get("json").is_some() { LiveMethod::Post } else { LiveMethod::Get };
    let headers = table.opt("headers", sink, headers);
    let pointer = table.opt("pointer", sink, pointer);
    let encoded = table.read("base64", sink, TomlValue::boolean);
    Some(LiveHttp {
        url: url?,
        method: method?.unwrap_or(default),
        headers: headers?.unwrap_or_default(),
        json: body?,
        pointer: pointer?,
        encoding: if encoded? { LiveEncoding::Base64 } else { LiveEncoding::Plain },
    })
}

/// A program and its arguments, as they are: nothing is filled in.
fn run(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Vec<String>> {
    let list = command(value, sink)?;
    let words = all(list.iter().map(|word| argument(*word, sink)))?;
    let program = words.first().map_or("", String::as_str);
    let fine = Path::new(program).is_absolute() || !program.contains('/');
    if fine && !program.trim().is_empty() && !program.starts_with('-') {
        return Some(words);
    }
    sink.refuse(list[0].error("the program is neither an absolute path nor a bare name"))
}

fn argument(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<String> {
    match value.as_str() {
        Some(text) if text.trim().is_empty() => Some(text.to_owned()),
        Some(_) => value.parse(sink, |text| no_nul(text).map(|()| text.to_owned())),
        None => value.expected("a string", sink),
    }
}
