//! Drills: a hook run for real against something that nobody uses, to see that it works and how
//! long it takes.

use serde::{Deserialize, Serialize};

use super::event::caller::Caller;
use super::index::HookIx;
use super::name::{DeploymentId, HookName, ServiceName, Version};

/// The `[drill]` table: what hooks are told in a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillSettings {
    /// The drill target, as `{service}`; not the guarded service.
    pub service: ServiceName,
    /// The version to go back to, as `{good}`.
    pub good: Version,
    /// The version that is rolled back, as `{version}`.
    pub version: Version,
    /// The hook; `None`: the one of `[deployment]`.
    pub hook: Option<HookIx>,
}

/// How far a drill may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Each step that changes something must name the drill target.
    #[default]
    DrillTarget,
    /// A person says that the hook is harmless although a step of it does not.
    ForReal,
}

/// A drill that begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillStart {
    /// The hook that is run.
    pub hook: HookName,
    /// How many steps it has.
    pub steps: u32,
    /// The drill target.
    pub service: ServiceName,
    /// What hooks get as the version that is rolled back.
    pub version: Version,
    /// What hooks get as the version to go back to.
    pub good: Version,
    /// Who asked.
    pub by: Caller,
}

/// A drill that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillEnd {
    /// How it ended.
    pub result: DrillResult,
    /// Why, where it did not end well.
    pub why: Option<String>,
    /// From its beginning to its end, in milliseconds.
    pub took_ms: u64,
}

words! {
    /// How a drill ended.
    pub enum DrillResult {
        /// Every step did what it should.
        Done = "done",
        /// A step did not.
        Failed = "failed",
        /// Something more important came up.
        CalledOff = "called off",
    }
}

/// Why there is no drill.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrillRefusal {
    /// The configuration does not say what to drill on.
    #[error(
        "no drill target: write [drill] with service, version and good, something that nobody \
         uses"
    )]
    NoTarget,
    /// The drill target is what is guarded.
    #[error("the service of [drill], {0}, is the guarded one: name something that nobody uses")]
    IsGuarded(ServiceName),
    /// No hook is named.
    #[error("no hook to drill: name one with --hook, or with `hook` in [drill]")]
    NoHook,
    /// There is no such hook.
    #[error("no hook is called {0}")]
    UnknownHook(HookName),
    /// A step would do the same in a drill as in a rollback.
    #[error(
        "step {step} of hook {hook} names neither {{service}} nor {{deployment}}, so in a drill it \
         would act on what it acts on in a rollback; if that is harmless: --for-real"
    )]
    WouldAct {
        /// The hook.
        hook: HookName,
        /// The step, from 1.
        step: usize,
    },
    /// A rollback is under way.
    #[error("deployment {0} is being rolled back")]
    RollingBack(DeploymentId),
    /// One is enough.
    #[error("{0} is under way")]
    Drilling(DeploymentId),
    /// The daemon is ending.
    #[error("the daemon is stopping")]
    Stopping,
}
