//! One target's scrapes: an attempt, its time limit, its one retry, what came of it. The kept
//! connection survives only a scrape that succeeded; after anything else the next one starts
//! from nothing.

use std::sync::Arc;

use hyper::HeaderMap;

use super::body::Intake;
use super::connect::{Dialer, Stage};
use super::failure::failure;
use super::late::Late;
use super::link::{Link, NoAnswer, ReadBuffer};
use super::request::{Compression, Formats, request};
use super::secret;
use super::tls::Authorities;
use crate::clock::Clock;
use crate::exposition::NameSet;
use crate::model::index::TargetIx;
use crate::model::scrape::{Failure, FailureClass, Page, Scrape};
use crate::model::target::Target;
use crate::model::time::{Instant, Timestamp};

/// Samples a target once, on a connection of its own; `names` are the metrics that are wanted,
/// `None` for all. The target's place in the result is 0.
pub async fn scrape_once(target: &Target, names: Option<&NameSet>, clock: Clock) -> Scrape {
    let mut scraper = Scraper::new(target.clone(), clock, Arc::default());
    scraper.scrape(TargetIx(0), names).await
}

/// Samples one target.
#[derive(Debug)]
pub(super) struct Scraper {
    target: Target,
    clock: Clock,
    dialer: Dialer,
    link: Option<Link>,
    buffer: ReadBuffer,
    headers: Late<Result<HeaderMap, Failure>>,
    stage: Stage,
    sent: (Instant, Timestamp),
}

/// Why an exchange gave no page.
enum Loss {
    /// The connection was over before the server answered with a single byte.
    Unanswered(Failure),
    /// Anything else.
    Failed(Failure),
}

impl From<Failure> for Loss {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<NoAnswer> for Loss {
    fn from(none: NoAnswer) -> Self {
        match none.received {
            0 => Self::Unanswered(none.failure),
            1.. => Self::Failed(none.failure),
        }
    }
}

impl Scraper {
    pub(super) fn new(target: Target, clock: Clock, authorities: Arc<Authorities>) -> Self {
        let dialer = Dialer::new(&target, clock, authorities);
        let sent = (clock.now(), clock.wall());
        let (headers, stage) = (Late::default(), Stage::default());
        let buffer = ReadBuffer::Small;
        Self { target, clock, dialer, link: None, buffer, headers, stage, sent }
    }

    /// Samples the target; takes no longer than its timeout.
    pub(super) async fn scrape(&mut self, target: TargetIx, names: Option<&NameSet>) -> Scrape {
        let clock = self.clock;
        let began = clock.now();
        self.sent = (began, clock.wall());
        let end = began.after(self.target.timeout);
        // Boxed, so that the state of a scrape, ten times that of its target, is there only while
        // one is under way.
        let result = clock.before(end, Box::pin(self.attempt(names))).await;
        let result = result.unwrap_or_else(|| Err(self.overdue()));
        let (at, wall) = self.sent;
        Scrape { target, at, wall, took: clock.now().since(began), result }
    }

    /// On the kept connection if there is one. Servers close idle connections when they like, also
    /// just as we send; that says nothing about the service and is tried again, once, afresh.
    async fn attempt(&mut self, names: Option<&NameSet>) -> Result<Page, Failure> {
        self.stage = Stage::Preparing;
        let headers = self.headers().await?;
        if let Some(mut link) = self.link.take()
            && link.is_open().await
        {
            match self.exchange(link, headers.clone(), names).await {
                Ok(page) => return Ok(page),
                Err(Loss::Failed(failure)) => return Err(failure),
                Err(Loss::Unanswered(_)) => {}
            }
        }
        let (stream, peer) = self.dialer.dial(&mut self.stage).await?;
        let link = Link::open(stream, peer, self.buffer).await?;
        self.exchange(link, headers, names).await.map_err(|loss| match loss {
            Loss::Unanswered(failure) | Loss::Failed(failure) => failure,
        })
    }

    async fn headers(&mut self) -> Result<HeaderMap, Failure> {
        if !secret::may_block(&self.target.headers) {
            return secret::resolve(&self.target.headers);
        }
        let headers = self.target.headers.clone();
        self.headers.run(move || secret::resolve(&headers)).await
    }

    /// One request and its answer. The connection is kept if the whole page came.
    async fn exchange(
        &mut self,
        mut link: Link,
        headers: HeaderMap,
        names: Option<&NameSet>,
    ) -> Result<Page, Loss> {
        let local = link.peer().ip().to_canonical().is_loopback();
        let formats = Formats::suiting(&self.target, names);
        let compression = if local { Compression::Never } else { Compression::Gzip };
        let request = request(&self.target, formats, compression, headers)?;
        self.stage = Stage::Waiting;
        self.sent = (self.clock.now(), self.clock.wall());
        let answer = link.send(request).await?;
        let mut intake = Intake::new(&answer, self.target.max_body, names)?;
        let mut body = answer.into_body();
        let mut bytes = 0;
        self.stage = Stage::Reading(bytes);
        while let Some(chunk) = link.next(&mut body).await? {
            intake.feed(&chunk)?;
            bytes += chunk.len() as u64;
            self.stage = Stage::Reading(bytes);
        }
        let open = link.is_open().await;
        if link.is_surplus() {
            intake.doubt_end();
        }
        let page = intake.finish()?;
        // A page that turns out to be large is worth one new connection.
        if ReadBuffer::suiting(bytes) == ReadBuffer::Large {
            self.buffer = ReadBuffer::Large;
        }
        self.link = (open && link.buffer() == self.buffer).then_some(link);
        Ok(page)
    }

    /// The timeout has passed: what was being waited for.
    fn overdue(&self) -> Failure {
        let class = match self.stage {
            Stage::Resolving => FailureClass::Dns,
            Stage::Preparing => FailureClass::Broken,
            Stage::Connecting | Stage::Shaking | Stage::Waiting | Stage::Reading(_) => {
                FailureClass::TimedOut
            }
        };
        let (timeout, host) = (self.target.timeout, &self.target.url.host);
        let what = match self.stage {
            Stage::Preparing => "failed to read the headers' values".to_owned(),
            Stage::Resolving => format!("failed to resolve {host}"),
            Stage::Connecting => format!("failed to connect to {host}"),
            Stage::Shaking => format!("failed to shake hands with {host}"),
            Stage::Waiting => format!("failed to get an answer from {host}"),
            Stage::Reading(bytes) => format!("failed to read past {bytes} bytes of the page"),
        };
        failure(class, format_args!("{what} within {timeout:?}"))
    }
}
