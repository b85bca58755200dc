//! A JSON document of rollguard's own, for whatever has no form of its own here. Its `id` lets the
//! receiver recognise what comes twice; it is also the header `Idempotency-Key`.

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::target::Secret;

use super::compose::{Sender, Step};
use super::request::{Header, Outgoing, Repeat, Request, Then};
use super::text::{headline, readings, severity};

pub(super) fn compose(
    url: &Secret,
    headers: &[(String, Secret)],
    telling: &Telling,
    step: Step,
    sender: &Sender,
) -> Vec<Outgoing> {
    if step == Step::Unasked {
        return Vec::new();
    }
    let mut request = Request::post(url.clone(), "", document(telling, sender));
    request.headers.push(Header {
        name: "Idempotency-Key".to_owned(),
        prefix: "",
        value: Secret::Literal(telling.news.id()),
    });
    let request = request.with_headers(headers);
    vec![request.sent(Repeat::Harmless, Then::Nothing)]
}

/// What is known of news. Its fields are documented and only ever added to.
pub(super) fn document(telling: &Telling, sender: &Sender) -> Value {
    let news = &telling.news;
    let rule = news.rule.as_ref().map(|rule| {
        json!({
            "name": rule.rule,
            "when": rule.when,
            "severity": rule.severity,
            "held_ms": rule.held_ms,
            "for_ms": rule.for_ms,
            "readings": readings(telling),
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
        "host": sender.host,
        "rollguard": sender.rollguard,
    })
}
