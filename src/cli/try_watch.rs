//! The sampling behind `rollguard try`: the daemon's own sources into the daemon's own evaluator,
//! and each page once as a whole to see what is on it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::task::JoinSet;

use super::interrupts::Interrupts;
use super::out;
use crate::clock::Clock;
use crate::daemon::names;
use crate::engine::Evaluator;
use crate::match_report::{PageContents, TargetMatch, wanted};
use crate::model::plan::Plan;
use crate::model::scrape::Scrape;
use crate::model::target::Target;
use crate::model::time::Instant;
use crate::source::{Sources, scrape_once};

/// Scrapes of each target that are waited for: a window needs two.
const SCRAPES: u64 = 2;

/// How much longer than all that is waited: timers wake late on a busy machine.
const SLACK: Duration = Duration::from_secs(2);

/// Pages that are looked at as a whole at the same time: each may take its bounded megabytes.
const AT_ONCE: usize = 8;

/// How long a look at a whole page may take. It takes longer than a scrape, which skips what
/// nobody wants, and only a target that has just answered is looked at.
const LOOK: Duration = Duration::from_secs(10);

/// How often a person is told how far it is.
pub(super) const TELL_EVERY: Duration = Duration::from_millis(200);

/// What was watched: the targets in the plan's order, and those of their pages that could be looked
/// at as a whole.
pub(super) type TrySamples = (Evaluator, Vec<TargetMatch>, Vec<PageContents>);

/// A trial under way.
struct TrySampling {
    plan: Arc<Plan>,
    clock: Clock,
    evaluator: Evaluator,
    targets: Vec<TargetMatch>,
    last: Vec<Instant>,
    pages: Vec<Option<PageContents>>,
    /// Targets that have answered and whose page is still to be looked at.
    unseen: Vec<usize>,
    looking: JoinSet<(usize, Option<PageContents>)>,
    wanted: Arc<HashSet<String>>,
}

/// Samples every target for `span`, or until each was scraped twice, or until a person has seen
/// enough. The person is told how far it is `every` so often.
///
/// # Errors
/// The system does not say when a person interrupts.
pub(super) async fn watch(
    plan: Plan,
    span: Option<Duration>,
    clock: Clock,
    every: Option<Duration>,
) -> io::Result<TrySamples> {
    let mut interrupts = Interrupts::of(&[SIGINT, SIGTERM])?;
    let mut watch = TrySampling::new(plan, clock);
    let mut sources = Sources::start(&watch.plan.targets, &names(&watch.plan), clock);
    let end = clock.now().after(span.unwrap_or_else(|| watch.patience()));
    let mut told = clock.now();
    while !(span.is_none() && watch.is_done()) {
        watch.look_further();
        tokio::select! {
            biased;
            () = interrupts.next() => break,
            () = clock.sleep_until(end) => break,
            Some(seen) = watch.looking.join_next() => if let Ok((ix, page)) = seen {
                watch.pages[ix] = page;
            },
            scrape = sources.next() => watch.observe(&scrape),
            () = clock.sleep_until(told), if every.is_some() => {
                told = clock.now().after(every.unwrap_or_default());
                watch.tell(end);
            }
        }
    }
    if every.is_some() {
        out::progress("");
    }
    Ok(watch.finish())
}

impl TrySampling {
    fn new(plan: Plan, clock: Clock) -> Self {
        let plan = Arc::new(plan);
        Self {
            clock,
            evaluator: Evaluator::new(plan.clone()),
            targets: plan.targets.iter().map(TargetMatch::unscraped).collect(),
            last: vec![clock.now(); plan.targets.len()],
            pages: vec![None; plan.targets.len()],
            unseen: Vec::new(),
            looking: JoinSet::new(),
            wanted: Arc::new(wanted(&plan)),
            plan,
        }
    }

    /// How long two scrapes of every target and a look at every page may take.
    fn patience(&self) -> Duration {
        let slots = |target: &Target| target.interval * 2 + target.timeout;
        let slots = self.plan.targets.iter().map(slots).max().unwrap_or_default();
        slots + LOOK + SLACK
    }

    fn is_done(&self) -> bool {
        let scraped = self.targets.iter().all(|target| target.scrapes >= SCRAPES);
        scraped && self.unseen.is_empty() && self.looking.is_empty()
    }

    /// Looks at the next pages.
    fn look_further(&mut self) {
        while self.looking.len() < AT_ONCE
            && let Some(ix) = self.unseen.pop()
        {
            let (mut target, clock) = (self.plan.targets[ix].clone(), self.clock);
            target.timeout = LOOK;
            let wanted = self.wanted.clone();
            self.looking.spawn(async move {
                let page = scrape_once(&target, None, clock).await.result;
                (ix, page.ok().map(|page| PageContents::read(&page, &target, &wanted)))
            });
        }
    }

    fn observe(&mut self, scrape: &Scrape) {
        self.evaluator.observe(scrape);
        self.last[scrape.target.0] = scrape.at;
        let target = &mut self.targets[scrape.target.0];
        target.scrapes += 1;
        target.took_s = scrape.took.as_secs_f64();
        target.up = Some(scrape.result.is_ok());
        match &scrape.result {
            Ok(page) => {
                if target.scrapes - target.failed_scrapes == 1 {
                    self.unseen.push(scrape.target.0);
                }
                target.failure = None;
                target.wanted_samples = page.sample_count;
                target.malformed = page.malformed_count;
                let first = page.malformed().first();
                target.first_malformed =
                    first.map(|line| format!("line {}: {}", line.line, line.reason));
                target.bytes = page.bytes;
            }
            Err(failure) => {
                target.failed_scrapes += 1;
                target.failure = Some(failure.clone());
            }
        }
    }

    fn tell(&self, end: Instant) {
        let scrapes: u64 = self.targets.iter().map(|target| target.scrapes).sum();
        let left = end.since(self.clock.now()).as_secs();
        let up = self.targets.iter().filter(|target| target.up == Some(true)).count();
        out::progress(&format!(
            "{up} of {} targets up, {scrapes} scrapes, {left} s left at most; Ctrl-C shows it now",
            self.targets.len()
        ));
    }

    fn finish(mut self) -> TrySamples {
        let now = self.clock.now();
        self.evaluator.advance(now);
        // What a deployment that is armed now would be judged by.
        let baselines = self.evaluator.baselines(now);
        self.evaluator.freeze(&baselines, now);
        for (target, last) in self.targets.iter_mut().zip(&self.last) {
            target.since_last = now.since(*last);
        }
        let pages = self.pages.into_iter().flatten().collect();
        (self.evaluator, self.targets, pages)
    }
}
