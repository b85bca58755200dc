//! Events of the stages of a deployment.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::group::{EventGroup, Level};
use crate::model::alert::{AlertAction, StateChange};
use crate::model::channel::Change;
use crate::model::name::{DeploymentId, HookName, StageName};

/// How a deployment gets from stage to stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum StageEvent {
    /// The deployment is in another stage, or the hook of its stage is run again.
    #[serde(rename = "staged")]
    Staged {
        /// Which one.
        stage: StageName,
        /// The hook that enters it; it must have done its work before the stage's time begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enter: Option<HookName>,
        /// A person insisted, although a stage before it had not passed.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        forced: bool,
        /// Who asked.
        by: Caller,
    },
    /// The hook that enters the stage has done its work: the stage's time begins.
    #[serde(rename = "stage_entered")]
    Entered {
        /// Which one.
        stage: StageName,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// The hook that enters the stage failed; asking for the stage again tries it again.
    #[serde(rename = "stage_not_entered")]
    NotEntered {
        /// Which one.
        stage: StageName,
        /// Why.
        why: String,
    },
    /// The stage was clean for its time.
    #[serde(rename = "stage_passed")]
    Passed {
        /// Which one.
        stage: StageName,
        /// Milliseconds from its beginning.
        took_ms: u64,
    },
    /// The stage has not passed in the time in which it should have.
    #[serde(rename = "stage_overdue")]
    Overdue {
        /// Which one.
        stage: StageName,
        /// What keeps it.
        why: String,
    },
}

impl EventGroup for StageEvent {
    fn level(&self) -> Level {
        match self {
            Self::NotEntered { .. } | Self::Overdue { .. } => Level::Warning,
            Self::Staged { .. } | Self::Entered { .. } | Self::Passed { .. } => Level::Info,
        }
    }

    fn alert(&self, _deployment: &DeploymentId) -> Option<StateChange> {
        let (change, reason) = match self {
            Self::Staged { .. } => (Change::Stage, ""),
            Self::Passed { .. } => (Change::StagePassed, ""),
            Self::NotEntered { why, .. } | Self::Overdue { why, .. } => {
                (Change::StageStuck, why.as_str())
            }
            Self::Entered { .. } => return None,
        };
        Some(StateChange::new(change, AlertAction::Inform, reason))
    }
}
