//! The stage: the daemon's core, a clock that only the script moves, and targets that answer what
//! the script says. It does what the daemon does with effects, except that every step of a hook is
//! done at once and nobody is really told. It must never decide anything.

use std::collections::VecDeque;
use std::time::Duration;

use crate::engine::Guard;
use crate::engine::command::{Command, Terms};
use crate::engine::effect::{Effect, Outcome};
use crate::model::entry::{Attempt, Caller, StepResult};
use crate::model::index::TargetIx;
use crate::model::name::{DeploymentId, Version};
use crate::model::scrape::{Failure, Page, Scrape};
use crate::model::time::{Instant, Moment, Timestamp};

use super::check::{Decisions, TestView};
use super::notation::Point;
use super::script::{TargetPages, TestCase};

/// The first scrape's place on the core's clock: a day after its origin, so that no window reaches
/// behind that. The wall clock shows the epoch, so a time on a page is in seconds from the start.
const START: Instant = Instant::from_millis(86_400_000);

/// The version that is judged, and the one to go back to, where the configuration names none.
const VERSIONS: [&str; 2] = ["v2", "v1"];

/// A test being played.
pub(crate) struct Harness<'c> {
    case: &'c TestCase,
    guard: Guard,
    at: Duration,
    /// How many scrapes each target has had.
    scraped: Vec<u64>,
    /// Whether the deployment has begun.
    begun: bool,
    /// How many stages were entered.
    staged: usize,
    decisions: Decisions,
}

impl<'c> Harness<'c> {
    /// Before the first scrape.
    pub(crate) fn new(case: &'c TestCase) -> Self {
        let guard = Guard::new(case.plan.clone(), &[]);
        let scraped = vec![0; case.plan.targets.len()];
        let (at, decisions) = (Duration::ZERO, Decisions::default());
        let mut stage = Self { case, guard, at, scraped, begun: false, staged: 0, decisions };
        let effects = stage.guard.start(moment(at), env!("CARGO_PKG_VERSION"), 0);
        stage.perform(effects);
        stage
    }

    /// Lets everything happen that happens at this instant: a deployment begins before the scrapes
    /// of its instant.
    pub(crate) fn happen(&mut self, at: Duration) {
        self.at = at;
        let quiet = (0..self.scraped.len()).all(|target| self.due(target) > at);
        if quiet {
            let effects = self.guard.tick(moment(at));
            self.perform(effects);
        }
        if !self.begun && self.case.arm.is_some_and(|arm| arm <= at) {
            self.begin();
        }
        self.enter_stages();
        for target in 0..self.scraped.len() {
            if self.due(target) <= at {
                self.scrape(target);
            }
        }
    }

    /// The next instant at which something happens by itself.
    pub(crate) fn next(&self) -> Option<Duration> {
        let deadline = self.guard.deadline().map(|deadline| deadline.since(START));
        let arm = self.case.arm.filter(|_| !self.begun);
        let stage = self.case.stages.get(self.staged).map(|(at, ..)| *at);
        let scrapes = (0..self.scraped.len()).map(|target| self.due(target));
        let next = scrapes.chain(deadline).chain(arm).chain(stage);
        next.filter(|next| *next > self.at).min()
    }

    /// What can be seen now.
    pub(crate) fn view(&self) -> TestView<'_> {
        TestView { snapshot: self.guard.snapshot(moment(self.at)), decisions: &self.decisions }
    }

    /// How many scrapes there were.
    pub(crate) fn scrapes(&self) -> u64 {
        self.scraped.iter().sum()
    }

    /// When the target's next scrape is due.
    fn due(&self, target: usize) -> Duration {
        let nanos = self.case.plan.targets[target].interval.as_nanos();
        let nanos = nanos.saturating_mul(self.scraped[target].into());
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn begin(&mut self) {
        self.begun = true;
        let settings = &self.case.plan.deployment;
        let [version, good] = VERSIONS.map(|name| Version::new(name).ok());
        let Some(version) = settings.version.clone().or(version) else { return };
        let good = settings.good.clone().or(good);
        let begin = Command::Begin { id: None, version, good, terms: Terms::default() };
        let (begun, effects) = self.guard.command(moment(self.at), begin, Caller::Guard);
        debug_assert!(begun.is_ok(), "nothing was guarded before that could be in the way");
        self.perform(effects);
    }

    fn enter_stages(&mut self) {
        let now = self.at;
        let due = |(at, ..): &&(Duration, _, _)| *at <= now;
        while let Some((_, stage, force)) = self.case.stages.get(self.staged).filter(due) {
            self.staged += 1;
            let stage = Command::Stage { id: None, stage: stage.clone(), force: *force };
            // A deployment that is over enters no stage any more, and one whose stage has not
            // passed does not go on.
            let (_, effects) = self.guard.command(moment(self.at), stage, Caller::Guard);
            self.perform(effects);
        }
    }

    fn scrape(&mut self, target: usize) {
        let Moment { at, wall } = moment(self.at);
        let result = page(&self.case.pages[target], self.scraped[target]);
        self.scraped[target] += 1;
        let scrape = Scrape { target: TargetIx(target), at, wall, took: Duration::ZERO, result };
        let effects = self.guard.observe(moment(self.at), &scrape);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut queue = VecDeque::from(effects);
        while let Some(effect) = queue.pop_front() {
            let more = match effect {
                Effect::Append(entry) => {
                    self.decisions.note(&entry.event);
                    Vec::new()
                }
                Effect::Run(order) => {
                    self.settle(order.deployment, order.attempt, StepResult::Done)
                }
                Effect::Inspect { deployment, attempt, .. }
                | Effect::CallOff { deployment, attempt } => {
                    self.settle(deployment, attempt, StepResult::NotStarted)
                }
                Effect::Notify(notice) | Effect::GoAlong(notice) => {
                    let now = moment(self.at);
                    self.guard.notified(now, notice.deployment, notice.hook, None)
                }
                // A test says when each sample is taken.
                Effect::Tell(_)
                | Effect::Report(_)
                | Effect::Pace { .. }
                | Effect::ReadLive { .. }
                | Effect::Drill(_) => Vec::new(),
            };
            queue.extend(more);
        }
    }

    fn settle(&mut self, of: DeploymentId, attempt: Attempt, result: StepResult) -> Vec<Effect> {
        let (output, took) = (String::new(), Duration::ZERO);
        let outcome = Outcome { deployment: of, attempt, result, output, took };
        self.guard.settle(moment(self.at), &outcome)
    }
}

fn moment(at: Duration) -> Moment {
    Moment { at: START.after(at), wall: Timestamp::from_millis(0).after(at) }
}

/// What a target answers to a scrape, from 0. The page is whole: what is not on it is not there.
fn page(feed: &TargetPages, scrape: u64) -> Result<Page, Failure> {
    let mut page = Page::default();
    for (series, values) in feed {
        match values.at(scrape) {
            Point::Sample(value) => page.push(series, value, None),
            Point::Absent => {}
            Point::Failed(class) => {
                return Err(Failure { class, detail: "as the test says".to_owned() });
            }
        }
    }
    // A page on which nothing of interest stands is not an empty one.
    page.bytes = 1;
    Ok(page)
}
