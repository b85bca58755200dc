//! CloudEvents 1.0 in structured JSON. A receiver recognises an event by its source and id
//! together, so sending one twice is harmless.

use serde_json::json;

use crate::model::target::Secret;

use super::context::Context;
use super::request::{ApiRequest, OnAccepted, Outgoing, Repeat};
use super::webhook::document;

pub(super) fn compose(
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
