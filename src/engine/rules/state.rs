//! One rule's state: inactive, pending, firing.
//!
//! A rule's clock runs on observation only: it advances from one fresh verdict that the condition
//! holds to the next, never because time went by. So a rule cannot fire on less than its `for` of
//! observed time, whatever is delayed, lost or restarted.

use std::time::Duration;

use crate::model::entry::RuleStanding;
use crate::model::reading::Verdict;
use crate::model::rule::{OnNoData, Rule, Share};
use crate::model::time::Instant;

use super::share::{Observation, ObservedTime};

/// A rule without data returns to inactive after its `for`, but not before this: a target that
/// restarts must not wipe out what was seen of it.
const MIN_DARK: Duration = Duration::from_secs(60);

/// What a rule needs to be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FiringTerms {
    pub(crate) hold: Duration,
    pub(crate) share: Share,
    pub(crate) keep_firing_for: Duration,
    pub(crate) on_no_data: OnNoData,
}

impl From<&Rule> for FiringTerms {
    fn from(rule: &Rule) -> Self {
        let &Rule { hold, share, keep_firing_for, on_no_data, .. } = rule;
        Self { hold, share, keep_firing_for, on_no_data }
    }
}

impl FiringTerms {
    /// What must be observed to hold for a time without interruption.
    pub(crate) const fn held_for(hold: Duration) -> Self {
        let (keep_firing_for, on_no_data) = (Duration::ZERO, OnNoData::Hold);
        Self { hold, share: Share::ALL, keep_firing_for, on_no_data }
    }
}

/// A verdict and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// A scrape that the rule depends on was taken in.
    Fresh(Verdict),
    /// Nothing new was observed; only time passed, or something else was.
    Again(Verdict),
}

impl Judgement {
    /// The verdict.
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Self::Fresh(verdict) | Self::Again(verdict) => verdict,
        }
    }

    /// Whether the condition is observed to hold, and whether that is new; `None`: nothing is
    /// observed.
    const fn observed(self, on_no_data: OnNoData) -> Option<(Observation, bool)> {
        let fresh = matches!(self, Self::Fresh(_));
        Some(match (self.verdict(), on_no_data) {
            (Verdict::Holds, _) => (Observation::Held, fresh),
            (Verdict::Fails, _) => (Observation::NotHeld, fresh),
            // Here the absence itself is what is observed, so time passing is fresh evidence.
            (Verdict::NoData(_), OnNoData::Breach) => (Observation::Held, true),
            (Verdict::NoData(_), OnNoData::Clear) => (Observation::NotHeld, true),
            (Verdict::NoData(_), OnNoData::Hold) => return None,
        })
    }
}

/// A rule's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RuleState {
    /// The condition does not hold.
    #[default]
    Inactive,
    /// It holds, not yet for long enough.
    Pending(Pending),
    /// It held for long enough.
    Firing(Firing),
}

/// A condition that holds, not yet for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    /// The time of the sample that made it hold.
    pub(crate) since: Instant,
    /// For how long it was observed to hold.
    pub(crate) held: Duration,
    /// The last fresh verdict that it holds, unless there was no data since.
    last: Option<Instant>,
    /// Since when there has been no data.
    dark: Option<Instant>,
}

/// A condition that held for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Firing {
    /// The time of the sample that made it hold.
    pub(crate) since: Instant,
    /// For how long it was observed to hold until it fired.
    pub(crate) held: Duration,
    /// When it fired.
    pub(crate) fired: Instant,
    /// The last verdict that it holds.
    last: Instant,
    /// Since when there has been no data.
    dark: Option<Instant>,
}

impl RuleState {
    /// Takes a judgement at `at` into account.
    pub(crate) fn judge(&mut self, terms: &FiringTerms, at: Instant, judgement: Judgement) {
        match judgement.observed(terms.on_no_data) {
            Some((Observation::Held, fresh)) => self.holds(terms, at, fresh),
            Some((Observation::NotHeld, _)) => self.fails(terms, at),
            None => self.no_data(terms, at),
        }
    }

