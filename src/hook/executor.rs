//! The one performer of orders. It turns an order into an outcome and keeps the markers of
//! attempts. It must never decide whether something is done, how often, or what comes next.
//!
//! How long an order took is measured here and not by the core's clock: it is told to people and
//! nothing is judged by it.

#![expect(
    clippy::disallowed_methods,
    reason = "tells people how long an order took; removes markers; waits for a step that says so"
)]

mod http;
mod probe;
mod unix;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use self::probe::Probe;
use super::exec::{self, Program};
use super::inspect;
use super::marker;
use super::output::hide_secrets;
use super::unit;
use crate::engine::durable::drills::is_drill;
use crate::engine::effect::{Order, Outcome};
use crate::journal::steps_dir;
use crate::model::entry::{Attempt, StepResult};
use crate::model::name::DeploymentId;
use crate::model::secrecy::RegisteredSecret;
use crate::model::step::{Action, Via};
use crate::net::client::Client;
use crate::net::redact::Secrets;

/// How long reading secrets may take, once an attempt is over. Files on a disk take none.
const SECRETS_WAIT: Duration = Duration::from_secs(2);
/// What is kept of an output where it is not known what in it is secret.
const NOT_KEPT: &str = "[not kept: the secrets that it must not show could not be read in time]";

/// Performs orders for one state directory.
#[derive(Debug)]
pub struct Executor {
    steps: PathBuf,
    rollguard: PathBuf,
    client: Client,
    /// The secrets that the configuration names.
    kept: Mutex<Arc<[RegisteredSecret]>>,
    /// The orders that are being performed, once for each.
    busy: Mutex<Vec<Performed>>,
}

/// An order that is being performed.
#[derive(Clone, Debug)]
struct Performed {
    deployment: DeploymentId,
    attempt: Attempt,
    /// Told when it is called off.
    off: Arc<Notify>,
}

impl Executor {
    /// An executor that keeps its markers below `state` and starts programs through the binary
    /// `rollguard`, an absolute path. `/proc/self/exe` names the running one, even after it was
    /// replaced on the disk.
    pub fn new(state: &Path, rollguard: PathBuf) -> Self {
        let steps = steps_dir(state);
        let (client, kept) = (Client::default(), Mutex::new(Vec::new().into()));
        Self { steps, rollguard, client, kept, busy: Mutex::default() }
    }

