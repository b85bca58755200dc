//! The command line's side of the control socket.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http_body_util::Full;
use hyper::{Method, Request, StatusCode};
use tokio::net::UnixStream;

use super::{exit, out};
use crate::model::time::format_duration;
use crate::net::link::{Link, ReadBuffer};
use crate::serve::api::{self, ErrorBody, Status, StatusRequest};

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
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The status.
    ///
    /// # Errors
    /// The daemon cannot be reached or understood.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.ask(&StatusRequest).await
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The daemon refuses, or cannot be reached or understood.
    pub async fn ask<R: api::Request>(&self, request: &R) -> Result<R::Answer, ClientError> {
        let asked = tokio::time::timeout(R::WITHIN, self.ask_now(request)).await;
        let silent = || ClientError::Silent { path: self.path.clone(), within: R::WITHIN };
        asked.unwrap_or_else(|_| Err(silent()))
    }

    async fn ask_now<R: api::Request>(&self, request: &R) -> Result<R::Answer, ClientError> {
        let stream = UnixStream::connect(&self.path)
            .await
            .map_err(|why| ClientError::Unreachable { path: self.path.clone(), why })?;
        let lost = |why| ClientError::Lost { path: self.path.clone(), why };
        let answer = exchange(stream, http_request(request)).await;
        let (status, bytes) = answer.map_err(|why| lost(why.to_string()))?;
        let understood = |error: serde_json::Error| {
            ClientError::Failed(format!("the daemon's answer cannot be understood: {error}"))
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(understood);
        }
        let ErrorBody { error } = serde_json::from_slice(&bytes).map_err(understood)?;
        Err(match status {
            StatusCode::UNPROCESSABLE_ENTITY => ClientError::Usage(error),
            StatusCode::CONFLICT => ClientError::Refused(error),
            StatusCode::SERVICE_UNAVAILABLE => lost(error),
            _ => ClientError::Failed(error),
        })
    }
}

fn http_request<R: api::Request>(request: &R) -> Request<Full<Bytes>> {
    let (method, path) = R::ENDPOINT.route();
    let uri = request.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let body = if method == Method::GET {
        Vec::new()
    } else {
        serde_json::to_vec(request).expect("plain data with string keys always serializes")
    };
    Request::builder()
        .method(method)
        .uri(uri)
        .header(hyper::header::HOST, "rollguard")
        .body(Full::new(Bytes::from(body)))
        .expect("ids and names of stages can stand in a query")
}

/// One request and its answer.
async fn exchange(
    stream: UnixStream,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Vec<u8>), Box<dyn std::error::Error>> {
    let mut link = Link::open(Box::new(stream), ReadBuffer::Large).await?;
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
