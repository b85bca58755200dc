//! Probes: what a server must answer, or a port that must be open.

use crate::model::hook::Template;
use crate::model::step::{Action, Json};

use super::header::sent_headers;
use super::url::{scrape_url, url_template};
use crate::config::syntax::json::json;
use crate::config::syntax::{Diagnostic, TomlTable, TomlValue, template};

/// `probe = { http = … }` or `{ tcp = … }` of a step.
pub(crate) fn probe_action(step: &TomlTable<'_>) -> Option<Action<Template>> {
    let within = step.read("within");
    let probe = step.read_with("probe", |value| TomlTable::unchecked(value, "probe"))?;
    if probe.get("tcp").is_some() && probe.get("http").is_some() {
        return probe.cx.refuse(probe.error("a probe has `http` or `tcp`, not both"));
    }
    if probe.get("tcp").is_some() {
        let known = probe.check_keys_for("tcp", &[]);
        let address = probe.read_with("tcp", tcp_address).filter(|_| known)?;
        return Some(Action::Tcp { address, within: within? });
    }
    if !probe.check_keys() {
        return None;
    }
    let url = probe.read_with("http", url_template);
    let headers = probe.opt("headers", sent_headers);
    let json = probe.opt("json", |value| {
        json_at(value, |value| match value.as_str() {
            Some("") => Some(Json::Text(Template::default())),
            Some(_) => value.parse(template).map(Json::Text),
            None => json(value).map(Json::Exactly),
        })
    });
    let (status, headers) = (probe.read("status")?, headers?.unwrap_or_default());
    Some(Action::Probe { url: url?, headers, status, json: json?, within: within? })
}

/// `host:port`, checked as it would be with each placeholder filled in.
fn tcp_address(value: TomlValue<'_>) -> Option<Template> {
    value.parse(|text| {
        let address = template(text)?;
        let filled = address.fill(|_| "0");
        let port = filled.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_address = port && !filled.contains(['/', '?', '#', '@']);
        if is_address && scrape_url(&format!("http://{filled}/")).is_ok() {
            return Ok(address);
        }
        let error = Diagnostic::new(0..text.len(), "not a host and a port");
        Err(error.help("write them like \"127.0.0.1:5432\""))
    })
}

/// `{ pointer, equals }`
pub(crate) fn json_at(
    value: TomlValue<'_>,
    equals: impl FnOnce(TomlValue<'_>) -> Option<Json<Template>>,
) -> Option<(String, Json<Template>)> {
    let table = TomlTable::of(value, "json")?;
    table.read_with("pointer", pointer).zip(table.read_with("equals", equals))
}

/// RFC 6901; the empty pointer is the whole document.
pub(crate) fn pointer(value: TomlValue<'_>) -> Option<String> {
    if value.as_str() == Some("") {
        return Some(String::new());
    }
    let text = value.text()?;
    let escapes = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if text.starts_with('/') && escapes {
        return Some(text.to_owned());
    }
    let error = value.error("not a JSON pointer");
    value.cx.refuse(error.help("write one like \"/status\" or \"/checks/0/state\""))
}
