//! Events of pauses, in which nothing is rolled back automatically.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::group::{EventGroup, Level, Scope};
use crate::model::alert::{AlertAction, AlertKey, StateChange};
use crate::model::channel::Change;
use crate::model::name::DeploymentId;
use crate::model::time::Timestamp;

/// The beginning or the end of a pause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum PauseEvent {
    /// Nothing is rolled back automatically for a while.
    Paused {
        /// The end of it.
        until: Timestamp,
        /// Why.
        reason: String,
        /// Who asked.
        by: Caller,
    },
    /// Automatic rollbacks are on again.
    Resumed {
        /// Why, where a person said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who asked; the guard itself where the time was over.
        by: Caller,
    },
}

impl EventGroup for PauseEvent {
    fn scope(&self) -> Scope {
        Scope::Guard
    }

    fn level(&self) -> Level {
        match self {
            Self::Paused { .. } => Level::Warning,
            Self::Resumed { .. } => Level::Info,
        }
    }

    fn alert(&self, _deployment: &DeploymentId) -> Option<StateChange> {
        Some(match self {
            Self::Paused { until, reason, .. } => {
                let reason = format!("until {until}: {reason}");
                StateChange::new(Change::Paused, AlertAction::Trigger(AlertKey::Pause), reason)
            }
            Self::Resumed { reason, .. } => {
                let reason = reason.as_deref().unwrap_or("the pause is over");
                StateChange::new(Change::Resumed, AlertAction::Resolve(AlertKey::Pause), reason)
            }
        })
    }
}
