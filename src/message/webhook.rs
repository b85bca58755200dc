//! A JSON document of rollguard's own, for every receiver that has no kind of its own here. Its
//! `id`, also sent as the header `Idempotency-Key`, lets the receiver recognise a document that
//! comes twice.

use serde_json::{Value, json};

use crate::model::target::Secret;

use super::context::Context;
use super::request::{ApiRequest, Header, OnAccepted, Outgoing, Repeat};
use super::text::{headline, readings, severity};

pub(super) fn compose(url: &Secret, headers: &[(String, Secret)], cx: &Context<'_>) -> Outgoing {
    let mut request = ApiRequest::post(url.clone(), "", document(cx));
    request.headers.push(Header {
        name: "Idempotency-Key".to_owned(),
        prefix: "",
        value: Secret::Literal(cx.news.id()),
    });
    request.with_headers(headers).sent(Repeat::Harmless, OnAccepted::Nothing)
}

/// All that is known of an alert. Its fields are documented; a version may add fields but never
/// removes one.
pub(super) fn document(cx: &Context<'_>) -> Value {
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
        "severity": severity(news),
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
