//! The read-only side: metrics and health over TCP, on loopback unless the operator says
//! otherwise. Nothing here changes anything.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::accept::{Limits, Reply, accept, reply, text};
use super::control::ControlRequest;
use crate::clock::Clock;
use crate::render;

/// A few scrapers and health checks. A stranger cannot hold a place for longer than a minute.
const LIMITS: Limits =
    Limits { clients: 32, head: Duration::from_secs(5), connection: Some(Duration::from_secs(60)) };

/// How long the daemon's loop may take to answer before the guard counts as unhealthy. It answers
/// within milliseconds; a loop that hangs for this long guards nothing.
const LOOP_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The read-only listener. Dropping it closes it.
#[derive(Debug)]
pub struct ReadOnly {
    _task: JoinSet<()>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl ReadOnly {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The system said no.
    pub async fn listen(
        address: SocketAddr,
        requests: mpsc::Sender<ControlRequest>,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let answer = move |(), request| {
            let requests = requests.clone();
            async move { answer(&requests, clock, &request).await }
        };
        let mut task = JoinSet::new();
        task.spawn(accept(listener, LIMITS, clock, |_| (), answer));
        Ok(Self { _task: task, address })
    }
}

async fn answer(
    requests: &mpsc::Sender<ControlRequest>,
    clock: Clock,
    request: &Request<Incoming>,
) -> Reply {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "read only\n".to_owned());
    }
    let (answer, answered) = oneshot::channel();
    let asked = requests.send(ControlRequest::Status(answer));
    let round = async { asked.await.ok().and(answered.await.ok()) };
    let end = clock.now().after(LOOP_ANSWERS_WITHIN);
    let Some(status) = clock.before(end, round).await.flatten() else {
        let why = "the guard's loop does not answer\n".to_owned();
        return text(StatusCode::SERVICE_UNAVAILABLE, why);
    };
    match request.uri().path() {
        // Ready: the guard could act if it had to.
        "/readyz" if !status.guard.journal_ok => {
            let why = "the journal cannot be written\n".to_owned();
            text(StatusCode::SERVICE_UNAVAILABLE, why)
        }
        "/healthz" | "/readyz" => text(StatusCode::OK, "ok\n".to_owned()),
        "/metrics" => {
            let vitals = render::Vitals {
                started: status.started,
                turned: status.turned,
                reload_ok: status.reload_error.is_none(),
                skipped_slots: status.skipped_slots,
            };
            let page = render::metrics(&status.guard, vitals);
            reply(StatusCode::OK, render::METRICS_TYPE, page)
        }
        "/" => {
            let status = render::status(&status.guard, render::Style::Plain);
            text(StatusCode::OK, status)
        }
        path => text(StatusCode::NOT_FOUND, format!("nothing at {path}\n")),
    }
}