    fn holds(&mut self, terms: &FiringTerms, at: Instant, fresh: bool) {
        match self {
            Self::Inactive if terms.hold.is_zero() => {
                *self = Self::firing(at, Duration::ZERO, at, at)
            }
            Self::Inactive => *self = Self::pending(at, Duration::ZERO, at),
            Self::Pending(pending) if fresh => {
                if let Some(last) = pending.last {
                    pending.held += at.since(last);
                }
                (pending.last, pending.dark) = (pending.last.max(Some(at)), None);
                let Pending { since, held, .. } = *pending;
                if held >= terms.hold {
                    *self = Self::firing(since, held, at, at);
                }
            }
            Self::Pending(_) => {}
            // A scrape that took long is taken in after newer ones.
            Self::Firing(firing) => (firing.last, firing.dark) = (firing.last.max(at), None),
        }
    }

    const fn pending(since: Instant, held: Duration, at: Instant) -> Self {
        Self::Pending(Pending { since, held, last: Some(at), dark: None })
    }

    const fn firing(since: Instant, held: Duration, fired: Instant, at: Instant) -> Self {
        Self::Firing(Firing { since, held, fired, last: at, dark: None })
    }

    fn fails(&mut self, terms: &FiringTerms, at: Instant) {
        match self {
            Self::Firing(firing) if at.since(firing.last) < terms.keep_firing_for => {
                firing.dark = None;
            }
            Self::Inactive | Self::Pending(_) | Self::Firing(_) => *self = Self::Inactive,
        }
    }

    fn no_data(&mut self, terms: &FiringTerms, at: Instant) {
        let dark = match self {
            Self::Inactive => return,
            Self::Pending(pending) => {
                pending.last = None;
                pending.dark.get_or_insert(at)
            }
            Self::Firing(firing) => firing.dark.get_or_insert(at),
        };
        if at.since(*dark) >= terms.hold.max(MIN_DARK) {
            *self = Self::Inactive;
        }
    }

    /// Goes by the observed time, where a share of it is enough.
    fn weigh(&mut self, terms: &FiringTerms, at: Instant, observed: &ObservedTime) {
        let reached = observed.is_reached(terms.share, terms.hold);
        let holds = matches!(observed.last(), Some((_, Observation::Held)));
        let (held, since) = (observed.held(), self.since().unwrap_or(at));
        *self = match *self {
            Self::Firing(firing) if reached => {
                Self::Firing(Firing { last: firing.last.max(at), dark: None, ..firing })
            }
            Self::Firing(firing) if at.since(firing.last) < terms.keep_firing_for => {
                Self::Firing(Firing { dark: None, ..firing })
            }
            Self::Inactive | Self::Pending(_) if reached => Self::firing(since, held, at, at),
            Self::Inactive | Self::Pending(_) | Self::Firing(_) if holds || !held.is_zero() => {
                Self::pending(since, held, at)
            }
            Self::Inactive | Self::Pending(_) | Self::Firing(_) => Self::Inactive,
        };
    }

    /// The state over several groups: what `needed` of them have reached. It begins with the last
    /// of the first that many to begin.
    pub(crate) fn of_groups(before: Self, groups: &[Self], needed: usize, at: Instant) -> Self {
        let first = |which: fn(&Self) -> bool| -> Option<(Instant, Duration)> {
            let mut chosen: Vec<&Self> = groups.iter().filter(|state| which(state)).collect();
            chosen.sort_by_key(|state| state.since());
            let chosen = chosen.get(..needed)?;
            Some((chosen.last()?.since()?, chosen.iter().map(|state| state.held()).min()?))
        };
        let fired = match before {
            Self::Firing(firing) => firing.fired,
            Self::Inactive | Self::Pending(_) => at,
        };
        let firing = first(|state| matches!(state, Self::Firing(_)));
        let begun = first(|state| *state != Self::Inactive);
        match (firing, begun) {
            (Some((since, held)), _) => Self::firing(since, held, fired, at),
            (None, Some((since, held))) => Self::pending(since, held, at),
            (None, None) => Self::Inactive,
        }
    }

