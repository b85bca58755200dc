//! The command line's side of the control socket.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::check::DEFAULT_FILE;
use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::engine::command::{Accepted, Command};
use crate::engine::durable::drills::DrillStatus;
use crate::facts::WHOLE;
use crate::load::{LoadError, load};
use crate::model::name::{DeploymentId, StageName};
use crate::model::time::format_duration;
use crate::net::link::{LARGE_BUFFER, Link};
use crate::preflight::PreflightReport;
use crate::serve::api::{self, ErrorBody, Question, Status};

/// How long the daemon may take to answer. Its loop answers within milliseconds; one that hangs for
/// this long guards nothing, and whoever asks must be told.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer of the daemon's doctor may take: it looks at everything first, and somebody
/// else's look may come before.
const LOOKS_WITHIN: Duration = WHOLE.saturating_mul(2).saturating_add(ANSWERS_WITHIN);

/// How long an answer may take that the daemon keeps back while nothing changes.
const WAITS_WITHIN: Duration = api::LONGEST_WAIT.saturating_add(ANSWERS_WITHIN);

/// The largest answer: a status with tens of thousands of signals and rules.
const MAX_ANSWER: usize = 64 << 20;

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

/// A configuration and its daemon
#[derive(Args, Clone, Debug)]
pub(super) struct TargetDaemon {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(super) config: PathBuf,
    /// Its control socket [default: as configured]
    #[arg(long, value_name = "PATH", env = "ROLLGUARD_CONTROL")]
    pub(super) control: Option<PathBuf>,
}

impl TargetDaemon {
    /// Its client. The configuration is read only if the socket is not named.
    pub(super) fn client(&self) -> Result<Client, LoadError> {
        match &self.control {
            Some(socket) => Ok(Client::new(socket)),
            None => load(&self.config).map(|loaded| Client::new(&loaded.places.control)),
        }
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
    /// The daemon refused, was asked for what cannot be or could not make sense of it, or the
    /// client of the answer.
    #[error("{why}")]
    Refused {
        /// The exit code.
        code: u8,
        /// What the daemon said.
        why: String,
    },
}

impl ClientError {
    /// Whether no daemon answers, and one may again.
    pub const fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } | Self::Silent { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

impl From<ClientError> for CommandError {
    fn from(error: ClientError) -> Self {
        let code = match error {
            ClientError::Refused { code, .. } => code,
            ClientError::Unreachable { .. }
            | ClientError::Lost { .. }
            | ClientError::Silent { .. } => exit::UNREACHABLE,
        };
        Self::new(code, error)
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
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The status.
    ///
    /// # Errors
    /// The daemon cannot be reached or understood.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.look(api::STATUS, ANSWERS_WITHIN).await
    }

    /// The newest drill.
    pub(super) async fn last_drill(&self) -> Result<Option<DrillStatus>, ClientError> {
        self.look(api::DRILL, ANSWERS_WITHIN).await
    }

    /// Whether everything that a rollback needs is there, seen from inside the daemon.
    pub(super) async fn doctor(&self) -> Result<PreflightReport, ClientError> {
        self.look(api::DOCTOR, LOOKS_WITHIN).await
    }

    /// Where a deployment stands, or how far a stage of it is; answered when that will not change
    /// any more, or after 20 s.
    pub(super) async fn wait<T: DeserializeOwned>(
        &self,
        id: &DeploymentId,
        stage: Option<&StageName>,
    ) -> Result<T, ClientError> {
        let stage = stage.map(|stage| format!("&stage={stage}")).unwrap_or_default();
        // An id has no character that means something in a query, but for `+`, which the daemon
        // takes as it is.
        let uri = format!("{}?deployment={id}{stage}", api::WAIT);
        self.ask(Method::GET, &uri, Vec::new(), WAITS_WITHIN).await
    }

    /// Gives the guard a command; answered once it is on record.
    pub(super) async fn command(&self, command: &Command) -> Result<Accepted, ClientError> {
        let body = serde_json::to_vec(command);
        let body = body.expect("plain data with string keys always serializes");
        self.ask(Method::POST, api::COMMANDS, body, ANSWERS_WITHIN).await
    }

    /// Gives a command and tells the person what came of it.
    pub(super) async fn order(&self, command: &Command) -> Ended {
        out::note(&self.command(command).await?.message);
        Ok(exit::OK)
    }

    async fn look<A: DeserializeOwned>(
        &self,
        question: Question<A>,
        within: Duration,
    ) -> Result<A, ClientError> {
        self.ask(Method::GET, question.path, Vec::new(), within).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        body: Vec<u8>,
        within: Duration,
    ) -> Result<T, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header(hyper::header::HOST, "rollguard")
            .body(Full::new(Bytes::from(body)))
            .expect("ids and names of stages can stand in a query");
        let lost = |why| ClientError::Lost { path: self.path.clone(), why };
        let asked = async {
            let stream = UnixStream::connect(&self.path).await;
            let unreachable = |why| ClientError::Unreachable { path: self.path.clone(), why };
            let answer = exchange(stream.map_err(unreachable)?, request).await;
            answer.map_err(|why| lost(why.to_string()))
        };
        let asked = tokio::time::timeout(within, asked).await;
        let (status, bytes) = asked
            .unwrap_or_else(|_| Err(ClientError::Silent { path: self.path.clone(), within }))?;
        let understood = |error: serde_json::Error| {
            let why = format!("the daemon's answer cannot be understood: {error}");
            ClientError::Refused { code: exit::FAILED, why }
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(understood);
        }
        let ErrorBody { error: why } = serde_json::from_slice(&bytes).map_err(understood)?;
        let code = match status {
            StatusCode::SERVICE_UNAVAILABLE => return Err(lost(why)),
            StatusCode::UNPROCESSABLE_ENTITY => exit::USAGE,
            StatusCode::CONFLICT => exit::REFUSED,
            _ => exit::FAILED,
        };
        Err(ClientError::Refused { code, why })
    }
}

/// One request and its answer.
async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Vec<u8>), Box<dyn std::error::Error>> {
    let mut link = Link::open(Box::new(stream), LARGE_BUFFER).await?;
    let answer = link.send(request).await.map_err(|none| none.error)?;
    let (status, mut body) = (answer.status(), answer.into_body());
    let mut bytes = Vec::new();
    while let Some(chunk) = link.next(&mut body).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_ANSWER {
            return Err("length limit exceeded".into());
        }
    }
    Ok((status, bytes))
}

/// Runs a command that waits for others.
pub(super) fn with_runtime<T>(
    command: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime
        .map_err(|error| CommandError::failed(format_args!("the runtime cannot start: {error}")))?;
    let ended = runtime.block_on(command);
    // What may still run on the blocking pool, a name look-up, is not waited for.
    runtime.shutdown_background();
    ended
}
