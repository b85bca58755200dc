//! Grafana's annotations: a mark for each event, and a region from the decision to roll back to the
//! end of the rollback. Grafana does not recognise an annotation that comes twice, so its id is
//! kept.

use serde_json::json;

use crate::model::channel::Change;
use crate::model::target::Secret;

use super::context::{Context, EventAction};
use super::request::{ApiRequest, OnAccepted, Outgoing, Repeat, base};
use super::text::{headline, short};

/// The most characters of an annotation's text: what fits into its bubble.
const MAX_TEXT: usize = 500;

pub(super) struct Grafana<'a> {
    pub(super) url: &'a str,
    pub(super) token: &'a Secret,
    pub(super) dashboard: Option<&'a str>,
    pub(super) tags: &'a [String],
}

impl Grafana<'_> {
    pub(super) fn compose(&self, cx: &Context<'_>) -> Outgoing {
        let text = short(&headline(cx.news), MAX_TEXT);
        let (request, repeat, then) = match (cx.action, cx.reference) {
            (EventAction::Resolve, Some(id)) => {
                (self.extend(id, cx, &text), Repeat::Harmless, OnAccepted::Closed)
            }
            // The region goes on: the rollback ended in another way than it seemed to.
            (EventAction::Trigger, Some(id)) => {
                (self.extend(id, cx, &text), Repeat::Harmless, OnAccepted::Opened)
            }
            (EventAction::Trigger, None) => {
                (self.mark(cx, None, &text), Repeat::Seen, OnAccepted::Opened)
            }
            (EventAction::Resolve | EventAction::InformOfEnd | EventAction::Inform, _) => {
                let begun = cx.news.decided.filter(|_| cx.news.change == Change::RolledBack);
                let begun = begun.map(|at| at.as_millis());
                (self.mark(cx, begun, &text), Repeat::Seen, OnAccepted::Nothing)
            }
        };
        request.authorized("Bearer ", self.token).sent(repeat, then)
    }

    /// A mark at the time of the event, or a region that began earlier and ends there.
    fn mark(&self, cx: &Context<'_>, begun: Option<i64>, text: &str) -> ApiRequest {
        let news = cx.news;
        let service = format!("svc:{}", news.service);
        let own = ["rollguard".to_owned(), service, news.change.word().to_owned()];
        let tags: Vec<&String> = own.iter().chain(self.tags).collect();
        let at = news.at.as_millis();
        let mut body = json!({ "time": begun.unwrap_or(at), "tags": tags, "text": text });
        if begun.is_some() {
            body["timeEnd"] = at.into();
        }
        if let Some(dashboard) = self.dashboard {
            body["dashboardUID"] = dashboard.into();
        }
        ApiRequest::post(base(self.url), "/api/annotations", body)
    }

    fn extend(&self, id: &str, cx: &Context<'_>, text: &str) -> ApiRequest {
        let body = json!({ "timeEnd": cx.news.at.as_millis(), "text": text });
        ApiRequest::patch(base(self.url), format!("/api/annotations/{id}"), body)
    }
}
