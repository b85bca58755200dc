//! `[notify.NAME]`: who is told of changes, and of which.

use crate::model::channel::{Change, Channel, Sends, System};
use crate::model::name::ChannelName;

use super::header::channel_headers;
use super::named_table::{NamedTable, named_tables};
use super::secret::{secret_url, token, url_or_secret};
use super::url::{base_url, http_url};
use crate::config::syntax::{ErrorSink, TextError, TomlTable, TomlValue, all};

/// The most channels. Each has a queue and a connection of its own.
const MAX_CHANNELS: usize = 16;

/// The longest tag, identifier or `source`.
const MAX_WORD: usize = 256;

/// Reads all channels.
pub(crate) fn channels(files: &[TomlTable<'_>], sink: &mut ErrorSink) -> Option<Vec<Channel>> {
    let tables = named_tables(files, "notify", sink);
    if let Some(first) = tables.get(MAX_CHANNELS) {
        let message = format!("more than {MAX_CHANNELS} tables [notify.NAME]");
        return sink.refuse(first.table.error(message));
    }
    all(tables.iter().map(|table| channel(table, sink)))
}

fn channel(named: &NamedTable<'_>, sink: &mut ErrorSink) -> Option<Channel> {
    let table = &named.table;
    let known = table.check_keys(sink);
    let name = named.read_name(sink, ChannelName::new);
    let on = table.opt("on", sink, changes);
    let kinds = table.kinds();
    let system = match kinds.as_slice() {
        [kind] => system(kind.key, table, sink),
        // What was meant is among the unknown keys.
        [] if !known => None,
        [] | [_, _, ..] => {
            let error = table.error(format!("{} tells exactly one system", table.title));
            sink.missing(error.help(format!("give it one of {}", table.one_of().join(", "))));
            None
        }
    };
    let (system, on) = (system?, on?);
    let on = on.unwrap_or_else(|| system.default_changes().to_vec());
    Some(Channel { name: name?, on, system })
}

fn system(kind: &str, channel: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<System> {
    let table = TomlTable::of(channel.get(kind)?, kind, sink)?;
    table.check_keys(sink);
    match kind {
        "slack" => {
            let url = table.read("url", sink, |v, sink| secret_url(v, "the webhook's URL", sink));
            Some(System::Slack { url: url? })
        }
        "pagerduty" => pagerduty(&table, sink),
        "opsgenie" => {
            let key = table.read("key", sink, |value, sink| token(value, "an API key", sink));
            let url = table.read("url", sink, base_url);
            Some(System::Opsgenie { url: url?, key: key? })
        }
        "alertmanager" => {
            let urls = table.read("urls", sink, |value, sink| value.each(sink, base_url));
            let headers = table.opt("headers", sink, channel_headers);
            Some(System::Alertmanager { urls: urls?, headers: headers?.unwrap_or_default() })
        }
        "grafana" => {
            let url = table.read("url", sink, base_url);
            let token = table.read("token", sink, |value, sink| token(value, "a token", sink));
            let dashboard = table.opt("dashboard", sink, word);
            let tags = table.read("tags", sink, |value, sink| value.each(sink, word));
            Some(System::Grafana { url: url?, token: token?, dashboard: dashboard?, tags: tags? })
        }
        "statuspage" => statuspage(&table, sink),
        "webhook" => {
            let url = table.read("url", sink, url_or_secret);
            let headers = table.opt("headers", sink, channel_headers);
            Some(System::Webhook { url: url?, headers: headers?.unwrap_or_default() })
        }
        _ => cloudevent(&table, sink),
    }
}

/// What is told, each change once.
fn changes(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for change in value.each(sink, |value, sink| value.choice(&Change::ALL, sink))? {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    Some(changes)
}

fn pagerduty(table: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<System> {
    let routing_key =
        table.read("routing_key", sink, |value, sink| token(value, "a routing key", sink));
    let url = table.read("url", sink, |value, sink| {
        let url = http_url(value, sink)?;
        if url.ends_with("/v2/enqueue") {
            return Some(url);
        }
        let message = "events go to a URL that ends in /v2/enqueue";
        let error = TextError::new(0..url.len(), message)
            .help("write one like \"https://events.pagerduty.com/v2/enqueue\"");
        sink.refuse(value.error_within(error))
    });
    let changes = table.read("changes", sink, sends);
    Some(System::PagerDuty { url: url?, routing_key: routing_key?, changes: changes? })
}

fn statuspage(table: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<System> {
    let key = table.read("key", sink, |value, sink| token(value, "an API key", sink));
    let page = table.read("page", sink, word);
    let components = table.read("components", sink, |value, sink| value.each(sink, word));
    let subscribers = table.read("subscribers", sink, sends);
    let url = table.read("url", sink, base_url);
    if table.opt("public", sink, sends)? != Some(Sends::Yes) {
        let error = table.error("customers read a status page");
        return sink.refuse(
            error.help("write `public = true` if a rollback is to be published by itself"),
        );
    }
    Some(System::Statuspage {
        url: url?,
        key: key?,
        page: page?,
        components: components?,
        subscribers: subscribers?,
    })
}

fn cloudevent(table: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<System> {
    let url = table.read("url", sink, url_or_secret);
    let source = table.read("source", sink, |value, sink| {
        let source = word(value, sink)?;
        // A URI reference, of which spaces and the like are no part.
        if source.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c)) {
            return Some(source);
        }
        let error = value.error("not a URI reference");
        sink.refuse(error.help("write one like \"/hosts/web-1/rollguard\""))
    });
    let headers = table.opt("headers", sink, channel_headers);
    Some(System::CloudEvent { url: url?, source: source?, headers: headers?.unwrap_or_default() })
}

fn sends(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Sends> {
    Some(if value.boolean(sink)? { Sends::Yes } else { Sends::No })
}

fn word(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<String> {
    let text = value.text(sink)?;
    if text.len() <= MAX_WORD && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    let message = format!("a word has {MAX_WORD} bytes at most and no control characters");
    sink.refuse(value.error(message))
}
