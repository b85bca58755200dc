//! One HTTP connection, kept between scrapes and driven by the task that uses it: no second task,
//! no hand-over between threads. While it is idle nothing happens on it; that the server has
//! closed it is noticed before the next use, or by the first bytes not coming.

use std::error::Error;
use std::fmt::Debug;
use std::future::{Future, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connected stream, in the clear or not.
pub(crate) type Stream = Box<dyn Io>;

/// What HTTP can be spoken on.
pub(crate) trait Io: AsyncRead + AsyncWrite + Debug + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Debug + Send + Unpin> Io for S {}

/// The page size in bytes from which on a large buffer pays: below, the waking up costs more
/// than the reading, and a thousand targets with small pages must not hold 64 MiB of buffers.
pub(crate) const LARGE_PAGE: u64 = 512 << 10;

/// How much is read at a time, which is also the most that a response's head may have, and what
/// an idle connection holds: the smallest that hyper allows.
pub(crate) const SMALL_BUFFER: usize = 8 << 10;

/// How much of a large page is read at a time: a tenth less work on megabytes; twice as much gains
/// nothing.
pub(crate) const LARGE_BUFFER: usize = 64 << 10;

/// A connection on which requests can be sent, one at a time.
#[derive(Debug)]
pub(crate) struct Link {
    sender: SendRequest<Full<Bytes>>,
    connection: Connection<TokioIo<Counted>, Full<Bytes>>,
    ended: Option<Result<(), hyper::Error>>,
    received: Arc<AtomicU64>,
    buffer: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    /// What went wrong.
    pub(crate) error: hyper::Error,
    /// Bytes that did come.
    pub(crate) received: u64,
}

impl Link {
    /// Speaks HTTP on a stream.
    ///
    /// # Errors
    /// The connection broke.
    pub(crate) async fn open(stream: Stream, buffer: usize) -> Result<Self, hyper::Error> {
        let received = Arc::new(AtomicU64::new(0));
        let io = TokioIo::new(Counted { stream, received: received.clone() });
        let mut builder = Builder::new();
        builder.read_buf_exact_size(Some(buffer));
        let (sender, connection) = builder.handshake(io).await?;
        Ok(Self { sender, connection, ended: None, received, buffer })
    }

    /// Its buffer.
    pub(crate) fn buffer(&self) -> usize {
        self.buffer
    }

    /// Whether a request can be sent, as far as is known here.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.drive(ready(())).await;
        self.ended.is_none() && self.sender.is_ready()
    }

    /// Whether the server was seen to send more than it announced: then the announced length may
    /// have cut the page anywhere.
    pub(crate) fn is_surplus(&self) -> bool {
        let Some(Err(error)) = &self.ended else { return false };
        error.source().is_none() && !error.is_incomplete_message()
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// Says how much had come, because without a byte the request may be sent again.
    pub(crate) async fn send(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, NoAnswer> {
        let before = self.received.load(Ordering::Relaxed);
        let answer = self.sender.send_request(request);
        self.drive(answer).await.map_err(|error| NoAnswer {
            error,
            received: self.received.load(Ordering::Relaxed) - before,
        })
    }

    /// The next piece of a body; `None` at its end.
    ///
    /// # Errors
    /// The body is cut or malformed.
    pub(crate) async fn next(&mut self, body: &mut Incoming) -> hyper::Result<Option<Bytes>> {
        loop {
            let frame = match self.drive(body.frame()).await {
                Some(frame) => frame?,
                None => return Ok(None),
            };
            // Frames that are not data are trailers, which say nothing about a page.
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// Runs `work`, which waits for the connection, and the connection with it.
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        poll_fn(|cx| {
            if self.ended.is_none()
                && let Poll::Ready(end) = Pin::new(&mut self.connection).poll(cx)
            {
                self.ended = Some(end);
            }
            work.as_mut().poll(cx)
        })
        .await
    }
}

/// A stream that counts what it received.
#[derive(Debug)]
struct Counted {
    stream: Stream,
    received: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let count = (buf.filled().len() - before) as u64;
        self.received.fetch_add(count, Ordering::Relaxed);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
