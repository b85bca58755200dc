//! One rule's state: inactive, pending, firing.
//!
//! A rule's clock runs on observation only: it advances from one fresh verdict that the condition
//! holds to the next, never because time went by. So a rule cannot fire on less than its `for` of
//! observed time, whatever is delayed, lost or restarted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::entry::RuleStanding;
use crate::model::group::Group;
use crate::model::reading::{NoData, Verdict};
use crate::model::rule::{OnNoData, Quorum, Rule, Share};
use crate::model::time::Instant;

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
    const fn observed(self, on_no_data: OnNoData) -> Option<(bool, bool)> {
        let fresh = matches!(self, Self::Fresh(_));
        Some(match (self.verdict(), on_no_data) {
            (Verdict::Holds, _) => (true, fresh),
            (Verdict::Fails, _) => (false, fresh),
            // Here the absence itself is what is observed, so time passing is fresh evidence.
            (Verdict::NoData(_), OnNoData::Breach) => (true, true),
            (Verdict::NoData(_), OnNoData::Clear) => (false, true),
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
    Pending(Begun),
    /// It held for long enough.
    Firing(Begun),
}

/// A condition that holds, or held for long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// The time of the sample that made it hold.
    pub(crate) since: Instant,
    /// For how long it was observed to hold; for what fires, until it fired.
    pub(crate) held: Duration,
    /// When it fired, for what fires.
    pub(crate) fired: Instant,
    /// The last verdict that it holds: for what does not fire yet a fresh one, unless there was no
    /// data since.
    last: Option<Instant>,
    /// Since when there has been no data.
    dark: Option<Instant>,
}

impl Begun {
    /// Whether it still fires although the condition does not hold any more.
    fn is_kept(&self, terms: &FiringTerms, at: Instant) -> bool {
        self.last.is_some_and(|last| at.since(last) < terms.keep_firing_for)
    }
}

impl RuleState {
    /// Takes a judgement at `at` into account.
    pub(crate) fn judge(&mut self, terms: &FiringTerms, at: Instant, judgement: Judgement) {
        match judgement.observed(terms.on_no_data) {
            Some((true, fresh)) => self.holds(terms, at, fresh),
            Some((false, _)) => self.fails(terms, at),
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
                let Begun { since, held, .. } = *pending;
                if held >= terms.hold {
                    *self = Self::firing(since, held, at, at);
                }
            }
            Self::Pending(_) => {}
            // A scrape that took long is taken in after newer ones.
            Self::Firing(firing) => (firing.last, firing.dark) = (firing.last.max(Some(at)), None),
        }
    }

    const fn pending(since: Instant, held: Duration, at: Instant) -> Self {
        Self::Pending(Begun { since, held, fired: Instant::ZERO, last: Some(at), dark: None })
    }

    const fn firing(since: Instant, held: Duration, fired: Instant, at: Instant) -> Self {
        Self::Firing(Begun { since, held, fired, last: Some(at), dark: None })
    }

    fn fails(&mut self, terms: &FiringTerms, at: Instant) {
        match self {
            Self::Firing(firing) if firing.is_kept(terms, at) => firing.dark = None,
            Self::Inactive | Self::Pending(_) | Self::Firing(_) => *self = Self::Inactive,
        }
    }

    fn no_data(&mut self, terms: &FiringTerms, at: Instant) {
        self.interrupt();
        let (Self::Pending(known) | Self::Firing(known)) = self else { return };
        let dark = known.dark.get_or_insert(at);
        if at.since(*dark) >= terms.hold.max(MIN_DARK) {
            *self = Self::Inactive;
        }
    }

    /// Goes by the observed time, where a share of it is enough.
    fn weigh(&mut self, terms: &FiringTerms, at: Instant, observed: &ObservedTime) {
        let reached = observed.missing(terms.share, terms.hold).is_zero();
        let holds = matches!(observed.last, Some((_, true)));
        let (held, since) = (observed.held, self.since().unwrap_or(at));
        *self = match *self {
            Self::Firing(firing) if reached => {
                Self::Firing(Begun { last: firing.last.max(Some(at)), dark: None, ..firing })
            }
            Self::Firing(firing) if firing.is_kept(terms, at) => {
                Self::Firing(Begun { dark: None, ..firing })
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
            (
                Self::Pending(Begun { dark: Some(dark), .. })
                | Self::Firing(Begun { dark: Some(dark), .. }),
                Verdict::NoData(_),
                _,
            ) => Some(dark.after(terms.hold.max(MIN_DARK))),
            (Self::Firing(firing), Verdict::Fails, _)
            | (Self::Firing(firing), Verdict::NoData(_), OnNoData::Clear) => {
                firing.last.map(|last| last.after(terms.keep_firing_for))
            }
            // Where absence counts as holding, nothing runs out; else `dark` is set by now.
            (Self::Inactive | Self::Pending(_) | Self::Firing(_), _, _) => None,
        }
    }

    /// When the condition began to hold, while it does.
    pub(crate) const fn since(&self) -> Option<Instant> {
        match self {
            Self::Inactive => None,
            Self::Pending(known) | Self::Firing(known) => Some(known.since),
        }
    }

    /// For how long the condition was observed to hold; for a rule that fires, until it did.
    pub(crate) const fn held(&self) -> Duration {
        match self {
            Self::Inactive => Duration::ZERO,
            Self::Pending(known) | Self::Firing(known) => known.held,
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
    fn judge(&mut self, terms: &FiringTerms, at: Instant, judgement: Judgement) {
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
                self.observed.last = None;
                self.state.no_data(terms, at);
                if self.state == RuleState::Inactive {
                    self.observed = ObservedTime::default();
                }
            }
        }
    }

    /// What the rule looked at is gone: the time until it is seen again does not count.
    const fn interrupt(&mut self) {
        self.state.interrupt();
        self.observed.last = None;
    }

    /// When time alone may change the state, if the verdict stays what it is.
    fn deadline(&self, terms: &FiringTerms, verdict: Verdict) -> Option<Instant> {
        let own = self.state.deadline(terms, verdict);
        let missing = self.observed.missing(terms.share, terms.hold);
        match (self.state, verdict, terms.on_no_data) {
            _ if terms.share == Share::ALL => own,
            (RuleState::Pending(_), Verdict::NoData(_), OnNoData::Breach) => {
                self.observed.last.map(|(last, _)| last.after(missing))
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

/// The observed time of a rule with `share`, as far back as its `for`, and for how much of it the
/// condition held.
///
/// Only time between two fresh verdicts is observed. It counts as held where the condition held at
/// both its ends, and it leaves as newer time comes, never because a clock went on.
#[derive(Clone, Debug, Default, PartialEq)]
struct ObservedTime {
    /// Stretches of time in which it held or did not, oldest first, neighbours of different kinds.
    stretches: VecDeque<(Duration, bool)>,
    total: Duration,
    held: Duration,
    /// The last verdict and whether it held, unless there was no data since.
    last: Option<(Instant, bool)>,
}

impl ObservedTime {
    /// Takes in a fresh verdict at `at`; only the last `window` of observed time is kept. One that
    /// is not newer than the last is ignored.
    fn see(&mut self, at: Instant, held: bool, window: Duration) {
        match self.last {
            Some((last, _)) if last >= at => return,
            Some((last, before)) => self.add(at.since(last), before && held),
            None => {}
        }
        self.last = Some((at, held));
        self.trim(window);
    }

    fn add(&mut self, time: Duration, held: bool) {
        self.total += time;
        self.held += if held { time } else { Duration::ZERO };
        match self.stretches.back_mut() {
            Some((stretch, kind)) if *kind == held => *stretch += time,
            Some(_) | None => self.stretches.push_back((time, held)),
        }
    }

    fn trim(&mut self, window: Duration) {
        while let Some(excess) = self.total.checked_sub(window).filter(|excess| !excess.is_zero()) {
            let Some((stretch, held)) = self.stretches.front_mut() else { return };
            let gone = excess.min(*stretch);
            *stretch -= gone;
            self.total -= gone;
            self.held -= if *held { gone } else { Duration::ZERO };
            if stretch.is_zero() {
                self.stretches.pop_front();
            }
        }
    }

    /// For how much longer it must be observed to hold until its share of the window is reached.
    fn missing(&self, share: Share, window: Duration) -> Duration {
        let unseen = window.saturating_sub(self.total);
        unseen.max(share.of(window).saturating_sub(self.held))
    }
}

/// A rule in one group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupClock {
    pub(crate) group: Group,
    pub(crate) clock: RuleClock,
    pub(crate) verdict: Verdict,
}

/// A rule's clocks, one for each group of its signals, and what they amount to by its quorum. One
/// that is not read by labels has exactly one group. A group's clock never helps another's: two
/// instances that are bad in turn are not one that is bad all the time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupClocks {
    /// In the order of the groups.
    list: Vec<GroupClock>,
}

impl GroupClocks {
    /// The clock of a rule that is not read by labels.
    pub(crate) fn one() -> Self {
        let verdict = Verdict::NoData(NoData::NeverScraped);
        let clock = GroupClock { group: Group::ALL, clock: RuleClock::default(), verdict };
        Self { list: vec![clock] }
    }

    /// No group is known yet.
    pub(crate) const fn none() -> Self {
        Self { list: Vec::new() }
    }

    /// The groups, in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, GroupClock> {
        self.list.iter()
    }

    /// Takes over the verdict of a rule that is not read by labels.
    pub(crate) fn set_only(&mut self, verdict: Verdict) {
        debug_assert_eq!(self.list.len(), 1);
        self.list.iter_mut().for_each(|only| only.verdict = verdict);
    }

    /// Takes over the verdicts of the groups that there are, in order. One that is gone takes its
    /// clock along.
    pub(crate) fn set(&mut self, verdicts: impl Iterator<Item = (Group, Verdict)>) {
        let mut before = std::mem::take(&mut self.list).into_iter().peekable();
        for (group, verdict) in verdicts {
            while before.next_if(|known| known.group < group).is_some() {}
            let known = before.next_if(|known| known.group == group);
            let clock = known.map(|known| known.clock).unwrap_or_default();
            self.list.push(GroupClock { group, clock, verdict });
        }
    }

    /// Every clock takes its verdict into account.
    pub(crate) fn judge(
        &mut self,
        terms: &FiringTerms,
        at: Instant,
        how: fn(Verdict) -> Judgement,
    ) {
        for known in &mut self.list {
            known.clock.judge(terms, at, how(known.verdict));
        }
    }

    /// In how many groups the condition must hold.
    fn needed(&self, quorum: Quorum) -> usize {
        match quorum {
            Quorum::Any => 1,
            Quorum::All => self.list.len().max(1),
            Quorum::AtLeast(groups) => groups as usize,
        }
    }

    /// Whether it fires, and holds as `holds` has it, in as many groups as it must: that it fired
    /// in one and holds in another is not that.
    pub(crate) fn fires_now(&self, quorum: Quorum, holds: impl Fn(Verdict) -> bool) -> bool {
        let fires = |known: &&GroupClock| {
            matches!(known.clock.state, RuleState::Firing(_)) && holds(known.verdict)
        };
        self.list.iter().filter(fires).count() >= self.needed(quorum)
    }

    /// What the rule says over all groups, under Kleene's logic; `none` where there is no group.
    pub(crate) fn verdict(&self, quorum: Quorum, none: Verdict) -> Verdict {
        if let [only] = &self.list[..]
            && only.group == Group::ALL
        {
            return only.verdict;
        }
        let needed = self.needed(quorum);
        let holding = self.list.iter().filter(|known| known.verdict == Verdict::Holds).count();
        let mut unknown = self.list.iter().filter_map(|known| match known.verdict {
            Verdict::NoData(why) => Some(why),
            Verdict::Holds | Verdict::Fails => None,
        });
        match unknown.next() {
            _ if self.list.is_empty() => none,
            _ if holding >= needed => Verdict::Holds,
            Some(why) if holding + 1 + unknown.count() >= needed => Verdict::NoData(why),
            Some(_) | None => Verdict::Fails,
        }
    }

    /// The rule's state over all groups, which was `before`.
    pub(crate) fn state(&self, quorum: Quorum, before: RuleState, at: Instant) -> RuleState {
        if let [only] = &self.list[..]
            && only.group == Group::ALL
        {
            return only.clock.state;
        }
        let states: Vec<RuleState> = self.list.iter().map(|known| known.clock.state).collect();
        RuleState::of_groups(before, &states, self.needed(quorum), at)
    }

    /// What the rule looked at is gone: the time until it is seen again does not count.
    pub(crate) fn interrupt(&mut self) {
        self.list.iter_mut().for_each(|known| known.clock.interrupt());
    }

    /// Every clock starts anew.
    pub(crate) fn reset(&mut self) {
        self.list.iter_mut().for_each(|known| known.clock = RuleClock::default());
    }

    /// When time alone may change a group's state.
    pub(crate) fn deadline(&self, terms: &FiringTerms) -> Option<Instant> {
        self.list.iter().filter_map(|known| known.clock.deadline(terms, known.verdict)).min()
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
            assert_eq!(clock.state.standing(), expected, "{judged:?}");
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
        assert_eq!(clock.state.standing(), RuleStanding::Firing);
        clock.judge(&kept, at(120), Again(DARK));
        assert_eq!(clock.state.standing(), RuleStanding::Inactive);
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

#[cfg(test)]
mod share_tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1000)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_share_needs_the_whole_window_observed() {
        let share = Share::new(0.5).unwrap();
        let mut observed = ObservedTime::default();
        (0..=9).for_each(|second| observed.see(at(second), true, seconds(10)));
        assert!(!observed.missing(share, seconds(10)).is_zero());
        observed.see(at(10), false, seconds(10));
        assert!(observed.missing(share, seconds(10)).is_zero());
        assert_eq!(observed.held, seconds(9));
    }

    #[test]
    fn time_across_an_interruption_is_not_observed() {
        let mut observed = ObservedTime::default();
        observed.see(at(0), true, seconds(10));
        observed.last = None;
        observed.see(at(60), true, seconds(10));
        observed.see(at(61), true, seconds(10));
        assert_eq!(observed.held, seconds(1));
    }

    proptest! {
        #[test]
        fn the_window_agrees_with_a_scan_of_all_verdicts(
            verdicts in prop::collection::vec((1u64..5, any::<bool>(), 0u32..10), 1..200)
        ) {
            let window = seconds(20);
            let mut observed = ObservedTime::default();
            // One entry for each observed second: whether it held.
            let mut all: Vec<bool> = Vec::new();
            let (mut second, mut last) = (0, None);
            for (gap, holds, dark) in verdicts {
                second += gap;
                if dark == 0 {
                    observed.last = None;
                    last = None;
                }
                observed.see(at(second), holds, window);
                if let Some(before) = last {
                    all.extend((0..gap).map(|_| before && holds));
                }
                last = Some(holds);
                let kept = &all[all.len().saturating_sub(20)..];
                let expected = kept.iter().filter(|held| **held).count() as u64;
                prop_assert_eq!(observed.held, seconds(expected));
                let share = Share::new(0.6).unwrap();
                let reached = kept.len() == 20 && expected >= 12;
                prop_assert_eq!(observed.missing(share, window).is_zero(), reached);
            }
        }
    }
}

#[cfg(test)]
mod group_tests {
    use super::*;
    use Verdict::{Fails, Holds};

    const DARK: Verdict = Verdict::NoData(NoData::Stale);

    fn clocks(verdicts: &[(&str, Verdict)]) -> GroupClocks {
        let mut clocks = GroupClocks::none();
        clocks.set(verdicts.iter().map(|(group, verdict)| (Group::from_text(group), *verdict)));
        clocks
    }

    #[test]
    fn a_quorum_counts_groups_and_what_is_unknown_may_be_either() {
        let check = |verdicts: &[Verdict], quorum, expected| {
            let names = ["a", "b", "c"];
            let named: Vec<_> = names.into_iter().zip(verdicts.iter().copied()).collect();
            assert_eq!(clocks(&named).verdict(quorum, DARK), expected, "{verdicts:?} {quorum:?}");
        };
        check(&[Holds, Fails, DARK], Quorum::Any, Holds);
        check(&[Fails, Fails, DARK], Quorum::Any, DARK);
        check(&[Fails, Fails, Fails], Quorum::Any, Fails);
        check(&[Holds, Holds, DARK], Quorum::All, DARK);
        check(&[Holds, Fails, DARK], Quorum::All, Fails);
        check(&[Holds, Holds, Holds], Quorum::All, Holds);
        check(&[Holds, Fails, DARK], Quorum::AtLeast(2), DARK);
        check(&[Holds, Fails, Fails], Quorum::AtLeast(2), Fails);
        check(&[Holds, Holds, DARK], Quorum::AtLeast(2), Holds);
        check(&[], Quorum::Any, DARK);
        check(&[Holds], Quorum::AtLeast(2), Fails);
    }

    #[test]
    fn a_group_that_is_gone_takes_its_clock_along() {
        let terms = FiringTerms {
            hold: std::time::Duration::from_secs(10),
            share: crate::model::rule::Share::ALL,
            keep_firing_for: std::time::Duration::ZERO,
            on_no_data: crate::model::rule::OnNoData::Hold,
        };
        let mut clocks = clocks(&[("a", Holds), ("b", Holds)]);
        let at = |second: u64| Instant::from_millis(second * 1000);
        clocks.judge(&terms, at(0), Judgement::Fresh);
        clocks.judge(&terms, at(9), Judgement::Fresh);
        clocks.set([(Group::from_text("b"), Holds)].into_iter());
        clocks.set([("a", Holds), ("b", Holds)].map(|(g, v)| (Group::from_text(g), v)).into_iter());
        clocks.judge(&terms, at(10), Judgement::Fresh);
        let states: Vec<_> = clocks.iter().map(|known| known.clock.state.held()).collect();
        assert_eq!(states.iter().map(|held| held.as_secs()).collect::<Vec<_>>(), [0, 10]);
    }
}
