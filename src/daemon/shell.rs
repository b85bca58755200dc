//! Performs effects, in order. An entry is durable before anything after it is done; if it cannot
//! be made durable, what comes after it is not done at all.

#![expect(clippy::disallowed_methods, reason = "the owner of the reports directory")]

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::engine::effect::{DrillEffect, Effect, Incident, Notice, Order, Outcome, Pace};
use crate::engine::run::drill::CALL_OFF_GRACE;
use crate::hook::Executor;
use crate::journal::{Journal, reports_dir};
use crate::live_version::Reader;
use crate::load::Places;
use crate::model::entry::{AttemptEvent, DeploymentEvent, DrillEvent, Entry, Event, Level};
use crate::model::index::TargetIx;
use crate::model::live::{Live, LiveSettings};
use crate::model::time::format_duration;
use crate::notify::{Channels, Notifier};
use crate::render;
use crate::source::Sources;

/// The world, as far as effects reach it.
#[derive(Debug)]
pub(super) struct Shell {
    journal: Journal,
    pub(super) executor: Arc<Executor>,
    pub(super) notifier: Notifier,
    /// The hooks that go along: one that hangs must not keep people from being told.
    pub(super) along: Notifier,
    pub(super) channels: Channels,
    answers: Answers,
    reader: Reader,
    state: PathBuf,
    /// Says that the attempt of a drill that runs, if one does, is to be ended.
    call_off: Option<oneshot::Sender<()>>,
}

/// Where what was asked of the world is answered.
#[derive(Debug)]
pub(super) struct Answers {
    /// What became of attempts.
    pub(super) outcomes: mpsc::Sender<Outcome>,
    /// What was read of the live version.
    pub(super) readings: mpsc::Sender<Reading>,
}

/// What was read of the live version, by the number of the question.
pub(super) type Reading = (u64, Live);

/// What became of effects.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Performed {
    /// All were performed.
    All,
    /// An entry could not be made durable; it and everything after it was not done.
    JournalLost {
        /// The entries before it.
        written: Vec<Entry>,
    },
    /// The next attempt was left to the next start.
    HandedOver,
}

impl Shell {
    /// The world of a daemon that has just started.
    pub(super) fn new(
        journal: Journal,
        executor: Arc<Executor>,
        [notifier, along]: [Notifier; 2],
        channels: Channels,
        answers: Answers,
        places: &Places,
    ) -> Self {
        let (state, reader) = (places.state.clone(), Reader::default());
        let call_off = None;
        Self { journal, executor, notifier, along, channels, answers, reader, state, call_off }
    }

    /// Performs effects in order.
    pub(super) fn perform(
        &mut self,
        effects: Vec<Effect>,
        hand_over: bool,
        sources: &mut Sources,
    ) -> Performed {
        let mut written = Vec::new();
        for effect in effects {
            #[cfg(debug_assertions)]
            let place = crate::failpoint::before(&effect);
            match effect {
                Effect::Append(entry) => {
                    if matches!(entry.event, Event::Attempt(AttemptEvent::Intent { .. }))
                        && hand_over
                    {
                        return Performed::HandedOver;
                    }
                    if let Err(error) = self.journal.append(&entry) {
                        tracing::error!(
                            error = %chain(&error),
                            "the journal cannot be written: no rollback will run until it can \
                             and rollguard is started again"
                        );
                        return Performed::JournalLost { written };
                    }
                    self.written(&entry);
                    written.push(*entry);
                }
                Effect::Run(order) => {
                    self.settle(|executor| async move { Some(executor.perform(&order).await) });
                }
                Effect::Inspect { deployment, attempt, timeout } => {
                    self.settle(|executor| async move {
                        Some(executor.inspect(&deployment, &attempt, timeout).await)
                    });
                }
                Effect::CallOff { deployment, attempt } => {
                    self.settle(
                        |executor| async move { executor.stop(&deployment, &attempt).await },
                    );
                }
                Effect::ReadLive { number, settings } => self.read_live(number, settings),
                Effect::Notify(notice) => notify(&self.notifier, *notice),
                Effect::GoAlong(notice) => notify(&self.along, *notice),
                Effect::Tell(telling) => self.channels.tell(*telling),
                Effect::Report(incident) => self.report(&incident),
                Effect::Drill(DrillEffect::Run(order)) => self.drill(*order),
                Effect::Drill(DrillEffect::CallOff) => {
                    // It may be over by now.
                    let _ = self.call_off.take().map(|call_off| call_off.send(()));
                }
                Effect::Pace { target, interval, pace } => {
                    set_pace(sources, target, interval, pace);
                }
            }
            #[cfg(debug_assertions)]
            crate::failpoint::after(&place);
        }
        Performed::All
    }

