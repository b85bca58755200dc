//! How a colour is shown. Which colour a deployment has is decided by
//! [`crate::engine::view::health`].

use super::line::Paint;

pub use crate::engine::view::health::Health;

impl Health {
    /// How its name is shown.
    pub const fn paint(self) -> Paint {
        match self {
            Self::Green => Paint::Green,
            Self::Unknown => Paint::Grey,
            Self::Yellow => Paint::Yellow,
            Self::Red => Paint::Red,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::view::health::{colour as health, of_rule, of_rules};
    use crate::engine::view::snapshot::GuardState;
    use crate::model::entry::{Decision, Refusal, RuleStanding, Trigger};
    use crate::model::name::{HookName, Version};
    use crate::model::rule::Severity;
    use crate::render::tests::{rule_status, snapshot};

    #[test]
    fn a_rule_turns_yellow_at_once_and_red_when_it_fires() {
        let check = |state, severity, held, colour| {
            let mut rule = rule_status();
            rule.evidence.state = state;
            rule.evidence.severity = severity;
            (rule.evidence.held_ms, rule.evidence.for_ms) = (held, 3_000);
            assert_eq!(of_rule(&rule), colour, "{state} for {held} ms");
        };
        check(RuleStanding::Inactive, Severity::Critical, 0, Health::Green);
        check(RuleStanding::Pending, Severity::Critical, 1, Health::Yellow);
        check(RuleStanding::Pending, Severity::Critical, 2_999, Health::Yellow);
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

    #[test]
    fn a_version_that_a_rule_rolled_back_stays_red() {
        let mut seen = snapshot();
        seen.state = GuardState::RolledBack;
        assert_eq!(health(&seen), Health::Green);
        let decision = Decision {
            trigger: Trigger::Rule(Box::new(seen.rules[0].evidence.clone())),
            hook: HookName::new("rollback").unwrap(),
            version: Version::new("v2").unwrap(),
            good: None,
            approval: None,
            cure: String::new(),
            rules: Vec::new(),
            signals: Vec::new(),
        };
        seen.deployment.as_mut().unwrap().decision = Some(decision);
        assert_eq!((health(&seen), of_rules(&seen)), (Health::Red, Health::Green));
    }
}