    /// From now on these are kept out of what attempts print. Call it with each configuration.
    pub fn keep_secret(&self, kept: Vec<RegisteredSecret>) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept.into();
    }

    /// Reads what must not be shown, aside, as that may block.
    fn secrets(&self) -> JoinHandle<Secrets> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        spawn_blocking(move || Secrets::known(&kept))
    }

    /// The result and the output without secrets. They are read before an attempt and after it, as
    /// it may replace them; a hook does not wait for them to begin.
    async fn hide(
        &self,
        before: JoinHandle<Secrets>,
        (result, output): (StepResult, String),
    ) -> (StepResult, String) {
        if output.is_empty() && matches!(result, StepResult::Done) {
            return (result, output);
        }
        let after = self.secrets();
        let both = async { Some(before.await.ok()?.and(after.await.ok()?)) };
        let Ok(Some(secrets)) = timeout(SECRETS_WAIT, both).await else {
            return (result, NOT_KEPT.to_owned());
        };
        let hide = |why: String| secrets.hide(&why);
        let result = match result {
            StepResult::Failed(why) => StepResult::Failed(hide(why)),
            StepResult::Final(why) => StepResult::Final(hide(why)),
            StepResult::PutOff { why, after_ms } => StepResult::PutOff { why: hide(why), after_ms },
            other @ (StepResult::Done
            | StepResult::TimedOut
            | StepResult::NotStarted
            | StepResult::CalledOff
            | StepResult::Unknown) => other,
        };
        (result, hide_secrets(&secrets, &output))
    }

    /// Performs an order.
    ///
    /// An attempt that was started before, by whomever, is not started again: that is `Unknown`,
    /// or `NotStarted` where its program provably never ran. Either way its number is used up, and
    /// another attempt needs another.
    pub async fn perform(&self, order: &Order) -> Outcome {
        let off = Arc::new(Notify::new());
        let work = async {
            tokio::select! {
                done = self.act(order, &off) => {
                    done.unwrap_or_else(|why| (StepResult::Failed(why), String::new()))
                }
                // A program does not end because nobody waits for it any more, so it is ended by
                // whoever runs it.
                () = off.notified(), if !matches!(order.action, Action::Run { .. }) => {
                    (StepResult::CalledOff, String::new())
                }
            }
        };
        self.outcome(&order.deployment, &order.attempt, off.clone(), work).await
    }

    /// Ends an attempt that nobody needs any more. Where it is being performed here its own outcome
    /// says what became of it; of one that a dead guard may have left this is the outcome.
    pub async fn stop(&self, deployment: &DeploymentId, attempt: &Attempt) -> Option<Outcome> {
        let is_it = |busy: &&Performed| busy.deployment == *deployment && busy.attempt == *attempt;
        let off = self.busy().iter().find(is_it).map(|busy| busy.off.clone());
        if let Some(off) = off {
            // Kept for whoever waits for it a moment later.
            off.notify_one();
            return None;
        }
        Some(self.inspect(deployment, attempt, Duration::ZERO).await)
    }

    /// An error says why nothing was started.
    async fn act(&self, order: &Order, off: &Notify) -> Result<(StepResult, String), String> {
        let (timeout, rerun) = (order.timeout, order.rerun);
        Ok(match &order.action {
            Action::Probe { url, headers, status, json, within } => {
                let json = json.as_ref().map(|(pointer, json)| (pointer.as_str(), json.value()));
                let (status, within) = (*status, *within);
                let probe = Probe { url, headers, status, json, within, timeout };
                probe::ask(&self.client, &probe).await?
            }
            Action::Tcp { address, within } => probe::connect(address, *within, timeout).await,
            Action::Sleep(pause) => {
                sleep(timeout.min(*pause)).await;
                let is_done = timeout >= *pause;
                (if is_done { StepResult::Done } else { StepResult::TimedOut }, String::new())
            }
            Action::Run { argv, grace, ok_exit, via } => {
                let marker = &self.marker(order)?;
                let (rollguard, grace) = (&self.rollguard, *grace);
                let program = Program { rollguard, marker, order, argv, grace, ok_exit, off };
                match via {
                    Via::Child => exec::run(program).await,
                    Via::SystemdRun => unit::run(program).await,
                }
            }
            Action::Http(call) => {
                http::send(&self.client, &self.marker(order)?, call, rerun, timeout).await?
            }
            Action::Unix(call) => unix::send(&self.marker(order)?, call, rerun, timeout).await,
        })
    }

    /// Where the marker of something that changes the world is to be.
    fn marker(&self, order: &Order) -> Result<PathBuf, String> {
        marker::prepare(&self.steps, &order.deployment).map_err(|error| {
            format!("could not start: create `{}`: {error}", self.steps.display())
        })?;
        Ok(marker::path(&self.steps, &order.deployment, &order.attempt))
    }

    /// Finds out what became of an attempt that an earlier guard may have started, and makes sure
    /// that it can never start any more. Where it still runs, it may do so for `timeout`.
    ///
    /// The result is `NotStarted` or `Unknown`, or, for a program in a unit of its own, what became
    /// of it. Either way the attempt's number is used up.
    pub async fn inspect(
        &self,
        deployment: &DeploymentId,
        attempt: &Attempt,
        timeout: Duration,
    ) -> Outcome {
        self.find_out(deployment, attempt, timeout, inspect::GRACE).await
    }

    /// Ends an attempt whose [`perform`](Self::perform) was dropped in the middle, with `grace`
    /// between TERM and KILL, and makes sure that it can never start any more. A unit has its
    /// own grace.
    pub async fn call_off(&self, order: &Order, grace: Duration) -> Outcome {
        self.find_out(&order.deployment, &order.attempt, Duration::ZERO, grace).await
    }

    async fn find_out(
        &self,
        deployment: &DeploymentId,
        attempt: &Attempt,
        timeout: Duration,
        grace: Duration,
    ) -> Outcome {
        let work = async {
            if let Err(error) = marker::prepare(&self.steps, deployment) {
                return (StepResult::Unknown, format!("its marker is not readable: {error}"));
            }
            let marker = marker::path(&self.steps, deployment, attempt);
            match unit::Plan::read(&marker) {
                Ok(Some(plan)) => unit::inspect(&marker, &plan, timeout).await,
                Ok(None) => inspect::inspect(&marker, timeout, grace).await,
                Err(why) => (StepResult::Unknown, why),
            }
        };
        self.outcome(deployment, attempt, Arc::default(), work).await
    }

    /// The outcome that work for an attempt gives, without secrets. The attempt counts as being
    /// performed until then.
    async fn outcome(
        &self,
        deployment: &DeploymentId,
        attempt: &Attempt,
        off: Arc<Notify>,
        work: impl Future<Output = (StepResult, String)>,
    ) -> Outcome {
        let begun = Instant::now();
        let (deployment, attempt) = (deployment.clone(), attempt.clone());
        let performed = Performed { deployment: deployment.clone(), attempt: attempt.clone(), off };
        let _busy = Busy { executor: self, off: performed.off.clone() };
        self.busy().push(performed);
        let secrets = self.secrets();
        let (result, output) = self.hide(secrets, work.await).await;
        Outcome { deployment, attempt, result, output, took: begun.elapsed() }
    }

    /// Removes the markers of every deployment but this one, except where an order is being
    /// performed. Call it when a deployment begins: that keeps their number bounded.
    ///
    /// Every attempt of the others must have its outcome in the journal, and none may be ordered
    /// or inspected again; [`marker`] says why that is enough.
    ///
    /// # Errors
    /// The system said no; some markers may be left, which harms nothing but order.
    pub fn forget_all_but(&self, deployment: &DeploymentId) -> io::Result<()> {
        self.forget_where(|id| id != deployment)
    }

    /// Removes the markers of every drill but this one, as
    /// [`forget_all_but`](Self::forget_all_but) does of every deployment.
    ///
    /// # Errors
    /// As there.
    pub fn forget_drills_but(&self, drill: &DeploymentId) -> io::Result<()> {
        self.forget_where(|name| name != drill && is_drill(name))
    }

    /// Removes the markers of those whose id is such, except where an order is being performed.
    fn forget_where(&self, is_such: impl Fn(&DeploymentId) -> bool) -> io::Result<()> {
        let busy = self.busy();
        let listed = match fs::read_dir(&self.steps) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed?,
        };
        for entry in listed {
            let entry = entry?;
            let name = entry.file_name().to_str().map(DeploymentId::new);
            let Some(Ok(id)) = name else { continue };
            if is_such(&id) && !busy.iter().any(|busy| busy.deployment == id) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn busy(&self) -> MutexGuard<'_, Vec<Performed>> {
        // A list is whole whoever panicked.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An order is being performed.
struct Busy<'a> {
    executor: &'a Executor,
    /// Its own, by which it is told apart.
    off: Arc<Notify>,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut busy = self.executor.busy();
        busy.retain(|performed| !Arc::ptr_eq(&performed.off, &self.off));
    }
}
