//! What people ask over the control socket: requests and the commands that they stand for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::command::{Command, Terms};
use crate::model::name::{DeploymentId, Version};

/// `POST /v1/deployments`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeginRequest {
    /// The id; `None` makes one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// The version that is judged.
    pub version: Version,
    /// The version to go back to.
    #[serde(default)]
    pub good: Option<Version>,
    /// It is not to be rolled back automatically.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub irreversible: bool,
    /// Even if the version was rolled back before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// `POST /v1/rollback`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// Why.
    pub reason: String,
    /// Even if it was begun as irreversible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// `POST /v1/approve`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/pause`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// Why.
    pub reason: String,
}

/// `POST /v1/resume`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl From<BeginRequest> for Command {
    fn from(request: BeginRequest) -> Self {
        let BeginRequest { id, version, good, irreversible, force } = request;
        Self::Begin { id, version, good, terms: Terms { irreversible, force: force.into() } }
    }
}

impl From<RollbackRequest> for Command {
    fn from(request: RollbackRequest) -> Self {
        let RollbackRequest { id, reason, force } = request;
        Self::Rollback { id, reason, force: force.into() }
    }
}

impl From<ApproveRequest> for Command {
    fn from(request: ApproveRequest) -> Self {
        Self::Approve { id: request.id, reason: request.reason }
    }
}

impl From<PauseRequest> for Command {
    fn from(request: PauseRequest) -> Self {
        Self::Pause { span: Duration::from_millis(request.for_ms), reason: request.reason }
    }
}

impl From<ResumeRequest> for Command {
    fn from(request: ResumeRequest) -> Self {
        Self::Resume { reason: request.reason }
    }
}