    /// Performs an attempt of a drill, or as much of it as there is time for. Unlike those of a
    /// rollback it may be ended in the middle, for something more important.
    fn drill(&mut self, order: Order) {
        let (call_off, called_off) = oneshot::channel();
        self.call_off = Some(call_off);
        self.settle(|executor| async move {
            tokio::select! {
                biased;
                outcome = executor.perform(&order) => return Some(outcome),
                Ok(()) = called_off => {}
            }
            Some(executor.call_off(&order, CALL_OFF_GRACE).await)
        });
    }

    /// Does something beside the loop, which is told what came of it.
    fn settle<F>(&self, what: impl FnOnce(Arc<Executor>) -> F)
    where
        F: Future<Output = Option<Outcome>> + Send + 'static,
    {
        let (done, outcomes) = (what(self.executor.clone()), self.answers.outcomes.clone());
        tokio::spawn(async move {
            if let Some(outcome) = done.await {
                // Nobody takes it only when the daemon has ended.
                drop(outcomes.send(outcome).await);
            }
        });
    }

    fn read_live(&self, number: u64, settings: Arc<LiveSettings>) {
        let (reader, readings) = (self.reader.clone(), self.answers.readings.clone());
        tokio::spawn(async move {
            let live = reader.read(&settings).await;
            // Nobody takes it only when the daemon has ended.
            drop(readings.send((number, live)).await);
        });
    }

    /// What follows from an entry being on disk.
    fn written(&self, entry: &Entry) {
        log(entry);
        if let (Event::Deployment(DeploymentEvent::Begun(_)), Some(deployment)) =
            (&entry.event, &entry.deployment)
            && let Err(error) = self.executor.forget_all_but(deployment)
        {
            tracing::warn!(%error, "markers of old attempts cannot be removed");
        }
        if let (Event::Drill(DrillEvent::Begun(_)), Some(drill)) = (&entry.event, &entry.deployment)
            && let Err(error) = self.executor.forget_drills_but(drill)
        {
            tracing::warn!(%error, "markers of old drills cannot be removed");
        }
    }

    fn report(&self, incident: &Incident) {
        let path = reports_dir(&self.state).join(format!("{}.md", incident.deployment));
        match write_whole(&path, &render::report(incident)) {
            Ok(()) => tracing::info!(path = %path.display(), "incident report written"),
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "incident report not written");
            }
        }
    }
}

fn notify(notifier: &Notifier, notice: Notice) {
    let hook = notice.hook.clone();
    if let Err(error) = notifier.push(notice) {
        tracing::error!(%error, %hook, "nobody could be told");
    }
}

fn set_pace(sources: &mut Sources, target: TargetIx, interval: Duration, pace: Pace) {
    sources.set_interval(target, interval);
    let (target, interval) = (sources.name(target), format_duration(interval));
    match pace {
        Pace::Plain | Pace::Sharpened | Pace::Slow => {
            tracing::info!(%target, %interval, "sampled at another interval: {pace}");
        }
        Pace::Failing => {
            tracing::warn!(%target, %interval, "sampled at its interval again: {pace}");
        }
    }
}

/// Writes a private file whole, so that nobody reads half of it.
pub(crate) fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let new = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)
}

/// One line for each entry, at the level that it deserves at 3 a.m.
fn log(entry: &Entry) {
    // The log has a time of its own.
    let event = render::event(&entry.event);
    let line = match &entry.deployment {
        Some(deployment) => format!("{deployment} {event}"),
        None => event,
    };
    match entry.meaning().level {
        Level::Error => tracing::error!("{line}"),
        Level::Warning => tracing::warn!("{line}"),
        Level::Info => tracing::info!("{line}"),
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let below = std::iter::successors(error.source(), |&error| error.source());
    below.fold(error.to_string(), |text, error| format!("{text}: {error}"))
}
