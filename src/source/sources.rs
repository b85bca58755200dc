//! All targets together: a task each, one channel out. On a reload a target that did not change
//! keeps its task and connection, and whatever was sampled for the old plan is dropped with the
//! old channel, because places of targets and sets of names belong to one plan.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::resources::Resources;
use super::sampler::Sampler;
use super::slots::Slots;
use crate::clock::Clock;
use crate::exposition::NameSet;
use crate::model::index::TargetIx;
use crate::model::name::TargetName;
use crate::model::scrape::Scrape;
use crate::model::target::Target;
use crate::model::time::Instant;

/// The targets being sampled. Dropping it ends their tasks.
#[derive(Debug)]
pub struct Sources {
    resources: Resources,
    running: Vec<RunningTarget>,
    scrapes: mpsc::Receiver<Delivery>,
    // Held so that the channel stays open without a single target.
    out: mpsc::Sender<Delivery>,
}

/// A scrape on its way, with the target's turn: until it is taken the target waits.
#[derive(Debug)]
struct Delivery {
    scrape: Scrape,
    _turn: OwnedSemaphorePermit,
}

/// What a target's task has to say for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStats {
    /// The target.
    pub name: TargetName,
    /// Slots passed over because the scrape before, or whoever takes the scrapes, was too slow.
    pub skipped: u64,
}

/// A target and its task.
#[derive(Debug)]
struct RunningTarget {
    target: Target,
    assignment: watch::Sender<Assignment>,
    skipped: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// What a task may be told anew at any time.
#[derive(Clone, Debug)]
struct Assignment {
    target: TargetIx,
    names: Arc<NameSet>,
    interval: Duration,
    turn: Arc<Semaphore>,
    out: mpsc::Sender<Delivery>,
}

impl Drop for RunningTarget {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sources {
    /// Starts sampling: of each target the metrics in the set at the same place in `names`. Must
    /// be called within a runtime.
    ///
    /// # Panics
    /// If there are not as many sets of names as targets.
    pub fn start(targets: &[Target], names: &[Arc<NameSet>], clock: Clock) -> Self {
        let (out, scrapes) = mpsc::channel(1);
        let resources = Resources { clock, authorities: Arc::default() };
        let mut sources = Self { resources, running: Vec::new(), scrapes, out };
        sources.replace(targets, names);
        sources
    }

    /// Goes over to another plan. A target that is defined as before keeps its task, connection
    /// and counters; every other one is stopped or started. Scrapes that were not yet taken
    /// belong to the old plan and are lost.
    ///
    /// # Panics
    /// If there are not as many sets of names as targets.
    pub fn replace(&mut self, targets: &[Target], names: &[Arc<NameSet>]) {
        assert_eq!(targets.len(), names.len(), "each target has its set of names");
        // A place for each target: none can keep another from its slot.
        (self.out, self.scrapes) = mpsc::channel(targets.len().max(1));
        let mut before = std::mem::take(&mut self.running);
        for (ix, (target, names)) in targets.iter().zip(names).enumerate() {
            let assignment = Assignment {
                target: TargetIx(ix),
                names: names.clone(),
                interval: target.interval,
                turn: Arc::new(Semaphore::new(1)),
                out: self.out.clone(),
            };
            let same = before.iter().position(|running| running.target == *target);
            self.running.push(match same {
                Some(place) => {
                    let running = before.swap_remove(place);
                    running.assignment.send_replace(assignment);
                    running
                }
                None => self.spawn(target, assignment),
            });
        }
    }

    /// The next scrape, of whichever target. Waits for ever if there are no targets. Nothing is
    /// lost if the future is dropped.
    pub async fn next(&mut self) -> Scrape {
        self.scrapes.recv().await.expect("`self.out` keeps the channel open").scrape
    }

    /// Samples a target at another interval from now on, until the next [`Self::replace`]. Its
    /// timeout stays; scrapes that take longer than the interval lose slots and never overlap.
    pub fn set_interval(&mut self, target: TargetIx, interval: Duration) {
        self.running[target.0].assignment.send_if_modified(|assignment| {
            let changed = assignment.interval != interval;
            assignment.interval = interval;
            changed
        });
    }

    /// A target's name.
    pub fn name(&self, target: TargetIx) -> &TargetName {
        &self.running[target.0].target.name
    }

    /// Counters, in the order of the targets.
    pub fn stats(&self) -> Vec<SourceStats> {
        let stats = |running: &RunningTarget| SourceStats {
            name: running.target.name.clone(),
            skipped: running.skipped.load(Ordering::Relaxed),
        };
        self.running.iter().map(stats).collect()
    }

    fn spawn(&self, target: &Target, assignment: Assignment) -> RunningTarget {
        let skipped = Arc::new(AtomicU64::new(0));
        let (assignment, assignments) = watch::channel(assignment);
        let task = Task {
            name: target.name.clone(),
            clock: self.resources.clock,
            sampler: Sampler::new(target.clone(), &self.resources),
            assignments,
            skipped: skipped.clone(),
        };
        let task = tokio::spawn(task.run());
        RunningTarget { target: target.clone(), assignment, skipped, task }
    }
}

/// The task of one target.
struct Task {
    name: TargetName,
    clock: Clock,
    sampler: Sampler,
    assignments: watch::Receiver<Assignment>,
    skipped: Arc<AtomicU64>,
}

impl Task {
    async fn run(mut self) {
        let mut assignment = self.assignments.borrow_and_update().clone();
        let mut slots = Slots::starting(&self.name, assignment.interval, self.clock.now());
        loop {
            tokio::select! {
                biased;
                changed = self.assignments.changed() => match changed {
                    Ok(()) => assignment = self.assignments.borrow_and_update().clone(),
                    Err(_) => return,
                },
                turn = turn_in_slot(self.clock, slots.due(), &assignment.turn) => {
                    self.use_slot(turn, &assignment, &mut slots).await;
                }
            }
            if assignment.interval != slots.interval() {
                slots = Slots::resuming(&self.name, assignment.interval, self.clock.now());
            }
        }
    }

    /// Samples once, unless it is too late for that, and goes on to the next slot. What is told
    /// meanwhile waits: a scrape that has begun is worth ending.
    async fn use_slot(
        &mut self,
        turn: OwnedSemaphorePermit,
        assignment: &Assignment,
        slots: &mut Slots,
    ) {
        let missed = slots.is_missed(self.clock.now());
        if !missed {
            let mut scrape = self.sampler.sample(assignment.target, Some(&assignment.names)).await;
            let slot = slots.time_of(scrape.at);
            scrape.wall = scrape.wall.before(scrape.at.since(slot));
            scrape.at = slot;
            // There is a place for each target's turn, unless nobody listens to this plan any
            // more; then this scrape is lost like all others of the plan.
            let _ = assignment.out.try_send(Delivery { scrape, _turn: turn });
        }
        let lost = u64::from(missed) + slots.advance(self.clock.now());
        self.skipped.fetch_add(lost, Ordering::Relaxed);
    }
}

/// Waits for the slot and then until the scrape before was taken. A slow taker delays the
/// sampling, and finds one scrape waiting, never a backlog.
async fn turn_in_slot(clock: Clock, due: Instant, turn: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    clock.sleep_until(due).await;
    turn.clone().acquire_owned().await.expect("nobody closes it")
}
