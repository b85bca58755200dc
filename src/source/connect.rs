//! From a target's host to a stream of bytes: resolve, connect, shake hands. Names are resolved
//! only when a connection is made, and every address is tried.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::failure::{failure, of_connect};
use super::late::Late;
use super::tls::{Authorities, Tls};
use crate::clock::Clock;
use crate::model::scrape::{Failure, FailureClass};
use crate::model::target::{Scheme, Target};

/// How long one address may take to accept. Within a data centre it takes a millisecond, and one
/// lost packet costs a second whatever we do: better to try the next address.
const CONNECT: Duration = Duration::from_millis(500);

/// How many addresses are tried. More than a service's own name has; bounds what a name server
/// can make us do.
const MAX_ADDRESSES: usize = 8;

/// How far a scrape has got, to say what it was that took too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Reading the values of headers.
    #[default]
    Preparing,
    /// Resolving the name.
    Resolving,
    /// Connecting to an address.
    Connecting,
    /// Shaking hands.
    Shaking,
    /// The request is sent, the answer's head is not there.
    Waiting,
    /// The body is coming: so many bytes.
    Reading(u64),
}

/// Makes the connections of one target.
#[derive(Debug)]
pub(super) struct Dialer {
    host: String,
    port: u16,
    cap: Duration,
    clock: Clock,
    tls: Option<Tls>,
    lookup: Late<io::Result<Vec<SocketAddr>>>,
    answered: Option<SocketAddr>,
}

impl Dialer {
    pub(super) fn new(target: &Target, clock: Clock, authorities: Arc<Authorities>) -> Self {
        let url = &target.url;
        let tls = match url.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Tls::new(&url.host, target.ca_file.clone(), authorities)),
        };
        Self {
            host: url.host.clone(),
            port: url.port,
            cap: target.timeout.min(CONNECT),
            clock,
            tls,
            lookup: Late::default(),
            answered: None,
        }
    }

    /// A fresh stream and whom it leads to.
    ///
    /// # Errors
    /// Of the last address tried, or that there is none.
    pub(super) async fn dial(
        &mut self,
        stage: &mut Stage,
    ) -> Result<(Stream, SocketAddr), Failure> {
        *stage = Stage::Resolving;
        let addresses = self.resolve().await?;
        *stage = Stage::Connecting;
        let (tcp, peer) = self.connect(&addresses).await?;
        let Some(tls) = &mut self.tls else {
            return Ok((Stream::Plain(tcp), peer));
        };
        *stage = Stage::Shaking;
        Ok((Stream::Tls(Box::new(tls.shake(tcp).await?)), peer))
    }

    /// The addresses, that which answered last first.
    async fn resolve(&mut self) -> Result<Vec<SocketAddr>, Failure> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let name = (self.host.clone(), self.port);
        let found = self.lookup.run(move || Ok(name.to_socket_addrs()?.collect())).await;
        let refuse = |why: &dyn std::fmt::Display| {
            failure(FailureClass::Dns, format_args!("failed to resolve {}: {why}", self.host))
        };
        let mut addresses: Vec<SocketAddr> = found.map_err(|error| refuse(&error))?;
        if addresses.is_empty() {
            return Err(refuse(&"it has no address"));
        }
        addresses.sort_by_key(|address| Some(*address) != self.answered);
        addresses.truncate(MAX_ADDRESSES);
        Ok(addresses)
    }

    /// Connects to the first address that accepts. Each has an equal part of the cap, so that
    /// a silent one leaves time for the others.
    async fn connect(
        &mut self,
        addresses: &[SocketAddr],
    ) -> Result<(TcpStream, SocketAddr), Failure> {
        let share = self.cap / u32::try_from(addresses.len()).expect("at most MAX_ADDRESSES");
        let mut last = None;
        for peer in addresses.iter().copied() {
            let until = self.clock.now().after(share);
            match self.clock.before(until, TcpStream::connect(peer)).await {
                Some(Ok(tcp)) => {
                    self.answered = Some(peer);
                    return Ok((tcp, peer));
                }
                Some(Err(error)) => last = Some(of_connect(peer, &error)),
                None => last = Some(silent(peer, share)),
            }
        }
        Err(last.expect("there is at least one address"))
    }
}

fn silent(peer: SocketAddr, share: Duration) -> Failure {
    let class = FailureClass::TimedOut;
    failure(class, format_args!("failed to connect to {peer} within {share:?}"))
}

/// A connected stream, in the clear or not.
#[derive(Debug)]
pub(super) enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// With TLS; boxed because its state is fifty times as large.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
