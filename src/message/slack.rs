//! Slack's incoming webhooks. A message cannot be changed afterwards and is not recognised when it
//! comes twice. Whatever is said is escaped: `<!channel>` in a reason must wake nobody.

use serde_json::json;

use crate::engine::effect::Telling;
use crate::model::target::Secret;

use super::compose::{Sender, Step};
use super::request::{Outgoing, Repeat, Request, Then};
use super::text::{headline, lines, short};

/// The most characters of a section's text, before escaping, which makes it five times as long at
/// most; Slack takes 3000.
const MAX_SECTION: usize = 590;

pub(super) fn compose(
    url: &Secret,
    telling: &Telling,
    step: Step,
    sender: &Sender,
) -> Vec<Outgoing> {
    if step == Step::Unasked {
        return Vec::new();
    }
    let head = short(&headline(&telling.news), MAX_SECTION);
    let mut blocks = vec![section(&format!("*{}*", escape(&head)))];
    let body: Vec<String> =
        lines(telling).iter().map(|line| format!("{}: {}", line.label, line.text)).collect();
    if !body.is_empty() {
        blocks.push(section(&escape(&short_lines(&body))));
    }
    let from = format!("rollguard on {}, {}", sender.host, telling.news.at);
    let element = json!({ "type": "mrkdwn", "text": escape(&short(&from, MAX_SECTION)) });
    blocks.push(json!({ "type": "context", "elements": [element] }));
    let body = json!({ "text": escape(&head), "blocks": blocks });
    vec![Request::post(url.clone(), "", body).sent(Repeat::Seen, Then::Nothing)]
}

fn short_lines(lines: &[String]) -> String {
    let mut text = String::new();
    for line in lines {
        let left = MAX_SECTION.saturating_sub(text.chars().count() + 1);
        if left < 20 {
            break;
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&short(line, left));
    }
    text
}

fn section(text: &str) -> serde_json::Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

/// Slack's three special characters.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
