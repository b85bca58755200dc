//! The loop: one event at a time, to the guard and back to the world.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;
use crate::config::{DiagnosticLevel, Diagnostics, Listen};
use crate::engine::command::{Accepted, Command, Rejection};
use crate::engine::effect::Announced;
use crate::engine::effect::{Effect, Outcome};
use crate::engine::view::snapshot::GuardState;
use crate::engine::view::stage::StageStanding;
use crate::engine::{Guard, wanted_names, wanted_natives};
use crate::exposition::NameSet;
use crate::hook::Executor;
use crate::journal::{Journal, JournalError};
use crate::load::{self, LoadError, Loaded, Places};
use crate::model::entry::{Caller, Refusal};
use crate::model::name::StageName;
use crate::model::plan::Plan;
use crate::model::scrape::Scrape;
use crate::model::time::Moment;
use crate::notify::{Channels, Notifier, Told};
use crate::serve::api::Status;
use crate::serve::{Answerer, Control, ControlRequest, ReadOnly, ServeError};
use crate::source::Sources;

use super::doctor::Doctor;
use super::shell::{Answers, Performed, Reading, Shell, chain};
use super::signals::{self, Request};
use super::supervisor::Supervisor;

/// Questions that may wait for an answer: every client has one at most.
const MAX_QUESTIONS: usize = 64;

/// Outcomes that may wait: one attempt of a rollback, or at entering a stage, and one of a drill
/// run at a time; one that was called off may be settled twice.
const MAX_OUTCOMES: usize = 4;

/// Readings of the live version that may wait: one to look, and those that rollbacks wait for.
const MAX_READINGS: usize = 4;

/// How long a daemon that ends waits for people to be told: a pager answers within seconds, and
/// until the next start nothing is guarded.
const LAST_NOTICES: Duration = Duration::from_secs(10);

/// The running rollguard: what hooks are started through, even after the file was replaced.
const SELF: &str = "/proc/self/exe";

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    /// The configuration is not in order.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The journal cannot be had.
    #[error("open the journal")]
    Journal(#[from] JournalError),
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] ServeError),
    /// The read-only page cannot be had.
    #[error("listen on {address}, which `listen` sets")]
    Open {
        /// Where.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Signals cannot be had.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
}

/// Everything that can happen.
#[derive(Debug)]
enum DaemonEvent {
    Scrape(Scrape),
    Asked(ControlRequest),
    Outcome(Outcome),
    Read(Reading),
    Told(Told),
    Announced(Announced),
    Signal(Request),
    Time,
}

/// A deployment, its state and its stage.
type WatchedState = (String, GuardState, Option<(StageName, StageStanding)>);

#[derive(Debug)]
struct Daemon {
    clock: Clock,
    config: PathBuf,
    guard: Guard,
    shell: Shell,
    sources: Sources,
    supervisor: Supervisor,
    changes: watch::Sender<u64>,
    /// What those who wait were woken for last.
    seen: Option<WatchedState>,
    reload_error: Option<String>,
    /// A reload that came during a rollback, or an attempt to enter a stage, waits for its end.
    reload_due: Option<Caller>,
    /// A person who waits until the live version was compared.
    waiting: Option<Answerer<Result<Accepted, Rejection>>>,
    ending: Ending,
    doctor: Doctor,
}

/// Whether the daemon is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    No,
    /// As soon as no step of a rollback is left to be run.
    AfterSteps,
    /// As soon as the attempt at hand is over.
    AfterAttempt,
}

