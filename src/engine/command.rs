//! What people and pipelines ask of the guard, and its answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::drill::{DrillRefusal, Reach};
use crate::model::entry::Refusal;
use crate::model::live::Live;
use crate::model::name::{DeploymentId, HookName, StageName, Version};
use crate::model::time::format_duration;

use crate::engine::durable::quarantine::Quarantined;

/// How long a pause is where nobody says: half an hour's work on the service.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(30 * 60);

/// The longest pause. What is needed for longer than a day is another `mode`.
pub const MAX_PAUSE: Duration = Duration::from_secs(24 * 3600);

/// The shortest pause: less is over before it was read that it began.
pub const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest reason that a person may give, in bytes: a sentence or two. It goes into the
/// journal and to hooks.
pub const MAX_REASON: usize = 1000;

/// Something asked of the guard.
#[derive(Clone, Debug)]
pub enum Command {
    /// Guard a deployment from now on.
    Begin {
        /// Its id; `None` makes one from the version and the time.
        id: Option<DeploymentId>,
        /// The version that is judged.
        version: Version,
        /// The version to go back to; `None`: the configured one, else the last that baked.
        good: Option<Version>,
        /// On what terms.
        terms: Terms,
    },
    /// The deployment is in another stage from now on.
    Stage {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// The stage.
        stage: StageName,
        /// Whether even if a stage before it has not passed.
        force: Force,
    },
    /// Stop guarding without a verdict.
    End {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
    },
    /// Roll back: a person says so.
    Rollback {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
        /// Whether even if it was begun as irreversible, and whatever version is live.
        force: Force,
    },
    /// Yes to the rule that asks for a rollback.
    Approve {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why, where the person says.
        reason: Option<String>,
    },
    /// No to the rule that asks for a rollback.
    Deny {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
    },
    /// Nothing is rolled back automatically for a while.
    Pause {
        /// For how long.
        span: Duration,
        /// Why.
        reason: String,
    },
    /// Automatic rollbacks are on again.
    Resume {
        /// Why, where the person says.
        reason: Option<String>,
    },
    /// Run a hook against the drill target.
    Drill {
        /// The hook; `None`: the configured one.
        hook: Option<HookName>,
        /// How far it may reach.
        reach: Reach,
    },
}

/// On what terms a deployment begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// There is no way back from it that is safe without a person: it is not rolled back
    /// automatically.
    pub irreversible: bool,
    /// Whether even if its version was rolled back before.
    pub force: Force,
}

/// Whether a person insists on what the guard warns of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// No.
    #[default]
    No,
    /// Yes.
    Yes,
}

impl From<bool> for Force {
    fn from(said: bool) -> Self {
        if said { Self::Yes } else { Self::No }
    }
}

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The deployment that it concerns; a pause may concern none.
    pub deployment: Option<DeploymentId>,
    /// What happened, in a line.
    pub message: String,
}

impl Accepted {
    /// A rollback was decided.
    pub(crate) fn rolling_back(deployment: DeploymentId) -> Self {
        let message = format!("rolling back deployment {deployment}");
        Self { deployment: Some(deployment), message }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No deployment is known.
    #[error("no deployment has begun")]
    NoDeployment,
    /// Another deployment is the current one.
    #[error("deployment {asked} is not the current one, {current} is")]
    NotCurrent {
        /// The one asked for.
        asked: DeploymentId,
        /// The current one.
        current: DeploymentId,
    },
    /// A deployment of that id has been.
    #[error(
        "deployment id {0} was used before; at most one rollback runs for an id, so take another"
    )]
    IdUsed(DeploymentId),
    /// The id would be that of a drill.
    #[error("deployment id {0} is one of a drill, take another")]
    DrillId(DeploymentId),
    /// There is no drill, and why.
    #[error(transparent)]
    Drill(#[from] DrillRefusal),
    /// A rollback is under way.
    #[error("deployment {0} is being rolled back")]
    RollingBack(DeploymentId),
    /// The deployment is over.
    #[error("deployment {0} is not guarded any more: {1}")]
    Over(DeploymentId, String),
    /// The version was rolled back before.
    #[error(
        "version {} was rolled back at {} (deployment {}, {}): deploy another, or insist with \
         --force", .0.version, .0.at, .0.deployment, .0.why
    )]
    Quarantined(Box<Quarantined>),
    /// The deployment was begun as irreversible.
    #[error(
        "deployment {0} was begun as irreversible: make sure that going back does no more harm \
         than staying, then insist with --force"
    )]
    Irreversible(DeploymentId),
    /// There is no such stage.
    #[error("there is no stage {stage}; the stages are {stages}")]
    UnknownStage {
        /// The one asked for.
        stage: StageName,
        /// Those of the configuration.
        stages: String,
    },
    /// A stage before it has not passed.
    #[error("stage {stage} has not passed: {why}; wait for it, or insist with --force")]
    StageNotPassed {
        /// The one that has not.
        stage: StageName,
        /// What keeps it.
        why: String,
    },
    /// Nobody asks for a rollback.
    #[error("nothing awaits approval: no rule asks for a rollback of deployment {0}")]
    NothingAsked(DeploymentId),
    /// What would be run is gone.
    #[error("hook {0}, which would roll it back, is not in the configuration any more")]
    HookGone(HookName),
    /// A rollback awaits approval.
    #[error("a rollback of deployment {0} awaits approval: answer first, with `rollguard deny`")]
    Asked(DeploymentId),
    /// A pause of no use, or without an end.
    #[error("a pause lasts {} to {}", format_duration(MIN_PAUSE), format_duration(MAX_PAUSE))]
    BadPause,
    /// There is no pause.
    #[error("automatic rollbacks are not paused")]
    NotPaused,
    /// No hook is configured for a person's rollback.
    #[error("no hook to roll back with: set `then` in [deployment]")]
    NoHook,
    /// A reason that cannot be passed on.
    #[error("a reason must be 1 to {MAX_REASON} bytes of text without control characters")]
    BadReason,
    /// A person asked for it already, and the live version is being read.
    #[error("a rollback of deployment {0} was asked for, and the live version is being read")]
    Comparing(DeploymentId),
    /// Something else was done before the live version was read.
    #[error("something else was done while the live version was being read; look and ask again")]
    Overtaken,
    /// The live version speaks against it.
    #[error(
        "refused: {refusal}; the live version is {live}; `rollback --force` does it all the same"
    )]
    Live {
        /// Why.
        refusal: Refusal,
        /// What was read.
        live: Live,
    },
    /// The guard refuses to act.
    #[error("refused: {0}")]
    Refused(Refusal),
}

/// Whether a person's reason can be passed on.
pub(crate) fn check_reason(reason: &str) -> Result<(), Rejection> {
    let fine = !reason.trim().is_empty()
        && reason.len() <= MAX_REASON
        && !reason.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(Rejection::BadReason) }
}
