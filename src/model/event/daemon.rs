//! Events of the daemon's own life.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::meaning::{Level, Meaning};
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::Change;

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

impl DaemonEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::ReloadRefused { errors, first, .. } => {
                let reason = format!("errors: {errors}, the first: {first}");
                let opens = AlertAction::Trigger(AlertKey::Reload);
                Meaning::of(Level::Warning).alert(Change::ReloadRefused, opens, reason).aside()
            }
            Self::Reloaded { .. } => {
                let closes = AlertAction::Resolve(AlertKey::Reload);
                Meaning::of(Level::Info).alert(Change::Reloaded, closes, "").aside()
            }
            Self::Started { .. } | Self::Stopped { .. } => Meaning::of(Level::Info).aside(),
        }
    }
}
