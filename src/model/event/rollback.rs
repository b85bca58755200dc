//! Events of a rollback: the decision, and what became of it.

use serde::{Deserialize, Serialize};

use super::caller::{Answer, Caller};
use super::meaning::{Level, Meaning};
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::Change;
use crate::model::evidence::{RuleEvidence, SignalEvidence};
use crate::model::name::{HookName, Version};
use crate::model::time::Timestamp;

/// That a deployment is rolled back, and whether that helped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum RollbackEvent {
    /// The latch: this deployment is rolled back, once.
    Decided(Box<Decision>),
    /// The cure was seen.
    Cured {
        /// The readings at that moment.
        signals: Vec<SignalEvidence>,
        /// Milliseconds from the decision.
        took_ms: u64,
    },
    /// The rollback did not help or could not be done. A person is needed.
    Failed {
        /// Why.
        why: String,
        /// The readings at that moment.
        signals: Vec<SignalEvidence>,
    },
}

/// To act, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Who or what decided.
    pub trigger: Trigger,
    /// What is run.
    pub hook: HookName,
    /// The version that is rolled back.
    pub version: Version,
    /// The version to go back to.
    pub good: Option<Version>,
    /// Who agreed, where people were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// What is to be seen afterwards, in a line for people.
    #[serde(default)]
    pub cure: String,
    /// Every rule's standing at that moment.
    pub rules: Vec<RuleEvidence>,
    /// Every signal's reading at that moment.
    pub signals: Vec<SignalEvidence>,
}

/// Who or what decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A rule fired.
    Rule(Box<RuleEvidence>),
    /// A person said so.
    Person {
        /// Their reason.
        reason: String,
        /// Who asked.
        by: Caller,
    },
}

impl Trigger {
    /// The rule that fired; `None` where a person decided.
    pub fn rule(&self) -> Option<&RuleEvidence> {
        match self {
            Self::Rule(evidence) => Some(evidence),
            Self::Person { .. } => None,
        }
    }

    /// The condition of the rule that fired, or the person's reason.
    pub fn reason(&self) -> &str {
        match self {
            Self::Rule(evidence) => &evidence.when,
            Self::Person { reason, .. } => reason,
        }
    }
}

/// A yes to a rule that asked for a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who said so.
    pub answer: Answer,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Whether the rule still held; `None` where that could not be told.
    pub holds: Option<bool>,
}

impl RollbackEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        let opens = AlertAction::Trigger(AlertKey::Rollback);
        let (level, change, action, reason) = match self {
            Self::Decided(decision) => {
                (Level::Warning, Change::Decided, opens, decision.trigger.reason())
            }
            Self::Cured { .. } => (Level::Info, Change::RolledBack, AlertAction::ResolveAll, ""),
            Self::Failed { why, .. } => (Level::Error, Change::Failed, opens, why.as_str()),
        };
        Meaning::of(level).alert(change, action, reason)
    }
}
