//! For how much of the observed time a condition held: what a rule with `share` is judged by.
//!
//! Only time between two fresh verdicts is observed. It counts as held where the condition held at
//! both its ends, and it leaves as newer time comes, never because a clock went on.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::rule::Share;
use crate::model::time::Instant;

/// Whether a condition held at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observation {
    /// It held.
    Held,
    /// It did not.
    NotHeld,
}

/// The observed time of a rule, as far back as its `for`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ObservedTime {
    /// Stretches of time, oldest first, neighbours of different kinds.
    stretches: VecDeque<(Duration, Observation)>,
    total: Duration,
    held: Duration,
    /// The last verdict, unless there was no data since.
    last: Option<(Instant, Observation)>,
}

impl ObservedTime {
    /// Takes in a fresh verdict at `at`; only the last `window` of observed time is kept. One that
    /// is not newer than the last is ignored.
    pub(crate) fn see(&mut self, at: Instant, held: Observation, window: Duration) {
        let both = |before: Observation| if before == held { held } else { Observation::NotHeld };
        match self.last {
            Some((last, _)) if last >= at => return,
            Some((last, before)) => self.add(at.since(last), both(before)),
            None => {}
        }
        self.last = Some((at, held));
        self.trim(window);
    }

    fn add(&mut self, time: Duration, held: Observation) {
        self.total += time;
        self.held += if held == Observation::Held { time } else { Duration::ZERO };
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
            self.held -= if *held == Observation::Held { gone } else { Duration::ZERO };
            if stretch.is_zero() {
                self.stretches.pop_front();
            }
        }
    }

    /// What comes next is not joined to what was seen last.
    pub(crate) const fn interrupt(&mut self) {
        self.last = None;
    }

    /// Whether it held for its share of a whole `window` of observed time.
    pub(crate) fn is_reached(&self, share: Share, window: Duration) -> bool {
        self.missing(share, window).is_zero()
    }

    /// For how much longer it must be observed to hold until that is so.
    pub(crate) fn missing(&self, share: Share, window: Duration) -> Duration {
        let unseen = window.saturating_sub(self.total);
        unseen.max(share.of(window).saturating_sub(self.held))
    }

    /// The time for which it held.
    pub(crate) const fn held(&self) -> Duration {
        self.held
    }

    /// The last verdict, unless there was no data since.
    pub(crate) fn last(&self) -> Option<(Instant, Observation)> {
        self.last
    }
}

#[cfg(test)]
mod tests {
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
        (0..=9).for_each(|second| observed.see(at(second), Observation::Held, seconds(10)));
        assert!(!observed.is_reached(share, seconds(10)));
        observed.see(at(10), Observation::NotHeld, seconds(10));
        assert!(observed.is_reached(share, seconds(10)));
        assert_eq!(observed.held(), seconds(9));
    }

    #[test]
    fn time_across_an_interruption_is_not_observed() {
        let mut observed = ObservedTime::default();
        observed.see(at(0), Observation::Held, seconds(10));
        observed.interrupt();
        observed.see(at(60), Observation::Held, seconds(10));
        observed.see(at(61), Observation::Held, seconds(10));
        assert_eq!(observed.held(), seconds(1));
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
                    observed.interrupt();
                    last = None;
                }
                let held = if holds { Observation::Held } else { Observation::NotHeld };
                observed.see(at(second), held, window);
                if let Some(before) = last {
                    all.extend((0..gap).map(|_| before && holds));
                }
                last = Some(holds);
                let kept = &all[all.len().saturating_sub(20)..];
                let expected = kept.iter().filter(|held| **held).count() as u64;
                prop_assert_eq!(observed.held(), seconds(expected));
                let share = Share::new(0.6).unwrap();
                let reached = kept.len() == 20 && expected >= 12;
                prop_assert_eq!(observed.is_reached(share, window), reached);
            }
        }
    }
}
