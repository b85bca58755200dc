//! Attempts at the steps of hooks, and what becomes of them: what keeps a step from starting twice.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{DeploymentId, HookName, StageName};

/// One attempt at one step of one hook for one deployment. It never exists twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The hook.
    pub hook: HookName,
    /// The step, from 0.
    pub step: u32,
    /// The attempt, from 1.
    pub number: u32,
    /// The stage that it is to enter; `None`: it is a step of a rollback, or tells people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entering: Option<Entering>,
}

/// A stage that is entered. A deployment may go back and enter one again, which is to be done anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entering {
    /// The stage.
    pub stage: StageName,
    /// How many times it was entered, from 1.
    pub time: u32,
}

impl fmt::Display for Entering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.stage, self.time)
    }
}

impl Attempt {
    /// An attempt that enters no stage.
    pub const fn of(hook: HookName, step: u32, number: u32) -> Self {
        Self { hook, step, number, entering: None }
    }

    /// Deployment, hook, step, and the stage that is entered: what a hook gets as `{key}`, stable
    /// across attempts.
    pub fn key(&self, deployment: &DeploymentId) -> String {
        let Self { hook, step, entering, .. } = self;
        let entering = entering.as_ref().map(|entering| format!("/{entering}"));
        format!("{deployment}/{hook}/{step}{}", entering.unwrap_or_default())
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It did what it should.
    #[error("done")]
    Done,
    /// It did not, and why.
    #[error("failed: {0}")]
    Failed(String),
    /// It did not, and never will, however often it is tried.
    #[error("failed: {0}")]
    Final(String),
    /// It did not, and asks not to be tried again before some time.
    #[error("failed: {why}")]
    PutOff {
        /// Why it did not.
        why: String,
        /// For how long, in milliseconds.
        after_ms: u64,
    },
    /// It did not end in time and was ended.
    #[error("timed out")]
    TimedOut,
    /// It certainly never started, so it may be started.
    #[error("never started")]
    NotStarted,
    /// The guard died while it ran, or no answer came: nobody knows.
    #[error("unknown, nobody saw its end")]
    Unknown,
    /// It was ended before its time, because something else must come first.
    #[error("called off")]
    CalledOff,
}