    /// What the rule looked at is gone: the time until it is seen again does not count.
    pub(crate) const fn interrupt(&mut self) {
        if let Self::Pending(pending) = self {
            pending.last = None;
        }
    }

    /// When time alone may change the state, if the verdict stays what it is.
    pub(crate) fn deadline(&self, terms: &FiringTerms, verdict: Verdict) -> Option<Instant> {
        match (self, verdict, terms.on_no_data) {
            (Self::Pending(pending), Verdict::NoData(_), OnNoData::Breach) => {
                pending.last.map(|last| last.after(terms.hold.saturating_sub(pending.held)))
            }
            (Self::Pending(Pending { dark: Some(dark), .. }), Verdict::NoData(_), _)
            | (Self::Firing(Firing { dark: Some(dark), .. }), Verdict::NoData(_), _) => {
                Some(dark.after(terms.hold.max(MIN_DARK)))
            }
            (Self::Firing(firing), Verdict::Fails, _)
            | (Self::Firing(firing), Verdict::NoData(_), OnNoData::Clear) => {
                Some(firing.last.after(terms.keep_firing_for))
            }
            // Where absence counts as holding, nothing runs out; else `dark` is set by now.
            (Self::Inactive | Self::Pending(_) | Self::Firing(_), _, _) => None,
        }
    }

    /// When the condition began to hold, while it does.
    pub(crate) const fn since(&self) -> Option<Instant> {
        match self {
            Self::Inactive => None,
            Self::Pending(Pending { since, .. }) | Self::Firing(Firing { since, .. }) => {
                Some(*since)
            }
        }
    }

    /// For how long the condition was observed to hold; for a rule that fires, until it did.
    pub(crate) const fn held(&self) -> Duration {
        match self {
            Self::Inactive => Duration::ZERO,
            Self::Pending(Pending { held, .. }) | Self::Firing(Firing { held, .. }) => *held,
        }
    }

    /// The state as a word.
    pub(crate) const fn standing(&self) -> RuleStanding {
        match self {
            Self::Inactive => RuleStanding::Inactive,
            Self::Pending(_) => RuleStanding::Pending,
            Self::Firing(_) => RuleStanding::Firing,
        }
    }
}

/// A rule's state in one group, and the observed time where it is judged by a share of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RuleClock {
    state: RuleState,
    observed: ObservedTime,
}

impl RuleClock {
    /// The state.
    pub(crate) const fn state(&self) -> RuleState {
        self.state
    }

    /// Takes a judgement at `at` into account.
    pub(crate) fn judge(&mut self, terms: &FiringTerms, at: Instant, judgement: Judgement) {
        if terms.share == Share::ALL {
            return self.state.judge(terms, at, judgement);
        }
        match judgement.observed(terms.on_no_data) {
            Some((held, fresh)) => {
                if fresh {
                    self.observed.see(at, held, terms.hold);
                }
                self.state.weigh(terms, at, &self.observed);
            }
            None => {
                self.observed.interrupt();
                self.state.no_data(terms, at);
                if self.state == RuleState::Inactive {
                    self.observed = ObservedTime::default();
                }
            }
        }
    }

    /// What the rule looked at is gone: the time until it is seen again does not count.
    pub(crate) const fn interrupt(&mut self) {
        self.state.interrupt();
        self.observed.interrupt();
    }

