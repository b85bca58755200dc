//! What a guard may never do with stages: pass one on what was not seen, run two hooks that shift
//! traffic at once, or run one along twice.

use std::time::Duration;

use rollguard::engine::effect::{Notice, Order};
use rollguard::model::deployment::Milestone;
use rollguard::model::entry::{
    Attempt, AttemptEvent, Entry, Event, NoticeEvent, StageEvent, StepResult,
};
use rollguard::model::plan::Plan;
use rollguard::model::time::{Instant, Moment};

use super::check::{STALE, Seen};

/// The limit of every stage of the plans.
const LIMIT: f64 = 1.0;

/// A deployment's stages.
#[derive(Default)]
pub(crate) struct Stages {
    attempts: Vec<(Attempt, Option<StepResult>)>,
    along: Vec<Milestone>,
    staged: usize,
}

impl Stages {
    /// Whether no attempt to enter a stage may still be under way.
    pub(crate) fn are_settled(&self) -> bool {
        self.attempts.iter().all(|(_, outcome)| outcome.is_some())
    }

    pub(crate) fn takes(&mut self, event: &Event) {
        if let Event::Stage(StageEvent::Staged { .. }) = event {
            self.staged += 1;
        }
        if let Event::Attempt(AttemptEvent::Intent { attempt, .. }) = event
            && attempt.entering.is_some()
        {
            self.intends(attempt);
        }
        if let Event::Attempt(AttemptEvent::Outcome { attempt, result, .. }) = event
            && attempt.entering.is_some()
        {
            let known = self.attempts.iter_mut().find(|(known, _)| known == attempt);
            let (_, outcome) = known.expect("an outcome of nothing");
            assert!(outcome.is_none(), "{attempt:?} has two outcomes");
            *outcome = Some(result.clone());
        }
        if let Event::Notice(NoticeEvent::HookBegun { on, .. }) = event {
            self.along.push(*on);
            let times = self.along.iter().filter(|known| *known == on).count();
            let most = if *on == Milestone::Stage { self.staged } else { 1 };
            assert!(times <= most, "{on} for the {times}th time");
        }
    }

    fn intends(&mut self, attempt: &Attempt) {
        let new = self.attempts.iter().all(|(known, _)| known != attempt);
        assert!(new, "{attempt:?} is intended twice");
        let same =
            |known: &Attempt| (&known.entering, known.step) == (&attempt.entering, attempt.step);
        let done = Some(StepResult::Done);
        let again = self.attempts.iter().any(|(known, of)| same(known) && *of == done);
        assert!(!again, "{attempt:?} is done already");
        self.attempts.push((attempt.clone(), None));
    }
}

/// A stage passes on samples only, each of them clean, that add up to its time.
pub(crate) fn passes(now: Moment, entered: Option<Instant>, seen: &[Seen], hold: Duration) {
    let newest = seen.iter().map(|seen| seen.at).max().expect("passed without a sample");
    assert!(now.at.since(newest) <= STALE, "passed while nothing is seen");
    let entered = entered.unwrap_or_default();
    // What tells nothing for certain speaks neither for nor against it.
    let clean = |seen: &&Seen| seen.at >= entered && (!seen.certain || seen.latency < LIMIT);
    let clean: Vec<_> = seen.iter().rev().take_while(clean).collect();
    let gaps = clean.windows(2).map(|pair| pair[0].at.since(pair[1].at));
    let held: Duration = gaps.filter(|gap| *gap <= STALE).sum();
    assert!(held >= hold, "passed on {held:?} of {hold:?}");
}

/// An attempt to enter a stage starts.
pub(crate) fn enters(order: &Order, durable: &[Entry], plan: &Plan) {
    let attempt = &order.attempt;
    let intended = durable.last().is_some_and(|entry| {
        matches!(&entry.event, Event::Attempt(AttemptEvent::Intent { attempt: of, .. })
            if of == attempt)
    });
    assert!(intended, "{attempt:?} runs without an intent on record");
    let hook = plan.hooks.iter().find(|known| known.name == attempt.hook);
    assert!(hook.is_none_or(|hook| hook.name.as_str() == "shift"), "{attempt:?}");
}

/// A hook goes along once that is on record.
pub(crate) fn goes_along(notice: &Notice, durable: &[Entry]) {
    let on_record = durable.last().is_some_and(|entry| {
        matches!(&entry.event, Event::Notice(NoticeEvent::HookBegun { hook, .. })
            if *hook == notice.hook)
    });
    assert!(on_record, "{} goes along and that is not on record", notice.hook);
}