/// Runs the daemon until it is told to end.
///
/// # Errors
/// It could not start; nothing was changed then.
pub(crate) async fn run(config: &Path) -> Result<(), DaemonError> {
    let clock = Clock::start();
    let loaded = load::load(config)?;
    warn_of(&loaded.lints);
    let (journal, entries, torn) = Journal::open(&loaded.places.state)?;
    if let Some(torn) = torn {
        tracing::warn!("the journal's last line was torn and is dropped: {torn}");
    }
    let mut requests = signals::listen().map_err(DaemonError::Signals)?;
    let (ask, mut questions) = mpsc::channel(MAX_QUESTIONS);
    let (changes, changed) = watch::channel(0);
    let control = Control::listen(&loaded.places.control, ask.clone(), changed, clock).await?;
    let open = listen(&loaded.places, ask, clock).await?;
    let executor = Arc::new(Executor::new(&loaded.places.state, SELF.into()));
    executor.keep_secret(loaded.plan.secrets.clone());
    let (tell, mut told) = mpsc::channel(MAX_QUESTIONS);
    let (outcomes, mut outcome) = mpsc::channel(MAX_OUTCOMES);
    let (readings, mut reading) = mpsc::channel(MAX_READINGS);
    let notifiers = [tell.clone(), tell].map(|tell| Notifier::start(executor.clone(), tell));
    let (channels, mut announced) = Channels::start(clock, &loaded.plan.channels);
    let Loaded { places, plan, .. } = loaded;
    let (plan, answers) = (Arc::new(plan), Answers { outcomes, readings });
    let mut daemon = Daemon {
        clock,
        config: config.to_owned(),
        guard: Guard::new(plan.clone(), &entries),
        shell: Shell::new(journal, executor, notifiers, channels, answers, &places),
        sources: Sources::start(&plan.targets, &names(&plan), clock),
        supervisor: Supervisor::new(clock.wall()),
        changes,
        seen: None,
        reload_error: None,
        reload_due: None,
        waiting: None,
        ending: Ending::No,
        doctor: Doctor::new(places, clock),
    };
    drop(entries);
    daemon.start();
    while !daemon.is_done() {
        let until = daemon.wake();
        let event = tokio::select! {
            // A stop or an outcome must not wait behind a flood of scrapes.
            biased;
            Some(request) = requests.recv() => DaemonEvent::Signal(request),
            Some(outcome) = outcome.recv() => DaemonEvent::Outcome(outcome),
            Some(reading) = reading.recv() => DaemonEvent::Read(reading),
            Some(asked) = questions.recv() => DaemonEvent::Asked(asked),
            scrape = daemon.sources.next() => DaemonEvent::Scrape(scrape),
            Some(told) = told.recv() => DaemonEvent::Told(told),
            Some(announced) = announced.recv() => DaemonEvent::Announced(announced),
            () = clock.sleep_until(until) => DaemonEvent::Time,
        };
        daemon.handle(event);
        daemon.turned();
    }
    drop((control, open));
    daemon.end().await;
    Ok(())
}

async fn listen(
    places: &Places,
    ask: mpsc::Sender<ControlRequest>,
    clock: Clock,
) -> Result<Option<ReadOnly>, DaemonError> {
    match places.listen {
        Listen::Off => Ok(None),
        Listen::Addr(address) => {
            let open = ReadOnly::listen(address, ask, clock).await;
            let open = open.map_err(|source| DaemonError::Open { address, source })?;
            tracing::info!(address = %open.address, "metrics and health are served");
            Ok(Some(open))
        }
    }
}

/// For each target the names that a scrape of it must keep.
pub(crate) fn names(plan: &Plan) -> Vec<Arc<NameSet>> {
    let names = |target| {
        let names = NameSet::new(wanted_names(plan, target));
        Arc::new(names.with_natives(wanted_natives(plan, target)))
    };
    plan.targets.iter().map(names).collect()
}

impl Daemon {
    fn start(&mut self) {
        let (now, pid) = (self.clock.moment(), std::process::id());
        let effects = self.guard.start(now, env!("CARGO_PKG_VERSION"), pid);
        self.perform(effects);
        // Rules are loaded, the journal is read, the control socket answers.
        self.supervisor.say(NotifyState::Ready);
        let now = self.guard.snapshot(self.clock.moment());
        // A line for whoever reads the log from its beginning.
        tracing::info!(
            service = %now.service,
            mode = %now.mode,
            state = %now.state,
            targets = now.targets.len(),
            rules = now.rules.len(),
            "watching"
        );
    }

