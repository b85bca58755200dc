//! The control socket: HTTP over a Unix socket, for the command line on the same host. It parses
//! requests and passes them to the daemon's loop, which alone owns the guard; it decides nothing.
//! Who asks is told by the kernel and goes into the journal.

#![expect(clippy::disallowed_methods, reason = "the owner of the control socket's file")]

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::engine::command::{Accepted, Command, Rejection};
use crate::engine::durable::drills::DrillStatus;
use crate::engine::view::snapshot::{DeploymentProgress, Snapshot};
use crate::engine::view::stage::{NoStage, StageProgress};
use crate::model::drill::Reach;
use crate::model::entry::Caller;
use crate::model::name::{DeploymentId, HookName, StageName};
use crate::model::time::Timestamp;
use crate::preflight::PreflightReport;

use super::people::{ApproveRequest, BeginRequest, PauseRequest, ResumeRequest, RollbackRequest};

/// The largest request body. The longest reason fits many times.
const MAX_BODY: usize = 64 * 1024;

/// How many clients are served at once. A pipeline waits on one connection; a host runs a few.
const MAX_CLIENTS: usize = 64;

/// How long a request's headers may take. Clients are processes of the same host.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a waiting client is kept before it is told to ask again.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

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

/// What the daemon's loop is asked.
#[derive(Debug)]
pub enum Question {
    /// The status.
    Status,
    /// Where a deployment stands.
    Progress(DeploymentId),
    /// How far a stage of a deployment is.
    Stage(DeploymentId, StageName),
    /// The newest drill.
    Drill,
    /// Whether everything that a rollback needs is there.
    Doctor,
    /// A command, and who gives it.
    Command(Command, Caller),
}

/// What the daemon's loop answers.
#[derive(Debug)]
pub enum Answer {
    /// The status.
    Status(Box<Status>),
    /// Where a deployment stands; `None` if it is not known.
    Progress(Option<DeploymentProgress>),
    /// How far a stage is.
    Stage(Result<StageProgress, NoStage>),
    /// The newest drill, if there was one.
    Drill(Option<Box<DrillStatus>>),
    /// What was found.
    Doctor(Box<PreflightReport>),
    /// What became of a command.
    Command(Result<Accepted, Rejection>),
}

/// A question and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// `POST /v1/deployments/stage`
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

/// `POST /v1/deployments/end` and `POST /v1/deny`
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// The deployment; `None`: the current one.
    #[serde(default)]
    pub id: Option<DeploymentId>,
    /// Why.
    pub reason: String,
}

/// `POST /v1/drill`
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

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong.
    pub error: String,
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

#[derive(Clone, Debug)]
struct Server {
    questions: mpsc::Sender<Asked>,
    changes: watch::Receiver<u64>,
    clock: Clock,
}

impl Control {
    /// Listens on `path`, mode 0660. A socket that nobody answers on is replaced. `changes`
    /// changes whenever a deployment's standing may have changed.
    ///
    /// # Errors
    /// Another daemon answers there, or the system said no.
    pub async fn listen(
        path: &Path,
        questions: mpsc::Sender<Asked>,
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
        let task = tokio::spawn(accept(listener, Server { questions, changes, clock }));
        Ok(Self { path: path.to_owned(), task })
    }
}

async fn accept(listener: UnixListener, server: Server) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                tokio::spawn(async move {
                    server.serve(stream).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely: give the others time to end.
            Err(error) => {
                tracing::warn!(%error, "the control socket cannot accept");
                server.clock.sleep_until(server.clock.now().after(PAUSE)).await;
            }
        }
    }
}

impl Server {
    async fn serve(self, stream: UnixStream) {
        let caller = stream
            .peer_cred()
            .map_or(Caller::Guard, |peer| Caller::Process { pid: peer.pid(), uid: peer.uid() });
        let service = service_fn(|request| {
            let (server, caller) = (self.clone(), caller.clone());
            async move { Ok::<_, Infallible>(server.answer(request, caller).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a client of the control socket went away");
        }
    }

    async fn answer(&self, request: Request<Incoming>, caller: Caller) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/v1/status") => self.status().await,
            (&Method::GET, "/v1/wait") => self.wait(&query).await,
            (&Method::GET, "/v1/drill") => self.drill().await,
            (&Method::GET, "/v1/doctor") => self.doctor().await,
            (&Method::POST, path) => match command_at(path, body).await {
                Some(command) => self.command(command, caller).await,
                None => problem(StatusCode::NOT_FOUND, format!("nothing at {path}")),
            },
            (_, path) => problem(StatusCode::NOT_FOUND, format!("nothing at {path}")),
        }
    }

    async fn ask(&self, question: Question) -> Option<Answer> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(Asked { question, answer }).await.ok()?;
        answered.await.ok()
    }

    async fn status(&self) -> Response<Full<Bytes>> {
        match self.ask(Question::Status).await {
            Some(Answer::Status(status)) => json(StatusCode::OK, &status),
            Some(_) | None => stopping(),
        }
    }

