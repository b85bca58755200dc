//! The colour of a deployment, as release managers read it. It is a pure function of what a
//! snapshot shows, so that status, page and rule tests say the same; it decides nothing.

use serde::{Deserialize, Serialize};

use crate::model::entry::{Refusal, RuleStanding};
use crate::model::rule::Severity;

use super::snapshot::{RuleStatus, Snapshot};

/// The colour of what a snapshot shows: that of its worst part.
pub fn colour(snapshot: &Snapshot) -> Health {
    of_rules(snapshot).max(of_state(snapshot))
}

/// The colour of the rules alone, whatever became of the deployment. A rule of another stage is not
/// asked, so what it cannot tell darkens nothing; where none is asked nothing is known.
pub fn of_rules(snapshot: &Snapshot) -> Health {
    let asked = snapshot.rules.iter().filter(|rule| rule.refusal != Some(Refusal::OtherStage));
    asked.map(of_rule).max().unwrap_or(Health::Unknown)
}

/// The colour of one rule.
pub fn of_rule(rule: &RuleStatus) -> Health {
    let evidence = &rule.evidence;
    // What held before the deployment began is no judgement on it, but no good news either.
    let set_aside = rule.refusal == Some(Refusal::SetAside);
    match (evidence.state, evidence.severity) {
        (RuleStanding::Firing, Severity::Critical) if !set_aside => Health::Red,
        (RuleStanding::Firing | RuleStanding::Pending, Severity::Critical | Severity::Warning) => {
            Health::Yellow
        }
        (RuleStanding::Inactive, _) if rule.no_data.is_some() => Health::Unknown,
        (RuleStanding::Inactive, _) => Health::Green,
    }
}

fn of_state(snapshot: &Snapshot) -> Health {
    let decision = snapshot.deployment.as_ref().and_then(|current| current.decision.as_ref());
    // A person may have other reasons to go back.
    let for_a_rule = decision.is_some_and(|decision| decision.trigger.rule().is_some());
    let bad = match snapshot.state {
        GuardState::AwaitingApproval
        | GuardState::RollingBack
        | GuardState::Verifying
        | GuardState::RollbackFailed => true,
        GuardState::RolledBack => for_a_rule,
        GuardState::Idle | GuardState::Guarding | GuardState::Baked | GuardState::Ended => false,
    };
    if bad || !snapshot.journal_ok { Health::Red } else { Health::Green }
}

/// The guard's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardState {
    /// Nothing is guarded.
    Idle,
    /// A deployment is guarded.
    Guarding,
    /// A rule fired, and people are asked whether to roll back.
    AwaitingApproval,
    /// A rollback's steps are being run.
    RollingBack,
    /// The steps are done; the cure is being looked for.
    Verifying,
    /// The rollback helped.
    RolledBack,
    /// The rollback failed. A person is needed.
    RollbackFailed,
    /// The version survived its bake and counts as good.
    Baked,
    /// Guarding ended without a verdict.
    Ended,
}

impl GuardState {
    /// Whether the deployment will not change any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::RolledBack | Self::RollbackFailed | Self::Baked | Self::Ended)
    }
}

impl std::fmt::Display for GuardState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Idle => "idle",
            Self::Guarding => "guarding",
            Self::AwaitingApproval => "awaiting approval",
            Self::RollingBack => "rolling back",
            Self::Verifying => "verifying",
            Self::RolledBack => "rolled back",
            Self::RollbackFailed => "rollback failed",
            Self::Baked => "baked",
            Self::Ended => "ended",
        })
    }
}

/// The colour of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No rule holds, and all of them can tell.
    Green,
    /// A rule cannot tell: neither healthy nor bad.
    Unknown,
    /// A warning holds, or a critical rule does and not yet for long enough.
    Yellow,
    /// A critical rule fires, the deployment was rolled back for one, or a person is needed.
    Red,
}

impl Health {
    /// The colour's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Unknown => "unknown",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}
