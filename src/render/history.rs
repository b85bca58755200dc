//! The history: a block of lines for each deployment, the newest first.

use crate::history::{Cause, DeploymentOutcome, Refused, Summary};
use crate::model::time::Timestamp;

use super::line::{
    Paint, Style, after, caller, facts, line, list, more, names, pad, sections, took,
};

/// Columns of how it ended: the longest is `rollback failed`.
const ENDING: usize = 15;

/// Deployments in the order in which they come.
pub fn history<'a>(deployments: impl Iterator<Item = &'a Summary>, style: Style) -> String {
    sections(deployments.map(|brief| block(brief, style)))
}

fn block(brief: &Summary, style: Style) -> String {
    let good = after(" -> ", brief.good.as_ref());
    let begun = format!("{}  ", moment(brief.begun));
    let ending = pad(brief.ending.word(), ENDING);
    let what = format!("  {} {}{good}", brief.service, brief.version);
    let pieces =
        [(Paint::Plain, &begun[..]), (paint(brief.ending), &ending), (Paint::Plain, &what)];
    let head = line(style, &pieces);
    let known = [
        ("id", Some(brief.id.to_string())),
        ("why", why(brief)),
        ("took", times(brief)),
        ("refused", refused(&brief.refusals)),
        ("set aside", names(&brief.set_aside)),
    ];
    format!("{head}\n{}", facts(known))
}

/// A time in UTC to the second.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_string().chars().take("2026-11-21T07:00:00".len()).collect::<String>().replace('T', " ")
}

pub(super) const fn paint(ending: DeploymentOutcome) -> Paint {
    match ending {
        DeploymentOutcome::Guarding | DeploymentOutcome::RollingBack => Paint::Bold,
        DeploymentOutcome::RolledBack => Paint::Yellow,
        DeploymentOutcome::RollbackFailed => Paint::Red,
        DeploymentOutcome::Baked => Paint::Green,
        DeploymentOutcome::Ended | DeploymentOutcome::Superseded => Paint::Grey,
    }
}

/// The rule or the person, and what a verdict adds.
pub(super) fn why(brief: &Summary) -> Option<String> {
    let cause = brief.cause.as_ref().map(|cause| match cause {
        Cause::Rule { name, when } => format!("rule {name}: {when}"),
        Cause::Person { reason, by } => format!("{}: {reason}", caller(by)),
    });
    let is_superseded = brief.ending == DeploymentOutcome::Superseded;
    let by = if is_superseded { "by deployment " } else { "" };
    let verdict = brief.why.as_ref().map(|why| format!("{by}{why}"));
    let both: Vec<String> = cause.into_iter().chain(verdict).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// How long it took, as far as that is known.
pub(super) fn times(brief: &Summary) -> Option<String> {
    let ended = format!("{} after", brief.ending.word());
    let parts = match brief.decided {
        None => &[(&ended[..], brief.took_ms())][..],
        Some(_) => &[
            ("decided after", brief.decided_ms()),
            ("rule held", brief.detected_ms()),
            ("rolled back in", brief.rolled_back_ms()),
            ("cured in", brief.cured_ms()),
        ],
    };
    names(parts.iter().filter_map(|(what, millis)| Some(format!("{what} {}", took((*millis)?)))))
}

fn refused(refusals: &[Refused]) -> Option<String> {
    names(refusals.iter().map(|Refused { reason, count, rules }| {
        let rest = more((*count as usize).saturating_sub(rules.len()));
        format!("{reason} ({}{rest})", list(rules))
    }))
}
