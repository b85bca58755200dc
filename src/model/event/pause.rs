//! Events of pauses, in which nothing is rolled back automatically.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::meaning::{Level, Meaning};
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::Change;
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

impl PauseEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Paused { until, reason, .. } => {
                let opens = AlertAction::Trigger(AlertKey::Pause);
                let reason = format!("until {until}: {reason}");
                Meaning::of(Level::Warning).alert(Change::Paused, opens, reason)
            }
            Self::Resumed { reason, .. } => {
                let closes = AlertAction::Resolve(AlertKey::Pause);
                let reason = reason.as_deref().unwrap_or("the pause is over");
                Meaning::of(Level::Info).alert(Change::Resumed, closes, reason)
            }
        }
    }
}
