//! The demo's users: real requests at a fixed rate, whatever the app does with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::model::time::Instant;

/// Requests in a second, over all users.
pub(super) const RATE: u32 = 200;

/// Users, each with a connection of its own. Each asks once in [`PERIOD`], which is longer than
/// the slowest answer of the bad release, so that a slow app is not spared.
const USERS: u32 = 80;

/// The time between two requests of one user.
const PERIOD: Duration = Duration::from_millis(1_000 * USERS as u64 / RATE as u64);

/// What the users saw.
#[derive(Debug, Default)]
pub(super) struct UserTotals {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl UserTotals {
    /// Requests answered, and how many of them with an error or not at all.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

/// The users. They go away when this is dropped.
pub(super) struct Load {
    _users: JoinSet<()>,
    pub(super) seen: Arc<UserTotals>,
}

impl Load {
    /// Users of the app on this port, from now on.
    pub(super) fn start(port: u16, clock: Clock) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let seen = Arc::new(UserTotals::default());
        let mut users = JoinSet::new();
        for user in 0..USERS {
            let first = clock.now().after(PERIOD * user / USERS);
            users.spawn(ask_for_ever(address, clock, first, seen.clone()));
        }
        Self { _users: users, seen }
    }
}

/// One user: a request in every period. One that comes too late for its period is left out.
async fn ask_for_ever(address: SocketAddr, clock: Clock, first: Instant, seen: Arc<UserTotals>) {
    let mut next = first;
    let mut connection = None;
    loop {
        clock.sleep_until(next).await;
        let failed = match ask(&mut connection, address).await {
            Some(status) => status.is_server_error(),
            None => {
                connection = None;
                true
            }
        };
        seen.answered.fetch_add(1, Ordering::Relaxed);
        seen.failed.fetch_add(u64::from(failed), Ordering::Relaxed);
        while next <= clock.now() {
            next = next.after(PERIOD);
        }
    }
}

/// One request; `None` if there was no answer.
async fn ask(
    connection: &mut Option<SendRequest<Empty<Bytes>>>,
    address: SocketAddr,
) -> Option<StatusCode> {
    let sender = match connection {
        Some(sender) => sender,
        None => connection.insert(connect(address).await?),
    };
    let request = Request::get("/").header(hyper::header::HOST, "demo-app").body(Empty::new());
    let request = request.expect("a constant request is well formed");
    let response = sender.send_request(request).await.ok()?;
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}

async fn connect(address: SocketAddr) -> Option<SendRequest<Empty<Bytes>>> {
    let stream = TcpStream::connect(address).await.ok()?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.ok()?;
    // It ends when the sender is dropped.
    tokio::spawn(connection);
    Some(sender)
}
