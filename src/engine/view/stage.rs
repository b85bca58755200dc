//! What may be seen of stages, for status, page, metrics and those who wait for one. The field
//! names are documented and stable. Nothing is decided here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::name::{DeploymentId, StageName};

use super::state::GuardState;

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageStatus {
    /// Its name.
    pub stage: StageName,
    /// Where it stands.
    pub standing: StageStanding,
    /// For how long it was seen to be clean, in milliseconds.
    pub clean_ms: u64,
    /// For how long it must be.
    pub hold_ms: u64,
    /// What keeps it, where that is not time alone.
    pub why: Option<String>,
}

/// Where a stage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageStanding {
    /// A later one was entered.
    Done,
    /// The deployment is in it, and it was clean for its time.
    Passed,
    /// The deployment is in it.
    Watched,
    /// The hook that enters it is being run.
    Entering,
    /// The hook that enters it failed.
    NotEntered,
    /// It comes later.
    Next,
}

impl StageStanding {
    /// Whether nobody needs to wait for it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Passed)
    }
}

impl fmt::Display for StageStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Done => "done",
            Self::Passed => "passed",
            Self::Watched => "watched",
            Self::Entering => "being entered",
            Self::NotEntered => "not entered",
            Self::Next => "to come",
        })
    }
}

/// How far a stage of a deployment is, for those who wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageProgress {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: GuardState,
    /// Whether there is nothing to wait for any more.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The stage.
    #[serde(flatten)]
    pub stage: StageStatus,
}

/// Why nobody can wait for a stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoStage {
    /// The configuration has none.
    #[error("the configuration has no stages: write [[stage]] with name and hold, and reload")]
    None,
    /// It has others.
    #[error("there is no stage {asked}; the stages are {}", .known.join(", "))]
    Unknown {
        /// The one asked for.
        asked: StageName,
        /// Those of the configuration.
        known: Vec<String>,
    },
    /// The deployment is not known.
    #[error("deployment {0} is not known")]
    Deployment(DeploymentId),
}
