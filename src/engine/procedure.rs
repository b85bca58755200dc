//! What a rollback does next, from what is on record. A pure function: a restarted guard asks the
//! same question of the same record and goes on where it was.

use std::time::Duration;

use crate::model::entry::StepResult;
use crate::model::hook::{Action, Hook, MAX_BACKOFF, Step};

use super::cure::Rerun;
use super::ledger::Progress;

/// How often a step whose outcome is unknown is run again, where it says that it may be. A guard
/// that dies that often in the middle of one step is itself the problem, and a person is needed.
const MAX_UNKNOWN: u32 = 3;

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// The attempt at hand has no outcome yet.
    Await,
    /// Start an attempt with this number after a pause.
    Start { number: u32, pause: Duration },
    /// Nobody knows what became of the step: see whether the cure is there before anything else.
    LookForCure(Rerun),
    /// Every step is done: see whether it helped.
    Verify,
    /// The rollback cannot be completed.
    GiveUp(String),
}

/// What comes next. `Await` is for a live guard; after a restart an open attempt must be
/// inspected.
pub(crate) fn next(hook: &Hook, progress: &Progress) -> Next {
    let Some(step) = usize::try_from(progress.step).ok().and_then(|step| hook.steps.get(step))
    else {
        return Next::Verify;
    };
    if progress.open {
        return Next::Await;
    }
    let start = |pause| Next::Start { number: progress.number + 1, pause };
    match &progress.last {
        None | Some(StepResult::NotStarted | StepResult::Done) => start(Duration::ZERO),
        Some(result @ (StepResult::Failed(_) | StepResult::TimedOut)) => {
            if progress.failed < step.attempts {
                start(backoff(step, progress.failed))
            } else {
                Next::GiveUp(format!("step {} {result}", progress.step + 1))
            }
        }
        // Asking twice changes nothing.
        Some(StepResult::Unknown) => match step.action {
            Action::Probe { .. } => start(Duration::ZERO),
            Action::Run { .. } if step.idempotent => Next::LookForCure(Rerun::Safe),
            Action::Run { .. } => Next::LookForCure(Rerun::Never),
        },
    }
}

/// What comes next after a step of unknown outcome, once it is certain that the cure is not there.
pub(crate) fn next_without_cure(hook: &Hook, progress: &Progress) -> Next {
    let step = usize::try_from(progress.step).ok().and_then(|step| hook.steps.get(step));
    let place = progress.step + 1;
    match step {
        Some(step) if step.idempotent && progress.unknown <= MAX_UNKNOWN => {
            Next::Start { number: progress.number + 1, pause: Duration::ZERO }
        }
        Some(step) if step.idempotent => {
            Next::GiveUp(format!("step {place} was interrupted {} times", progress.unknown))
        }
        Some(_) | None => Next::GiveUp(format!(
            "step {place} was interrupted, nobody knows whether it took effect, \
             the cure was not seen and the step is not `idempotent`"
        )),
    }
}

/// The pause before the next attempt: doubles with every failure.
fn backoff(step: &Step, failed: u32) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    step.backoff.saturating_mul(1 << doublings).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hook::{Piece, Template};
    use crate::model::name::HookName;

    fn hook(attempts: u32, idempotent: bool) -> Hook {
        let argv = vec![Template(vec![Piece::Text("true".into())])];
        let step = Step {
            action: Action::Run { argv, grace: Duration::from_secs(5) },
            timeout: Duration::from_secs(60),
            attempts,
            backoff: Duration::from_secs(1),
            idempotent,
        };
        let name = HookName::new("rollback").unwrap();
        Hook { name, steps: vec![step], cure: None, on_failure: None }
    }

    fn after(failed: u32, unknown: u32, last: StepResult) -> Progress {
        let number = failed + unknown;
        Progress { step: 0, number, failed, unknown, open: false, last: Some(last) }
    }

    #[test]
    fn a_failed_step_is_tried_again_after_a_growing_pause_and_then_given_up() {
        let failed = |n| next(&hook(3, false), &after(n, 0, StepResult::TimedOut));
        let start = |number, seconds| Next::Start { number, pause: Duration::from_secs(seconds) };
        assert_eq!(next(&hook(3, false), &Progress::default()), start(1, 0));
        assert_eq!(failed(1), start(2, 1));
        assert_eq!(failed(2), start(3, 2));
        assert_eq!(failed(3), Next::GiveUp("step 1 timed out".into()));
    }

    #[test]
    fn an_interrupted_step_is_looked_at_before_anything_else() {
        let unknown = after(0, 1, StepResult::Unknown);
        assert_eq!(next(&hook(3, true), &unknown), Next::LookForCure(Rerun::Safe));
        assert_eq!(next(&hook(3, false), &unknown), Next::LookForCure(Rerun::Never));
        let again = Next::Start { number: 2, pause: Duration::ZERO };
        assert_eq!(next_without_cure(&hook(1, true), &unknown), again);
        assert!(matches!(next_without_cure(&hook(3, false), &unknown), Next::GiveUp(_)));
        let often = after(0, 4, StepResult::Unknown);
        assert!(matches!(next_without_cure(&hook(3, true), &often), Next::GiveUp(_)));
    }

    #[test]
    fn a_step_that_certainly_never_started_is_started() {
        let start = Next::Start { number: 1, pause: Duration::ZERO };
        assert_eq!(next(&hook(1, false), &after(0, 0, StepResult::NotStarted)), start);
    }

    #[test]
    fn when_every_step_is_done_the_cure_is_looked_for() {
        let done = Progress { step: 1, ..Progress::default() };
        assert_eq!(next(&hook(1, false), &done), Next::Verify);
    }
}
