//! Events of rules that do not lead to a rollback.

use serde::{Deserialize, Serialize};

use super::meaning::{Level, Meaning};
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::Change;
use crate::model::evidence::RuleEvidence;
use crate::model::name::RuleName;
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

impl RuleEvent {
    /// What anybody may ask of it. Readings that are back resolve the alert only if no other rule
    /// still lacks its own, which the guard knows.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::SetAside { .. } => Meaning::of(Level::Info),
            Self::Refused { refusal, evidence } => {
                let opens = AlertAction::Trigger(AlertKey::Rule(evidence.rule.clone()));
                let (change, action) = match (refusal, evidence.severity) {
                    (Refusal::Observing, _) => (Change::Observed, AlertAction::Inform),
                    (_, Severity::Warning) => (Change::Firing, opens),
                    (_, Severity::Critical) => (Change::Refused, opens),
                };
                Meaning::of(Level::Warning).alert(change, action, refusal.word())
            }
            Self::Cleared { rule } => {
                let closes = AlertAction::Resolve(AlertKey::Rule(rule.clone()));
                let reason = format!("rule {rule}");
                Meaning::of(Level::Info).alert(Change::Cleared, closes, reason).aside()
            }
            Self::TelemetryLost { why, .. } => {
                let opens = AlertAction::Trigger(AlertKey::Telemetry);
                let why = why.as_str();
                Meaning::of(Level::Warning).alert(Change::TelemetryLost, opens, why).aside()
            }
            Self::TelemetryBack { rules } => {
                let closes = AlertAction::Resolve(AlertKey::Telemetry);
                let names: Vec<&str> = rules.iter().map(RuleName::as_str).collect();
                let reason = format!("seen again by {}", names.join(", "));
                Meaning::of(Level::Info).alert(Change::TelemetryBack, closes, reason).aside()
            }
        }
    }
}
