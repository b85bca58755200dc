//! Probes: what a server must answer, or a port that must be open.

use crate::model::hook::Template;
use crate::model::step::{Action, Json};

use super::header::sent_headers;
use super::url::{scrape_url, url_template};
use crate::config::syntax::json::json;
use crate::config::syntax::{ErrorSink, TextError, TomlTable, TomlValue, template};

/// `probe = { http = … }` or `{ tcp = … }` of a step.
pub(crate) fn probe_action(step: &TomlTable<'_>, sink: &mut ErrorSink) -> Option<Action<Template>> {
    let within = step.read("within", sink, TomlValue::duration);
    let value = step.value("probe", sink)?;
    let probe = TomlTable::of(value, "probe", sink)?;
    if probe.get("tcp").is_some() && probe.get("http").is_some() {
        return sink.refuse(value.error("a probe has `http` or `tcp`, not both"));
    }
    if probe.get("tcp").is_some() {
        let known = probe.check_keys_for("tcp", &[], sink);
        let address = probe.read("tcp", sink, tcp_address).filter(|_| known)?;
        return Some(Action::Tcp { address, within: within? });
    }
    if !probe.check_keys(sink) {
        return None;
    }
    let url = probe.read("http", sink, url_template);
    let headers = probe.opt("headers", sink, sent_headers);
    let status = probe.opt("status", sink, status);
    let json = probe.opt("json", sink, expectation);
    Some(Action::Probe {
        url: url?,
        headers: headers?.unwrap_or_default(),
        status: status?,
        json: json?,
        within: within?,
    })
}

/// A status of HTTP.
pub(crate) fn status(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<u16> {
    u16::try_from(value.integer(sink)?).ok()
}

/// `host:port`, checked as it would be with each placeholder filled in.
fn tcp_address(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Template> {
    value.parse(sink, |text| {
        let address = template(text)?;
        let filled = address.fill(|_| "0");
        let port = filled.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_address = port && !filled.contains(['/', '?', '#', '@']);
        if is_address && scrape_url(&format!("http://{filled}/")).is_ok() {
            return Ok(address);
        }
        let error = TextError::new(0..text.len(), "not a host and a port");
        Err(error.help("write them like \"127.0.0.1:5432\""))
    })
}

/// `{ pointer, equals }`
fn expectation(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<(String, Json<Template>)> {
    let table = TomlTable::of(value, "json", sink)?;
    table.check_keys(sink);
    let pointer = table.read("pointer", sink, pointer);
    let equals = table.read("equals", sink, |value, sink| match value.as_str() {
        Some("") => Some(Json::Text(Template::default())),
        Some(_) => value.parse(sink, template).map(Json::Text),
        None => json(value, sink).map(Json::Exactly),
    });
    Some((pointer?, equals?))
}

/// RFC 6901; the empty pointer is the whole document.
pub(crate) fn pointer(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<String> {
    if value.as_str() == Some("") {
        return Some(String::new());
    }
    let text = value.text(sink)?;
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.starts_with('/') && escapes {
        return Some(text.to_owned());
    }
    let error = value.error("not a JSON pointer");
    sink.refuse(error.help("write one like \"/status\" or \"/checks/0/state\""))
}
