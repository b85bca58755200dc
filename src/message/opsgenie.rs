//! Opsgenie, and Jira Service Management, which took over its API: one alert for a deployment, by
//! its alias. The system counts a second creation on the same alert.

use serde_json::json;

use crate::model::target::Secret;

use super::request::{
    ApiRequest, Context, EventAction, OnAccepted, Outgoing, Repeat, base, bounded, segment,
};
use super::text::{headline, lines, severity, short};

/// The most characters of a message.
const MAX_MESSAGE: usize = 130;

/// The most characters of a description, which the API cuts at 15000.
const MAX_DESCRIPTION: usize = 4_000;

/// The most characters of an alias.
const MAX_ALIAS: usize = 512;

pub(super) fn compose(url: &str, key: &Secret, cx: &Context<'_>) -> Option<Outgoing> {
    let news = cx.news;
    let alias = bounded(&news.key(), MAX_ALIAS);
    let (rest, body, then) = match cx.action {
        EventAction::InformOfEnd => return None,
        EventAction::Trigger | EventAction::Inform => {
            let body = json!({
                "message": short(&headline(news), MAX_MESSAGE),
                "alias": alias,
                "description": description(cx),
                "priority": match severity(news).0 {
                    "critical" => "P1",
                    "error" => "P2",
                    "warning" => "P3",
                    _ => "P5",
                },
                "source": cx.sender.name(),
                "entity": news.service,
                "tags": ["rollguard", news.change.word()],
            });
            (String::new(), body, OnAccepted::Opened)
        }
        EventAction::Resolve => {
            let rest = format!("/{}/close?identifierType=alias", segment(&alias));
            let note = short(&headline(news), MAX_DESCRIPTION);
            (rest, json!({ "source": cx.sender.name(), "note": note }), OnAccepted::Closed)
        }
    };
    let request = ApiRequest::post(base(url), rest, body).authorized("GenieKey ", key);
    Some(request.sent(Repeat::Harmless, then))
}

fn description(cx: &Context<'_>) -> String {
    let mut text = short(&headline(cx.news), MAX_DESCRIPTION / 2);
    for (label, line) in lines(cx.telling) {
        text.push_str(&format!("\n{label}: {line}"));
    }
    text.chars().take(MAX_DESCRIPTION).collect()
}
