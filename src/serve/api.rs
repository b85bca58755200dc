//! The control socket's API: every request with its endpoint, what it carries and what it is
//! answered. Server and client both use this declaration, so that they cannot differ.

use std::path::PathBuf;
use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::command::{Accepted, Command, Terms};
use crate::engine::durable::drills::DrillStatus;
use crate::engine::view::snapshot::{DeploymentProgress, Snapshot};
use crate::engine::view::stage::StageProgress;
use crate::facts::WHOLE;
use crate::model::drill::Reach;
use crate::model::name::{DeploymentId, HookName, StageName, Version};
use crate::model::time::Timestamp;
use crate::preflight::PreflightReport;

/// How long the daemon may take to answer. Its loop answers within milliseconds; one that hangs for
/// this long guards nothing, and whoever asks must be told.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long a waiting client is kept before it is told to ask again.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Where requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The status.
    Status,
    /// Waits for the end of a deployment or a stage.
    Wait,
    /// The newest drill.
    LastDrill,
    /// Whether everything that a rollback needs is there.
    Doctor,
    /// Guards a deployment.
    Begin,
    /// Goes to another stage.
    Stage,
    /// Stops guarding without a verdict.
    End,
    /// Rolls back.
    Rollback,
    /// Begins a drill.
    Drill,
    /// Says yes to a rule that asks.
    Approve,
    /// Says no to it.
    Deny,
    /// Switches automatic rollbacks off.
    Pause,
    /// Switches them on again.
    Resume,
}

impl Endpoint {
    const ALL: [Self; 13] = [
        Self::Status,
        Self::Wait,
        Self::LastDrill,
        Self::Doctor,
        Self::Begin,
        Self::Stage,
        Self::End,
        Self::Rollback,
        Self::Drill,
        Self::Approve,
        Self::Deny,
        Self::Pause,
        Self::Resume,
    ];

    /// Its method and path.
    pub const fn route(self) -> (Method, &'static str) {
        match self {
            Self::Status => (Method::GET, "/v1/status"),
            Self::Wait => (Method::GET, "/v1/wait"),
            Self::LastDrill => (Method::GET, "/v1/drill"),
            Self::Doctor => (Method::GET, "/v1/doctor"),
            Self::Begin => (Method::POST, "/v1/deployments"),
            Self::Stage => (Method::POST, "/v1/deployments/stage"),
            Self::End => (Method::POST, "/v1/deployments/end"),
            Self::Rollback => (Method::POST, "/v1/rollback"),
            Self::Drill => (Method::POST, "/v1/drill"),
            Self::Approve => (Method::POST, "/v1/approve"),
            Self::Deny => (Method::POST, "/v1/deny"),
            Self::Pause => (Method::POST, "/v1/pause"),
            Self::Resume => (Method::POST, "/v1/resume"),
        }
    }

    /// The endpoint of a request.
    pub(super) fn at(method: &Method, path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.route() == (method.clone(), path))
    }
}

/// A request: the body of a POST, the query of a GET.
pub trait Request: Serialize {
    /// Where it goes.
    const ENDPOINT: Endpoint;

    /// How long the answer may take.
    const WITHIN: Duration = ANSWERS_WITHIN;

    /// What it is answered when all is well.
    type Answer: Serialize + DeserializeOwned;

    /// The query, for an endpoint that is asked with one.
    fn query(&self) -> Option<String> {
        None
    }
}

/// A request that the guard is to do something. It is answered once that is on record.
pub trait CommandRequest: Request<Answer = Accepted> + DeserializeOwned + Into<Command> {}

impl<R: Request<Answer = Accepted> + DeserializeOwned + Into<Command>> CommandRequest for R {}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: String,
}

/// What the status says: the guard and the daemon around it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// rollguard's own version.
    pub rollguard: String,
    /// The daemon's process id.
    pub pid: u32,
    /// When the daemon started.
    pub started: Timestamp,
    /// When its loop last finished a turn.
    pub turned: Timestamp,
    /// The configuration file.
    pub config: PathBuf,
    /// Why the newest configuration is not in force.
    pub reload_error: Option<String>,
    /// Scrape slots passed over since the start, over all targets.
    pub skipped_slots: u64,
    /// The guard.
    #[serde(flatten)]
    pub guard: Snapshot,
}

/// Asks for the status.
#[derive(Debug, Serialize)]
pub struct StatusRequest;

impl Request for StatusRequest {
    const ENDPOINT: Endpoint = Endpoint::Status;
    type Answer = Status;
}

/// Asks for the newest drill.
#[derive(Debug, Serialize)]
pub struct LastDrillRequest;

impl Request for LastDrillRequest {
    const ENDPOINT: Endpoint = Endpoint::LastDrill;
    type Answer = Option<DrillStatus>;
}

/// Asks whether everything that a rollback needs is there, seen from inside the daemon. It looks at
/// everything first, and somebody else's look may come before.
#[derive(Debug, Serialize)]
pub struct DoctorRequest;

