//! CloudEvents 1.0 in structured JSON. Source and id together are what an event is recognised by,
//! so sending one twice is harmless.

use serde_json::json;

use crate::engine::effect::Telling;
use crate::model::target::Secret;

use super::compose::{Sender, Step};
use super::request::{Outgoing, Repeat, Request, Then};
use super::webhook::document;

pub(super) struct To<'a> {
    pub(super) url: &'a Secret,
    pub(super) source: &'a str,
    pub(super) headers: &'a [(String, Secret)],
}

pub(super) fn compose(
    to: &To<'_>,
    telling: &Telling,
    step: Step,
    sender: &Sender,
) -> Vec<Outgoing> {
    if step == Step::Unasked {
        return Vec::new();
    }
    let news = &telling.news;
    let body = json!({
        "specversion": "1.0",
        "id": news.id(),
        "source": to.source,
        "type": format!("dev.rollguard.{}", news.change.word()),
        "subject": news.key(),
        "time": news.at.to_string(),
        "datacontenttype": "application/json",
        "data": document(telling, sender),
    });
    let mut request = Request::post(to.url.clone(), "", body);
    request.content_type = "application/cloudevents+json; charset=utf-8";
    vec![request.with_headers(to.headers).sent(Repeat::Harmless, Then::Nothing)]
}
