//! Events of the stages of a deployment.

use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::meaning::{Level, Meaning};
use crate::model::alert::AlertAction;
use crate::model::channel::Change;
use crate::model::name::{HookName, StageName};

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

impl StageEvent {
    /// What anybody may ask of it.
    pub fn meaning(&self) -> Meaning {
        let (level, change, reason) = match self {
            Self::Staged { .. } => (Level::Info, Change::Stage, ""),
            Self::Entered { .. } => return Meaning::of(Level::Info),
            Self::Passed { .. } => (Level::Info, Change::StagePassed, ""),
            Self::NotEntered { why, .. } | Self::Overdue { why, .. } => {
                (Level::Warning, Change::StageStuck, why.as_str())
            }
        };
        Meaning::of(level).alert(change, AlertAction::Inform, reason)
    }
}
