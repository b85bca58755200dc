//! Tells people, beside the critical path: a bounded queue and one worker. It must never delay or
//! fail a rollback, so putting something into the queue never waits.

#![expect(
    clippy::disallowed_methods,
    reason = "the owner of the pauses between attempts to tell people"
)]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::engine::effect::{Notice, NoticeStep};
use crate::engine::run::procedure::pause;
use crate::hook::Executor;
use crate::model::entry::StepResult;
use crate::model::hook::MAX_RETRY_AFTER;
use crate::model::name::{DeploymentId, HookName};

/// How many notices may wait. A rollback makes a handful; when 64 wait, whoever is to be told has
/// been out of reach for that many, and one more would not reach them either.
pub const MAX_WAITING: usize = 64;

/// Why a notice will not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// [`MAX_WAITING`] notices wait already.
    #[error("queue hook `{0}`: {MAX_WAITING} notices are waiting already")]
    Full(HookName),
    /// The worker is gone.
    #[error("queue hook `{0}`: notices are not sent any more")]
    Closed(HookName),
}

/// What became of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The hook that told people.
    pub hook: HookName,
    /// The deployment that it was about.
    pub deployment: DeploymentId,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

/// The queue.
#[derive(Debug)]
pub struct Notifier {
    queue: mpsc::Sender<Notice>,
    worker: JoinHandle<()>,
}

impl Notifier {
    /// Starts the worker, which sends what became of each notice to `told`. It waits where that is
    /// full, and goes on where nobody listens any more.
    pub fn start(executor: Arc<Executor>, told: mpsc::Sender<Told>) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Notice>(MAX_WAITING);
        let work = async move {
            while let Some(notice) = waiting.recv().await {
                let failure = perform_notice(&executor, &notice).await.err();
                let Notice { hook, deployment, .. } = notice;
                // Without a listener nothing is recorded, but people are still told.
                let _ = told.send(Told { hook, deployment, failure }).await;
            }
        };
        Self { queue, worker: tokio::spawn(work) }
    }

    /// Queues a notice.
    ///
    /// # Errors
    /// The queue is full: the notice is dropped, those before it stay.
    pub fn push(&self, notice: Notice) -> Result<(), NotifyError> {
        self.queue.try_send(notice).map_err(|error| match error {
            TrySendError::Full(notice) => NotifyError::Full(notice.hook),
            TrySendError::Closed(notice) => NotifyError::Closed(notice.hook),
        })
    }

    /// Waits until everything in the queue is done. Dropping the notifier instead lets the worker
    /// go on for as long as the runtime lives.
    pub async fn finish(self) {
        drop(self.queue);
        // It fails only if the worker panicked or the runtime shuts down: nothing to wait for.
        let _ = self.worker.await;
    }
}

/// Performs a notice: its steps in order, each until it is done or its attempts are used up.
///
/// Unlike a step of a rollback, a step whose outcome is unknown is tried again: being told twice
/// is better than not being told.
///
/// # Errors
/// Which step failed at last, and how.
pub async fn perform_notice(executor: &Executor, notice: &Notice) -> Result<(), String> {
    let end = notice.timeout.map(|timeout| Instant::now() + timeout);
    for step in &notice.steps {
        let failed = |why| format!("step {}: {why}", step.order.attempt.step + 1);
        perform_step(executor, step, end).await.map_err(failed)?;
    }
    Ok(())
}

/// Nothing begins after `end`, and what runs then is ended.
async fn perform_step(
    executor: &Executor,
    step: &NoticeStep,
    end: Option<Instant>,
) -> Result<(), StepResult> {
    let mut order = step.order.clone();
    let key = order.attempt.key(&order.deployment);
    let mut failed = 0;
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(StepResult::TimedOut);
        }
        order.timeout = step.order.timeout.min(left.unwrap_or(Duration::MAX));
        let failure = executor.perform(&order).await.result;
        failed += 1;
        let asked = match &failure {
            StepResult::Done => return Ok(()),
            StepResult::Final(_) => return Err(failure),
            StepResult::PutOff { after_ms, .. } => Duration::from_millis(*after_ms),
            StepResult::Failed(_)
            | StepResult::TimedOut
            | StepResult::NotStarted
            | StepResult::CalledOff
            | StepResult::Unknown => Duration::ZERO,
        };
        let pause = pause(step.backoff, failed, &key, order.attempt.number);
        let pause = pause.max(asked.min(MAX_RETRY_AFTER));
        let is_over = end.is_some_and(|end| Instant::now() + pause >= end);
        if failed >= step.attempts || is_over {
            return Err(failure);
        }
        sleep(pause).await;
        order.attempt.number += 1;
    }
}
