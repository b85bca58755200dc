//! Atlassian Statuspage. Customers read it, so it says nothing of rules, readings, versions or
//! hosts. An incident is not recognised when it comes twice, so its id is kept.

use serde_json::{Map, Value, json};

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::channel::{Change, Sends};
use crate::model::target::Secret;

use super::compose::Step;
use super::key::segment;
use super::request::{Outgoing, Repeat, Request, Then};

pub(super) struct To<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a Secret,
    pub(super) page: &'a str,
    pub(super) components: &'a [String],
    pub(super) subscribers: Sends,
}

pub(super) fn compose(
    to: &To<'_>,
    telling: &Telling,
    step: Step,
    reference: Option<&str>,
) -> Vec<Outgoing> {
    let news = &telling.news;
    let incidents = format!("/v1/pages/{}/incidents", segment(to.page));
    let base = Secret::Literal(to.url.trim_end_matches('/').to_owned());
    let (request, repeat, then) = match (step, reference) {
        (Step::Unasked | Step::Passes | Step::Ends, _) | (Step::Closes, None) => return Vec::new(),
        (Step::Opens, None) => {
            (Request::post(base, incidents, opening(to, news)), Repeat::Seen, Then::Opened)
        }
        (Step::Opens, Some(id)) => {
            let body = update(to, "identified", said(news), None);
            (
                Request::patch(base, format!("{incidents}/{id}"), body),
                Repeat::Harmless,
                Then::Opened,
            )
        }
        (Step::Closes, Some(id)) => {
            let body = update(to, "resolved", said(news), Some("operational"));
            (
                Request::patch(base, format!("{incidents}/{id}"), body),
                Repeat::Harmless,
                Then::Closed,
            )
        }
    };
    vec![request.authorized("OAuth ", to.key).sent(repeat, then)]
}

fn opening(to: &To<'_>, news: &News) -> Value {
    let mut body = update(to, "investigating", said(news), Some("partial_outage"));
    if let Some(incident) = body.get_mut("incident").and_then(Value::as_object_mut) {
        incident.insert("name".to_owned(), format!("Problems with {}", news.service).into());
        incident.insert("component_ids".to_owned(), to.components.into());
        incident.insert("impact_override".to_owned(), "minor".into());
    }
    body
}

fn update(to: &To<'_>, status: &str, body: &str, components: Option<&str>) -> Value {
    let mut incident = json!({
        "status": status,
        "body": body,
        "deliver_notifications": to.subscribers == Sends::Yes,
    });
    if let (Some(components), Some(incident)) = (components, incident.as_object_mut()) {
        let states: Map<String, Value> =
            to.components.iter().map(|id| (id.clone(), components.into())).collect();
        incident.insert("components".to_owned(), states.into());
    }
    json!({ "incident": incident })
}

fn said(news: &News) -> &'static str {
    match news.change {
        Change::RolledBack => "A recent change caused this problem and was taken back.",
        Change::Failed => "A recent change caused this problem. We are still working on it.",
        Change::Decided => "A recent change seems to cause problems. We are taking it back.",
        Change::Baked | Change::Ended | Change::Superseded | Change::Cleared => {
            "The problem is over."
        }
        Change::Begun
        | Change::Stage
        | Change::StagePassed
        | Change::StageStuck
        | Change::Observed
        | Change::Firing
        | Change::Refused
        | Change::AwaitingApproval
        | Change::Denied
        | Change::Paused
        | Change::Resumed
        | Change::TelemetryLost
        | Change::TelemetryBack
        | Change::JournalLost
        | Change::ReloadRefused
        | Change::Reloaded => "We are looking into a problem.",
    }
}
