//! The control socket: HTTP over a Unix socket, for the command line on the same host. It parses
//! requests and passes them to the daemon's loop, which alone owns the guard; it decides nothing.
//! The kernel tells who asks, and that goes into the journal; whoever it cannot tell may look and
//! not act.

#![expect(clippy::disallowed_methods, reason = "the owner of the control socket's file")]

use std::borrow::Borrow;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::accept::{Limits, Reply, accept, reply};
use super::api::{self, DOCTOR, DRILL, ErrorBody, LONGEST_WAIT, Question, STATUS, Status};
use crate::clock::Clock;
use crate::engine::command::{Accepted, Command, Rejection};
use crate::engine::durable::drills::DrillStatus;
use crate::engine::view::snapshot::DeploymentProgress;
use crate::engine::view::stage::{NoStage, StageProgress};
use crate::model::entry::Caller;
use crate::model::name::{DeploymentId, StageName};
use crate::preflight::PreflightReport;

/// The largest request body. The longest reason fits many times.
const MAX_BODY: usize = 64 * 1024;

/// A pipeline waits on one connection, and a host runs a few. Clients are processes of the same
/// host, so their heads come at once.
const LIMITS: Limits = Limits { clients: 64, head: Duration::from_secs(10), connection: None };

/// Where the daemon's loop sends an answer.
pub type Answerer<T> = oneshot::Sender<T>;

/// What the daemon's loop is asked, and where the answer goes.
#[derive(Debug)]
pub enum ControlRequest {
    /// The status.
    Status(Answerer<Box<Status>>),
    /// Where a deployment stands; `None` if it is not known.
    Progress(DeploymentId, Answerer<Option<DeploymentProgress>>),
    /// How far a stage of a deployment is.
    Stage(DeploymentId, StageName, Answerer<Result<StageProgress, NoStage>>),
    /// The newest drill, if there was one.
    LastDrill(Answerer<Option<DrillStatus>>),
    /// Whether everything that a rollback needs is there.
    Doctor(Answerer<Box<PreflightReport>>),
    /// A command, and who gives it.
    Command(Command, Caller, Answerer<Result<Accepted, Rejection>>),
}

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon answers there.
    #[error(
        "make the control socket {0}: another daemon answers there; stop it or set another \
         `control`"
    )]
    Taken(PathBuf),
    /// The system said no.
    #[error("make the control socket {path}")]
    Bind {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// The daemon's side of the control socket. Dropping it removes the socket.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // The socket is in a runtime directory; one left behind is replaced by the next daemon.
        drop(std::fs::remove_file(&self.path));
    }
}

impl Control {
    /// Listens on `path`, mode 0660. A socket that nobody answers on is replaced. `changes`
    /// changes whenever a deployment's state may have changed.
    ///
    /// # Errors
    /// Another daemon answers there, or the system said no.
    pub async fn listen(
        path: &Path,
        requests: mpsc::Sender<ControlRequest>,
        changes: watch::Receiver<u64>,
        clock: Clock,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { path: path.to_owned(), source };
        if UnixStream::connect(path).await.is_ok() {
            return Err(ServeError::Taken(path.to_owned()));
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
        let server = ControlServer { requests, changes, clock };
        let task = tokio::spawn(accept(listener, LIMITS, clock, caller, move |caller, request| {
            let server = server.clone();
            async move { server.answer(request, caller).await }
        }));
        Ok(Self { path: path.to_owned(), task })
    }
}

/// Who is at the other end; `None` where the system does not tell.
fn caller(stream: &UnixStream) -> Option<Caller> {
    let peer = stream.peer_cred().ok()?;
    Some(Caller::Process { pid: peer.pid(), uid: peer.uid() })
}

#[derive(Clone, Debug)]
struct ControlServer {
    requests: mpsc::Sender<ControlRequest>,
    changes: watch::Receiver<u64>,
    clock: Clock,
}

impl ControlServer {
    async fn answer(&self, request: Request<Incoming>, caller: Option<Caller>) -> Reply {
        let (parts, body) = request.into_parts();
        match (parts.method, parts.uri.path()) {
            (Method::GET, path) if path == STATUS.path => {
                self.show(STATUS, ControlRequest::Status).await
            }
            (Method::GET, path) if path == DRILL.path => {
                self.show(DRILL, ControlRequest::LastDrill).await
            }
            (Method::GET, path) if path == DOCTOR.path => {
                self.show(DOCTOR, ControlRequest::Doctor).await
            }
            (Method::GET, api::WAIT) => self.wait(parts.uri.query().unwrap_or_default()).await,
            (Method::POST, api::COMMANDS) => match read(body).await {
                Ok(command) => self.act(command, caller).await,
                Err(why) => problem(StatusCode::BAD_REQUEST, why),
            },
            (_, path) => problem(StatusCode::NOT_FOUND, format!("nothing at {path}")),
        }
    }

