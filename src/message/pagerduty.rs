//! PagerDuty's Events API v2: one incident for a deployment, by its deduplication key. Sending an
//! event twice is harmless as long as the key and the integration are the same.

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::channel::{Change, Sends};
use crate::model::target::Secret;

use super::compose::{Sender, Step};
use super::key::bounded;
use super::request::{Outgoing, Repeat, Request, Then};
use super::text::{headline, lines, severity, short};

/// The most characters of a summary.
const MAX_SUMMARY: usize = 1024;

/// The most bytes of a deduplication key.
const MAX_KEY: usize = 255;

/// What ends every URL that events are sent to, and where change events go instead.
pub(crate) const ENQUEUE: &str = "/v2/enqueue";
const CHANGE: &str = "/v2/change/enqueue";

pub(super) struct To<'a> {
    pub(super) url: &'a str,
    pub(super) routing_key: &'a Secret,
    pub(super) changes: Sends,
}

pub(super) fn compose(
    to: &To<'_>,
    telling: &Telling,
    step: Step,
    sender: &Sender,
) -> Vec<Outgoing> {
    let mut all = Vec::new();
    match step {
        Step::Opens | Step::Passes => {
            all.push(event(to, ENQUEUE, trigger(telling, sender), Then::Opened));
        }
        Step::Closes => {
            let key = bounded(&telling.news.key(), MAX_KEY);
            let body = json!({ "event_action": "resolve", "dedup_key": key });
            all.push(event(to, ENQUEUE, body, Then::Closed));
        }
        Step::Unasked | Step::Ends => {}
    }
    let changes = matches!(telling.news.change, Change::Begun | Change::Baked);
    if changes && to.changes == Sends::Yes {
        let change = event(to, CHANGE, change(telling, sender), Then::Nothing);
        // A change event has no key: it would be there twice.
        all.push(Outgoing { repeat: Repeat::Seen, ..change });
    }
    all
}

fn event(to: &To<'_>, path: &str, body: Value, then: Then) -> Outgoing {
    let base = to.url.strip_suffix(ENQUEUE).unwrap_or(to.url);
    let mut request = Request::post(Secret::Literal(base.to_owned()), path, body);
    request.secret_field = Some(("routing_key", to.routing_key.clone()));
    request.sent(Repeat::Harmless, then)
}

fn trigger(telling: &Telling, sender: &Sender) -> Value {
    let news = &telling.news;
    json!({
        "event_action": "trigger",
        "dedup_key": bounded(&news.key(), MAX_KEY),
        "client": "rollguard",
        "payload": {
            "summary": short(&headline(news), MAX_SUMMARY),
            "source": sender.host,
            "severity": severity(news),
            "timestamp": news.at.to_string(),
            "component": news.service,
            "group": news.service,
            "class": news.change.word(),
            "custom_details": details(telling),
        },
    })
}

fn change(telling: &Telling, sender: &Sender) -> Value {
    let news = &telling.news;
    json!({
        "payload": {
            "summary": short(&headline(news), MAX_SUMMARY),
            "source": sender.host,
            "timestamp": news.at.to_string(),
            "custom_details": details(telling),
        },
    })
}

/// What is known, by name. Its texts are bounded, so the event stays far below the 512 KB that are
/// taken.
pub(super) fn details(telling: &Telling) -> Value {
    let news = &telling.news;
    let mut details = serde_json::Map::new();
    for line in lines(telling) {
        details.insert(line.label.to_owned(), line.text.into());
    }
    let versions = [("version", &news.version), ("good", &news.good)];
    for (name, version) in versions {
        if let Some(version) = version {
            details.insert(name.to_owned(), version.as_str().into());
        }
    }
    if !news.reason.is_empty() {
        details.insert("reason".to_owned(), short(&news.reason, MAX_SUMMARY).into());
    }
    details.into()
}
