//! A rule's clocks, one for each group of its signals, and what they amount to by its quorum. A
//! group's clock never helps another's: two instances that are bad in turn are not one that is bad
//! all the time.

use crate::model::group::Group;
use crate::model::reading::{NoData, Verdict};
use crate::model::rule::Quorum;
use crate::model::time::Instant;

use super::state::{FiringTerms, Judgement, RuleClock, RuleState};

/// A rule in one group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GroupClock {
    pub(crate) group: Group,
    pub(crate) clock: RuleClock,
    pub(crate) verdict: Verdict,
}

/// A rule in all its groups; one that is not read by labels has exactly one group.
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
            matches!(known.clock.state(), RuleState::Firing(_)) && holds(known.verdict)
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
            return only.clock.state();
        }
        let states: Vec<RuleState> = self.list.iter().map(|known| known.clock.state()).collect();
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
        let states: Vec<_> = clocks.iter().map(|known| known.clock.state().held()).collect();
        assert_eq!(states.iter().map(|held| held.as_secs()).collect::<Vec<_>>(), [0, 10]);
    }
}
