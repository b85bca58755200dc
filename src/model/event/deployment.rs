//! Events at the beginning and at the end of a deployment.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::meaning::{Level, Meaning};
use crate::model::alert::AlertAction;
use crate::model::channel::Change;
use crate::model::deployment::Mode;
use crate::model::evidence::SignalEvidence;
use crate::model::name::{DeploymentId, RuleName, ServiceName, SignalName, Version};

/// How a deployment began, or how it ended without a rollback.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum DeploymentEvent {
    /// A deployment is guarded from here on.
    Begun(Box<DeploymentBegun>),
    /// Guarding ended without a verdict.
    Ended {
        /// Why.
        reason: String,
        /// Who asked.
        by: Caller,
    },
    /// A newer deployment took its place.
    Superseded {
        /// The newer one.
        by: DeploymentId,
    },
    /// The version survived its bake and counts as good.
    Baked {
        /// The version.
        version: Version,
    },
}

/// How a deployment began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentBegun {
    /// The service.
    pub service: ServiceName,
    /// The version that is judged.
    pub version: Version,
    /// The version to go back to, pinned here.
    pub good: Option<Version>,
    /// The mode at this moment.
    pub mode: Mode,
    /// The readings at this moment: what was normal before.
    pub signals: Vec<SignalEvidence>,
    /// The rules that held at this moment and therefore may not speak against it.
    #[serde(default)]
    pub holding: Vec<RuleName>,
    /// The baselines that it is judged by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub baselines: Vec<Frozen>,
    /// There is no way back from it that is safe without a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// It was begun although its version had been rolled back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Who asked.
    pub by: Caller,
}

/// A signal's baseline, frozen when a deployment was armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// The signal.
    pub signal: SignalName,
    /// The group, where it is read by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The baseline; `None` where there were too few readings.
    pub value: Option<f64>,
    /// How many readings there were.
    pub readings: u32,
    /// How many it takes.
    pub needed: u32,
    /// Tells whether the signal is still defined as it was then.
    pub definition: String,
}

impl DeploymentEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        let (change, action, reason) = match self {
            Self::Begun(_) => (Change::Begun, AlertAction::Inform, String::new()),
            Self::Ended { reason, .. } => (Change::Ended, AlertAction::ResolveAll, reason.clone()),
            Self::Superseded { by } => {
                let reason = format!("superseded by deployment {by}");
                (Change::Superseded, AlertAction::ResolveAll, reason)
            }
            Self::Baked { .. } => (Change::Baked, AlertAction::ResolveAll, String::new()),
        };
        Meaning::of(Level::Info).alert(change, action, reason)
    }
}