    /// Asks the loop; `None`: the daemon is stopping.
    async fn ask<T>(&self, request: impl FnOnce(Answerer<T>) -> ControlRequest) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.ok()?;
        answered.await.ok()
    }

    /// Asks the loop for what answers the question.
    async fn show<A: Serialize, T: Borrow<A>>(
        &self,
        _: Question<A>,
        request: impl FnOnce(Answerer<T>) -> ControlRequest,
    ) -> Reply {
        let answer = self.ask(request).await;
        answer.map_or_else(stopping, |answer| json(StatusCode::OK, answer.borrow()))
    }

    /// Only whoever the journal can name may act.
    async fn act(&self, command: Command, caller: Option<Caller>) -> Reply {
        let Some(caller) = caller else {
            let why = "the system does not tell who asks, and the journal must name whoever acts";
            return problem(StatusCode::CONFLICT, why.to_owned());
        };
        match self.ask(|answer| ControlRequest::Command(command, caller, answer)).await {
            Some(Ok(accepted)) => json(StatusCode::OK, &accepted),
            Some(Err(why)) => problem(StatusCode::CONFLICT, why.to_string()),
            None => stopping(),
        }
    }

    /// Answers when the deployment, or the stage that is named, will not change any more, or after
    /// a while.
    async fn wait(&self, query: &str) -> Reply {
        let value =
            |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let stage = value("stage").map(StageName::new).transpose();
        let id = value("deployment").and_then(|id| DeploymentId::new(id).ok());
        let (Some(id), Ok(stage)) = (id, stage) else {
            let why = "ask with ?deployment=ID or ?deployment=ID&stage=NAME".to_owned();
            return problem(StatusCode::BAD_REQUEST, why);
        };
        let mut changes = self.changes.clone();
        let end = self.clock.now().after(LONGEST_WAIT);
        loop {
            changes.mark_unchanged();
            let answer = match &stage {
                Some(stage) => self.stage(&id, stage).await,
                None => self.progress(&id).await,
            };
            let Some((is_final, answer)) = answer else { return stopping() };
            if is_final || self.clock.now() >= end {
                return answer;
            }
            if let Some(Err(_)) = self.clock.before(end, changes.changed()).await {
                return stopping();
            }
        }
    }

    /// Where a deployment stands, and whether there is nothing to wait for any more.
    async fn progress(&self, id: &DeploymentId) -> Option<(bool, Reply)> {
        let progress = self.ask(|answer| ControlRequest::Progress(id.clone(), answer)).await?;
        Some(match progress {
            Some(progress) => (progress.is_final, json(StatusCode::OK, &progress)),
            None => (true, problem(StatusCode::NOT_FOUND, format!("deployment {id} is not known"))),
        })
    }

    /// How far a stage is, and whether there is nothing to wait for any more.
    async fn stage(&self, id: &DeploymentId, stage: &StageName) -> Option<(bool, Reply)> {
        let request = |answer| ControlRequest::Stage(id.clone(), stage.clone(), answer);
        Some(match self.ask(request).await? {
            Ok(progress) => (progress.is_final, json(StatusCode::OK, &progress)),
            Err(why @ NoStage::Deployment(_)) => {
                (true, problem(StatusCode::NOT_FOUND, why.to_string()))
            }
            Err(why @ (NoStage::None | NoStage::Unknown { .. })) => {
                (true, problem(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()))
            }
        })
    }
}

async fn read(body: Incoming) -> Result<Command, String> {
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|error| format!("the body cannot be read: {error}"))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("not as expected: {error}"))
}

fn stopping() -> Reply {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".to_owned())
}

fn problem(status: StatusCode, error: String) -> Reply {
    json(status, &ErrorBody { error })
}

fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).expect("plain data with string keys always serializes");
    reply(status, "application/json", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_the_system_cannot_tell_does_not_act() {
        let (requests, mut asked) = mpsc::channel(1);
        let (_changed, changes) = watch::channel(0);
        let server = ControlServer { requests, changes, clock: Clock::start() };
        let command = Command::End { id: None, reason: "why".to_owned() };
        let refused = server.act(command, None).await;
        assert_eq!(refused.status(), StatusCode::CONFLICT);
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        assert!(body.starts_with(b"{\"error\":\"the system does not tell who asks"), "{body:?}");
        assert!(asked.try_recv().is_err(), "the loop was asked");
    }
}