    /// When the loop must turn at the latest.
    fn wake(&self) -> crate::model::time::Instant {
        let supervisor = self.supervisor.deadline(self.clock.now());
        self.guard.deadline().map_or(supervisor, |guard| guard.min(supervisor))
    }

    fn is_done(&self) -> bool {
        match self.ending {
            Ending::No => false,
            Ending::AfterSteps => !self.guard.has_steps_to_run() && !self.guard.is_drilling(),
            Ending::AfterAttempt => !self.guard.is_attempting() && !self.guard.is_drilling(),
        }
    }

    fn handle(&mut self, event: DaemonEvent) {
        let now = self.clock.moment();
        let effects = match event {
            DaemonEvent::Scrape(scrape) => self.guard.observe(now, &scrape),
            DaemonEvent::Outcome(outcome) => self.guard.settle(now, &outcome),
            DaemonEvent::Read((number, live)) => self.guard.live(now, number, live),
            DaemonEvent::Told(told) => {
                self.guard.notified(now, told.deployment, told.hook, told.failure)
            }
            DaemonEvent::Announced(announced) => self.guard.announced(now, announced),
            DaemonEvent::Asked(asked) => return self.answer(now, asked),
            DaemonEvent::Signal(Request::Stop(by)) => self.stop(now, by),
            DaemonEvent::Signal(Request::Reload(by)) => {
                self.reload_due = Some(by);
                Vec::new()
            }
            DaemonEvent::Time => self.guard.tick(now),
        };
        self.perform(effects);
        if !self.guard.is_rolling_back()
            && !self.guard.is_attempting()
            && let Some(by) = self.reload_due.take()
        {
            let effects = self.reload(now, by);
            self.perform(effects);
        }
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let hand_over = self.ending == Ending::AfterAttempt;
        match self.shell.perform(effects, hand_over, &mut self.sources) {
            Performed::All => {}
            Performed::JournalLost { written } => {
                let effects = self.guard.journal_lost(self.clock.moment());
                self.guard.unrecord(&written);
                self.shell.perform(effects, hand_over, &mut self.sources);
            }
            Performed::HandedOver => {
                tracing::warn!("the rollback goes on when rollguard is started again");
                self.guard.hand_over();
            }
        }
    }

    fn answer(&mut self, now: Moment, request: ControlRequest) {
        // Whoever asked may have gone, so that an answer is sent to nobody.
        match request {
            ControlRequest::Doctor(answer) => {
                self.doctor.examine(self.guard.plan().clone(), &self.status(now), answer);
            }
            ControlRequest::Status(answer) => drop(answer.send(Box::new(self.status(now)))),
            ControlRequest::Progress(id, answer) => drop(answer.send(self.guard.progress(&id))),
            ControlRequest::Stage(id, stage, answer) => {
                drop(answer.send(self.guard.stage_progress(now, &id, &stage)));
            }
            ControlRequest::LastDrill(answer) => {
                drop(answer.send(self.guard.last_drill().cloned()));
            }
            ControlRequest::Command(command, by, answer) => self.command(now, command, by, answer),
        }
    }

    fn command(
        &mut self,
        now: Moment,
        command: Command,
        by: Caller,
        answer: Answerer<Result<Accepted, Rejection>>,
    ) {
        let is_rollback = matches!(command, Command::Rollback { .. } | Command::Approve { .. });
        let (result, effects) = self.guard.command(now, command, by);
        self.perform(effects);
        if is_rollback && result.is_ok() && self.guard.is_asked() {
            self.waiting = Some(answer);
        } else {
            drop(answer.send(self.if_recorded(result)));
        }
    }

