//! The command line's side of the control socket.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::{exit, out};
use crate::engine::command::{Accepted, Force};
use crate::engine::durable::drills::DrillStatus;
use crate::engine::view::snapshot::DeploymentProgress;
use crate::engine::view::stage::StageProgress;
use crate::facts::WHOLE;
use crate::model::drill::Reach;
use crate::model::name::{DeploymentId, HookName, StageName, Version};
use crate::model::time::format_duration;
use crate::preflight::PreflightReport;
use crate::serve::{
    ApproveRequest, BeginRequest, DrillRequest, PauseRequest, Problem, ReasonRequest,
    ResumeRequest, RollbackRequest, StageRequest, Status,
};

/// The largest answer: a status with tens of thousands of signals and rules.
const MAX_ANSWER: usize = 64 << 20;

/// How long the daemon may take to answer. Its loop answers within milliseconds; one that hangs for
/// this long guards nothing, and whoever asks must be told.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The same where it answers when there is news, or after its own 20 s.
const NEWS_WITHIN: Duration = Duration::from_secs(25);

/// The same where it looks at everything first; somebody else's look may come before.
const FOUND_WITHIN: Duration = WHOLE.saturating_mul(2).saturating_add(ANSWERS_WITHIN);

/// Where the daemon is.
#[derive(Args, Clone)]
pub(super) struct Daemon {
    /// The daemon's control socket
    ///
    /// Root may use it, and the members of the daemon's group.
    #[arg(
        long,
        value_name = "PATH",
        env = "ROLLGUARD_CONTROL",
        default_value = "/run/rollguard/rollguard.sock"
    )]
    pub(super) control: PathBuf,
}

impl Daemon {
    pub(super) fn client(&self) -> Client {
        Client::new(&self.control)
    }
}

/// Why there is no answer, or not the wanted one.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon answers there.
    #[error("the daemon cannot be reached at {path}: {why}\nhint: {}", hint(.why))]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// A daemon was there and went away before it answered.
    #[error("the daemon at {path} went away: {why}")]
    Lost {
        /// The socket.
        path: PathBuf,
        /// What happened.
        why: String,
    },
    /// A daemon is there and does not answer.
    #[error(
        "the daemon at {path} does not answer within {}: it hangs, and guards nothing; what was \
         asked may still be done when it goes on\nhint: see what it does: `systemctl status \
         rollguard`; its watchdog restarts it",
        format_duration(*.within)
    )]
    Silent {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        within: Duration,
    },
    /// The daemon refused.
    #[error("{0}")]
    Refused(String),
    /// The daemon was asked for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// The daemon could not make sense of it, or the client of the answer.
    #[error("{0}")]
    Failed(String),
}

impl ClientError {
    /// The exit code that stands for it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => exit::USAGE,
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Silent { .. } => exit::UNREACHABLE,
            Self::Refused(_) => exit::REFUSED,
            Self::Failed(_) => exit::FAILED,
        }
    }
}

impl ClientError {
    /// Whether no daemon answers, and one may again.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Silent { .. } => true,
            Self::Refused(_) | Self::Usage(_) | Self::Failed(_) => false,
        }
    }
}

/// What to do where no daemon can be reached.
fn hint(why: &io::Error) -> &'static str {
    let kind = why.kind();
    if kind == io::ErrorKind::PermissionDenied {
        "be root or a member of the daemon's group: `usermod -aG rollguard USER`"
    } else if kind == io::ErrorKind::InvalidInput {
        "a socket's path has 107 bytes at most"
    } else {
        "is it running? `systemctl status rollguard`; another socket? `--control PATH`"
    }
}

