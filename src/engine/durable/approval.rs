//! What people are asked: whether to roll a deployment back.

use crate::model::deployment::Unanswered;
use crate::model::entry::{Decision, RuleEvidence};
use crate::model::time::Timestamp;

/// What people are asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) at: Timestamp,
    /// What would be done.
    pub(crate) decision: Decision,
    /// When it is too late to answer.
    pub(crate) until: Timestamp,
    /// What is done then.
    pub(crate) default: Unanswered,
}

impl Ask {
    /// The rule that asks.
    pub(crate) fn rule(&self) -> Option<&RuleEvidence> {
        self.decision.trigger.rule()
    }
}
