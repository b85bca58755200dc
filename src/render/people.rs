//! What people decide, and are asked to, in words.

use std::time::Duration;

use crate::engine::snapshot::{
    ApprovalStatus, BudgetStatus, DeploymentStatus, PauseStatus, Quarantined, Snapshot,
};
use crate::model::deployment::Unanswered;
use crate::model::entry::{Answer, Approval, Caller};
use crate::model::time::{Timestamp, format_duration};

use super::entry::{caller, text};
use super::line::{clip, span};

/// Columns that a name may take within a sentence.
const NAME: usize = 24;

/// The most versions in quarantine that a status names.
const MAX_VERSIONS: usize = 3;

/// Who answered, and why.
pub(super) fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Person { by, reason: None } => caller(by),
        Answer::Person { by, reason: Some(reason) } => {
            format!("{}: {}", caller(by), text(reason))
        }
        Answer::TimeLimit => "the time limit, nobody answered".to_owned(),
    }
}

/// Who agreed to a rollback, and what the rule said by then.
pub(super) fn approved(approval: &Approval) -> String {
    let holds = holding(approval.holds);
    format!("approved by {}; by then the rule {holds}", answered(&approval.answer))
}

/// Whether a rule holds, as the end of a sentence about it.
pub(super) const fn holding(holds: Option<bool>) -> &'static str {
    match holds {
        Some(true) => "still held",
        Some(false) => "did not hold any more",
        None => "could not be judged",
    }
}

/// What is done when nobody answers.
pub(super) const fn otherwise(default: Unanswered) -> &'static str {
    match default {
        Unanswered::Rollback => "it is rolled back",
        Unanswered::Deny => "it stays",
    }
}

/// The end of a pause.
pub(super) fn resumed(by: &Caller, reason: Option<&String>) -> String {
    let on = "automatic rollbacks are on again";
    match (by, reason) {
        (Caller::Guard, _) => format!("{on}: the pause is over"),
        (Caller::Process { .. }, None) => format!("{on}, said {}", caller(by)),
        (Caller::Process { .. }, Some(why)) => format!("{on}, said {}: {}", caller(by), text(why)),
    }
}

/// The pause, for the first line of a status.
pub(super) fn paused(pause: &PauseStatus, now: Timestamp) -> String {
    let PauseStatus { until, by, reason, .. } = pause;
    let rest = span(until.since(now));
    format!(
        "nothing is rolled back automatically for {rest}, until {until}, said {}: {}; \
         `rollguard resume` ends it",
        caller(by),
        text(reason)
    )
}

/// What a rule asks, for a status.
pub(super) fn asks(approval: &ApprovalStatus, now: Timestamp) -> String {
    let name = clip(approval.rule.as_str(), NAME);
    let holds = match approval.holds {
        Some(true) => "still holds",
        Some(false) => "does NOT hold any more",
        None => "cannot be judged now",
    };
    let ago = span(now.since(approval.asked));
    format!("rule {name} asked for a rollback {ago} ago, and {holds}")
}

/// What people can do about it.
pub(super) fn how_to_answer(snapshot: &Snapshot, good: &str) -> String {
    let deployment = snapshot.deployment.as_ref();
    let version = deployment.map(|known| clip(known.version.as_str(), NAME)).unwrap_or_default();
    let approval = deployment.and_then(|known| known.approval.as_ref());
    let otherwise = approval.map_or_else(String::new, |approval| {
        let rest = span(approval.until.since(snapshot.at));
        format!("; without an answer in {rest} {}", self::otherwise(approval.default))
    });
    format!(
        "decide: `rollguard approve` brings {good} back, `rollguard deny --reason ...` keeps \
         {version}{otherwise}"
    )
}

/// What is special about how a deployment was begun; empty where nothing is.
pub(super) fn terms(deployment: &DeploymentStatus) -> String {
    let irreversible = "irreversible: not rolled back without `rollguard rollback --force`";
    let forced = "begun by force: this version was rolled back before";
    let said = [(deployment.irreversible, irreversible), (deployment.forced, forced)];
    let said: Vec<&str> = said.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
    said.join("; ")
}

/// How much of the budget is left.
pub(super) fn budget(budget: BudgetStatus) -> String {
    let BudgetStatus { rollbacks, per_ms, spent } = budget;
    let per = format_duration(Duration::from_millis(per_ms));
    let left = if spent >= rollbacks { ", SPENT: people are told only" } else { "" };
    format!("{spent} of {rollbacks} rollbacks in {per}{left}")
}

/// The latest versions that were rolled back; empty where there are none.
pub(super) fn quarantine(all: &[Quarantined]) -> String {
    let name = |known: &Quarantined| clip(known.version.as_str(), NAME);
    let names: Vec<String> = all.iter().rev().take(MAX_VERSIONS).map(name).collect();
    match all.len().saturating_sub(MAX_VERSIONS) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
