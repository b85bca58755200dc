//! When a target is sampled: fixed-rate slots at `phase + k * interval`, where the phase comes
//! from the target's name, so that targets do not all fire together and a restart keeps the
//! spread. Slots that are missed are passed over and counted, never made up for: two samples
//! that stand close together say less than one.

use std::time::Duration;

use crate::model::name::TargetName;
use crate::model::time::Instant;

/// A target's first scrape happens at most this long after the start, whatever its interval:
/// what was just started should say soon whether it can see its targets.
const PROMPT: Duration = Duration::from_secs(1);

/// A slot may start late by this part of its interval. Timers wake a millisecond late and a
/// timeout may be as long as the interval; without a grace the latter would lose every other slot.
const GRACE: u32 = 10;

/// A sample taken this little after its slot counts as taken in it, as in Prometheus's scrape
/// loop: timers wake milliseconds late on a machine that does other work, and without this a `for`
/// of whole intervals would be reached one interval late as often as not.
const LEAST_TOLERANCE: Duration = Duration::from_millis(5);

/// For longer intervals: this part of the interval, which no rate can tell from nothing.
const TOLERANCE: u32 = 100;

/// The slots of one target.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    phase: u64,
    interval: Duration,
    due: Instant,
}

impl Slots {
    /// The slots of a target that is sampled from `now` on.
    pub(super) fn starting(name: &TargetName, interval: Duration, now: Instant) -> Self {
        let mut slots = Self::resuming(name, interval, now);
        if interval > PROMPT {
            slots.due = now.after(Duration::from_nanos(hash(name) % nanos(PROMPT)));
        }
        slots
    }

    /// The slots of a target that is already being sampled and gets another interval.
    pub(super) fn resuming(name: &TargetName, interval: Duration, now: Instant) -> Self {
        let phase = hash(name) % nanos(interval);
        let mut slots = Self { phase, interval, due: Instant::ZERO };
        slots.due = slots.regular_from(now);
        slots
    }

    /// The time between two slots.
    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    /// When the next slot is due.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether it is too late at `now` to use the slot that was due.
    pub(super) fn is_missed(&self, now: Instant) -> bool {
        now > self.due.after(self.grace())
    }

    /// The time of a sample that was asked for at `at` in the slot that is due.
    pub(super) fn time_of(&self, at: Instant) -> Instant {
        let tolerance = LEAST_TOLERANCE.max(self.interval / TOLERANCE);
        if at.since(self.due) <= tolerance { self.due.min(at) } else { at }
    }

    /// Goes on to the next slot that can still be used at `now`; the number of slots between,
    /// which are lost.
    pub(super) fn advance(&mut self, now: Instant) -> u64 {
        // Half an interval keeps the first scrape apart from the first regular slot.
        let next = self.regular_from(self.due.after(self.interval / 2));
        self.due = self.regular_from(next.max(now.before(self.grace())));
        nanos(self.due.since(next)) / nanos(self.interval)
    }

    fn grace(&self) -> Duration {
        self.interval / GRACE
    }

    /// The first instant `phase + k * interval` that is not before `at`.
    fn regular_from(&self, at: Instant) -> Instant {
        let interval = nanos(self.interval);
        let since = at.as_nanos().saturating_sub(self.phase);
        Instant::from_nanos(since.div_ceil(interval).saturating_mul(interval) + self.phase)
    }
}

/// Nanoseconds, at least one: intervals divide.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// 64-bit FNV-1a (<http://www.isthe.com/chongo/tech/comp/fnv/>): the same in every build.
fn hash(name: &TargetName) -> u64 {
    name.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> TargetName {
        TargetName::new(text).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_sample_taken_just_after_its_slot_counts_as_taken_in_it() {
        let check = |interval: Duration, late_ms: u64, counted_ms: u64| {
            let slots = Slots::starting(&name("api"), interval, Instant::from_millis(5_000));
            let after = |ms| slots.due().after(Duration::from_millis(ms));
            assert_eq!(slots.time_of(after(late_ms)), after(counted_ms), "{interval:?} {late_ms}");
        };
        check(SECOND, 0, 0);
        check(SECOND, 10, 0);
        check(SECOND, 11, 11);
        check(SECOND / 10, 5, 0);
        check(SECOND / 10, 6, 6);
    }

    #[test]
    fn slots_keep_their_rate_when_scrapes_end_in_time() {
        let mut slots = Slots::starting(&name("api"), SECOND, Instant::from_millis(5_000));
        let first = slots.due();
        for k in 1..100_u32 {
            let done = slots.due().after(Duration::from_millis(u64::from(k) * 10));
            assert_eq!(slots.advance(done), 0);
            assert_eq!(slots.due(), first.after(SECOND * k));
        }
    }

    #[test]
    fn late_slots_are_counted_and_never_bunched() {
        let mut slots = Slots::starting(&name("api"), SECOND, Instant::ZERO);
        let first = slots.due();
        let after = |millis| first.after(Duration::from_millis(millis));
        assert_eq!(slots.advance(after(3_500)), 3);
        assert_eq!(slots.due(), after(4_000));
        assert!(!slots.is_missed(after(4_100)));
        assert!(slots.is_missed(after(4_101)));
        assert_eq!(slots.advance(after(4_101)), 0);
        assert_eq!(slots.due(), after(5_000));
    }

    #[test]
    fn a_timeout_as_long_as_the_interval_loses_no_slot() {
        let mut slots = Slots::starting(&name("api"), SECOND, Instant::ZERO);
        let mut lost = 0;
        for _ in 0..100 {
            lost += slots.advance(slots.due().after(SECOND + Duration::from_millis(1)));
        }
        assert_eq!(lost, 0);
    }

    #[test]
    fn targets_are_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for k in 0..1_000 {
            let slots = Slots::starting(&name(&format!("node-{k}")), SECOND, Instant::ZERO);
            tenths[usize::try_from(slots.due().as_nanos() / 100_000_000).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn the_first_slot_is_prompt_and_all_others_lie_on_the_phase(
            target in "[a-z][a-z0-9]{0,20}", millis in 100_u64..300_000, start in 0_u64..1 << 50,
            gaps in proptest::collection::vec(0_u64..1 << 40, 1..20),
        ) {
            let interval = Duration::from_millis(millis);
            let start = Instant::from_nanos(start);
            let mut slots = Slots::starting(&name(&target), interval, start);
            prop_assert!(slots.due() >= start);
            prop_assert!(slots.due().since(start) <= interval.min(PROMPT));
            let mut now = slots.due();
            for gap in gaps {
                let before = slots.due();
                now = now.max(before).after(Duration::from_nanos(gap));
                let lost = slots.advance(now);
                prop_assert!(!slots.is_missed(now));
                let apart = slots.due().since(before);
                prop_assert!(apart >= interval / 2);
                prop_assert!(apart < interval * 3 / 2 + interval * u32::try_from(lost).unwrap());
                let phase = hash(&name(&target)) % nanos(interval);
                prop_assert_eq!((slots.due().as_nanos() - phase) % nanos(interval), 0);
            }
        }
    }
}
