//! The colour of a deployment, as release managers read it.

use serde::{Deserialize, Serialize};

use crate::engine::snapshot::{GuardState, RuleStatus, Snapshot};
use crate::model::entry::{Refusal, RuleStanding};
use crate::model::rule::Severity;

use super::line::Paint;

/// The colour of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No rule holds, and all of them can tell.
    Green,
    /// A rule cannot tell: neither healthy nor bad.
    Unknown,
    /// A warning fires, or a rule holds and has not held for half its time yet.
    Yellow,
    /// A critical rule fires or has held for half its time, or a person is needed.
    Red,
}

impl Health {
    /// The colour's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Unknown => "unknown",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    /// How its name is shown.
    #[must_use]
    pub const fn paint(self) -> Paint {
        match self {
            Self::Green => Paint::Green,
            Self::Unknown => Paint::Grey,
            Self::Yellow => Paint::Yellow,
            Self::Red => Paint::Red,
        }
    }
}

/// The colour of what a snapshot shows: that of its worst part.
#[must_use]
pub fn health(snapshot: &Snapshot) -> Health {
    let rules = snapshot.rules.iter().map(of_rule).max().unwrap_or(Health::Unknown);
    rules.max(of_state(snapshot))
}

/// The colour of one rule.
pub(super) fn of_rule(rule: &RuleStatus) -> Health {
    let evidence = &rule.evidence;
    // What held before the deployment began is no judgement on it, but no good news either.
    let set_aside = rule.refusal == Some(Refusal::SetAside);
    let half = evidence.held_ms.saturating_mul(2) >= evidence.for_ms;
    match (evidence.state, evidence.severity) {
        (RuleStanding::Firing, Severity::Critical) if !set_aside => Health::Red,
        (RuleStanding::Pending, Severity::Critical) if !set_aside && half => Health::Red,
        (RuleStanding::Firing | RuleStanding::Pending, Severity::Critical | Severity::Warning) => {
            Health::Yellow
        }
        (RuleStanding::Inactive, _) if rule.no_data.is_some() => Health::Unknown,
        (RuleStanding::Inactive, _) => Health::Green,
    }
}

fn of_state(snapshot: &Snapshot) -> Health {
    if !snapshot.journal_ok {
        return Health::Red;
    }
    match snapshot.state {
        GuardState::RollingBack | GuardState::Verifying | GuardState::RollbackFailed => Health::Red,
        GuardState::Idle
        | GuardState::Guarding
        | GuardState::RolledBack
        | GuardState::Baked
        | GuardState::Ended => Health::Green,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::{rule_status, snapshot};

    #[test]
    fn a_rule_turns_yellow_at_once_and_red_at_half_its_time() {
        let check = |state, severity, held, colour| {
            let mut rule = rule_status();
            rule.evidence.state = state;
            rule.evidence.severity = severity;
            (rule.evidence.held_ms, rule.evidence.for_ms) = (held, 3_000);
            assert_eq!(of_rule(&rule), colour, "{state} for {held} ms");
        };
        check(RuleStanding::Inactive, Severity::Critical, 0, Health::Green);
        check(RuleStanding::Pending, Severity::Critical, 1_499, Health::Yellow);
        check(RuleStanding::Pending, Severity::Critical, 1_500, Health::Red);
        check(RuleStanding::Firing, Severity::Critical, 3_000, Health::Red);
        check(RuleStanding::Pending, Severity::Warning, 2_999, Health::Yellow);
        check(RuleStanding::Firing, Severity::Warning, 3_000, Health::Yellow);
    }

    #[test]
    fn what_cannot_be_told_is_neither_healthy_nor_bad() {
        let mut seen = snapshot();
        assert_eq!(health(&seen), Health::Green);
        seen.rules[0].no_data = Some("stale".to_owned());
        assert_eq!(health(&seen), Health::Unknown);
        seen.rules.clear();
        assert_eq!(health(&seen), Health::Unknown);
    }

    #[test]
    fn a_rule_that_was_set_aside_is_no_reason_for_red() {
        let mut rule = rule_status();
        rule.evidence.state = RuleStanding::Firing;
        rule.refusal = Some(Refusal::SetAside);
        assert_eq!(of_rule(&rule), Health::Yellow);
    }

    #[test]
    fn a_failed_rollback_is_red_whatever_the_rules_say() {
        let mut seen = snapshot();
        seen.state = GuardState::RollbackFailed;
        assert_eq!(health(&seen), Health::Red);
    }
}
