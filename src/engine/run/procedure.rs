//! What a rollback does next, from what is on record. A pure function: a restarted guard asks the
//! same question of the same record and goes on where it was.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::entry::{Attempt, StepResult};
use crate::model::hook::{Hook, MAX_BACKOFF, MAX_RETRY_AFTER, Step};
use crate::model::name::DeploymentId;
use crate::model::time::format_duration;

use crate::engine::durable::progress::HookProgress;
use crate::engine::effect::Rerun;

/// How often a step whose outcome is unknown is run again, where it says that it may be. A guard
/// that dies that often in the middle of one step is itself the problem, and a person is needed.
const MAX_UNKNOWN: u32 = 3;

/// How far pauses are spread to either side, in thousandths: enough to keep guards apart, too
/// little to surprise anybody.
const SPREAD: u32 = 200;

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

/// What is at hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) hook: &'a Hook,
    pub(crate) progress: &'a HookProgress,
    /// The deployment's id, from which pauses are spread.
    pub(crate) deployment: &'a DeploymentId,
    /// How much is left of the time that the whole hook may take; `None`: no end of it.
    pub(crate) left: Option<Duration>,
}

/// What comes next. `Await` is for a live guard; after a restart an open attempt must be
/// inspected.
pub(crate) fn next(at: At<'_>) -> Next {
    let progress = at.progress;
    let Some(step) = at.step() else { return Next::Verify };
    if progress.open {
        return Next::Await;
    }
    match &progress.last {
        None | Some(StepResult::NotStarted | StepResult::Done) => at.start(Duration::ZERO),
        Some(StepResult::Failed(_) | StepResult::TimedOut) => at.again(step, Duration::ZERO),
        Some(StepResult::PutOff { after_ms, .. }) => {
            let asked = Duration::from_millis(*after_ms).min(MAX_RETRY_AFTER);
            at.again(step, asked)
        }
        Some(StepResult::Final(_) | StepResult::CalledOff) => Next::GiveUp(at.failure()),
        // Doing it twice changes nothing.
        Some(StepResult::Unknown) if step.action.is_harmless() => at.start(Duration::ZERO),
        Some(StepResult::Unknown) if step.idempotent => Next::LookForCure(Rerun::Safe),
        Some(StepResult::Unknown) => Next::LookForCure(Rerun::Never),
    }
}

