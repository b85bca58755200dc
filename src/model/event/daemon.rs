//! Events of the daemon's own life.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::group::{EventGroup, Level, Scope};
use crate::model::alert::{AlertAction, AlertKey, StateChange};
use crate::model::channel::Change;
use crate::model::name::DeploymentId;

/// What happened to the daemon or its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum DaemonEvent {
    /// The daemon started.
    Started {
        /// rollguard's own version.
        rollguard: String,
        /// The daemon's process id.
        pid: u32,
    },
    /// The daemon was told to stop.
    Stopped {
        /// Who asked.
        by: Caller,
    },
    /// New rules are in force.
    Reloaded {
        /// Who asked.
        by: Caller,
        /// How many rules there are now.
        rules: usize,
    },
    /// New rules were refused; the old ones stay.
    ReloadRefused {
        /// Who asked.
        by: Caller,
        /// How many errors there are.
        errors: usize,
        /// The first of them.
        first: String,
    },
}

impl EventGroup for DaemonEvent {
    fn scope(&self) -> Scope {
        Scope::Guard
    }

    fn level(&self) -> Level {
        match self {
            Self::ReloadRefused { .. } => Level::Warning,
            Self::Started { .. } | Self::Stopped { .. } | Self::Reloaded { .. } => Level::Info,
        }
    }

    fn is_story(&self) -> bool {
        false
    }

    fn alert(&self, _deployment: &DeploymentId) -> Option<StateChange> {
        match self {
            Self::ReloadRefused { errors, first, .. } => {
                let reason = format!("errors: {errors}, the first: {first}");
                Some(StateChange::new(
                    Change::ReloadRefused,
                    AlertAction::Trigger(AlertKey::Reload),
                    reason,
                ))
            }
            Self::Reloaded { .. } => {
                Some(StateChange::new(Change::Reloaded, AlertAction::Resolve(AlertKey::Reload), ""))
            }
            Self::Started { .. } | Self::Stopped { .. } => None,
        }
    }
}
