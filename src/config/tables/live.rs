//! `live` of `[deployment]`: how the live version is read.

use std::path::Path;
use std::sync::Arc;

use crate::model::live::{LiveEncoding, LiveHttp, LiveMethod, LiveSettings, LiveSource};

use super::header::headers;
use super::probe::pointer;
use super::run_step::{command, no_nul};
use super::url::scrape_url;
use crate::config::syntax::json::json;
use crate::config::syntax::{TomlTable, TomlValue, all};

/// Reads `live`, and what is done where it cannot be read.
pub(crate) fn live(deployment: &TomlTable<'_>) -> Option<Option<Arc<LiveSettings>>> {
    let unknown = deployment.read("live_unknown");
    let Some(value) = deployment.get("live") else {
        let Some(unknown) = deployment.get("live_unknown") else { return Some(None) };
        let error = unknown.error("`live_unknown` says nothing without `live`");
        let help = "write live = { file = \"/srv/api/VERSION\" }, for example";
        return deployment.cx.refuse(error.help(help));
    };
    let table = TomlTable::unchecked(value, "live")?;
    let kinds = table.kinds();
    let [kind] = kinds.as_slice() else {
        // A key that is none of them says more than that one of them is missing.
        if table.check_keys() {
            let list: Vec<_> = table.one_of().iter().map(|kind| format!("`{kind}`")).collect();
            return value.refuse(format!("`live` has exactly one of {}", list.join(", ")));
        }
        return None;
    };
    let times = table.all(["timeout", "interval"]);
    let known = table.check_keys_for(kind.key, &[]);
    let source = source(kind.key, &table).filter(|_| known);
    let ((timeout, interval), source, unknown) = (times?, source?, unknown?);
    Some(Some(Arc::new(LiveSettings { source, timeout, interval, unknown })))
}

fn source(kind: &str, table: &TomlTable<'_>) -> Option<LiveSource> {
    match kind {
        "symlink" => table.read(kind).map(LiveSource::Symlink),
        "file" => {
            let pointer = table.opt("json", pointer);
            Some(LiveSource::File { path: table.read(kind)?, pointer: pointer? })
        }
        "metric" => {
            let (label, of) = table.all(["label", kind])?;
            Some(LiveSource::Metric { of, label })
        }
        "http" => http(table).map(LiveSource::Http),
        _ => table.read_with(kind, run).map(LiveSource::Run),
    }
}

fn http(table: &TomlTable<'_>) -> Option<LiveHttp> {
    let url =
        table.read_with("http", |value| value.parse(|url| scrape_url(url).map(|_| url.to_owned())));
    let body = table.opt("json", json);
    let method: Option<Option<LiveMethod>> = table.read("method");
    if let (Some(Some(LiveMethod::Get)), Some(json)) = (method, table.get("json")) {
        return table.cx.refuse(json.error("a GET has no body").help("write method = \"POST\""));
    }
    let default = if table.get("json").is_some() { LiveMethod::Post } else { LiveMethod::Get };
    let headers = table.opt("headers", headers);
    let pointer = table.opt("pointer", pointer);
    let encoded: bool = table.read("base64")?;
    Some(LiveHttp {
        url: url?,
        method: method?.unwrap_or(default),
        headers: headers?.unwrap_or_default(),
        json: body?,
        pointer: pointer?,
        encoding: if encoded { LiveEncoding::Base64 } else { LiveEncoding::Plain },
    })
}

/// A program and its arguments, as they are: nothing is filled in.
fn run(value: TomlValue<'_>) -> Option<Vec<String>> {
    let list = command(value)?;
    let words = all(list.iter().map(|word| match word.as_str() {
        Some(text) if text.trim().is_empty() => Some(text.to_owned()),
        Some(_) => word.parse(|text| no_nul(text).map(|()| text.to_owned())),
        None => word.expected("a string"),
    }))?;
    let program = words.first().map_or("", String::as_str);
    let fine = Path::new(program).is_absolute() || !program.contains('/');
    if fine && !program.trim().is_empty() && !program.starts_with('-') {
        return Some(words);
    }
    list[0].refuse("the program is neither an absolute path nor a bare name")
}
