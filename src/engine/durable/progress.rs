//! How far a hook has got, as the journal tells: the step at hand with its attempts, and for how
//! long the hook has been under way.

use std::time::Duration;

use crate::model::entry::{AttemptEvent, StepResult};
use crate::model::time::Timestamp;

/// How far the steps of a hook have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HookProgress {
    /// The step at hand, from 0; past the last one when all are done.
    pub(crate) step: u32,
    /// The number of its newest attempt; 0 before the first.
    pub(crate) number: u32,
    /// How many of its attempts failed.
    pub(crate) failed: u32,
    /// How many of its attempts nobody knows the outcome of.
    pub(crate) unknown: u32,
    /// The newest attempt has no outcome yet.
    pub(crate) open: bool,
    /// What became of the newest attempt that has an outcome.
    pub(crate) last: Option<StepResult>,
    /// For how long the hook has been under way.
    time: TimeSpent,
}

/// For how long a hook has been under way, by the times on record. The wall clock may be set back
/// meanwhile: that takes nothing away from what was spent before, and what is recorded after it
/// counts again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TimeSpent {
    spent: Duration,
    /// The time of the newest record; `None` before the hook's run began.
    newest: Option<Timestamp>,
    /// What was spent when the newest attempt began.
    at_attempt: Duration,
}

impl HookProgress {
    /// A hook whose run begins.
    pub(crate) fn begun(at: Timestamp) -> Self {
        Self { time: TimeSpent { newest: Some(at), ..TimeSpent::default() }, ..Self::default() }
    }

    /// The same hook, tried again from the step that failed on.
    pub(crate) fn again(&self, at: Timestamp) -> Self {
        Self { step: self.step, number: self.number, ..Self::begun(at) }
    }

    /// Takes in that something was recorded while the hook was being run.
    pub(crate) fn pass(&mut self, at: Timestamp) {
        let time = &mut self.time;
        time.spent += time.newest.map(|newest| at.since(newest)).unwrap_or_default();
        time.newest = Some(at);
    }

    /// Takes in that an attempt of the hook starts, or what became of it.
    pub(crate) fn apply(&mut self, event: &AttemptEvent) {
        match event {
            AttemptEvent::Intent { attempt, .. } => self.start(attempt.number),
            AttemptEvent::Outcome { result, took_ms, .. } => self.settle(result, *took_ms),
        }
    }

    const fn start(&mut self, number: u32) {
        (self.number, self.open) = (number, true);
        self.time.at_attempt = self.time.spent;
    }

    /// Takes in what became of the attempt at hand.
    pub(crate) fn settle(&mut self, result: &StepResult, took_ms: u64) {
        let took = Duration::from_millis(took_ms);
        self.time.spent = self.time.spent.max(self.time.at_attempt.saturating_add(took));
        self.open = false;
        self.last = Some(result.clone());
        match result {
            StepResult::Done => {
                let (step, time) = (self.step + 1, self.time.clone());
                *self = Self { step, time, ..Self::default() };
            }
            StepResult::Failed(_)
            | StepResult::Final(_)
            | StepResult::PutOff { .. }
            | StepResult::TimedOut => self.failed += 1,
            StepResult::Unknown => self.unknown += 1,
            StepResult::NotStarted | StepResult::CalledOff => {}
        }
    }

    /// For how long the hook has been under way.
    pub(crate) fn spent(&self, now: Timestamp) -> Duration {
        let since = self.time.newest.map(|newest| now.since(newest)).unwrap_or_default();
        self.time.spent.saturating_add(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_takes_nothing_away_from_the_time_spent() {
        let at = |second: i64| Timestamp::from_millis(second * 1000);
        let mut progress = HookProgress::begun(at(5000));
        progress.start(1);
        progress.pass(at(5004));
        // The clock is set back by an hour while an attempt runs that took 10 s.
        progress.pass(at(1410));
        progress.settle(&StepResult::TimedOut, 10_000);
        assert_eq!(progress.spent(at(1412)), Duration::from_secs(12));
        progress.pass(at(1413));
        assert_eq!(progress.spent(at(1400)), Duration::from_secs(13));
    }
}
