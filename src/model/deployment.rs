//! What is guarded, and how much rollguard may do about it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::live::LiveSettings;
use super::name::{ServiceName, Version};
use super::place::HookIx;

/// How much rollguard may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Says what it would do.
    #[default]
    Observe,
    /// Tells people.
    Notify,
    /// Acts.
    Auto,
}

/// The word of the configuration.
impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Observe => "observe",
            Self::Notify => "notify",
            Self::Auto => "auto",
        })
    }
}

/// What starts the guarding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arm {
    /// `rollguard deploy begin`.
    #[default]
    Deploy,
    /// A change of the live version.
    Detect,
    /// Starting the daemon: a sidecar that lives as long as its release.
    Always,
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
    /// How the live version is read.
    pub live: Option<Arc<LiveSettings>>,
}