/// What comes next after a step of unknown outcome, once it is certain that the cure is not there.
pub(crate) fn next_without_cure(at: At<'_>) -> Next {
    let progress = at.progress;
    let place = progress.step + 1;
    match at.step() {
        Some(step) if step.idempotent && progress.unknown <= MAX_UNKNOWN => {
            at.start(Duration::ZERO)
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

/// What comes next once a pause is over.
pub(crate) fn next_after_pause(at: At<'_>) -> Next {
    at.start(Duration::ZERO)
}

impl<'a> At<'a> {
    fn step(&self) -> Option<&'a Step> {
        usize::try_from(self.progress.step).ok().and_then(|step| self.hook.steps.get(step))
    }

    /// Another attempt after a failed one, unless there were enough.
    fn again(&self, step: &Step, asked: Duration) -> Next {
        let progress = self.progress;
        if progress.failed >= step.attempts {
            return Next::GiveUp(self.failure());
        }
        let (hook, step_ix, number) = (self.hook.name.clone(), progress.step, progress.number);
        let key = Attempt::of(hook, step_ix, number).key(self.deployment);
        self.start(pause(step.backoff, progress.failed, &key, number).max(asked))
    }

    /// Another attempt, unless the hook's time is over by then.
    fn start(&self, pause: Duration) -> Next {
        let over = self.left.is_some_and(|left| pause >= left);
        match self.hook.timeout {
            Some(timeout) if over => Next::GiveUp(format!(
                "{}, and the hook's time limit of {} leaves no time for another attempt",
                self.failure(),
                format_duration(timeout)
            )),
            Some(_) | None => Next::Start { number: self.progress.number + 1, pause },
        }
    }

    fn failure(&self) -> String {
        let place = self.progress.step + 1;
        match &self.progress.last {
            Some(result) => format!("step {place} {result}"),
            None => format!("step {place} was not started"),
        }
    }
}

/// The pause before the next attempt: it doubles with every failure, up to [`MAX_BACKOFF`], and is
/// then spread by up to a fifth to either side, so that guards which failed together do not come
/// back together. The spread follows from the step's key and the attempt's number: a pause is the
/// same whoever asks.
pub(crate) fn pause(backoff: Duration, failed: u32, key: &str, number: u32) -> Duration {
    let doublings = failed.saturating_sub(1).min(16);
    let pause = backoff.saturating_mul(1 << doublings).min(MAX_BACKOFF);
    let hash = Sha256::digest(format!("{key}/{number}"));
    let spread = u32::from(u16::from_be_bytes([hash[0], hash[1]])) % (2 * SPREAD + 1);
    pause * (1000 - SPREAD + spread) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hook::{Piece, Template};
    use crate::model::name::HookName;
    use crate::model::step::{Action, Via};

    fn hook(attempts: u32, idempotent: bool) -> Hook {
        let argv = vec![Template(vec![Piece::Text("true".into())])];
        let (grace, ok_exit, via) = (Duration::from_secs(5), vec![0], Via::Child);
        let step = Step {
            action: Action::Run { argv, grace, ok_exit, via },
            timeout: Duration::from_secs(60),
            attempts,
            backoff: Duration::from_secs(1),
            idempotent,
        };
        let name = HookName::new("rollback").unwrap();
        Hook { name, steps: vec![step], timeout: None, cure: None, on_failure: None }
    }

    fn after(failed: u32, unknown: u32, last: StepResult) -> HookProgress {
        let number = failed + unknown;
        let mut progress = HookProgress::default();
        (progress.number, progress.failed, progress.unknown) = (number, failed, unknown);
        progress.last = Some(last);
        progress
    }

    fn decide(choose: fn(At<'_>) -> Next, hook: &Hook, progress: &HookProgress) -> Next {
        within(choose, hook, progress, None)
    }

    fn within(
        choose: fn(At<'_>) -> Next,
        hook: &Hook,
        progress: &HookProgress,
        left: Option<Duration>,
    ) -> Next {
        let deployment = &DeploymentId::new("v2").unwrap();
        choose(At { hook, progress, deployment, left })
    }

    #[test]
    fn a_failed_step_is_tried_again_after_a_growing_pause_and_then_given_up() {
        let failed = |n| decide(next, &hook(3, false), &after(n, 0, StepResult::TimedOut));
        let near = |next: Next, number: u32, seconds: f64| {
            let Next::Start { number: at, pause } = next else { panic!("{next:?}") };
            let share = pause.as_secs_f64() / seconds;
            assert!(at == number && (0.8..=1.2).contains(&share), "{at} after {pause:?}");
        };
        let first = Next::Start { number: 1, pause: Duration::ZERO };
        assert_eq!(decide(next, &hook(3, false), &HookProgress::default()), first);
        near(failed(1), 2, 1.0);
        near(failed(2), 3, 2.0);
        assert_eq!(failed(3), Next::GiveUp("step 1 timed out".into()));
    }

    #[test]
    fn pauses_are_spread_by_a_fifth_and_are_the_same_whoever_asks() {
        let second = Duration::from_secs(1);
        let of = |key: &str, number| pause(second, 1, key, number).as_millis();
        let pauses: std::collections::BTreeSet<_> =
            (0..200).map(|n| of(&format!("v{n}/rollback/0"), 1)).collect();
        assert!(pauses.len() > 100, "{pauses:?}");
        assert!(pauses.first() >= Some(&800) && pauses.last() <= Some(&1200), "{pauses:?}");
        assert!(*pauses.first().unwrap() < 850 && *pauses.last().unwrap() > 1150, "{pauses:?}");
        assert_ne!(of("v1/rollback/0", 1), of("v1/rollback/0", 2));
        // Not of this build or machine: a golden value.
        assert_eq!(of("v2/rollback/0", 1), 1181);
        assert!(pause(Duration::from_secs(3600), 9, "k", 1) <= MAX_BACKOFF * 6 / 5);
    }

    #[test]
    fn what_cannot_succeed_is_not_tried_again() {
        let last = StepResult::Final("status 404".into());
        let given_up = Next::GiveUp("step 1 failed: status 404".into());
        assert_eq!(decide(next, &hook(5, true), &after(1, 0, last)), given_up);
    }

    #[test]
    fn a_server_that_asks_for_a_pause_gets_it_within_bounds() {
        let put_off = |after_ms| {
            let last = StepResult::PutOff { why: "status 503".into(), after_ms };
            decide(next, &hook(3, false), &after(1, 0, last))
        };
        let start = |pause| Next::Start { number: 2, pause };
        assert_eq!(put_off(7_000), start(Duration::from_secs(7)));
        assert_eq!(put_off(u64::MAX), start(MAX_RETRY_AFTER));
        let last = StepResult::PutOff { why: "status 503".into(), after_ms: 1 };
        let given_up = Next::GiveUp("step 1 failed: status 503".into());
        assert_eq!(decide(next, &hook(1, false), &after(1, 0, last)), given_up);
    }

    #[test]
    fn nothing_starts_once_the_time_of_the_whole_hook_is_over() {
        let mut hook = hook(3, false);
        hook.timeout = Some(Duration::from_secs(300));
        let left = |millis| Some(Duration::from_millis(millis));
        let failed = after(1, 0, StepResult::TimedOut);
        assert!(matches!(within(next, &hook, &failed, left(5000)), Next::Start { .. }));
        let over = "step 1 timed out, and the hook's time limit of 5m leaves no time for another \
                    attempt";
        assert_eq!(within(next, &hook, &failed, left(500)), Next::GiveUp(over.into()));
        let gone = within(next_after_pause, &hook, &failed, left(0));
        assert_eq!(gone, Next::GiveUp(over.into()));
        let unknown = after(0, 1, StepResult::Unknown);
        hook.steps[0].idempotent = true;
        assert!(matches!(within(next_without_cure, &hook, &unknown, left(0)), Next::GiveUp(_)));
        let mut done = HookProgress::default();
        done.settle(&StepResult::Done, 0);
        assert_eq!(within(next, &hook, &done, left(0)), Next::Verify);
    }

    #[test]
    fn an_interrupted_step_is_looked_at_before_anything_else() {
        let unknown = after(0, 1, StepResult::Unknown);
        let look = |idempotent| decide(next, &hook(3, idempotent), &unknown);
        assert_eq!(look(true), Next::LookForCure(Rerun::Safe));
        assert_eq!(look(false), Next::LookForCure(Rerun::Never));
        let blind = |attempts, idempotent, progress| {
            decide(next_without_cure, &hook(attempts, idempotent), progress)
        };
        let again = Next::Start { number: 2, pause: Duration::ZERO };
        assert_eq!(blind(1, true, &unknown), again);
        assert!(matches!(blind(3, false, &unknown), Next::GiveUp(_)));
        let often = after(0, 4, StepResult::Unknown);
        assert!(matches!(blind(3, true, &often), Next::GiveUp(_)));
    }

    #[test]
    fn an_interrupted_step_that_changes_nothing_is_done_again_at_once() {
        let mut hook = hook(1, false);
        hook.steps[0].action = Action::Sleep(Duration::from_secs(5));
        let again = Next::Start { number: 2, pause: Duration::ZERO };
        assert_eq!(decide(next, &hook, &after(0, 1, StepResult::Unknown)), again);
    }

    #[test]
    fn a_step_that_certainly_never_started_is_started() {
        let start = Next::Start { number: 1, pause: Duration::ZERO };
        let never = after(0, 0, StepResult::NotStarted);
        assert_eq!(decide(next, &hook(1, false), &never), start);
    }

    #[test]
    fn when_every_step_is_done_the_cure_is_looked_for() {
        let mut done = HookProgress::default();
        done.settle(&StepResult::Done, 0);
        assert_eq!(decide(next, &hook(1, false), &done), Next::Verify);
    }
}
