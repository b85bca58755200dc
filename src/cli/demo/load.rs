//! The demo's users: real requests at a fixed rate, whatever the app does with them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::{Request, StatusCode};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::model::time::Instant;
use crate::net::link::{Link, SMALL_BUFFER};

/// Requests in a second, over all users.
pub(super) const RATE: u32 = 200;

/// Users, each with a connection of its own. Each asks once in [`PERIOD`], which is longer than
/// the slowest answer of the bad release, so that a slow app is not spared.
const USERS: u32 = 80;

/// The time between two requests of one user.
const PERIOD: Duration = Duration::from_millis(1_000 * USERS as u64 / RATE as u64);

/// The users. They go away when this is dropped.
pub(super) struct Load {
    _users: JoinSet<()>,
    seen: Arc<[AtomicU64; 2]>,
}

impl Load {
    /// Users of the app on this port, from now on.
    pub(super) fn start(port: u16, clock: Clock) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let seen = Arc::<[AtomicU64; 2]>::default();
        let mut users = JoinSet::new();
        for user in 0..USERS {
            let first = clock.now().after(PERIOD * user / USERS);
            users.spawn(ask_for_ever(address, clock, first, seen.clone()));
        }
        Self { _users: users, seen }
    }

    /// Requests answered, and how many of them with an error or not at all.
    pub(super) fn totals(&self) -> [u64; 2] {
        self.seen.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// One user: a request in every period. One that comes too late for its period is left out.
async fn ask_for_ever(
    address: SocketAddr,
    clock: Clock,
    first: Instant,
    seen: Arc<[AtomicU64; 2]>,
) {
    let mut next = first;
    let mut link = None;
    loop {
        clock.sleep_until(next).await;
        let status = ask(&mut link, address).await;
        if status.is_none() {
            link = None;
        }
        let failed = status.is_none_or(|status| status.is_server_error());
        seen[0].fetch_add(1, Ordering::Relaxed);
        seen[1].fetch_add(u64::from(failed), Ordering::Relaxed);
        while next <= clock.now() {
            next = next.after(PERIOD);
        }
    }
}

/// One request; `None` if there was no answer.
async fn ask(link: &mut Option<Link>, address: SocketAddr) -> Option<StatusCode> {
    let link = match link {
        Some(link) => link,
        None => {
            let stream = TcpStream::connect(address).await.ok()?;
            link.insert(Link::open(Box::new(stream), SMALL_BUFFER).await.ok()?)
        }
    };
    let request = Request::get("/").header(hyper::header::HOST, "demo-app").body(Full::default());
    let answer = link.send(request.expect("a constant request is well formed")).await.ok()?;
    let (status, mut body) = (answer.status(), answer.into_body());
    while link.next(&mut body).await.ok()?.is_some() {}
    Some(status)
}
