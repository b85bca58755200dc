//! Opsgenie, and Jira Service Management, which took over its API: one alert for a deployment, by
//! its alias. Creating one again counts on the same alert.

use serde_json::json;

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::target::Secret;

use super::compose::{Sender, Step};
use super::key::{bounded, segment};
use super::request::{Outgoing, Repeat, Request, Then};
use super::text::{headline, lines, severity, short};

/// The most characters of a message.
const MAX_MESSAGE: usize = 130;

/// The most characters of a description, which the API cuts at 15000.
const MAX_DESCRIPTION: usize = 4_000;

/// The most characters of an alias.
const MAX_ALIAS: usize = 512;

pub(super) fn compose(
    url: &str,
    key: &Secret,
    telling: &Telling,
    step: Step,
    sender: &Sender,
) -> Vec<Outgoing> {
    let news = &telling.news;
    let base = Secret::Literal(url.trim_end_matches('/').to_owned());
    let alias = bounded(&news.key(), MAX_ALIAS);
    let (request, then) = match step {
        Step::Unasked | Step::Ends => return Vec::new(),
        Step::Opens | Step::Passes => {
            let body = json!({
                "message": short(&headline(news), MAX_MESSAGE),
                "alias": alias,
                "description": description(telling),
                "priority": priority(news),
                "source": format!("rollguard on {}", sender.host),
                "entity": news.service,
                "tags": ["rollguard", news.change.word()],
            });
            (Request::post(base, "", body), Then::Opened)
        }
        Step::Closes => {
            let rest = format!("/{}/close?identifierType=alias", segment(&alias));
            let body = json!({
                "source": format!("rollguard on {}", sender.host),
                "note": short(&headline(news), MAX_DESCRIPTION),
            });
            (Request::post(base, rest, body), Then::Closed)
        }
    };
    vec![request.authorized("GenieKey ", key).sent(Repeat::Harmless, then)]
}

fn description(telling: &Telling) -> String {
    let mut text = short(&headline(&telling.news), MAX_DESCRIPTION / 2);
    for line in lines(telling) {
        text.push_str(&format!("\n{}: {}", line.label, line.text));
    }
    text.chars().take(MAX_DESCRIPTION).collect()
}

fn priority(news: &News) -> &'static str {
    match severity(news) {
        "critical" => "P1",
        "error" => "P2",
        "warning" => "P3",
        _ => "P5",
    }
}
