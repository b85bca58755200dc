//! What a signal read over time, as far back as somebody looks: for baselines and for readings of
//! one window ago.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::reading::Reading;
use crate::model::time::Instant;

/// A signal's readings in one group, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReadingHistory {
    readings: VecDeque<(Instant, Reading)>,
}

impl ReadingHistory {
    /// Adds the reading of `at`. It takes the place of one of the same instant, and is ignored if
    /// it is older than the last one. What is older than `keep` before it is dropped, but for the
    /// newest of them.
    pub(crate) fn push(&mut self, at: Instant, reading: Reading, keep: Duration) {
        match self.readings.back_mut() {
            Some((last, _)) if *last > at => return,
            Some((last, known)) if *last == at => *known = reading,
            Some(_) | None => self.readings.push_back((at, reading)),
        }
        let start = at.before(keep);
        while self.readings.get(1).is_some_and(|(second, _)| *second <= start) {
            self.readings.pop_front();
        }
    }

    /// The reading of one `window` before `at`, and when it was read: the newest by then, unless it
    /// was older than `stale` already. Where the newest reading of all is later than `at`, because
    /// another target was slow to answer, it is that of one window before it.
    pub(crate) fn before(
        &self,
        at: Instant,
        window: Duration,
        stale: Duration,
    ) -> Option<(Instant, Reading)> {
        let at = self.readings.back().map_or(at, |(newest, _)| at.max(*newest));
        // Before there was time for a window, nothing was a window ago.
        let then = Some(at.before(window)).filter(|then| then.after(window) <= at)?;
        self.at(then).filter(|(read, _)| then.since(*read) <= stale)
    }

    /// The newest reading at or before `at`, and when it was read.
    fn at(&self, at: Instant) -> Option<(Instant, Reading)> {
        let after = self.readings.partition_point(|(time, _)| *time <= at);
        self.readings.get(after.checked_sub(1)?).copied()
    }

    /// The median of the numbers read in the window that ends at `at`; of an even number of them
    /// the mean of the middle two. What is only known to be at least something is not counted.
    /// Nor are readings that came sooner than `spacing` after the last one that was: what was
    /// looked at more often does not count for more. Answers how many were counted, too.
    pub(crate) fn median(
        &self,
        at: Instant,
        window: Duration,
        spacing: Duration,
    ) -> (u32, Option<f64>) {
        // By age, because before there was time for a window it begins before the origin.
        let is_inside = |time: Instant| time <= at && at.since(time) < window;
        // A sample may be a little late, and the next one not.
        let least = spacing - spacing / 10;
        let mut last: Option<Instant> = None;
        let mut values = Vec::new();
        for (time, reading) in &self.readings {
            if let Reading::Value(value) = reading
                && is_inside(*time)
                && last.is_none_or(|last| time.since(last) >= least)
            {
                last = Some(*time);
                values.push(*value);
            }
        }
        let found = u32::try_from(values.len()).unwrap_or(u32::MAX);
        (found, median(&mut values))
    }
}

/// The median of numbers that are not NaN; of an even number of them the mean of the middle two.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(count / 2, f64::total_cmp);
    let lower = below.iter().max_by(|a, b| a.total_cmp(b)).filter(|_| count.is_multiple_of(2));
    // Halved first: the sum of two huge numbers would be infinite.
    Some(lower.map_or(*upper, |lower| lower / 2.0 + *upper / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reading::NoData;

    const fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1000)
    }

    fn history(readings: &[(u64, Reading)], keep: u64) -> ReadingHistory {
        let mut history = ReadingHistory::default();
        for (second, reading) in readings {
            history.push(at(*second), *reading, Duration::from_secs(keep));
        }
        history
    }

    #[test]
    fn a_median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0]), Some(3.0));
        assert_eq!(median(&mut [4.0, 1.0]), Some(2.5));
        assert_eq!(median(&mut [9.0, 1.0, 4.0]), Some(4.0));
        assert_eq!(median(&mut [9.0, 1.0, 4.0, 5.0]), Some(4.5));
        assert_eq!(median(&mut [f64::MAX, f64::MAX]), Some(f64::MAX));
    }

    #[test]
    fn a_baseline_counts_only_numbers_within_its_window() {
        let readings: Vec<_> = (0..20)
            .map(|second| match second {
                15 => (second, Reading::NoData(NoData::Stale)),
                16 => (second, Reading::AtLeast(99.0)),
                _ => (second, Reading::Value(second as f64)),
            })
            .collect();
        let history = history(&readings, 10);
        let median = history.median(at(19), Duration::from_secs(10), Duration::ZERO);
        // 10 to 19 without 15 and 16.
        assert_eq!(median, (8, Some(13.5)));
    }

    #[test]
    fn a_baseline_does_not_count_what_was_looked_at_more_often_for_more() {
        let mut history = ReadingHistory::default();
        let keep = Duration::from_secs(60);
        (1..=6).for_each(|s| history.push(at(s), Reading::Value(0.0), keep));
        for tenth in 1..=40 {
            let at = Instant::from_millis(6000 + tenth * 100);
            history.push(at, Reading::Value(1.0), keep);
        }
        let median = history.median(at(10), keep, Duration::from_secs(1));
        assert_eq!(median.1, Some(0.0));
        assert_eq!(history.median(at(10), keep, Duration::ZERO).1, Some(1.0));
    }

    #[test]
    fn a_baseline_counts_the_very_first_reading_while_its_window_reaches_back_to_it() {
        let history = history(&[(0, Reading::Value(3.0)), (4, Reading::Value(5.0))], 10);
        let (window, spacing) = (Duration::from_secs(10), Duration::ZERO);
        let found = |second| history.median(at(second), window, spacing).0;
        assert_eq!([9, 10].map(found), [2, 1]);
    }

    #[test]
    fn the_reading_of_a_time_is_the_newest_at_or_before_it() {
        let history = history(&[(1, Reading::Value(1.0)), (5, Reading::Value(5.0))], 100);
        assert_eq!(history.at(at(0)), None);
        assert_eq!(history.at(at(4)), Some((at(1), Reading::Value(1.0))));
        assert_eq!(history.at(at(5)), Some((at(5), Reading::Value(5.0))));
    }

    #[test]
    fn what_nobody_looks_back_to_is_dropped() {
        let readings: Vec<_> =
            (0..100).map(|second| (second, Reading::Value(second as f64))).collect();
        let history = history(&readings, 10);
        assert_eq!(history.readings.len(), 11);
        assert_eq!(history.at(at(89)), Some((at(89), Reading::Value(89.0))));
    }
}
