//! What people and pipelines ask of the guard, and its answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::drill::{DrillRefusal, Reach};
use crate::model::entry::Refusal;
use crate::model::name::{DeploymentId, HookName, StageName, Version};

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
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// There is no way back from it that is safe without a person: it is not rolled back
    /// automatically.
    pub irreversible: bool,
    /// Whether even if its version was rolled back before.
    pub force: Force,
}

/// Whether a person insists on what the guard warns of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// There is no drill, and why.
    #[error(transparent)]
    Drill(#[from] DrillRefusal),
    /// A rollback is under way.
    #[error("deployment {0} is being rolled back")]
    RollingBack(DeploymentId),
    /// A rollback awaits approval.
    #[error("a rollback of deployment {0} awaits approval: answer first, with `rollguard deny`")]
    Asked(DeploymentId),
    /// A person asked for it already, and the live version is being read.
    #[error("a rollback of deployment {0} was asked for, and the live version is being read")]
    Comparing(DeploymentId),
    /// The guard refuses to act.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// What was asked for cannot be done, in a line.
    #[error("{0}")]
    Impossible(String),
}

impl Rejection {
    /// A command that cannot be carried out, for this reason.
    pub(crate) fn because(why: impl Into<String>) -> Self {
        Self::Impossible(why.into())
    }
}

/// Whether a person's reason can be passed on.
pub(crate) fn check_reason(reason: &str) -> Result<(), Rejection> {
    let fine = !reason.trim().is_empty()
        && reason.len() <= MAX_REASON
        && !reason.chars().any(char::is_control);
    fine.then_some(()).ok_or_else(|| {
        let must = format!("must be 1 to {MAX_REASON} bytes of text without control characters");
        Rejection::because(format!("a reason {must}"))
    })
}
