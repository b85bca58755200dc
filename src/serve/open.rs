//! The read-only side: metrics and health over TCP, on loopback unless the operator says
//! otherwise. Nothing here changes anything.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::control::{Answer, Asked, Question, Status};
use crate::clock::Clock;
use crate::render;

/// How many clients are served at once: a few scrapers and health checks.
const MAX_CLIENTS: usize = 32;

/// How long a connection may live. A stranger cannot hold a place for longer.
const LONGEST_CONNECTION: Duration = Duration::from_secs(60);

/// How long the daemon's loop may take to answer before the guard counts as unhealthy. It answers
/// within milliseconds; a loop that hangs for this long guards nothing.
const LOOP_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The read-only listener. Dropping it closes it.
#[derive(Debug)]
pub struct Open {
    task: tokio::task::JoinHandle<()>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Server {
    questions: mpsc::Sender<Asked>,
    clock: Clock,
}

impl Open {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The system said no.
    pub async fn listen(
        address: SocketAddr,
        questions: mpsc::Sender<Asked>,
        clock: Clock,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, Server { questions, clock }));
        Ok(Self { task, address })
    }
}

async fn accept(listener: TcpListener, server: Server) {
    let places = Arc::new(Semaphore::new(MAX_CLIENTS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        if let Ok((stream, _)) = listener.accept().await {
            let server = server.clone();
            tokio::spawn(async move {
                server.serve(stream).await;
                drop(place);
            });
        } else {
            // Out of descriptors, most likely: give the others time to end.
            server.clock.sleep_until(server.clock.now().after(PAUSE)).await;
        }
    }
}

impl Server {
    async fn serve(self, stream: TcpStream) {
        let end = self.clock.now().after(LONGEST_CONNECTION);
        let service = service_fn(|request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(&request).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(LOOP_ANSWERS_WITHIN)
            .max_buf_size(16 * 1024)
            .serve_connection(TokioIo::new(stream), service);
        // Whatever ends it, there is nobody to tell.
        drop(self.clock.before(end, connection).await);
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET {
            return text(StatusCode::METHOD_NOT_ALLOWED, "read only\n".to_owned());
        }
        let Some(status) = self.status().await else {
            let why = "the guard's loop does not answer\n".to_owned();
            return text(StatusCode::SERVICE_UNAVAILABLE, why);
        };
        match request.uri().path() {
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => readiness(&status),
            "/metrics" => {
                let vitals = render::Vitals {
                    started: status.started,
                    turned: status.turned,
                    reload_ok: status.reload_error.is_none(),
                    skipped_slots: status.skipped_slots,
                };
                let mut page = text(StatusCode::OK, render::metrics(&status.guard, vitals));
                let kind = HeaderValue::from_static(render::METRICS_TYPE);
                page.headers_mut().insert(CONTENT_TYPE, kind);
                page
            }
            "/" => {
                let status = render::status(&status.guard, render::Style::Plain);
                text(StatusCode::OK, status)
            }
            path => text(StatusCode::NOT_FOUND, format!("nothing at {path}\n")),
        }
    }

    async fn status(&self) -> Option<Box<Status>> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { question: Question::Status, answer };
        let end = self.clock.now().after(LOOP_ANSWERS_WITHIN);
        let round = async { self.questions.send(asked).await.ok().and(answered.await.ok()) };
        match self.clock.before(end, round).await.flatten()? {
            Answer::Status(status) => Some(status),
            Answer::Progress(_)
            | Answer::Stage(_)
            | Answer::Drill(_)
            | Answer::Doctor(_)
            | Answer::Command(_) => None,
        }
    }
}

/// Ready: the guard could act if it had to.
fn readiness(status: &Status) -> Response<Full<Bytes>> {
    if status.guard.journal_ok {
        text(StatusCode::OK, "ok\n".to_owned())
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "the journal cannot be written\n".to_owned())
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
