//! Atlassian Statuspage. Customers read it, so it says nothing of rules, readings, versions or
//! hosts. It does not recognise an incident that comes twice, so the incident's id is kept.

use serde_json::{Map, Value, json};

use crate::model::alert::News;
use crate::model::channel::{Change, Sends};
use crate::model::target::Secret;

use super::context::{Context, EventAction};
use super::key::segment;
use super::request::{ApiRequest, OnAccepted, Outgoing, Repeat, base};

pub(super) struct Statuspage<'a> {
    pub(super) url: &'a str,
    pub(super) key: &'a Secret,
    pub(super) page: &'a str,
    pub(super) components: &'a [String],
    pub(super) subscribers: Sends,
}

impl Statuspage<'_> {
    pub(super) fn compose(&self, cx: &Context<'_>) -> Option<Outgoing> {
        let news = cx.news;
        let (base, incidents) =
            (base(self.url), format!("/v1/pages/{}/incidents", segment(self.page)));
        let patch = |base, id, body| ApiRequest::patch(base, format!("{incidents}/{id}"), body);
        let (request, repeat, then) = match (cx.action, cx.reference) {
            (EventAction::Inform | EventAction::InformOfEnd, _) | (EventAction::Resolve, None) => {
                return None;
            }
            (EventAction::Trigger, None) => (
                ApiRequest::post(base, &*incidents, self.opening(news)),
                Repeat::Seen,
                OnAccepted::Opened,
            ),
            (EventAction::Trigger, Some(id)) => {
                let body = self.update("identified", news, None);
                (patch(base, id, body), Repeat::Harmless, OnAccepted::Opened)
            }
            (EventAction::Resolve, Some(id)) => {
                let body = self.update("resolved", news, Some("operational"));
                (patch(base, id, body), Repeat::Harmless, OnAccepted::Closed)
            }
        };
        Some(request.authorized("OAuth ", self.key).sent(repeat, then))
    }

    fn opening(&self, news: &News) -> Value {
        let mut body = self.update("investigating", news, Some("partial_outage"));
        let incident = &mut body["incident"];
        incident["name"] = format!("Problems with {}", news.service).into();
        incident["component_ids"] = self.components.into();
        incident["impact_override"] = "minor".into();
        body
    }

    fn update(&self, status: &str, news: &News, components: Option<&str>) -> Value {
        let mut incident = json!({
            "status": status,
            "body": customer_text(news.change),
            "deliver_notifications": self.subscribers == Sends::Yes,
        });
        if let Some(state) = components {
            let states = self.components.iter().map(|id| (id.clone(), state.into()));
            incident["components"] = states.collect::<Map<String, Value>>().into();
        }
        json!({ "incident": incident })
    }
}

const fn customer_text(change: Change) -> &'static str {
    match change {
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
