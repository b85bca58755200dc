//! Events of the attempts at the steps of hooks that act.

use serde::{Deserialize, Serialize};

use super::meaning::{Level, Meaning};
use crate::model::attempt::{Attempt, StepResult};

/// The beginning or the end of an attempt at a step of a rollback, a stage entry or a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum AttemptEvent {
    /// An attempt at a step is about to start.
    Intent {
        /// Which one.
        attempt: Attempt,
        /// What is about to be done, for people.
        what: String,
    },
    /// What became of an attempt.
    Outcome {
        /// Which one.
        attempt: Attempt,
        /// What became of it.
        result: StepResult,
        /// The end of what it printed.
        output: String,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
}

impl AttemptEvent {
    /// What anybody may ask of it.
    pub const fn meaning(&self) -> Meaning {
        Meaning::of(match self {
            Self::Intent { .. } | Self::Outcome { result: StepResult::Done, .. } => Level::Info,
            Self::Outcome { .. } => Level::Warning,
        })
    }
}
