//! Alerts: changes of state that people may be told of, with all that their messages say. They are
//! made from the journal alone, so that a guard sends the same ones after a restart.

use super::channel::Change;
use super::evidence::RuleEvidence;
use super::name::{DeploymentId, RuleName, ServiceName, StageName, Version};
use super::time::Timestamp;

/// A change of state that people may be told of, as recorded in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// What changed.
    pub change: Change,
    /// The `seq` of its record in the journal; `None`: it could not be recorded.
    pub seq: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// The service.
    pub service: ServiceName,
    /// The deployment; `None`: it is about the guard itself.
    pub deployment: Option<DeploymentId>,
    /// The version that is judged.
    pub version: Option<Version>,
    /// The version to go back to.
    pub good: Option<Version>,
    /// The stage that it is in.
    pub stage: Option<StageName>,
    /// The rule that it is about, or that caused the rollback.
    pub rule: Option<RuleEvidence>,
    /// Why, in a line; empty where nothing is to be said.
    pub reason: String,
    /// When the rollback was decided.
    pub decided: Option<Timestamp>,
    /// What it means for the alerts that are open.
    pub action: AlertAction,
}

/// What an event changes that people may be told of.
#[derive(Clone, Debug, PartialEq)]
pub struct StateChange {
    /// What changed.
    pub change: Change,
    /// What it means for the alerts that are open.
    pub action: AlertAction,
    /// Why, in a line; empty where nothing is to be said.
    pub reason: String,
}

/// What an event means for the alerts that are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertAction {
    /// It triggers and resolves nothing.
    Inform,
    /// It triggers this alert, or changes it if it is open.
    Trigger(AlertKey),
    /// It resolves this alert.
    Resolve(AlertKey),
    /// It resolves all alerts of the deployment.
    ResolveAll,
}

/// What an open alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertKey {
    /// The deployment is being rolled back, or people are asked whether to, or that failed.
    Rollback,
    /// A rule fires.
    Rule(RuleName),
    /// Rules see nothing.
    Telemetry,
    /// Nothing is rolled back automatically.
    Pause,
    /// The journal cannot be written.
    Journal,
    /// The configuration on disk is not the one in force.
    Reload,
}

impl News {
    /// The dedup key, which all alerts of a deployment share: `guard/SERVICE/DEPLOYMENT`, or
    /// `guard/SERVICE` for the guard itself. At most 263 bytes, as names are bounded.
    pub fn key(&self) -> String {
        match &self.deployment {
            Some(deployment) => format!("guard/{}/{deployment}", self.service),
            None => format!("guard/{}", self.service),
        }
    }

    /// An id that is unique among all alerts: the dedup key and the record's `seq`, or the time
    /// where there is no record.
    pub fn id(&self) -> String {
        match self.seq {
            Some(seq) => format!("{}/{seq}", self.key()),
            None => format!("{}/t{}", self.key(), self.at.as_millis()),
        }
    }
}