    /// When time alone may change the state, if the verdict stays what it is.
    pub(crate) fn deadline(&self, terms: &FiringTerms, verdict: Verdict) -> Option<Instant> {
        let own = self.state.deadline(terms, verdict);
        let missing = self.observed.missing(terms.share, terms.hold);
        match (self.state, verdict, terms.on_no_data) {
            _ if terms.share == Share::ALL => own,
            (RuleState::Pending(_), Verdict::NoData(_), OnNoData::Breach) => {
                self.observed.last().map(|(last, _)| last.after(missing))
            }
            // The window decides, and it moves with observed time only.
            (RuleState::Firing(_), Verdict::Fails, _)
            | (RuleState::Firing(_), Verdict::NoData(_), OnNoData::Clear)
                if missing.is_zero() =>
            {
                None
            }
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reading::NoData;
    use Judgement::{Again, Fresh};
    use Verdict::{Fails, Holds};

    const DARK: Verdict = Verdict::NoData(NoData::Stale);

    fn terms(on_no_data: OnNoData) -> FiringTerms {
        let (hold, keep_firing_for) = (Duration::from_secs(10), Duration::from_secs(5));
        FiringTerms { hold, share: Share::ALL, keep_firing_for, on_no_data }
    }

    const fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1000)
    }

    fn check(on_no_data: OnNoData, judged: &[(u64, Judgement)], expected: RuleStanding, held: u64) {
        let mut state = RuleState::default();
        for (second, judgement) in judged {
            state.judge(&terms(on_no_data), at(*second), *judgement);
        }
        assert_eq!((state.standing(), state.held().as_secs()), (expected, held), "{judged:?}");
    }

    #[test]
    fn a_rule_fires_when_it_was_observed_to_hold_for_its_time() {
        let hold = OnNoData::Hold;
        check(hold, &[(0, Fresh(Holds))], RuleStanding::Pending, 0);
        check(hold, &[(0, Fresh(Holds)), (9, Fresh(Holds))], RuleStanding::Pending, 9);
        check(hold, &[(0, Fresh(Holds)), (10, Fresh(Holds))], RuleStanding::Firing, 10);
    }

    #[test]
    fn time_that_was_not_observed_never_counts() {
        let hold = OnNoData::Hold;
        check(hold, &[(0, Fresh(Holds)), (60, Again(Holds))], RuleStanding::Pending, 0);
        let gap = [(0, Fresh(Holds)), (4, Fresh(Holds)), (8, Again(DARK)), (30, Fresh(Holds))];
        check(hold, &gap, RuleStanding::Pending, 4);
        let after = [&gap[..], &[(36, Fresh(Holds))]].concat();
        check(hold, &after, RuleStanding::Firing, 10);
    }

    #[test]
    fn a_condition_that_fails_once_starts_over() {
        let judged = [(0, Fresh(Holds)), (9, Fresh(Fails)), (10, Fresh(Holds))];
        check(OnNoData::Hold, &judged, RuleStanding::Pending, 0);
    }

    #[test]
    fn a_rule_without_data_for_long_returns_to_inactive() {
        let dark = [(0, Fresh(Holds)), (5, Again(DARK)), (64, Again(DARK))];
        check(OnNoData::Hold, &dark, RuleStanding::Pending, 0);
        check(
            OnNoData::Hold,
            &[&dark[..], &[(65, Again(DARK))]].concat(),
            RuleStanding::Inactive,
            0,
        );
        let fired = [(0, Fresh(Holds)), (10, Fresh(Holds)), (11, Again(DARK)), (71, Again(DARK))];
        check(OnNoData::Hold, &fired, RuleStanding::Inactive, 0);
    }

    #[test]
    fn absence_means_what_the_rule_says() {
        let judged = [(0, Fresh(Holds)), (5, Again(DARK)), (10, Again(DARK))];
        check(OnNoData::Hold, &judged, RuleStanding::Pending, 0);
        check(OnNoData::Clear, &judged, RuleStanding::Inactive, 0);
        check(OnNoData::Breach, &judged, RuleStanding::Firing, 10);
    }

    #[test]
    fn a_rule_keeps_firing_for_its_time() {
        let fired = [(0, Fresh(Holds)), (10, Fresh(Holds))];
        let check = |then: &[(u64, Judgement)], expected| {
            let held = if expected == RuleStanding::Inactive { 0 } else { 10 };
            check(OnNoData::Hold, &[&fired[..], then].concat(), expected, held);
        };
        check(&[(14, Fresh(Fails))], RuleStanding::Firing);
        check(&[(15, Again(Fails))], RuleStanding::Inactive);
        check(&[(14, Fresh(Fails)), (15, Fresh(Holds)), (19, Fresh(Fails))], RuleStanding::Firing);
    }

