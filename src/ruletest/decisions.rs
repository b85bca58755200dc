//! What the core decided so far, read off the entries that it asks to have made durable.

use crate::model::entry::{ApprovalEvent, Event, Refusal, RollbackEvent, RuleEvent};
use crate::model::name::RuleName;

use super::script::Acted;

/// What was decided so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions {
    /// The rule for which the deployment is rolled back.
    rolled_back: Option<RuleName>,
    /// The rules that asked people for a rollback.
    asked: Vec<RuleName>,
    /// The rules of which people were told instead.
    told: Vec<RuleName>,
}

impl Decisions {
    /// Takes note of an entry.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Rollback(RollbackEvent::Decided(decision)) => {
                if let Some(rule) = decision.trigger.rule() {
                    self.rolled_back = Some(rule.rule.clone());
                }
            }
            Event::Approval(ApprovalEvent::Asked { decision, .. }) => {
                self.asked.extend(decision.trigger.rule().map(|rule| rule.rule.clone()));
            }
            // Who only observes tells nobody.
            Event::Rule(RuleEvent::Refused { refusal, evidence })
                if *refusal != Refusal::Observing =>
            {
                self.told.push(evidence.rule.clone());
            }
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Approval(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Rollback(_)
            | Event::Attempt(_)
            | Event::Drill(_)
            | Event::Notice(_) => {}
        }
    }

    /// What was decided because of the rule, or of any.
    pub(crate) fn of(&self, rule: Option<&RuleName>) -> Acted {
        let concerns = |name: &RuleName| rule.is_none_or(|rule| rule == name);
        if self.rolled_back.as_ref().is_some_and(concerns) {
            Acted::Rollback
        } else if self.asked.iter().any(concerns) {
            Acted::Ask
        } else if self.told.iter().any(concerns) {
            Acted::Notify
        } else {
            Acted::None
        }
    }
}
