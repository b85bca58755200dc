//! `[notify.NAME]`: who is told of changes, and of which.

use crate::model::channel::{Change, Channel, Sends, System};
use crate::model::name::ChannelName;
use crate::model::target::Secret;

use super::address::{base, reference, request_headers, url, url_or_reference};
use super::named::{Declared, declared};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Fault, Item, Section};

/// The most channels. Each has a queue and a connection of its own.
const MAX_CHANNELS: usize = 16;

/// The most peers of an Alertmanager cluster.
const MAX_PEERS: usize = 16;

/// The most tags of an annotation and components of a page.
const MAX_LIST: usize = 16;

/// The longest tag, identifier or `source`.
const MAX_WORD: usize = 256;

const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";
const OPSGENIE: &str = "https://api.opsgenie.com/v2/alerts";
const STATUSPAGE: &str = "https://api.statuspage.io";

type Read = fn(&Section<'_>, &mut Sink) -> Option<System>;

/// The systems by their keys.
const SYSTEMS: [(&str, Read); 8] = [
    ("slack", slack),
    ("pagerduty", pagerduty),
    ("opsgenie", opsgenie),
    ("alertmanager", alertmanager),
    ("grafana", grafana),
    ("statuspage", statuspage),
    ("webhook", webhook),
    ("cloudevent", cloudevent),
];

/// Reads all channels.
pub(crate) fn channels(files: &[Section<'_>], sink: &mut Sink) -> Option<Vec<Channel>> {
    let tables = declared(files, "notify", sink);
    if let Some(first) = tables.get(MAX_CHANNELS) {
        let message = format!("more than {MAX_CHANNELS} tables [notify.NAME]");
        sink.report(Diagnostic::error(first.place.clone(), message));
        return None;
    }
    let all: Vec<_> = tables.iter().map(|table| channel(table, sink)).collect();
    all.into_iter().collect()
}

fn channel(declared: &Declared<'_>, sink: &mut Sink) -> Option<Channel> {
    let section = &declared.section;
    let words = SYSTEMS.map(|(word, _)| word);
    let known = section.only(&[&["on"], &words[..]].concat(), &[], sink);
    let name = ChannelName::new(declared.name)
        .map_err(|e| sink.report(Diagnostic::error(declared.place.clone(), e.to_string())))
        .ok();
    let on = section.opt("on", |item| changes(item, sink));
    let found: Vec<_> =
        SYSTEMS.iter().filter_map(|(word, read)| Some((section.get(word)?, word, read))).collect();
    let system = match found.as_slice() {
        [(item, word, read)] => system(*item, word, **read, sink),
        // What was meant is among the unknown keys.
        [] if !known => None,
        [] | [_, _, ..] => {
            let message = format!("{} tells exactly one system", section.title);
            let error = Diagnostic::error(declared.place.clone(), message);
            sink.missing(error.help(format!("give it one of {}", words.join(", "))));
            None
        }
    };
    let (system, on) = (system?, on?);
    let on = on.unwrap_or_else(|| system.default_changes().to_vec());
    Some(Channel { name: name?, on, system })
}

fn system(item: Item<'_>, word: &str, read: Read, sink: &mut Sink) -> Option<System> {
    read(&item.section(&format!("`{word}`"), sink)?, sink)
}

fn changes(item: Item<'_>, sink: &mut Sink) -> Option<Vec<Change>> {
    let list = item.list(sink)?;
    if list.is_empty() {
        sink.report(Diagnostic::error(item.place(), "a channel that tells of nothing"));
        return None;
    }
    let all: Vec<_> = list.iter().map(|item| item.choice(&Change::ALL, &[], sink)).collect();
    let mut changes = Vec::new();
    for change in all.into_iter().collect::<Option<Vec<_>>>()? {
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    Some(changes)
}

fn slack(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["url"], &[], sink);
    let url = required_secret(section, "url", "the webhook's URL", sink);
    Some(System::Slack { url: url? })
}

fn pagerduty(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["routing_key", "url", "changes"], &[], sink);
    let key = required_secret(section, "routing_key", "a routing key", sink);
    let url = section.or("url", PAGERDUTY.to_owned(), |item| {
        let written = url(item, sink)?;
        if written.ends_with("/v2/enqueue") {
            return Some(written);
        }
        let fault = Fault::new(0..written.len(), "events go to a URL that ends in /v2/enqueue");
        let fault = fault.help(format!("write one like \"{PAGERDUTY}\""));
        let error = item.text(sink)?.fault(fault);
        sink.report(error);
        None
    });
    let changes = section.or("changes", Sends::No, |item| sends(item, sink));
    Some(System::PagerDuty { url: url?, routing_key: key?, changes: changes? })
}

fn opsgenie(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["key", "url"], &[], sink);
    let key = required_secret(section, "key", "an API key", sink);
    let url = section.or("url", OPSGENIE.to_owned(), |item| base(item, sink));
    Some(System::Opsgenie { url: url?, key: key? })
}

