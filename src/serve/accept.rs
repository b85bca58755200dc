//! Accepts connections, a bounded number at once, and serves HTTP on each of them.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

use crate::clock::Clock;

/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// The largest head of a request. The longest path fits many times.
const MAX_HEAD: usize = 16 * 1024;

/// What one side of the daemon answers with.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many are served at once.
    pub(crate) clients: usize,
    /// How long the head of a request may take.
    pub(crate) head: Duration,
    /// How long a connection may live; `None`: as long as the client likes.
    pub(crate) connection: Option<Duration>,
}

/// Something that connections come from.
pub(crate) trait Listener: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts connections for ever. `peer` says of each who is at its other end, and `answer` answers
/// that peer's requests.
pub(crate) async fn accept<L: Listener, P, F>(
    listener: L,
    limits: Limits,
    clock: Clock,
    peer: impl Fn(&L::Stream) -> P,
    answer: impl Fn(P, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    P: Clone + Send + Sync + 'static,
    F: Future<Output = Reply> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.clients));
    loop {
        let place = places.clone().acquire_owned().await.expect("nobody closes it");
        match listener.next().await {
            Ok(stream) => {
                let (peer, answer) = (peer(&stream), answer.clone());
                tokio::spawn(async move {
                    serve(stream, limits, clock, |request| answer(peer.clone(), request)).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely: give the others time to end.
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                clock.sleep_until(clock.now().after(PAUSE)).await;
            }
        }
    }
}

async fn serve<S, A, F>(stream: S, limits: Limits, clock: Clock, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Reply>,
{
    let service = service_fn(|request| {
        let answered = answer(request);
        async { Ok::<_, Infallible>(answered.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let ended = match limits.connection {
        Some(longest) => clock.before(clock.now().after(longest), connection).await,
        None => Some(connection.await),
    };
    if let Some(Err(error)) = ended {
        tracing::debug!(%error, "a client went away");
    }
}

/// A reply with a body of this type.
pub(crate) fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// An answer that is a plain text.
pub(crate) fn text(status: StatusCode, body: String) -> Reply {
    reply(status, "text/plain; charset=utf-8", body)
}
