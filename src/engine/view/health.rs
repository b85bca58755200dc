//! The colour of a deployment, as release managers read it. It is a pure function of what a
//! snapshot shows, so that status, page and rule tests say the same; it decides nothing.

use crate::model::entry::{Refusal, RuleStanding};
use crate::model::rule::Severity;

use super::snapshot::{RuleStatus, Snapshot};
use super::state::GuardState;
pub use super::state::Health;

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