impl Request for DoctorRequest {
    const ENDPOINT: Endpoint = Endpoint::Doctor;
    const WITHIN: Duration = WHOLE.saturating_mul(2).saturating_add(ANSWERS_WITHIN);
    type Answer = PreflightReport;
}

/// Asks where a deployment stands; answered when it will not change any more, or after 20 s.
#[derive(Debug, Serialize)]
pub struct WaitRequest {
    /// The deployment.
    pub deployment: DeploymentId,
}

impl Request for WaitRequest {
    const ENDPOINT: Endpoint = Endpoint::Wait;
    const WITHIN: Duration = LONGEST_WAIT.saturating_add(ANSWERS_WITHIN);
    type Answer = DeploymentProgress;

    // An id has no character that means something in a query, but for `+`, which the daemon takes
    // as it is.
    fn query(&self) -> Option<String> {
        Some(format!("deployment={}", self.deployment))
    }
}

/// Asks how far a stage of a deployment is; answered when there is nothing to wait for any more, or
/// after 20 s.
#[derive(Debug, Serialize)]
pub struct WaitStageRequest {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The stage.
    pub stage: StageName,
}

impl Request for WaitStageRequest {
    const ENDPOINT: Endpoint = Endpoint::Wait;
    const WITHIN: Duration = WaitRequest::WITHIN;
    type Answer = StageProgress;

    fn query(&self) -> Option<String> {
        Some(format!("deployment={}&stage={}", self.deployment, self.stage))
    }
}

/// Guards a deployment from now on.
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

impl Request for BeginRequest {
    const ENDPOINT: Endpoint = Endpoint::Begin;
    type Answer = Accepted;
}

impl From<BeginRequest> for Command {
    fn from(request: BeginRequest) -> Self {
        let BeginRequest { id, version, good, irreversible, force } = request;
        Self::Begin { id, version, good, terms: Terms { irreversible, force: force.into() } }
    }
}

/// Says which stage a deployment is in.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// The stage that it is in from now on.
    pub stage: StageName,
    /// Even if a stage before it has not passed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

impl Request for StageRequest {
    const ENDPOINT: Endpoint = Endpoint::Stage;
    type Answer = Accepted;
}

impl From<StageRequest> for Command {
    fn from(request: StageRequest) -> Self {
        Self::Stage { id: request.id, stage: request.stage, force: request.force.into() }
    }
}

/// Stops guarding without a verdict.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// Why.
    pub reason: String,
}

impl Request for EndRequest {
    const ENDPOINT: Endpoint = Endpoint::End;
    type Answer = Accepted;
}

impl From<EndRequest> for Command {
    fn from(request: EndRequest) -> Self {
        Self::End { id: request.id, reason: request.reason }
    }
}

/// Rolls back.
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

impl Request for RollbackRequest {
    const ENDPOINT: Endpoint = Endpoint::Rollback;
    type Answer = Accepted;
}

impl From<RollbackRequest> for Command {
    fn from(request: RollbackRequest) -> Self {
        let RollbackRequest { id, reason, force } = request;
        Self::Rollback { id, reason, force: force.into() }
    }
}

/// Begins a drill.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRequest {
    /// The hook; `None`: the configured one.
    #[serde(default)]
    pub hook: Option<HookName>,
    /// How far it may reach.
    #[serde(default)]
    pub reach: Reach,
}

impl Request for DrillRequest {
    const ENDPOINT: Endpoint = Endpoint::Drill;
    type Answer = Accepted;
}

impl From<DrillRequest> for Command {
    fn from(request: DrillRequest) -> Self {
        Self::Drill { hook: request.hook, reach: request.reach }
    }
}

/// Says yes to the rule that asks for a rollback.
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

impl Request for ApproveRequest {
    const ENDPOINT: Endpoint = Endpoint::Approve;
    type Answer = Accepted;
}

impl From<ApproveRequest> for Command {
    fn from(request: ApproveRequest) -> Self {
        Self::Approve { id: request.id, reason: request.reason }
    }
}

/// Says no to the rule that asks for a rollback.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// Why.
    pub reason: String,
}

impl Request for DenyRequest {
    const ENDPOINT: Endpoint = Endpoint::Deny;
    type Answer = Accepted;
}

impl From<DenyRequest> for Command {
    fn from(request: DenyRequest) -> Self {
        Self::Deny { id: request.id, reason: request.reason }
    }
}

/// Switches automatic rollbacks off for a while.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// For how long, in milliseconds.
    pub for_ms: u64,
    /// Why.
    pub reason: String,
}

impl Request for PauseRequest {
    const ENDPOINT: Endpoint = Endpoint::Pause;
    type Answer = Accepted;
}

impl From<PauseRequest> for Command {
    fn from(request: PauseRequest) -> Self {
        Self::Pause { span: Duration::from_millis(request.for_ms), reason: request.reason }
    }
}

/// Switches automatic rollbacks on again.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Request for ResumeRequest {
    const ENDPOINT: Endpoint = Endpoint::Resume;
    type Answer = Accepted;
}

impl From<ResumeRequest> for Command {
    fn from(request: ResumeRequest) -> Self {
        Self::Resume { reason: request.reason }
    }
}
