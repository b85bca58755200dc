//! A JSON document of rollguard's own, for every receiver that has no kind of its own here. Its
//! `id`, also sent as the header `Idempotency-Key`, lets the receiver recognise a document that
//! comes twice. A CloudEvent carries the same document.

use serde_json::{Value, json};

use crate::model::target::Secret;

use super::request::{ApiRequest, Context, OnAccepted, Outgoing, Repeat};
use super::text::{headline, readings, severity};

pub(super) fn compose(url: &Secret, headers: &[(String, Secret)], cx: &Context<'_>) -> Outgoing {
    let (id, document) = (Secret::Literal(cx.news.id()), document(cx));
    let request = ApiRequest::post(url.clone(), "", document);
    let request = request.with_header("Idempotency-Key", "", &id).with_headers(headers);
    request.sent(Repeat::Harmless, OnAccepted::Nothing)
}

/// CloudEvents 1.0 in structured JSON. A receiver recognises an event by its source and id
/// together, so sending one twice is harmless.
pub(super) fn compose_cloud_event(
    url: &Secret,
    source: &str,
    headers: &[(String, Secret)],
    cx: &Context<'_>,
) -> Outgoing {
    let news = cx.news;
    let body = json!({
        "specversion": "1.0",
        "id": news.id(),
        "source": source,
        "type": format!("dev.rollguard.{}", news.change.word()),
        "subject": news.key(),
        "time": news.at.to_string(),
        "datacontenttype": "application/json",
        "data": document(cx),
    });
    let mut request = ApiRequest::post(url.clone(), "", body);
    request.content_type = "application/cloudevents+json; charset=utf-8";
    request.with_headers(headers).sent(Repeat::Harmless, OnAccepted::Nothing)
}

/// All that is known of an alert. Its fields are documented; a version may add fields but never
/// removes one.
fn document(cx: &Context<'_>) -> Value {
    let news = cx.news;
    let rule = news.rule.as_ref().map(|rule| {
        json!({
            "name": rule.rule,
            "when": rule.when,
            "severity": rule.severity,
            "held_ms": rule.held_ms,
            "for_ms": rule.for_ms,
            "readings": readings(cx.telling),
            "description": rule.about.description,
            "runbook": rule.about.runbook,
            "owner": rule.about.owner,
        })
    });
    json!({
        "id": news.id(),
        "key": news.key(),
        "change": news.change.word(),
        "severity": severity(news).0,
        "at": news.at.to_string(),
        "summary": headline(news),
        "service": news.service,
        "deployment": news.deployment,
        "version": news.version,
        "good": news.good,
        "stage": news.stage,
        "reason": news.reason,
        "rule": rule,
        "decided_at": news.decided.map(|at| at.to_string()),
        "host": cx.sender.host,
        "rollguard": cx.sender.rollguard,
    })
}