fn alertmanager(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["urls", "headers"], &[], sink);
    let urls = section.required("urls", sink).and_then(|item| {
        let list = item.list(sink)?;
        if list.is_empty() || list.len() > MAX_PEERS {
            let message = format!("a cluster has 1 to {MAX_PEERS} peers");
            sink.report(Diagnostic::error(item.place(), message));
            return None;
        }
        let urls: Vec<_> = list.into_iter().map(|item| base(item, sink)).collect();
        urls.into_iter().collect::<Option<Vec<_>>>()
    });
    let headers = optional_headers(section, sink);
    Some(System::Alertmanager { urls: urls?, headers: headers? })
}

fn grafana(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["url", "token", "dashboard", "tags"], &[], sink);
    let url = section.required("url", sink).and_then(|item| base(item, sink));
    let token = required_secret(section, "token", "a token", sink);
    let dashboard = section.opt("dashboard", |item| word(item, sink));
    let tags = section.or("tags", Vec::new(), |item| words(item, sink));
    Some(System::Grafana { url: url?, token: token?, dashboard: dashboard?, tags: tags? })
}

fn statuspage(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["key", "page", "components", "public", "subscribers", "url"], &[], sink);
    let key = required_secret(section, "key", "an API key", sink);
    let page = section.required("page", sink).and_then(|item| word(item, sink));
    let components = section.or("components", Vec::new(), |item| words(item, sink));
    let subscribers = section.or("subscribers", Sends::No, |item| sends(item, sink));
    let url = section.or("url", STATUSPAGE.to_owned(), |item| base(item, sink));
    let public = section.or("public", Sends::No, |item| sends(item, sink))?;
    if public == Sends::No {
        let error = Diagnostic::error(section.place.clone(), "customers read a status page");
        sink.report(error.help("write `public = true` if a rollback is to be published by itself"));
        return None;
    }
    let (key, page, components) = (key?, page?, components?);
    Some(System::Statuspage { url: url?, key, page, components, subscribers: subscribers? })
}

fn webhook(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["url", "headers"], &[], sink);
    let url = section.required("url", sink).and_then(|item| url_or_reference(item, sink));
    let headers = optional_headers(section, sink);
    Some(System::Webhook { url: url?, headers: headers? })
}

fn cloudevent(section: &Section<'_>, sink: &mut Sink) -> Option<System> {
    section.only(&["url", "source", "headers"], &[], sink);
    let url = section.required("url", sink).and_then(|item| url_or_reference(item, sink));
    let source = section.or("source", "rollguard".to_owned(), |item| {
        let source = word(item, sink)?;
        // A URI reference, of which spaces and the like are no part.
        if source.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c)) {
            return Some(source);
        }
        let error = Diagnostic::error(item.place(), "not a URI reference");
        sink.report(error.help("write one like \"/hosts/web-1/rollguard\""));
        None
    });
    let headers = optional_headers(section, sink);
    Some(System::CloudEvent { url: url?, source: source?, headers: headers? })
}

fn required_secret(
    section: &Section<'_>,
    key: &str,
    what: &str,
    sink: &mut Sink,
) -> Option<Secret> {
    let item = section.required(key, sink)?;
    reference(item, what, sink)
}

fn optional_headers(section: &Section<'_>, sink: &mut Sink) -> Option<Vec<(String, Secret)>> {
    section.or("headers", Vec::new(), |item| request_headers(item, sink))
}

fn sends(item: Item<'_>, sink: &mut Sink) -> Option<Sends> {
    Some(if item.boolean(sink)? { Sends::Yes } else { Sends::No })
}

fn word(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    let text = item.text(sink)?;
    if text.value.len() <= MAX_WORD && !text.value.chars().any(char::is_control) {
        return Some(text.value.to_owned());
    }
    let message = format!("a word has {MAX_WORD} bytes at most and no control characters");
    sink.report(Diagnostic::error(item.place(), message));
    None
}

fn words(item: Item<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    let list = item.list(sink)?;
    if list.len() > MAX_LIST {
        let message = format!("{} are too many, {MAX_LIST} is the most", list.len());
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    let all: Vec<_> = list.into_iter().map(|item| word(item, sink)).collect();
    all.into_iter().collect()
}
