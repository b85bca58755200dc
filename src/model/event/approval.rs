//! Events of rules that ask people for a rollback, and of the answers.

use serde::{Deserialize, Serialize};

use super::caller::Answer;
use super::meaning::{Level, Meaning};
use super::rollback::Decision;
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::Change;
use crate::model::deployment::Unanswered;
use crate::model::name::{DeploymentId, RuleName};
use crate::model::time::Timestamp;

/// What people are asked, and what they answer other than yes: a yes is part of the decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum ApprovalEvent {
    /// A rule fires, and people are asked whether to roll back.
    #[serde(rename = "awaiting_approval")]
    Asked {
        /// What would be done, with the whole evidence.
        decision: Box<Decision>,
        /// When it is too late to answer.
        until: Timestamp,
        /// What is done then.
        default: Unanswered,
    },
    /// The answer is no: this rule does not roll this deployment back.
    Denied {
        /// The rule that asked.
        rule: RuleName,
        /// Who said so.
        answer: Answer,
    },
    /// A rule that was denied does not hold any more: it may ask anew.
    DenialLifted {
        /// The rule.
        rule: RuleName,
    },
    /// The time to answer is over, but its default cannot be done.
    Lapsed {
        /// The rule that asked.
        rule: RuleName,
        /// Why not.
        why: String,
    },
}

impl ApprovalEvent {
    /// What anybody may ask of it, where the entry names this deployment.
    pub fn meaning(&self, deployment: Option<&DeploymentId>) -> Meaning {
        let closes = AlertAction::Resolve(AlertKey::Rollback);
        match self {
            Self::Asked { decision, until, default } => {
                let when = decision.trigger.reason();
                let otherwise = match default {
                    Unanswered::Rollback => "it is rolled back",
                    Unanswered::Deny => "it stays",
                };
                let deployment = deployment.map_or("", DeploymentId::as_str);
                let reason = format!(
                    "{when}; `rollguard approve --deployment {deployment}` until {until}, \
                     else {otherwise}"
                );
                let opens = AlertAction::Trigger(AlertKey::Rollback);
                Meaning::of(Level::Warning).alert(Change::AwaitingApproval, opens, reason)
            }
            Self::Denied { answer, .. } => {
                let reason = match answer {
                    Answer::Person { reason: Some(reason), .. } => reason,
                    Answer::Person { reason: None, .. } => "a person said no",
                    Answer::TimeLimit => "nobody answered in time",
                };
                Meaning::of(Level::Warning).alert(Change::Denied, closes, reason)
            }
            Self::Lapsed { why, .. } => {
                let why = format!("nobody answered in time, and it cannot be rolled back: {why}");
                Meaning::of(Level::Warning).alert(Change::Denied, closes, why)
            }
            Self::DenialLifted { .. } => Meaning::of(Level::Info).aside(),
        }
    }
}
