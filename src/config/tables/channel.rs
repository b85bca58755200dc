//! `[notify.NAME]`: who is told of changes, and of which.

use crate::model::channel::{Change, Channel, Sends, System};
use crate::model::secrecy::RegisteredSecret;

use super::header::channel_headers;
use super::named_table::named_tables;
use super::secret::{secret, url_or_secret};
use super::url::{base_url, http_url};
use crate::config::syntax::{Diagnostic, TomlTable, TomlValue, all};

/// The most channels. Each has a queue and a connection of its own.
const MAX_CHANNELS: usize = 16;

/// The longest tag, identifier or `source`.
const MAX_WORD: usize = 256;

/// Reads all channels.
pub(crate) fn channels(files: &[TomlTable<'_>]) -> Option<Vec<Channel>> {
    let tables = named_tables(files, "notify");
    if let Some(first) = tables.get(MAX_CHANNELS) {
        let message = format!("more than {MAX_CHANNELS} tables [notify.NAME]");
        return first.cx.refuse(first.error(message));
    }
    all(tables.iter().map(channel))
}

fn channel(table: &TomlTable<'_>) -> Option<Channel> {
    let known = table.check_keys();
    let name = table.own_name();
    let on = table.opt("on", changes);
    let kinds = table.kinds();
    let system = match kinds.as_slice() {
        [kind] => system(kind.key, table),
        // What was meant is among the unknown keys.
        [] if !known => None,
        [] | [_, _, ..] => {
            let error = table.error(format!("{} tells exactly one system", table.title));
            table.cx.missing(error.help(format!("give it one of {}", table.one_of().join(", "))))
        }
    };
    let (system, on) = (system?, on?);
    let on = on.unwrap_or_else(|| system.default_changes().to_vec());
    Some(Channel { name: name?, on, system })
}

fn system(kind: &str, channel: &TomlTable<'_>) -> Option<System> {
    let table = TomlTable::of(channel.get(kind)?, kind)?;
    let token = |key: &str, what: &str| {
        table.read_with(key, |value| secret(value, what, RegisteredSecret::Text))
    };
    let url = || table.read_with("url", base_url);
    let secret_url = || table.read_with("url", url_or_secret);
    let headers = || table.opt("headers", channel_headers).map(Option::unwrap_or_default);
    let words = |key: &str| table.read_with(key, |value| value.each(word));
    match kind {
        "slack" => {
            let url = |value| secret(value, "the webhook's URL", RegisteredSecret::Url);
            Some(System::Slack { url: table.read_with("url", url)? })
        }
        "pagerduty" => {
            let key = token("routing_key", "a routing key");
            let url = table.read_with("url", events_url);
            let changes = table.read_with("changes", sends);
            Some(System::PagerDuty { url: url?, routing_key: key?, changes: changes? })
        }
        "opsgenie" => {
            let (key, url) = token("key", "an API key").zip(url())?;
            Some(System::Opsgenie { url, key })
        }
        "alertmanager" => {
            let urls = table.read_with("urls", |value| value.each(base_url));
            let (urls, headers) = urls.zip(headers())?;
            Some(System::Alertmanager { urls, headers })
        }
        "grafana" => {
            let (url, token) = (url(), token("token", "a token"));
            let (dashboard, tags) = (table.opt("dashboard", word), words("tags"));
            let (dashboard, tags) = dashboard.zip(tags)?;
            Some(System::Grafana { url: url?, token: token?, dashboard, tags })
        }
        "statuspage" => {
            let (key, page) = (token("key", "an API key"), table.read_with("page", word));
            let (components, url) = (words("components"), url());
            let subscribers = table.read_with("subscribers", sends);
            if table.opt("public", sends)? != Some(Sends::Yes) {
                let error = table.error("customers read a status page");
                let help = "write `public = true` if a rollback is to be published by itself";
                return table.cx.refuse(error.help(help));
            }
            let ((url, key), (page, components)) = (url.zip(key)?, page.zip(components)?);
            Some(System::Statuspage { url, key, page, components, subscribers: subscribers? })
        }
        "webhook" => {
            let (url, headers) = secret_url().zip(headers())?;
            Some(System::Webhook { url, headers })
        }
        _ => {
            let (url, source) = (secret_url(), table.read_with("source", event_source));
            Some(System::CloudEvent { headers: headers()?, url: url?, source: source? })
        }
    }
}

/// What is told, each change once.
fn changes(value: TomlValue<'_>) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for change in value.each(TomlValue::choice)? {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    Some(changes)
}

fn events_url(value: TomlValue<'_>) -> Option<String> {
    let url = http_url(value)?;
    if url.ends_with("/v2/enqueue") {
        return Some(url);
    }
    let error = Diagnostic::new(0..url.len(), "events go to a URL that ends in /v2/enqueue")
        .help("write one like \"https://events.pagerduty.com/v2/enqueue\"");
    value.cx.refuse(value.error_within(error))
}

fn event_source(value: TomlValue<'_>) -> Option<String> {
    let source = word(value)?;
    // A URI reference, of which spaces and the like are no part.
    if source.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c)) {
        return Some(source);
    }
    let error = value.error("not a URI reference");
    value.cx.refuse(error.help("write one like \"/hosts/web-1/rollguard\""))
}

fn sends(value: TomlValue<'_>) -> Option<Sends> {
    Some(if value.boolean()? { Sends::Yes } else { Sends::No })
}

fn word(value: TomlValue<'_>) -> Option<String> {
    let text = value.text()?;
    if text.len() <= MAX_WORD && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    value.refuse(format!("a word has {MAX_WORD} bytes at most and no control characters"))
}
