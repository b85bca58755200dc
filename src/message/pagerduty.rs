//! PagerDuty's Events API v2: one incident for a deployment, by its dedup key. Sending an event
//! twice is harmless as long as the key and the integration are the same.

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::channel::{Change, Sends};
use crate::model::target::Secret;

use super::context::{Context, EventAction, Sender};
use super::key::bounded;
use super::request::{ApiRequest, OnAccepted, Outgoing, Repeat};
use super::text::{headline, lines, severity, short};

/// The most characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// The most bytes of a dedup key.
const MAX_KEY: usize = 255;

/// The end of every URL that events are sent to, and the path that change events take instead.
const ENQUEUE: &str = "/v2/enqueue";
const CHANGE: &str = "/v2/change/enqueue";

pub(super) struct PagerDuty<'a> {
    pub(super) url: &'a str,
    pub(super) routing_key: &'a Secret,
}

impl PagerDuty<'_> {
    pub(super) fn event(&self, cx: &Context<'_>) -> Option<Outgoing> {
        let key = bounded(&cx.news.key(), MAX_KEY);
        let (body, then) = match cx.action {
            EventAction::Trigger | EventAction::Inform => (trigger(cx, &key), OnAccepted::Opened),
            EventAction::Resolve => {
                (json!({ "event_action": "resolve", "dedup_key": key }), OnAccepted::Closed)
            }
            EventAction::InformOfEnd => return None,
        };
        Some(self.request(ENQUEUE, body).sent(Repeat::Harmless, then))
    }

    /// The change event of a deployment's begin or bake, whether or not it is also an alert.
    pub(super) fn change_event(
        &self,
        changes: Sends,
        telling: &Telling,
        sender: &Sender,
    ) -> Option<Outgoing> {
        let news = &telling.news;
        let is_change = matches!(news.change, Change::Begun | Change::Baked);
        if !is_change || changes != Sends::Yes {
            return None;
        }
        let body = json!({
            "payload": {
                "summary": short(&headline(news), MAX_SUMMARY),
                "source": sender.host,
                "timestamp": news.at.to_string(),
                "custom_details": details(telling),
            },
        });
        // A change event has no key, so people would see a second one.
        Some(self.request(CHANGE, body).sent(Repeat::Seen, OnAccepted::Nothing))
    }

    fn request(&self, path: &str, body: Value) -> ApiRequest {
        let base = self.url.strip_suffix(ENQUEUE).unwrap_or(self.url);
        let mut request = ApiRequest::post(Secret::Literal(base.to_owned()), path, body);
        request.secret_field = Some(("routing_key", self.routing_key.clone()));
        request
    }
}

fn trigger(cx: &Context<'_>, key: &str) -> Value {
    let news = cx.news;
    json!({
        "event_action": "trigger",
        "dedup_key": key,
        "client": "rollguard",
        "payload": {
            "summary": short(&headline(news), MAX_SUMMARY),
            "source": cx.sender.host,
            "severity": severity(news),
            "timestamp": news.at.to_string(),
            "component": news.service,
            "group": news.service,
            "class": news.change.word(),
            "custom_details": details(cx.telling),
        },
    })
}

/// What is known, by name. Its texts are bounded, so the event stays far below the 512 KB that
/// PagerDuty accepts.
fn details(telling: &Telling) -> Value {
    let news = &telling.news;
    let mut details = serde_json::Map::new();
    for line in lines(telling) {
        details.insert(line.label.to_owned(), line.text.into());
    }
    for (name, version) in [("version", &news.version), ("good", &news.good)] {
        if let Some(version) = version {
            details.insert(name.to_owned(), version.as_str().into());
        }
    }
    if !news.reason.is_empty() {
        details.insert("reason".to_owned(), short(&news.reason, MAX_SUMMARY).into());
    }
    details.into()
}