    /// What was found, which takes a while.
    async fn doctor(&self) -> Response<Full<Bytes>> {
        match self.ask(Question::Doctor).await {
            Some(Answer::Doctor(report)) => json(StatusCode::OK, &report),
            Some(_) | None => stopping(),
        }
    }

    /// The newest drill, or `null`.
    async fn drill(&self) -> Response<Full<Bytes>> {
        match self.ask(Question::Drill).await {
            Some(Answer::Drill(drill)) => json(StatusCode::OK, &drill),
            Some(_) | None => stopping(),
        }
    }

    async fn command(
        &self,
        command: Result<Command, String>,
        caller: Caller,
    ) -> Response<Full<Bytes>> {
        let command = match command {
            Ok(command) => command,
            Err(why) => return problem(StatusCode::BAD_REQUEST, why),
        };
        match self.ask(Question::Command(command, caller)).await {
            Some(Answer::Command(Ok(accepted))) => json(StatusCode::OK, &accepted),
            Some(Answer::Command(Err(why))) => problem(StatusCode::CONFLICT, why.to_string()),
            Some(_) | None => stopping(),
        }
    }

    /// Answers when the deployment, or the stage that is named, will not change any more, or after
    /// a while.
    async fn wait(&self, query: &str) -> Response<Full<Bytes>> {
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
            let (is_final, answer) = match &stage {
                Some(stage) => self.stage(&id, stage).await,
                None => self.progress(&id).await,
            };
            if is_final || self.clock.now() >= end {
                return answer;
            }
            if let Some(Err(_)) = self.clock.before(end, changes.changed()).await {
                return stopping();
            }
        }
    }
}

impl Server {
    /// Where a deployment stands, and whether there is nothing to wait for any more.
    async fn progress(&self, id: &DeploymentId) -> (bool, Response<Full<Bytes>>) {
        match self.ask(Question::Progress(id.clone())).await {
            Some(Answer::Progress(Some(progress))) => {
                (progress.is_final, json(StatusCode::OK, &progress))
            }
            Some(Answer::Progress(None)) => {
                let why = format!("deployment {id} is not known");
                (true, problem(StatusCode::NOT_FOUND, why))
            }
            Some(_) | None => (true, stopping()),
        }
    }

    /// How far a stage is, and whether there is nothing to wait for any more.
    async fn stage(&self, id: &DeploymentId, stage: &StageName) -> (bool, Response<Full<Bytes>>) {
        match self.ask(Question::Stage(id.clone(), stage.clone())).await {
            Some(Answer::Stage(Ok(progress))) => {
                (progress.is_final, json(StatusCode::OK, &progress))
            }
            Some(Answer::Stage(Err(why @ NoStage::Deployment(_)))) => {
                (true, problem(StatusCode::NOT_FOUND, why.to_string()))
            }
            Some(Answer::Stage(Err(why @ (NoStage::None | NoStage::Unknown { .. })))) => {
                (true, problem(StatusCode::UNPROCESSABLE_ENTITY, why.to_string()))
            }
            Some(_) | None => (true, stopping()),
        }
    }
}

/// What is asked at a path; `None` where nothing is.
async fn command_at(path: &str, body: Incoming) -> Option<Result<Command, String>> {
    Some(match path {
        "/v1/deployments" => read::<BeginRequest>(body).await.map(Command::from),
        "/v1/deployments/stage" => {
            let stage = read(body).await;
            stage.map(|StageRequest { id, stage, force }| Command::Stage {
                id,
                stage,
                force: force.into(),
            })
        }
        "/v1/deployments/end" => {
            let end = read(body).await;
            end.map(|ReasonRequest { id, reason }| Command::End { id, reason })
        }
        "/v1/rollback" => read::<RollbackRequest>(body).await.map(Command::from),
        "/v1/drill" => {
            let drill = read(body).await;
            drill.map(|DrillRequest { hook, reach }| Command::Drill { hook, reach })
        }
        "/v1/approve" => read::<ApproveRequest>(body).await.map(Command::from),
        "/v1/deny" => {
            let deny = read(body).await;
            deny.map(|ReasonRequest { id, reason }| Command::Deny { id, reason })
        }
        "/v1/pause" => read::<PauseRequest>(body).await.map(Command::from),
        "/v1/resume" => read::<ResumeRequest>(body).await.map(Command::from),
        _ => return None,
    })
}

async fn read<T: for<'de> Deserialize<'de>>(body: Incoming) -> Result<T, String> {
    let body = Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|error| format!("the body cannot be read: {error}"))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| format!("not as expected: {error}"))
}

fn stopping() -> Response<Full<Bytes>> {
    problem(StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping".to_owned())
}

fn problem(status: StatusCode, error: String) -> Response<Full<Bytes>> {
    json(status, &Problem { error })
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("plain data with string keys always serializes");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}
