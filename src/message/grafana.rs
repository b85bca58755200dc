//! Grafana's annotations: a mark for each event, and a region from the decision to roll back to the
//! end of the rollback. Grafana does not recognise an annotation that comes twice, so its id is
//! kept.

use serde_json::json;

use crate::model::channel::Change;
use crate::model::target::Secret;

use super::request::{ApiRequest, Context, EventAction, OnAccepted, Outgoing, Repeat, base};
use super::text::{headline, short};

/// The most characters of an annotation's text: what fits into its bubble.
const MAX_TEXT: usize = 500;

pub(super) fn compose(
    url: &str,
    token: &Secret,
    dashboard: Option<&str>,
    tags: &[String],
    cx: &Context<'_>,
) -> Outgoing {
    let news = cx.news;
    let (at, text) = (news.at.as_millis(), short(&headline(news), MAX_TEXT));
    let then = match (cx.action, cx.reference) {
        (EventAction::Trigger, _) => OnAccepted::Opened,
        (EventAction::Resolve, Some(_)) => OnAccepted::Closed,
        (EventAction::Resolve | EventAction::InformOfEnd | EventAction::Inform, _) => {
            OnAccepted::Nothing
        }
    };
    // The region ends here, or goes on: the rollback ended in another way than it seemed to.
    if let Some(id) = cx.reference.filter(|_| then != OnAccepted::Nothing) {
        let body = json!({ "timeEnd": at, "text": text });
        let request = ApiRequest::patch(base(url), format!("/api/annotations/{id}"), body);
        return request.authorized("Bearer ", token).sent(Repeat::Harmless, then);
    }
    let own = ["rollguard".to_owned(), format!("svc:{}", news.service), news.change.word().into()];
    let tags: Vec<&String> = own.iter().chain(tags).collect();
    let mut body = json!({ "time": at, "tags": tags, "text": text });
    // Nobody knows the id of the region that began with the decision: it is made whole.
    if let Some(decided) = news.decided.filter(|_| news.change == Change::RolledBack) {
        body["time"] = decided.as_millis().into();
        body["timeEnd"] = at.into();
    }
    if let Some(dashboard) = dashboard {
        body["dashboardUID"] = dashboard.into();
    }
    let request = ApiRequest::post(base(url), "/api/annotations", body);
    request.authorized("Bearer ", token).sent(Repeat::Seen, then)
}
