//! Events of rules that do not lead to a rollback.

use serde::{Deserialize, Serialize};

use super::group::{EventGroup, Level};
use crate::model::alert::{AlertAction, AlertKey, StateChange};
use crate::model::channel::Change;
use crate::model::evidence::RuleEvidence;
use crate::model::name::{DeploymentId, RuleName};
use crate::model::refusal::Refusal;
use crate::model::rule::Severity;

/// What is noticed of a rule, and why nothing is done about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum RuleEvent {
    /// A rule that held before the deployment began cannot speak against it.
    SetAside {
        /// The rule with its readings.
        evidence: RuleEvidence,
    },
    /// Nothing is done although a rule fires, and why.
    Refused {
        /// The one reason.
        refusal: Refusal,
        /// The rule with its readings.
        evidence: RuleEvidence,
    },
    /// A rule that people were told of does not fire any more.
    Cleared {
        /// The rule.
        rule: RuleName,
    },
    /// None of the readings of these rules has been there for too long.
    TelemetryLost {
        /// The rules.
        rules: Vec<RuleName>,
        /// Why, in a line for people.
        why: String,
    },
    /// Readings of rules that had none are there again.
    TelemetryBack {
        /// The rules.
        rules: Vec<RuleName>,
    },
}

impl EventGroup for RuleEvent {
    fn level(&self) -> Level {
        match self {
            Self::Refused { .. } | Self::TelemetryLost { .. } => Level::Warning,
            Self::SetAside { .. } | Self::Cleared { .. } | Self::TelemetryBack { .. } => {
                Level::Info
            }
        }
    }

    fn is_story(&self) -> bool {
        match self {
            Self::SetAside { .. } | Self::Refused { .. } => true,
            Self::Cleared { .. } | Self::TelemetryLost { .. } | Self::TelemetryBack { .. } => false,
        }
    }

    /// Readings that are back resolve the alert only if no other rule still lacks its own, which
    /// the guard knows.
    fn alert(&self, _deployment: &DeploymentId) -> Option<StateChange> {
        Some(match self {
            Self::SetAside { .. } => return None,
            Self::Refused { refusal, evidence } => refused(*refusal, evidence),
            Self::Cleared { rule } => {
                let closes = AlertAction::Resolve(AlertKey::Rule(rule.clone()));
                StateChange::new(Change::Cleared, closes, format!("rule {rule}"))
            }
            Self::TelemetryLost { why, .. } => {
                let opens = AlertAction::Trigger(AlertKey::Telemetry);
                StateChange::new(Change::TelemetryLost, opens, why.as_str())
            }
            Self::TelemetryBack { rules } => {
                let names: Vec<&str> = rules.iter().map(RuleName::as_str).collect();
                let reason = format!("seen again by {}", names.join(", "));
                StateChange::new(
                    Change::TelemetryBack,
                    AlertAction::Resolve(AlertKey::Telemetry),
                    reason,
                )
            }
        })
    }
}

fn refused(refusal: Refusal, evidence: &RuleEvidence) -> StateChange {
    let opens = AlertAction::Trigger(AlertKey::Rule(evidence.rule.clone()));
    let (change, action) = match (refusal, evidence.severity) {
        (Refusal::Observing, _) => (Change::Observed, AlertAction::Inform),
        (_, Severity::Warning) => (Change::Firing, opens),
        (_, Severity::Critical) => (Change::Refused, opens),
    };
    StateChange::new(change, action, refusal.to_string())
}
