//! What is guarded, and how much rollguard may do about it.

use std::sync::Arc;
use std::time::Duration;

use super::index::HookIx;
use super::live::LiveSettings;
use super::name::{ServiceName, Version};

words! {
    /// How much rollguard may do.
    #[derive(Default)]
    pub enum Mode {
        /// Says what it would do.
        #[default]
        Observe = "observe",
        /// Tells people.
        Notify = "notify",
        /// Asks people, and acts when one approves.
        Confirm = "confirm",
        /// Acts.
        Auto = "auto",
    }
}

/// The most rollbacks that a budget may allow: beyond that it is none.
pub const MAX_ROLLBACKS: u32 = 100;

/// How long people have to answer in mode `confirm`, and what is done when nobody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// The time limit.
    pub within: Duration,
    /// What is done when it is over.
    pub default: Unanswered,
}

words! {
    /// What is done when nobody answers in time.
    pub enum Unanswered {
        /// The version is rolled back.
        Rollback = "rollback",
        /// The version stays.
        Deny = "deny",
    }
}

/// How many rollbacks rollguard may decide by itself in a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many, 1 to [`MAX_ROLLBACKS`].
    pub rollbacks: u32,
    /// The while, up to now.
    pub per: Duration,
}

/// A day with two bad releases is a bad day; with a third the fault is hardly in the releases.
impl Default for Budget {
    fn default() -> Self {
        Self { rollbacks: 2, per: Duration::from_secs(24 * 3600) }
    }
}

words! {
    /// What starts the guarding.
    #[derive(Default)]
    pub enum Arm {
        /// `rollguard deploy begin`.
        #[default]
        Deploy = "deploy",
        /// A change of the live version.
        Detect = "detect",
        /// Starting the daemon: a sidecar that lives as long as its release.
        Always = "always",
    }
}

/// The `[deployment]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentSettings {
    /// The service.
    pub service: ServiceName,
    /// What starts the guarding.
    pub arm: Arm,
    /// How long a deployment is guarded before its version counts as good. `None`, only with
    /// [`Arm::Always`]: for ever.
    pub bake: Option<Duration>,
    /// How long after arming no rule can fire.
    pub warmup: Duration,
    /// The hook that a person's `rollback` runs, and rules that name none.
    pub then: Option<HookIx>,
    /// The good version, where the configuration names it.
    pub good: Option<Version>,
    /// The version that [`Arm::Always`] guards.
    pub version: Option<Version>,
    /// The hook that tells people.
    pub notify: Option<HookIx>,
    /// How people are asked; [`Mode::Confirm`] needs it.
    pub confirm: Option<Confirm>,
    /// How often rollguard may roll back by itself.
    pub budget: Budget,
    /// The hooks that go along.
    pub along: Along,
    /// How the live version is read.
    pub live: Option<Arc<LiveSettings>>,
}

/// The hooks that go along with a deployment, in the order of [`Milestone::ALL`].
pub type Along = [Option<HookIx>; Milestone::ALL.len()];

words! {
    /// What hooks may go along with.
    pub enum Milestone {
        /// A deployment begins.
        Begin = "on_begin",
        /// It has entered a stage.
        Stage = "on_stage",
        /// It is to be rolled back.
        Trip = "on_trip",
        /// Its version counts as good.
        Commit = "on_commit",
    }
}
