//! Grafana's annotations: a mark for what happened, and a region from the decision to roll back to
//! its end. An annotation is not recognised when it comes twice, so its id is kept.

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::channel::Change;
use crate::model::target::Secret;

use super::compose::Step;
use super::request::{Outgoing, Repeat, Request, Then};
use super::text::{headline, short};

/// The most characters of an annotation's text: what fits into its bubble.
const MAX_TEXT: usize = 500;

pub(super) struct To<'a> {
    pub(super) url: &'a str,
    pub(super) token: &'a Secret,
    pub(super) dashboard: Option<&'a str>,
    pub(super) tags: &'a [String],
}

pub(super) fn compose(
    to: &To<'_>,
    telling: &Telling,
    step: Step,
    reference: Option<&str>,
) -> Vec<Outgoing> {
    let news = &telling.news;
    let end = news.at.as_millis();
    let text = short(&headline(news), MAX_TEXT);
    let (request, repeat, then) = match (step, reference) {
        (Step::Unasked, _) => return Vec::new(),
        // The region goes on, and ends in another way than it was thought.
        (Step::Closes, Some(id)) => (extend(to, id, end, &text), Repeat::Harmless, Then::Closed),
        (Step::Opens, Some(id)) => (extend(to, id, end, &text), Repeat::Harmless, Then::Opened),
        (Step::Opens, None) => (mark(to, telling, None, &text), Repeat::Seen, Then::Opened),
        (Step::Closes | Step::Ends | Step::Passes, _) => {
            let ends = matches!(news.change, Change::RolledBack);
            let begun = news.decided.filter(|_| ends).map(|at| at.as_millis());
            (mark(to, telling, begun, &text), Repeat::Seen, Then::Nothing)
        }
    };
    vec![request.authorized("Bearer ", to.token).sent(repeat, then)]
}

/// A mark at the news' time, or a region that began earlier and ends there.
fn mark(to: &To<'_>, telling: &Telling, begun: Option<i64>, text: &str) -> Request {
    let news = &telling.news;
    let service = format!("svc:{}", news.service);
    let own = ["rollguard".to_owned(), service, news.change.word().to_owned()];
    let tags: Vec<&String> = own.iter().chain(to.tags).collect();
    let at = news.at.as_millis();
    let mut body = json!({ "time": begun.unwrap_or(at), "tags": tags, "text": text });
    let mut set = |key: &str, value: Value| {
        if let Some(body) = body.as_object_mut() {
            body.insert(key.to_owned(), value);
        }
    };
    if begun.is_some() {
        set("timeEnd", at.into());
    }
    if let Some(dashboard) = to.dashboard {
        set("dashboardUID", dashboard.into());
    }
    Request::post(base(to), "/api/annotations", body)
}

fn extend(to: &To<'_>, id: &str, end: i64, text: &str) -> Request {
    let body = json!({ "timeEnd": end, "text": text });
    Request::patch(base(to), format!("/api/annotations/{id}"), body)
}

fn base(to: &To<'_>) -> Secret {
    Secret::Literal(to.url.trim_end_matches('/').to_owned())
}
