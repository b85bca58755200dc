//! The guard's state and the health of a deployment, each as one word.

use serde::{Deserialize, Serialize};

use crate::model::words::words;

words! {
    /// The guard's state.
    pub enum GuardState {
        /// Nothing is guarded.
        Idle = "idle",
        /// A deployment is guarded.
        Guarding = "guarding",
        /// A rule fired, and people are asked whether to roll back.
        AwaitingApproval = "awaiting approval",
        /// A rollback's steps are being run.
        RollingBack = "rolling back",
        /// The steps are done; the cure is being looked for.
        Verifying = "verifying",
        /// The rollback helped.
        RolledBack = "rolled back",
        /// The rollback failed. A person is needed.
        RollbackFailed = "rollback failed",
        /// The version survived its bake and counts as good.
        Baked = "baked",
        /// Guarding ended without a verdict.
        Ended = "ended",
    }
}

impl GuardState {
    /// Whether the deployment will not change any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::RolledBack | Self::RollbackFailed | Self::Baked | Self::Ended)
    }
}

/// The colour of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No rule holds, and all of them can tell.
    Green,
    /// A rule cannot tell: neither healthy nor bad.
    Unknown,
    /// A warning holds, or a critical rule does and not yet for long enough.
    Yellow,
    /// A critical rule fires, the deployment was rolled back for one, or a person is needed.
    Red,
}

impl Health {
    /// The colour's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Unknown => "unknown",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}
