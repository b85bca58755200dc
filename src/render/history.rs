//! The history: a block of lines for each deployment, the newest first.

use crate::history::{Cause, Ending, Refused, Summary};
use crate::model::name::RuleName;
use crate::model::time::Timestamp;

use super::entry::{caller, took};
use super::line::{Paint, Style, WIDTH, line, pad, plain, width, wrap};

/// Columns before what a detail says.
const DETAIL: usize = 13;

/// Columns of how it ended: the longest is `rollback failed`.
const ENDING: usize = 15;

/// Deployments in the order in which they come.
pub fn history<'a>(deployments: impl Iterator<Item = &'a Summary>, style: Style) -> String {
    let blocks: Vec<String> = deployments.map(|brief| block(brief, style)).collect();
    blocks.join("\n")
}

fn block(brief: &Summary, style: Style) -> String {
    let good = brief.good.as_ref().map(|good| format!(" -> {good}")).unwrap_or_default();
    let head = line(
        style,
        &[
            (Paint::Plain, &format!("{}  ", moment(brief.begun))),
            (paint(brief.ending), &pad(brief.ending.words(), ENDING)),
            (Paint::Plain, &format!("  {} {}{good}", brief.service, brief.version)),
        ],
    );
    let details = [
        ("id", Some(brief.id.to_string())),
        ("why", why(brief)),
        ("took", times(brief)),
        ("refused", refused(&brief.refusals)),
        ("set aside", names(&brief.set_aside)),
    ];
    let details = details.into_iter().filter_map(|(name, text)| Some(detail(name, &text?)));
    std::iter::once(format!("{head}\n")).chain(details).collect()
}

/// A time in UTC to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string().chars().take("2026-11-21T07:00:00".len()).collect::<String>().replace('T', " ")
}

pub(super) const fn paint(ending: Ending) -> Paint {
    match ending {
        Ending::Guarding | Ending::RollingBack => Paint::Bold,
        Ending::RolledBack => Paint::Yellow,
        Ending::RollbackFailed => Paint::Red,
        Ending::Baked => Paint::Green,
        Ending::Ended | Ending::Superseded => Paint::Grey,
    }
}

/// A named text, on as many lines as it takes.
pub(super) fn detail(name: &str, text: &str) -> String {
    let lines = wrap(&broken(&plain(text), WIDTH - DETAIL), WIDTH - DETAIL);
    let begins = std::iter::once(name).chain(std::iter::repeat(""));
    let shown = lines.iter().zip(begins);
    shown.map(|(text, name)| format!("  {}{text}\n", pad(name, DETAIL - 2))).collect()
}

/// The text with spaces in words that no line has room for: half an id is of no use.
fn broken(text: &str, columns: usize) -> String {
    let (mut broken, mut used) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        let more = width(c.encode_utf8(&mut [0; 4]));
        used = if c == ' ' { 0 } else { used + more };
        if used > columns {
            broken.push(' ');
            used = more;
        }
        broken.push(c);
    }
    broken
}

/// The rule or the person, and what a verdict adds.
pub(super) fn why(brief: &Summary) -> Option<String> {
    let cause = brief.cause.as_ref().map(|cause| match cause {
        Cause::Rule { name, when } => format!("rule {name}: {when}"),
        Cause::Person { reason, by } => format!("{}: {reason}", caller(by)),
    });
    let verdict = brief.why.as_ref().map(|why| match brief.ending {
        Ending::Superseded => format!("by deployment {why}"),
        Ending::Guarding
        | Ending::RollingBack
        | Ending::RolledBack
        | Ending::RollbackFailed
        | Ending::Baked
        | Ending::Ended => why.clone(),
    });
    let both: Vec<String> = cause.into_iter().chain(verdict).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// How long it took, as far as that is known.
pub(super) fn times(brief: &Summary) -> Option<String> {
    let part = |what: &str, millis: Option<u64>| Some(format!("{what} {}", took(millis?)));
    let parts = match brief.decided {
        None => vec![part(&format!("{} after", brief.ending.words()), brief.took_ms())],
        Some(_) => vec![
            part("decided after", brief.decided_ms()),
            part("rule held", brief.detected_ms()),
            part("rolled back in", brief.rolled_back_ms()),
            part("cured in", brief.cured_ms()),
        ],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn refused(refusals: &[Refused]) -> Option<String> {
    let part = |Refused { reason, count, rules }: &Refused| {
        let more = *count as usize - rules.len().min(*count as usize);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{reason} ({}{more})", names(rules).unwrap_or_default())
    };
    let parts: Vec<String> = refusals.iter().map(part).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn names(rules: &[RuleName]) -> Option<String> {
    let names: Vec<&str> = rules.iter().map(RuleName::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
