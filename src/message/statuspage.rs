//! Atlassian Statuspage. Customers read it, so it says nothing of rules, readings, versions or
//! hosts. It does not recognise an incident that comes twice, so the incident's id is kept.

use serde_json::{Map, Value, json};

use crate::model::channel::{Change, Sends};
use crate::model::target::Secret;

use super::request::{
    ApiRequest, Context, EventAction, OnAccepted, Outgoing, Repeat, base, segment,
};

/// What customers read of a change; of any other that something is being looked into.
const TEXTS: [(Change, &str); 7] = [
    (Change::RolledBack, "A recent change caused this problem and was taken back."),
    (Change::Failed, "A recent change caused this problem. We are still working on it."),
    (Change::Decided, "A recent change seems to cause problems. We are taking it back."),
    (Change::Baked, "The problem is over."),
    (Change::Ended, "The problem is over."),
    (Change::Superseded, "The problem is over."),
    (Change::Cleared, "The problem is over."),
];

pub(super) fn compose(
    url: &str,
    key: &Secret,
    page: &str,
    components: &[String],
    subscribers: Sends,
    cx: &Context<'_>,
) -> Option<Outgoing> {
    let (status, state, then) = match (cx.action, cx.reference) {
        (EventAction::Inform | EventAction::InformOfEnd, _) | (EventAction::Resolve, None) => {
            return None;
        }
        (EventAction::Trigger, None) => {
            ("investigating", Some("partial_outage"), OnAccepted::Opened)
        }
        (EventAction::Trigger, Some(_)) => ("identified", None, OnAccepted::Opened),
        (EventAction::Resolve, Some(_)) => ("resolved", Some("operational"), OnAccepted::Closed),
    };
    let text = TEXTS.iter().find(|(change, _)| *change == cx.news.change);
    let mut incident = json!({
        "status": status,
        "body": text.map_or("We are looking into a problem.", |(_, text)| text),
        "deliver_notifications": subscribers == Sends::Yes,
    });
    if let Some(state) = state {
        let states = components.iter().map(|id| (id.clone(), state.into()));
        incident["components"] = states.collect::<Map<String, Value>>().into();
    }
    let incidents = format!("/v1/pages/{}/incidents", segment(page));
    if let Some(id) = cx.reference {
        let body = json!({ "incident": incident });
        let request = ApiRequest::patch(base(url), format!("{incidents}/{id}"), body);
        return Some(request.authorized("OAuth ", key).sent(Repeat::Harmless, then));
    }
    incident["name"] = format!("Problems with {}", cx.news.service).into();
    incident["component_ids"] = components.into();
    incident["impact_override"] = "minor".into();
    let request = ApiRequest::post(base(url), incidents, json!({ "incident": incident }));
    Some(request.authorized("OAuth ", key).sent(Repeat::Seen, then))
}
