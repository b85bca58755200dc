//! What hooks were still to tell when the guard died: it is told again at the next start, so that
//! a death between a record and its page is not silence. Told twice is better than never; it must
//! never tell of what is on record as told. Channels keep account of their own, in `news`.

use crate::model::entry::{DeploymentEvent, Event, NoticeEvent, Refusal, RollbackEvent, RuleEvent};
use crate::model::name::RuleName;

/// What is owed to people: the newest of it, as whoever is told of that looks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Owed {
    /// Nothing: it is on record that they were told, or there is nothing to tell any more.
    #[default]
    Nothing,
    /// The rollback failed, and why.
    Failure(String),
    /// Nothing is done for a rule, whose condition this is.
    Refusal(RuleName, String),
}

impl Owed {
    /// Takes in a record of the deployment; `is_new` of a refusal says that it is the first of its
    /// rule and reason.
    pub(crate) fn apply(&mut self, event: &Event, is_new: impl FnOnce(&RuleName, Refusal) -> bool) {
        if let Event::Rollback(RollbackEvent::Failed { why, .. }) = event {
            *self = Self::Failure(why.clone());
        } else if let Event::Rule(RuleEvent::Refused { refusal, evidence }) = event
            && *refusal != Refusal::Observing
            && is_new(&evidence.rule, *refusal)
        {
            *self = Self::Refusal(evidence.rule.clone(), evidence.when.clone());
        } else if self.is_settled_by(event) {
            *self = Self::Nothing;
        }
    }

    fn is_settled_by(&self, event: &Event) -> bool {
        if let (Self::Refusal(rule, _), Event::Rule(RuleEvent::Cleared { rule: cleared })) =
            (self, event)
        {
            return rule == cleared;
        }
        matches!(
            event,
            Event::Notice(NoticeEvent::Notified { failure: None, .. })
                | Event::Rollback(RollbackEvent::Decided(_))
                | Event::Deployment(
                    DeploymentEvent::Baked { .. }
                        | DeploymentEvent::Ended { .. }
                        | DeploymentEvent::Superseded { .. }
                )
        )
    }
}
