//! Times that things took: between two entries of a journal, and many of them in three numbers.

use serde::Serialize;

use crate::model::time::Timestamp;

/// Milliseconds from one to the other; `None` where the wall clock was set back between them, so
/// that nobody knows.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Option<u64> {
    u64::try_from(to.as_millis().checked_sub(from.as_millis())?).ok()
}

/// Many times in three numbers, each of them one that was measured (nearest rank). `None` where
/// nothing was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// Half of them are no longer, in milliseconds.
    pub median_ms: Option<u64>,
    /// 95% of them are no longer, in milliseconds.
    pub p95_ms: Option<u64>,
    /// The longest, in milliseconds.
    pub max_ms: Option<u64>,
}

impl Spread {
    /// Of these times, in any order.
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        Self {
            count: times.len(),
            median_ms: nearest_rank(&times, 50),
            p95_ms: nearest_rank(&times, 95),
            max_ms: times.last().copied(),
        }
    }
}

/// The smallest value that is not exceeded by `percent` per cent: the nearest-rank percentile, as
/// in the NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.6.2, without interpolation.
fn nearest_rank(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_numbers_are_of_those_that_were_measured() {
        let spread = Spread::of(vec![40, 10, 30, 20]);
        assert_eq!((spread.count, spread.median_ms), (4, Some(20)));
        assert_eq!((spread.p95_ms, spread.max_ms), (Some(40), Some(40)));
        let hundred = Spread::of((1..=100).collect());
        assert_eq!((hundred.median_ms, hundred.p95_ms), (Some(50), Some(95)));
    }

    #[test]
    fn of_nothing_there_is_nothing_and_not_zero() {
        let none = Spread { count: 0, median_ms: None, p95_ms: None, max_ms: None };
        assert_eq!(Spread::of(Vec::new()), none);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_a_time_unknown() {
        let at = Timestamp::from_millis;
        assert_eq!(between(at(5), at(7)), Some(2));
        assert_eq!(between(at(7), at(7)), Some(0));
        assert_eq!(between(at(7), at(5)), None);
        assert_eq!(between(at(i64::MIN), at(i64::MAX)), None);
    }

    proptest! {
        #[test]
        fn as_many_as_it_says_are_no_longer(times in prop::collection::vec(any::<u64>(), 1..60)) {
            let spread = Spread::of(times.clone());
            for (value, percent) in [(spread.median_ms, 50), (spread.p95_ms, 95)] {
                let value = value.unwrap();
                prop_assert!(times.contains(&value));
                let within = times.iter().filter(|time| **time <= value).count();
                let below = times.iter().filter(|time| **time < value).count();
                prop_assert!(within * 100 >= percent * times.len());
                prop_assert!(below * 100 < percent * times.len());
            }
            prop_assert_eq!(spread.max_ms, times.iter().max().copied());
        }
    }
}
