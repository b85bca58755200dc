//! `http` steps: what is sent, and what must be answered.

use crate::model::hook::Template;
use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{Action, Body, HttpCall, HttpExpectation, Json, Method, Wording};

use super::header::sent_headers;
use super::probe::{pointer, status};
use super::secret::{plain, secret_text};
use super::unix_step::reply;
use super::url::url_template;
use crate::config::syntax::json::json_with_texts;
use crate::config::syntax::{ErrorSink, TomlTable, TomlValue, template};

const JSON_TYPE: &str = "application/json";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// `http = { … }`
pub(crate) fn http_action(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Action<Template>> {
    let table = TomlTable::of(value, "request", sink)?;
    table.check_keys(sink);
    let method = table.read("method", sink, |value, sink| value.choice(&Method::ALL, sink));
    let url = table.read("url", sink, |value, sink| match value.is_table() {
        true => secret_text(value, RegisteredSecret::Url, sink),
        false => url_template(value, sink).map(Wording::Open),
    });
    let headers = table.opt("headers", sink, sent_headers);
    let body = body(&table, method, sink);
    let content_type = table.opt("content_type", sink, |value, sink| value.parse(sink, plain));
    let expect = table.opt("expect", sink, expectation);
    let body = body?;
    let default = match body {
        Body::Text(_) => TEXT_TYPE,
        Body::Json(_) | Body::Empty => JSON_TYPE,
    };
    let nothing = HttpExpectation { statuses: Vec::new(), json: None, text: None };
    Some(Action::Http(Box::new(HttpCall {
        method: method?,
        url: url?,
        headers: headers?.unwrap_or_default(),
        body,
        content_type: content_type?.unwrap_or(default.to_owned()),
        expect: expect?.unwrap_or(nothing),
    })))
}

fn body(
    table: &TomlTable<'_>,
    method: Option<Method>,
    sink: &mut ErrorSink,
) -> Option<Body<Template>> {
    let (json, body) = (table.get("json"), table.get("body"));
    let Some(first) = json.or(body) else {
        let Some(kind) = table.get("content_type") else { return Some(Body::Empty) };
        return sink.refuse(kind.error("there is no body that has a type"));
    };
    let wrong = match method {
        _ if json.is_some() && body.is_some() => Some("a request has `json` or `body`, not both"),
        Some(Method::Get | Method::Head) => Some("a GET or HEAD request has no body"),
        Some(Method::Put | Method::Delete | Method::Patch | Method::Post) | None => None,
    };
    if let Some(message) = wrong {
        return sink.refuse(first.error(message));
    }
    if let Some(json) = json {
        return json_with_texts(json, sink).map(Body::Json);
    }
    match first.is_table() {
        true => secret_text(first, RegisteredSecret::Text, sink).map(Body::Text),
        false => first.parse(sink, template).map(|text| Body::Text(Wording::Open(text))),
    }
}

fn expectation(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<HttpExpectation<Template>> {
    let table = TomlTable::of(value, "expect", sink)?;
    table.check_keys(sink);
    let statuses = table.opt("status", sink, |value, sink| match value.toml().is_array() {
        true => value.each(sink, status),
        false => status(value, sink).map(|status| vec![status]),
    });
    let json = table.opt("json", sink, json_at);
    let text = table.opt("text", sink, reply);
    Some(HttpExpectation { statuses: statuses?.unwrap_or_default(), json: json?, text: text? })
}

fn json_at(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<(String, Json<Template>)> {
    let table = TomlTable::of(value, "json", sink)?;
    table.check_keys(sink);
    let pointer = table.read("pointer", sink, pointer);
    let equals = table.read("equals", sink, json_with_texts);
    Some((pointer?, equals?))
}
