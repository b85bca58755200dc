//! `http` and `unix` steps: what is sent, and what must be answered.

use crate::model::hook::{Placeholder, Template};
use crate::model::step::{
    Action, Body, Connections, HttpCall, HttpExpectation, Json, Method, ReplyTest, UnixCall,
    Wording,
};

use super::probe::{pointer, status, url};
use super::secret_text::{headers, no_control, wording};
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::json::json_with_texts;
use crate::config::syntax::template::template;
use crate::config::syntax::tree::{Fault, Item, Section};

/// The most lines of a `unix` step, the most statuses of an `http` one. Nobody writes more by hand.
const MAX_LIST: usize = 64;

/// The most that a regular expression over a reply may take once compiled, in bytes; the same as
/// for a matcher.
const MAX_REGEX: usize = 64 * 1024;

const JSON_TYPE: &str = "application/json";
const TEXT_TYPE: &str = "text/plain; charset=utf-8";

const HTTP_KEYS: [&str; 7] = ["method", "url", "headers", "json", "body", "content_type", "expect"];

/// `http = { … }`
pub(crate) fn http_action(item: Item<'_>, sink: &mut Sink) -> Option<Action<Template>> {
    let section = item.section("the request", sink)?;
    section.only(&HTTP_KEYS, &[], sink);
    let method = section.required("method", sink);
    let method = method.and_then(|item| item.choice(&Method::ALL, &[], sink));
    let url = section.required("url", sink).and_then(|item| {
        if item.is_table() {
            return wording(item, sink);
        }
        let text = item.text(sink)?;
        url(text, sink).map(Wording::Open)
    });
    let headers = section.or("headers", Vec::new(), |item| headers(item, sink));
    let body = body(&section, method, sink);
    let kind = match body {
        Some(Body::Text(_)) => TEXT_TYPE,
        Some(Body::Json(_) | Body::Empty) | None => JSON_TYPE,
    };
    let content_type = section.or("content_type", kind.to_owned(), |item| {
        let text = item.text(sink)?;
        text.parse(sink, |text| no_control(text).map(|()| text.to_owned()))
    });
    let none = HttpExpectation { statuses: Vec::new(), json: None, text: None };
    let expect = section.or("expect", none, |item| expectation(item, sink));
    let (method, url, headers, body) = (method?, url?, headers?, body?);
    let (content_type, expect) = (content_type?, expect?);
    Some(Action::Http(Box::new(HttpCall { method, url, headers, body, content_type, expect })))
}

fn body(section: &Section<'_>, method: Option<Method>, sink: &mut Sink) -> Option<Body<Template>> {
    let (json, body) = (section.get("json"), section.get("body"));
    let Some(first) = json.or(body) else {
        if let Some(kind) = section.get("content_type") {
            sink.report(Diagnostic::error(kind.place(), "there is no body that has a type"));
            return None;
        }
        return Some(Body::Empty);
    };
    let wrong = match method {
        _ if json.is_some() && body.is_some() => Some("a request has `json` or `body`, not both"),
        Some(Method::Get | Method::Head) => Some("a GET or HEAD request has no body"),
        Some(Method::Put | Method::Delete | Method::Patch | Method::Post) | None => None,
    };
    if let Some(message) = wrong {
        sink.report(Diagnostic::error(first.place(), message));
        return None;
    }
    match json {
        Some(json) => json_with_texts(json, sink).map(Body::Json),
        None if first.is_table() => wording(first, sink).map(Body::Text),
        None => {
            let text = first.text(sink)?.parse(sink, template)?;
            Some(Body::Text(Wording::Open(text)))
        }
    }
}

fn expectation(item: Item<'_>, sink: &mut Sink) -> Option<HttpExpectation<Template>> {
    let section = item.section("`expect`", sink)?;
    section.only(&["status", "json", "text"], &[], sink);
    let statuses = section.or("status", Vec::new(), |item| statuses(item, sink));
    let json = section.opt("json", |item| json_at(item, sink));
    let text = section.opt("text", |item| reply(item, sink));
    Some(HttpExpectation { statuses: statuses?, json: json?, text: text? })
}

