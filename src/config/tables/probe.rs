//! Probes: what a server must answer, and the URLs and JSON expectations that requests share.

use std::time::Duration;

use crate::model::hook::Template;
use crate::model::step::{Action, Json};

use super::secret_text::headers;
use super::step::{MAX_WAIT, MIN_WAIT};
use super::target::scrape_url;
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::json::json;
use crate::config::syntax::template::template;
use crate::config::syntax::tree::{Fault, Item, Section, Text};

const PROBE_WITHIN: Duration = Duration::from_secs(30);

/// `probe = { http = … }` or `{ tcp = … }`.
pub(crate) fn probe_action(
    section: &Section<'_>,
    item: Item<'_>,
    sink: &mut Sink,
) -> Option<Action<Template>> {
    let within =
        section.or("within", PROBE_WITHIN, |item| item.duration_within(MIN_WAIT, MAX_WAIT, sink));
    let probe = item.section("the probe", sink)?;
    match (probe.get("http"), probe.get("tcp")) {
        (None, Some(address)) => {
            let known = probe.only(&["tcp"], &[], sink);
            let address = tcp_address(address.text(sink)?, sink).filter(|_| known)?;
            Some(Action::Tcp { address, within: within? })
        }
        (Some(_), Some(_)) => {
            let message = "a probe has `http` or `tcp`, not both";
            sink.report(Diagnostic::error(item.place(), message));
            None
        }
        (Some(_) | None, None) => http_probe(&probe, within, sink),
    }
}

fn http_probe(
    probe: &Section<'_>,
    within: Option<Duration>,
    sink: &mut Sink,
) -> Option<Action<Template>> {
    if !probe.only(&["http", "tcp", "headers", "status", "json"], &[], sink) {
        return None;
    }
    let url = probe.required("http", sink).and_then(|item| {
        let text = item.text(sink)?;
        url(text, sink)
    });
    let headers = probe.or("headers", Vec::new(), |item| headers(item, sink));
    let status = probe.opt("status", |item| status(item, sink));
    let json = probe.opt("json", |item| expectation(item, sink));
    let (url, headers, status) = (url?, headers?, status?);
    Some(Action::Probe { url, headers, status, json: json?, within: within? })
}

/// A status of HTTP.
pub(crate) fn status(item: Item<'_>, sink: &mut Sink) -> Option<u16> {
    let status = item.integer(100..600, sink)?;
    u16::try_from(status).ok()
}

/// `host:port`, checked as it would be with each placeholder filled in.
fn tcp_address(text: Text<'_>, sink: &mut Sink) -> Option<Template> {
    let template = text.parse(sink, template)?;
    let filled = template.fill(|_| "0");
    let wrong = |_| {
        let fault = Fault::new(0..text.value.len(), "not a host and a port");
        fault.help("write them like \"127.0.0.1:5432\"")
    };
    let port = filled.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let is_address = port && !filled.contains(['/', '?', '#', '@']);
    text.parse(sink, |_| {
        let checked = scrape_url(&format!("http://{filled}/")).map_err(wrong)?;
        if is_address { Ok(checked) } else { Err(wrong(Fault::new(0..0, ""))) }
    })?;
    Some(template)
}

/// A URL with placeholders, checked as it would be with each of them filled in.
pub(crate) fn url(text: Text<'_>, sink: &mut Sink) -> Option<Template> {
    let template = text.parse(sink, template)?;
    let filled = template.fill(|_| "0");
    // The places of the filled text are not those of the file, so the whole is underlined.
    let whole = |fault: Fault| Fault { span: 0..text.value.len(), ..fault };
    text.parse(sink, |_| scrape_url(&filled).map_err(whole))?;
    Some(template)
}

/// `{ pointer, equals }`
fn expectation(item: Item<'_>, sink: &mut Sink) -> Option<(String, Json<Template>)> {
    let section = item.section("`json`", sink)?;
    section.only(&["pointer", "equals"], &[], sink);
    let pointer = section.required("pointer", sink).and_then(|item| pointer(item, sink));
    let equals = section.required("equals", sink).and_then(|item| match item.value().as_str() {
        Some("") => Some(Json::Text(Template::default())),
        Some(_) => item.text(sink)?.parse(sink, template).map(Json::Text),
        None => json(item, sink).map(Json::Exactly),
    });
    Some((pointer?, equals?))
}

/// RFC 6901; the empty pointer is the whole document.
pub(crate) fn pointer(item: Item<'_>, sink: &mut Sink) -> Option<String> {
    if item.value().as_str() == Some("") {
        return Some(String::new());
    }
    let text = item.text(sink)?;
    let escapes = text.value.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.value.starts_with('/') && escapes {
        return Some(text.value.to_owned());
    }
    let error = Diagnostic::error(text.place(), "not a JSON pointer");
    sink.report(error.help("write one like \"/status\" or \"/checks/0/state\""));
    None
}