    /// The answer to a command. What is not on record did not happen.
    fn if_recorded(&self, result: Result<Accepted, Rejection>) -> Result<Accepted, Rejection> {
        if self.guard.snapshot(self.clock.moment()).journal_ok {
            result
        } else {
            Err(Rejection::Refused(Refusal::JournalUnusable))
        }
    }

    /// Whoever waited for the live version is told what came of it.
    fn answer_waiting(&mut self) {
        let Some(result) = self.guard.take_answer() else { return };
        if let Some(waiting) = self.waiting.take() {
            drop(waiting.send(self.if_recorded(result)));
        }
    }

    fn status(&self, now: Moment) -> Status {
        Status {
            rollguard: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.supervisor.started,
            turned: self.supervisor.turned,
            config: self.config.clone(),
            reload_error: self.reload_error.clone(),
            skipped_slots: self.sources.stats().iter().map(|stats| stats.skipped).sum(),
            guard: self.guard.snapshot(now),
        }
    }

    fn stop(&mut self, now: Moment, by: Caller) -> Vec<Effect> {
        let steps = self.guard.has_steps_to_run();
        self.ending = match self.ending {
            Ending::No => Ending::AfterSteps,
            Ending::AfterSteps | Ending::AfterAttempt => Ending::AfterAttempt,
        };
        if steps && self.ending == Ending::AfterSteps {
            tracing::warn!("told to stop; ending when the steps under way are done");
        }
        self.supervisor.say(NotifyState::Stopping);
        self.guard.stop(now, by)
    }

    /// All or nothing: a bad file never replaces a good one.
    fn reload(&mut self, now: Moment, by: Caller) -> Vec<Effect> {
        match load::load(&self.config) {
            Ok(loaded) => {
                warn_of(&loaded.lints);
                let plan = Arc::new(loaded.plan);
                self.sources.replace(&plan.targets, &names(&plan));
                self.shell.channels.replace(&plan.channels);
                self.shell.executor.keep_secret(plan.secrets.clone());
                self.reload_error = None;
                self.guard.reload(now, plan, by)
            }
            Err(error) => {
                // How many errors there are, and the first in a line, with its file and line.
                let (count, first) = if let LoadError::Wrong(wrong) = &error {
                    let first = wrong.first_error().unwrap_or_default();
                    (wrong.count(DiagnosticLevel::Error), first)
                } else {
                    (1, chain(&error))
                };
                // The source lines stay out of the log: one may hold a secret.
                tracing::error!(
                    errors = count,
                    "the new configuration is refused, the old one stays: {first}; \
                     `rollguard check {}` shows where",
                    self.config.display()
                );
                self.reload_error = Some(first.clone());
                self.guard.reload_refused(now, by, count, first)
            }
        }
    }

    async fn end(self) {
        self.supervisor.say(NotifyState::Stopping);
        let end = self.clock.now().after(LAST_NOTICES);
        let Shell { notifier, along, channels, .. } = self.shell;
        let finish = async { tokio::join!(notifier.finish(), along.finish(), channels.finish()) };
        if self.clock.before(end, finish).await.is_none() {
            tracing::warn!("ending although people are still being told");
        }
    }

    /// After every turn: those who wait are told, and so is the service manager.
    fn turned(&mut self) {
        self.answer_waiting();
        self.supervisor.turned(self.clock.moment());
        let id = self.guard.deployment_id().map(ToString::to_string).unwrap_or_default();
        let (state, stage) = (self.guard.state(), self.guard.stage_mark());
        let seen = (id, state, stage);
        if self.seen.as_ref() != Some(&seen) {
            self.supervisor.status(format!("{state} {}", seen.0));
            self.seen = Some(seen);
            self.changes.send_modify(|count| *count += 1);
        }
    }
}

fn warn_of(lints: &Diagnostics) {
    for lint in lints.iter() {
        tracing::warn!("{}", lint.message);
    }
}
