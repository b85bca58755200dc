//! From a target's host to a stream of bytes: resolve, connect, shake hands. Names are resolved
//! only when a connection is made, and every address is tried.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;

use super::failure::of_connect;
use crate::clock::Clock;
use crate::model::scrape::{Failure, FailureClass};
use crate::model::target::{HttpPage, Scheme};
use crate::net::link::Stream;
use crate::net::tls::{Authorities, handshake};
use crate::source::failure::failure;
use crate::source::late::Late;
use crate::source::resources::Resources;

/// How far a scrape has got, to say what it was that took too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
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

/// How long one address may take to accept. Within a data centre it takes a millisecond, and one
/// lost packet costs a second whatever we do: better to try the next address.
const CONNECT: Duration = Duration::from_millis(500);

/// How many addresses are tried. More than a service's own name has; bounds what a name server
/// can make us do.
const MAX_ADDRESSES: usize = 8;

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

/// The TLS side of one target.
#[derive(Debug)]
struct Tls {
    ca_file: Option<PathBuf>,
    authorities: Arc<Authorities>,
    loading: Late<Result<Arc<ClientConfig>, String>>,
}

impl Dialer {
    pub(super) fn new(page: &HttpPage, timeout: Duration, resources: &Resources) -> Self {
        let HttpPage { url, ca_file, .. } = page;
        let authorities = resources.authorities.clone();
        let tls = match url.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                Some(Tls { ca_file: ca_file.clone(), authorities, loading: Late::default() })
            }
        };
        Self {
            host: url.host.clone(),
            port: url.port,
            cap: timeout.min(CONNECT),
            clock: resources.clock,
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
        progress: &mut Progress,
    ) -> Result<(Stream, SocketAddr), Failure> {
        *progress = Progress::Resolving;
        let addresses = self.resolve().await?;
        *progress = Progress::Connecting;
        let (tcp, peer) = self.connect(&addresses).await?;
        let Some(tls) = &mut self.tls else {
            return Ok((Box::new(tcp), peer));
        };
        *progress = Progress::Shaking;
        Ok((Box::new(tls.shake(&self.host, tcp).await?), peer))
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

impl Tls {
    /// Shakes hands.
    ///
    /// # Errors
    /// Of class TLS whatever happens, for what broke was the handshake.
    async fn shake(&mut self, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let config = self.config().await.map_err(|why| failure(FailureClass::Tls, why))?;
        handshake(config, host, tcp).await.map_err(|error| {
            self.authorities.forget(self.ca_file.as_deref());
            let what = format_args!("failed to shake hands with {host}: {error}");
            failure(FailureClass::Tls, what)
        })
    }

    async fn config(&mut self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.authorities.loaded(self.ca_file.as_deref()) {
            return Ok(config);
        }
        let (file, authorities) = (self.ca_file.clone(), self.authorities.clone());
        self.loading.run(move || authorities.load(file.as_deref())).await
    }
}
