//! `http` steps: what is sent, and what must be answered.

use crate::model::hook::Template;
use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{Action, Body, HttpCall, HttpExpectation, Method, Wording};

use super::header::sent_headers;
use super::probe::json_at;
use super::secret::{plain, secret_text};
use super::url::url_template;
use crate::config::syntax::json::json_with_texts;
use crate::config::syntax::{FromToml, TomlTable, TomlValue, template};

const JSON_TYPE: &str = "application/json";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

/// `http = { … }`
pub(crate) fn http_action(value: TomlValue<'_>) -> Option<Action<Template>> {
    let table = TomlTable::of(value, "request")?;
    let method = table.read("method");
    let url = table.read_with("url", |value| match value.is_table() {
        true => secret_text(value, RegisteredSecret::Url),
        false => url_template(value).map(Wording::Open),
    });
    let headers = table.opt("headers", sent_headers);
    let body = body(&table, method);
    let content_type = table.opt("content_type", |value| value.parse(plain));
    let expect = table.opt("expect", expectation);
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

fn body(table: &TomlTable<'_>, method: Option<Method>) -> Option<Body<Template>> {
    let (json, body) = (table.get("json"), table.get("body"));
    let Some(first) = json.or(body) else {
        let Some(kind) = table.get("content_type") else { return Some(Body::Empty) };
        return kind.refuse("there is no body that has a type");
    };
    if json.is_some() && body.is_some() {
        return first.refuse("a request has `json` or `body`, not both");
    }
    if matches!(method, Some(Method::Get | Method::Head)) {
        return first.refuse("a GET or HEAD request has no body");
    }
    if let Some(json) = json {
        return json_with_texts(json).map(Body::Json);
    }
    match first.is_table() {
        true => secret_text(first, RegisteredSecret::Text).map(Body::Text),
        false => first.parse(template).map(|text| Body::Text(Wording::Open(text))),
    }
}

fn expectation(value: TomlValue<'_>) -> Option<HttpExpectation<Template>> {
    let table = TomlTable::of(value, "expect")?;
    let statuses = table.opt("status", |value| match value.toml().is_array() {
        true => Vec::from_toml(value),
        false => value.integer().map(|status| vec![status]),
    });
    let json = table.opt("json", |value| json_at(value, json_with_texts));
    let text = table.read("text")?;
    Some(HttpExpectation { statuses: statuses?.unwrap_or_default(), json: json?, text })
}