/// A daemon's control socket.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// The daemon at this socket. Nothing is asked yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The status.
    ///
    /// # Errors
    /// The daemon cannot be reached or understood.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(Method::GET, "/v1/status", None::<&()>).await
    }

    /// Guards a deployment from now on.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn begin(
        &self,
        id: Option<DeploymentId>,
        version: Version,
        good: Option<Version>,
    ) -> Result<Accepted, ClientError> {
        let body = BeginRequest { id, version, good, irreversible: false, force: false };
        self.begin_as(&body).await
    }

    /// The same, on terms.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn begin_as(&self, request: &BeginRequest) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, "/v1/deployments", Some(request)).await
    }

    /// Says which stage a deployment is in.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn stage(
        &self,
        id: Option<DeploymentId>,
        stage: StageName,
        force: Force,
    ) -> Result<Accepted, ClientError> {
        let body = StageRequest { id, stage, force: force == Force::Yes };
        self.ask(Method::POST, "/v1/deployments/stage", Some(&body)).await
    }

    /// Stops guarding without a verdict.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn end(
        &self,
        id: Option<DeploymentId>,
        reason: String,
    ) -> Result<Accepted, ClientError> {
        let body = ReasonRequest { id, reason };
        self.ask(Method::POST, "/v1/deployments/end", Some(&body)).await
    }

    /// Rolls back.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn rollback(&self, request: &RollbackRequest) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, "/v1/rollback", Some(request)).await
    }

    /// Says yes to the rule that asks for a rollback.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn approve(
        &self,
        id: Option<DeploymentId>,
        reason: Option<String>,
    ) -> Result<Accepted, ClientError> {
        let body = ApproveRequest { id, reason };
        self.ask(Method::POST, "/v1/approve", Some(&body)).await
    }

    /// Says no to the rule that asks for a rollback.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn deny(
        &self,
        id: Option<DeploymentId>,
        reason: String,
    ) -> Result<Accepted, ClientError> {
        let body = ReasonRequest { id, reason };
        self.ask(Method::POST, "/v1/deny", Some(&body)).await
    }

    /// Switches automatic rollbacks off for a while.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn pause(&self, span: Duration, reason: String) -> Result<Accepted, ClientError> {
        let for_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let body = PauseRequest { for_ms, reason };
        self.ask(Method::POST, "/v1/pause", Some(&body)).await
    }

    /// Switches automatic rollbacks on again.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn resume(&self, reason: Option<String>) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, "/v1/resume", Some(&ResumeRequest { reason })).await
    }

    /// Where a deployment stands; answers when it will not change any more, or after about 20 s.
    ///
    /// # Errors
    /// The deployment is not known, or the daemon cannot be reached.
    pub async fn wait(&self, id: &DeploymentId) -> Result<DeploymentProgress, ClientError> {
        // An id has no character that means something in a query, but for `+`, which the daemon
        // takes as it is.
        let path = format!("/v1/wait?deployment={id}");
        self.ask_within(NEWS_WITHIN, Method::GET, &path, None::<&()>).await
    }

    /// Begins a drill.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached.
    pub async fn drill(
        &self,
        hook: Option<HookName>,
        reach: Reach,
    ) -> Result<Accepted, ClientError> {
        self.ask(Method::POST, "/v1/drill", Some(&DrillRequest { hook, reach })).await
    }

    /// The newest drill.
    ///
    /// # Errors
    /// The daemon cannot be reached.
    pub async fn last_drill(&self) -> Result<Option<DrillStatus>, ClientError> {
        self.ask(Method::GET, "/v1/drill", None::<&()>).await
    }

    /// Whether everything that a rollback needs is there, seen from inside the daemon.
    ///
    /// # Errors
    /// The daemon cannot be reached.
    pub async fn doctor(&self) -> Result<PreflightReport, ClientError> {
        self.ask_within(FOUND_WITHIN, Method::GET, "/v1/doctor", None::<&()>).await
    }

    /// How far a stage of a deployment is; answers when there is nothing to wait for any more, or
    /// after about 20 s.
    ///
    /// # Errors
    /// There is no such stage or deployment, or the daemon cannot be reached.
    pub async fn wait_stage(
        &self,
        id: &DeploymentId,
        stage: &StageName,
    ) -> Result<StageProgress, ClientError> {
        let path = format!("/v1/wait?deployment={id}&stage={stage}");
        self.ask_within(NEWS_WITHIN, Method::GET, &path, None::<&()>).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        self.ask_within(ANSWERS_WITHIN, method, path, body).await
    }

    async fn ask_within<T: DeserializeOwned>(
        &self,
        within: Duration,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let asked = tokio::time::timeout(within, self.ask_now(method, path, body)).await;
        asked.unwrap_or_else(|_| Err(ClientError::Silent { path: self.path.clone(), within }))
    }

    async fn ask_now<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|why| ClientError::Unreachable { path: self.path.clone(), why })?;
        let lost = |why| ClientError::Lost { path: self.path.clone(), why };
        let answer = exchange(stream, method, path, body).await;
        let (status, bytes) = answer.map_err(|why| lost(why.to_string()))?;
        let understood = |error: serde_json::Error| {
            ClientError::Failed(format!("the daemon's answer cannot be understood: {error}"))
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(understood);
        }
        let problem: Problem = serde_json::from_slice(&bytes).map_err(understood)?;
        Err(match status {
            StatusCode::UNPROCESSABLE_ENTITY => ClientError::Usage(problem.error),
            StatusCode::CONFLICT => ClientError::Refused(problem.error),
            StatusCode::SERVICE_UNAVAILABLE => lost(problem.error),
            _ => ClientError::Failed(problem.error),
        })
    }
}

/// One request and its answer.
async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "rollguard")
        .body(Full::new(Bytes::from(body)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let bytes = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
    connection.abort();
    Ok((status, bytes))
}

/// Runs a command that speaks to the daemon; an error is printed and becomes its exit code.
pub(super) fn with_runtime(command: impl Future<Output = Result<u8, ClientError>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            out::note(&format!("error: the runtime cannot start: {error}"));
            return ExitCode::from(exit::FAILED);
        }
    };
    let ended = runtime.block_on(command);
    // What may still run on the blocking pool, a name look-up, is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            out::note(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
