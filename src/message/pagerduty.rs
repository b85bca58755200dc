//! PagerDuty's Events API v2: one incident for a deployment, by its dedup key. Sending an event
//! twice is harmless as long as the key and the integration are the same.

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::channel::Change;
use crate::model::target::Secret;

use super::request::{
    ApiRequest, Context, EventAction, OnAccepted, Outgoing, Repeat, Sender, bounded,
};
use super::text::{headline, lines, severity, short};

/// The most characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// The most bytes of a dedup key.
const MAX_KEY: usize = 255;

/// The end of every URL that events are sent to, and the path that change events take instead.
const ENQUEUE: &str = "/v2/enqueue";
const CHANGE: &str = "/v2/change/enqueue";

pub(super) fn event(url: &str, routing_key: &Secret, cx: &Context<'_>) -> Option<Outgoing> {
    let news = cx.news;
    let key = bounded(&news.key(), MAX_KEY);
    let (body, then) = match cx.action {
        EventAction::InformOfEnd => return None,
        EventAction::Resolve => {
            (json!({ "event_action": "resolve", "dedup_key": key }), OnAccepted::Closed)
        }
        EventAction::Trigger | EventAction::Inform => {
            let mut payload = payload(cx.telling, cx.sender);
            payload["severity"] = severity(news).0.into();
            payload["component"] = news.service.as_str().into();
            payload["group"] = news.service.as_str().into();
            payload["class"] = news.change.word().into();
            let body = json!({
                "event_action": "trigger",
                "dedup_key": key,
                "client": "rollguard",
                "payload": payload,
            });
            (body, OnAccepted::Opened)
        }
    };
    Some(request(url, routing_key, ENQUEUE, body).sent(Repeat::Harmless, then))
}

/// The change event of a deployment's begin or bake, whether or not it is also an alert.
pub(super) fn change_event(
    url: &str,
    routing_key: &Secret,
    telling: &Telling,
    sender: &Sender,
) -> Option<Outgoing> {
    let is_change = matches!(telling.news.change, Change::Begun | Change::Baked);
    let body = json!({ "payload": payload(telling, sender) });
    let request = is_change.then(|| request(url, routing_key, CHANGE, body))?;
    // A change event has no key, so people would see a second one.
    Some(request.sent(Repeat::Seen, OnAccepted::Nothing))
}

fn request(url: &str, routing_key: &Secret, path: &str, body: Value) -> ApiRequest {
    let base = url.strip_suffix(ENQUEUE).unwrap_or(url).to_owned();
    let secret_field = Some(("routing_key", routing_key.clone()));
    ApiRequest { secret_field, ..ApiRequest::post(Secret::Literal(base), path, body) }
}

/// What is known of an alert. Its texts are bounded, so the event stays far below the 512 KB that
/// PagerDuty accepts.
fn payload(telling: &Telling, sender: &Sender) -> Value {
    let news = &telling.news;
    let mut details = json!({});
    for (label, text) in lines(telling) {
        details[label] = text.into();
    }
    for (name, version) in [("version", &news.version), ("good", &news.good)] {
        if let Some(version) = version {
            details[name] = version.as_str().into();
        }
    }
    if !news.reason.is_empty() {
        details["reason"] = short(&news.reason, MAX_SUMMARY).into();
    }
    json!({
        "summary": short(&headline(news), MAX_SUMMARY),
        "source": sender.host,
        "timestamp": news.at.to_string(),
        "custom_details": details,
    })
}
