//! A metrics page over HTTP. One connection is kept and asked again; the body is streamed through
//! the exposition reader. The connection survives only a page that came whole; after anything else
//! the next one starts from nothing.

mod body;
mod dial;
mod failure;
mod request;

use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{HeaderMap, Response};

use self::body::Intake;
use self::dial::{Dialer, Progress};
use self::failure::{of_body, of_head};
use self::request::request;
use crate::clock::Clock;
use crate::exposition::NameSet;
use crate::model::scrape::{Failure, FailureClass, Page};
use crate::model::target::HttpPage;
use crate::model::time::Moment;
use crate::net::credential;
use crate::net::link::{LARGE_BUFFER, LARGE_PAGE, Link, SMALL_BUFFER};
use crate::source::failure::failure;
use crate::source::late::Late;
use crate::source::resources::Resources;

/// Reads a metrics page.
#[derive(Debug)]
pub(in crate::source) struct PageSource {
    page: HttpPage,
    timeout: Duration,
    clock: Clock,
    dialer: Dialer,
    kept: Option<Connection>,
    buffer: usize,
    headers: Late<Result<HeaderMap, String>>,
    progress: Progress,
}

/// A connection and whom it leads to.
#[derive(Debug)]
struct Connection {
    link: Link,
    peer: SocketAddr,
}

impl PageSource {
    pub(super) fn new(page: HttpPage, timeout: Duration, resources: &Resources) -> Self {
        Self {
            dialer: Dialer::new(&page, timeout, resources),
            clock: resources.clock,
            page,
            timeout,
            kept: None,
            buffer: SMALL_BUFFER,
            headers: Late::default(),
            progress: Progress::default(),
        }
    }

    /// Asks on the kept connection if there is one. Servers close idle connections when they like,
    /// also just as we send; that says nothing about the service and is tried again, once, afresh.
    pub(super) async fn read(
        &mut self,
        names: Option<&NameSet>,
        asked: &mut Moment,
    ) -> Result<Page, Failure> {
        self.progress = Progress::Preparing;
        let headers = self.headers().await;
        let headers = headers.map_err(|why| failure(FailureClass::Broken, why))?;
        let mut kept = self.kept.take();
        if let Some(connection) = &mut kept
            && !connection.link.is_open().await
        {
            kept = None;
        }
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(kept) => kept,
                None => {
                    let (stream, peer) = self.dialer.dial(&mut self.progress).await?;
                    let link = Link::open(stream, self.buffer).await;
                    Connection { link: link.map_err(|error| of_head(&error))?, peer }
                }
            };
            let is_local = connection.peer.ip().to_canonical().is_loopback();
            let request = request(&self.page, self.timeout, names, is_local, headers.clone())?;
            self.progress = Progress::Waiting;
            *asked = self.clock.moment();
            match connection.link.send(request).await {
                Err(none) if is_kept && none.received == 0 => {}
                Err(none) => return Err(of_head(&none.error)),
                Ok(answer) => return self.receive(connection, answer, names).await,
            }
        }
    }

    async fn headers(&mut self) -> Result<HeaderMap, String> {
        if !credential::may_block(&self.page.headers) {
            return credential::headers(&self.page.headers);
        }
        let headers = self.page.headers.clone();
        self.headers.run(move || credential::headers(&headers)).await
    }

    /// Reads the page. The connection is kept if the whole page came.
    async fn receive(
        &mut self,
        mut connection: Connection,
        answer: Response<Incoming>,
        names: Option<&NameSet>,
    ) -> Result<Page, Failure> {
        let link = &mut connection.link;
        let mut intake = Intake::new(&answer, self.page.max_body, names)?;
        let mut body = answer.into_body();
        let mut bytes = 0;
        self.progress = Progress::Reading(bytes);
        while let Some(chunk) = link.next(&mut body).await.map_err(|error| of_body(&error))? {
            intake.feed(&chunk)?;
            bytes += chunk.len() as u64;
            self.progress = Progress::Reading(bytes);
        }
        let open = link.is_open().await;
        if link.is_surplus() {
            intake.doubt_end();
        }
        let page = intake.finish()?;
        // A page that turns out to be large is worth one new connection.
        if bytes >= LARGE_PAGE {
            self.buffer = LARGE_BUFFER;
        }
        let suits = link.buffer() == self.buffer;
        self.kept = (open && suits).then_some(connection);
        Ok(page)
    }

    /// What was being waited for.
    pub(super) fn overdue(&self) -> (FailureClass, String) {
        let host = &self.page.url.host;
        let (class, what) = match self.progress {
            Progress::Preparing => (FailureClass::Broken, "read the headers' values".to_owned()),
            Progress::Resolving => (FailureClass::Dns, format!("resolve {host}")),
            Progress::Connecting => (FailureClass::TimedOut, format!("connect to {host}")),
            Progress::Shaking => (FailureClass::TimedOut, format!("shake hands with {host}")),
            Progress::Waiting => (FailureClass::TimedOut, format!("get an answer from {host}")),
            Progress::Reading(bytes) => {
                (FailureClass::TimedOut, format!("read past {bytes} bytes of the page"))
            }
        };
        (class, format!("failed to {what}"))
    }
}