    #[test]
    fn with_a_share_the_window_decides() {
        let terms = FiringTerms { share: Share::new(0.7).unwrap(), ..terms(OnNoData::Hold) };
        let check = |judged: &[(u64, Judgement)], expected| {
            let mut clock = RuleClock::default();
            for (second, judgement) in judged {
                clock.judge(&terms, at(*second), *judgement);
            }
            assert_eq!(clock.state().standing(), expected, "{judged:?}");
        };
        // A second counts where it held at both its ends: of the first ten six do.
        let mut judged: Vec<_> = (0..=10)
            .map(|second| (second, Fresh(if second % 4 == 3 { Fails } else { Holds })))
            .collect();
        check(&judged[..10], RuleStanding::Pending);
        check(&judged, RuleStanding::Pending);
        let dark = [&judged[..], &[(11, Again(DARK)), (60, Fresh(Holds))]].concat();
        check(&dark, RuleStanding::Pending);
        judged.extend((11..=13).map(|second| (second, Fresh(Holds))));
        check(&judged[..13], RuleStanding::Pending);
        check(&judged, RuleStanding::Firing);
        // Reached for the last time at 14, and kept firing for five seconds.
        judged.extend((14..=19).map(|second| (second, Fresh(Fails))));
        check(&judged[..19], RuleStanding::Firing);
        check(&judged, RuleStanding::Pending);
        // While it is kept firing, each gap is as long as it is by itself.
        let kept = FiringTerms { keep_firing_for: Duration::from_secs(300), ..terms };
        let gaps = [(20, Again(DARK)), (50, Fresh(Fails)), (60, Again(DARK)), (85, Again(DARK))];
        let mut clock = RuleClock::default();
        for (second, judgement) in [&judged[..], &gaps].concat() {
            clock.judge(&kept, at(second), judgement);
        }
        assert_eq!(clock.state().standing(), RuleStanding::Firing);
        clock.judge(&kept, at(120), Again(DARK));
        assert_eq!(clock.state().standing(), RuleStanding::Inactive);
    }

    #[test]
    fn a_state_over_groups_is_what_enough_of_them_have_reached() {
        let state = |since: u64, until: u64| {
            let mut state = RuleState::default();
            for second in since..=until {
                state.judge(&terms(OnNoData::Hold), at(second), Fresh(Holds));
            }
            state
        };
        let groups = [state(0, 12), RuleState::Inactive, state(3, 14), state(9, 14)];
        let check = |needed, expected, since: Option<u64>| {
            let state = RuleState::of_groups(RuleState::Inactive, &groups, needed, at(14));
            assert_eq!((state.standing(), state.since()), (expected, since.map(at)), "{needed}");
        };
        check(1, RuleStanding::Firing, Some(0));
        check(2, RuleStanding::Firing, Some(3));
        check(3, RuleStanding::Pending, Some(9));
        check(4, RuleStanding::Inactive, None);
    }

    #[test]
    fn deadlines_say_when_time_alone_matters() {
        let mut state = RuleState::default();
        let (hold, breach) = (terms(OnNoData::Hold), terms(OnNoData::Breach));
        assert_eq!(state.deadline(&hold, Fails), None);
        state.judge(&hold, at(0), Fresh(Holds));
        assert_eq!(state.deadline(&hold, Holds), None);
        assert_eq!(state.deadline(&breach, DARK), Some(at(10)));
        state.judge(&hold, at(3), Again(DARK));
        assert_eq!(state.deadline(&hold, DARK), Some(at(63)));
        state.judge(&hold, at(5), Fresh(Holds));
        state.judge(&hold, at(15), Fresh(Holds));
        assert_eq!(state.deadline(&hold, Fails), Some(at(20)));
    }
}
