//! Slack's incoming webhooks. A message cannot be changed afterwards, and Slack does not recognise
//! one that comes twice. All text is escaped: `<!channel>` in a reason must wake nobody.

use serde_json::json;

use crate::model::target::Secret;

use super::request::{ApiRequest, Context, OnAccepted, Outgoing, Repeat};
use super::text::{headline, lines, short};

/// The most characters of a section's text, before escaping, which makes it five times as long at
/// most; Slack takes 3000.
const MAX_SECTION: usize = 590;

pub(super) fn compose(url: &Secret, cx: &Context<'_>) -> Outgoing {
    let head = short(&headline(cx.news), MAX_SECTION);
    let mut blocks = vec![section(&format!("*{}*", escape(&head)))];
    let body = short_lines(&lines(cx.telling));
    if !body.is_empty() {
        blocks.push(section(&escape(&body)));
    }
    let from = format!("{}, {}", cx.sender.name(), cx.news.at);
    let element = json!({ "type": "mrkdwn", "text": escape(&short(&from, MAX_SECTION)) });
    blocks.push(json!({ "type": "context", "elements": [element] }));
    let body = json!({ "text": escape(&head), "blocks": blocks });
    ApiRequest::post(url.clone(), "", body).sent(Repeat::Seen, OnAccepted::Nothing)
}

fn short_lines(lines: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (label, line) in lines {
        let left = MAX_SECTION.saturating_sub(text.chars().count() + 1);
        if left < 20 {
            break;
        }
        let before = if text.is_empty() { "" } else { "\n" };
        text += &format!("{before}{}", short(&format!("{label}: {line}"), left));
    }
    text
}

fn section(text: &str) -> serde_json::Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// Slack's three special characters.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