/// One status or a list of them.
fn statuses(item: Item<'_>, sink: &mut Sink) -> Option<Vec<u16>> {
    if item.value().as_array().is_none() {
        return status(item, sink).map(|status| vec![status]);
    }
    let list = few(item, "statuses", sink)?;
    let statuses: Vec<_> = list.into_iter().map(|item| status(item, sink)).collect();
    statuses.into_iter().collect()
}

/// The items of a list that has some and not too many.
fn few<'a>(item: Item<'a>, what: &str, sink: &mut Sink) -> Option<Vec<Item<'a>>> {
    let list = item.list(sink)?;
    if list.is_empty() || list.len() > MAX_LIST {
        let message = format!("there are 1 to {MAX_LIST} {what} here");
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    Some(list)
}

fn json_at(item: Item<'_>, sink: &mut Sink) -> Option<(String, Json<Template>)> {
    let section = item.section("`json`", sink)?;
    section.only(&["pointer", "equals"], &[], sink);
    let pointer = section.required("pointer", sink).and_then(|item| pointer(item, sink));
    let equals = section.required("equals", sink).and_then(|item| json_with_texts(item, sink));
    Some((pointer?, equals?))
}

/// A text, or `{ contains }`, `{ prefix }` or `{ matches }`.
fn reply(item: Item<'_>, sink: &mut Sink) -> Option<ReplyTest> {
    if let Some(text) = item.value().as_str() {
        return Some(ReplyTest::Exactly(text.trim().to_owned()));
    }
    let section = item.section("the reply", sink)?;
    if !section.only(&["contains", "prefix", "matches"], &[], sink) {
        return None;
    }
    let tests = (section.get("contains"), section.get("prefix"), section.get("matches"));
    let text = |item: Item<'_>, sink: &mut Sink| item.text(sink).map(|t| t.value.to_owned());
    match tests {
        (Some(item), None, None) => text(item, sink).map(ReplyTest::Contains),
        (None, Some(item), None) => text(item, sink).map(ReplyTest::Prefix),
        (None, None, Some(item)) => item.text(sink)?.parse(sink, regex),
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            let message = "a reply is a text, or has one of `contains`, `prefix` and `matches`";
            sink.report(Diagnostic::error(item.place(), message));
            None
        }
    }
}

fn regex(text: &str) -> Result<ReplyTest, Fault> {
    let built = regex_lite::RegexBuilder::new(text).size_limit(MAX_REGEX).build();
    let wrong = |error| Fault::new(0..text.len(), format!("not a regular expression: {error}"));
    built.map(ReplyTest::Matches).map_err(wrong)
}

/// `unix = { path, send, expect, connections }`
pub(crate) fn unix_action(item: Item<'_>, sink: &mut Sink) -> Option<Action<Template>> {
    let section = item.section("the socket", sink)?;
    section.only(&["path", "send", "expect", "connections"], &[], sink);
    let path = section.required("path", sink).and_then(|item| item.path(sink));
    let send = section.required("send", sink).and_then(|item| lines(item, sink));
    // Sockets of this kind are silent where all is well, and say in words what is not.
    let silence = ReplyTest::Exactly(String::new());
    let expect = section.or("expect", silence, |item| reply(item, sink));
    let words = [("each", Connections::Each), ("one", Connections::One)];
    let connections =
        section.or("connections", Connections::Each, |item| item.choice(&words, &[], sink));
    let (path, send) = (path?, send?);
    let call = UnixCall { path, send, expect: expect?, connections: connections? };
    Some(Action::Unix(Box::new(call)))
}

fn lines(item: Item<'_>, sink: &mut Sink) -> Option<Vec<Template>> {
    let list = few(item, "lines", sink)?;
    let lines: Vec<_> = list.into_iter().map(|item| line(item, sink)).collect();
    lines.into_iter().collect()
}

/// A command. What is filled in must not be able to become another one: names hold neither line
/// breaks nor `;`, but a reason is free text.
fn line(item: Item<'_>, sink: &mut Sink) -> Option<Template> {
    item.text(sink)?.parse(sink, |text| {
        no_control(text)?;
        let line = template(text)?;
        if line.names(Placeholder::Reason) {
            let at = text.find("{reason}").unwrap_or(0);
            let fault = Fault::new(at..at + "{reason}".len(), "a reason is no part of a command");
            return Err(fault.help("it is free text, and could hold a second command"));
        }
        Ok(line)
    })
}
