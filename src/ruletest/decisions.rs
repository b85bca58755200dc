//! What the core decided so far, read off the entries that it asks to have made durable.

use crate::model::entry::{ApprovalEvent, Event, Refusal, RollbackEvent, RuleEvent};
use crate::model::name::RuleName;

/// What was decided, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Acted {
    Nothing,
    /// People were told.
    Notify,
    /// People were asked whether to roll back.
    Ask,
    /// The deployment is rolled back.
    Rollback,
}

impl Acted {
    /// The word.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Notify => "notify",
            Self::Ask => "ask",
            Self::Rollback => "rollback",
        }
    }
}

/// What was decided so far, and because of which rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions(Vec<(Acted, RuleName)>);

impl Decisions {
    /// Takes note of an entry.
    pub(crate) fn note(&mut self, event: &Event) {
        let (acted, rule) = if let Event::Rollback(RollbackEvent::Decided(decision)) = event {
            (Acted::Rollback, decision.trigger.rule())
        } else if let Event::Approval(ApprovalEvent::Asked { decision, .. }) = event {
            (Acted::Ask, decision.trigger.rule())
        } else if let Event::Rule(RuleEvent::Refused { refusal, evidence }) = event
            // Who only observes tells nobody.
            && *refusal != Refusal::Observing
        {
            (Acted::Notify, Some(evidence))
        } else {
            return;
        };
        self.0.extend(rule.map(|rule| (acted, rule.rule.clone())));
    }

    /// The most that was decided because of the rule, or of any.
    pub(crate) fn of(&self, rule: Option<&RuleName>) -> Acted {
        let of_rule = self.0.iter().filter(|(_, name)| rule.is_none_or(|rule| rule == name));
        of_rule.map(|(acted, _)| *acted).max().unwrap_or(Acted::Nothing)
    }
}
