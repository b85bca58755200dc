//! A sliding window over running totals.
//!
//! Each scrape adds one row of totals that only ever grow. The increase over a window is then one
//! subtraction, exact where nothing was added, and no matter how many samples lie between: the
//! window is never rescanned. A total beside which increases would be rounded away is set back as
//! soon as what made it huge has left the window.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::reading::NoData;
use crate::model::time::Instant;

/// How many times a total may exceed what the window gained before it is set back. Increases then
/// keep 53 - 20 bits, ten decimal digits, and a steady counter is set back once in a million
/// windows.
const MAX_EXCESS: f64 = 1_048_576.0;

/// Rows of `columns` totals each, as far back as `length` and `stale` need.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    length: Duration,
    stale: Duration,
    columns: usize,
    times: VecDeque<Instant>,
    totals: VecDeque<f64>,
}

/// What a window says: the first and last row used and the time between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    first: usize,
    last: usize,
    /// The time between the first and the last sample used; never zero.
    pub(crate) elapsed: Duration,
}

impl Window {
    /// A window of `length` that ends at the newest row. A first sample may lie before it by at
    /// most `stale`.
    pub(crate) fn new(length: Duration, stale: Duration, columns: usize) -> Self {
        Self { length, stale, columns, times: VecDeque::new(), totals: VecDeque::new() }
    }

    /// Adds the row of a scrape. A row that is not newer than the last one is ignored. Sets totals
    /// back where they have become too large.
    pub(crate) fn push(&mut self, at: Instant, totals: &mut [f64]) {
        debug_assert_eq!(totals.len(), self.columns);
        if self.times.back().is_some_and(|last| *last >= at) {
            return;
        }
        self.make_room();
        self.times.push_back(at);
        self.totals.extend(totals.iter());
        self.trim(at);
        self.set_back(totals);
    }

    /// Grows by an eighth rather than to the double: a histogram's window is most of what a signal
    /// costs, and it stays as large as it once became.
    fn make_room(&mut self) {
        let rows = self.times.len();
        if rows == self.times.capacity() || self.totals.capacity() < (rows + 1) * self.columns {
            let more = rows / 8 + 8;
            self.times.reserve_exact(more);
            self.totals.reserve_exact(more * self.columns);
        }
    }

    fn set_back(&mut self, totals: &mut [f64]) {
        for (column, total) in totals.iter_mut().enumerate() {
            let base = self.totals[column];
            if base > MAX_EXCESS * (*total - base) || base.is_infinite() {
                // What follows an infinite total is as infinite, and nothing else is known of it.
                let rest = |total: f64| if base.is_infinite() { 0.0 } else { total - base };
                *total = rest(*total);
                let rows = self.totals.iter_mut().skip(column).step_by(self.columns);
                rows.for_each(|row| *row = rest(*row));
            }
        }
    }

    /// Drops rows that no window ending at `at` or later can use. The newest row at or before the
    /// window's start stays: it is where the increase is counted from.
    fn trim(&mut self, at: Instant) {
        let start = at.before(self.length);
        while self.times.get(1).is_some_and(|second| *second <= start) {
            self.times.pop_front();
            self.totals.drain(..self.columns);
        }
    }

    /// The rows that a window ending at `at` uses: from the newest at or before its start, if that
    /// is not older than `stale` before it, else from the first inside it, to the newest. Where
    /// the newest is later still, because another target was slow to answer, it ends there.
    ///
    /// # Errors
    /// `WindowFilling` where that is fewer than two rows.
    pub(crate) fn span(&self, at: Instant) -> Result<Span, NoData> {
        let at = self.times.back().map_or(at, |newest| at.max(*newest));
        let start = at.before(self.length);
        // Rows leave from the front, so after `trim` only the first few can lie before the start.
        let before = self.times.iter().take_while(|time| **time <= start).count();
        let first = match before.checked_sub(1) {
            Some(row) if start.since(self.times[row]) <= self.stale => row,
            Some(_) | None => before,
        };
        let last = self.times.len().checked_sub(1);
        let last = last.filter(|last| *last > first && self.times[*last] > start);
        let last = last.ok_or(NoData::WindowFilling)?;
        Ok(Span { first, last, elapsed: self.times[last].since(self.times[first]) })
    }

    /// The time of the oldest row.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.times.front().copied()
    }

    /// The times of a span's first and last row.
    pub(crate) fn times(&self, span: Span) -> (Instant, Instant) {
        (self.times[span.first], self.times[span.last])
    }

    /// How much a column grew over a span.
    pub(crate) fn increase(&self, span: Span, column: usize) -> f64 {
        let total = |row: usize| self.totals[row * self.columns + column];
        total(span.last) - total(span.first)
    }

    /// Adds a column at the end; its total is 0 in every row so far.
    pub(crate) fn add_column(&mut self) {
        let mut totals = VecDeque::with_capacity(self.times.len() * (self.columns + 1));
        for row in 0..self.times.len() {
            let start = row * self.columns;
            totals.extend(self.totals.range(start..start + self.columns));
            totals.push_back(0.0);
        }
        self.columns += 1;
        self.totals = totals;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn window(rows: &[(u64, f64)]) -> Window {
        let mut window = Window::new(Duration::from_secs(30), Duration::from_secs(4), 1);
        let (mut totals, mut last) = ([0.0], 0.0);
        for (time, total) in rows {
            totals[0] += total - last;
            last = *total;
            window.push(at(*time), &mut totals);
        }
        window
    }

    fn check(rows: &[(u64, f64)], end: u64, expected: Result<(f64, u64), NoData>) {
        let window = window(rows);
        let got = window.span(at(end)).map(|s| (window.increase(s, 0), s.elapsed.as_secs()));
        assert_eq!(got, expected, "{rows:?} at {end}");
    }

    #[test]
    fn a_window_counts_from_the_newest_sample_at_or_before_its_start() {
        check(&[(10, 1.0), (20, 2.0), (40, 5.0), (50, 9.0)], 50, Ok((7.0, 30)));
        check(&[(18, 2.0), (40, 5.0), (50, 9.0)], 50, Ok((7.0, 32)));
    }

    #[test]
    fn a_sample_too_long_before_the_start_is_not_used() {
        check(&[(15, 2.0), (40, 5.0), (50, 9.0)], 50, Ok((4.0, 10)));
    }

    #[test]
    fn fewer_than_two_samples_is_a_window_that_is_filling() {
        check(&[], 50, Err(NoData::WindowFilling));
        check(&[(50, 9.0)], 50, Err(NoData::WindowFilling));
        check(&[(10, 1.0), (50, 9.0)], 50, Err(NoData::WindowFilling));
        check(&[(10, 1.0), (11, 9.0)], 50, Err(NoData::WindowFilling));
    }

    #[test]
    fn a_new_column_starts_at_nothing() {
        let mut window = Window::new(Duration::from_secs(30), Duration::from_secs(4), 2);
        let mut totals = vec![1.0, 2.0];
        let mut push = |second, gains: &[f64]| {
            totals.resize(gains.len(), 0.0);
            totals.iter_mut().zip(gains).for_each(|(total, gain)| *total += gain);
            if window.columns < totals.len() {
                window.add_column();
            }
            window.push(at(second), &mut totals);
        };
        push(1, &[0.0, 0.0]);
        push(2, &[2.0, 3.0]);
        push(3, &[1.0, 1.0, 7.0]);
        let span = window.span(at(3)).unwrap();
        let increases: Vec<f64> = (0..3).map(|column| window.increase(span, column)).collect();
        assert_eq!(increases, [3.0, 4.0, 7.0]);
    }

    #[test]
    fn a_total_is_set_back_once_increases_would_be_lost_beside_it() {
        let check = |gains: &[f64], left: f64| {
            let mut window = Window::new(Duration::from_secs(30), Duration::from_secs(4), 2);
            let mut totals = [0.0, 7.0];
            window.push(at(0), &mut totals);
            for (second, gain) in (1..).map(|row| row * 30).zip(gains) {
                totals[0] += gain;
                window.push(at(second), &mut totals);
                let span = window.span(at(second)).unwrap();
                assert_eq!(window.increase(span, 0), *gain, "{gains:?} at {second}");
            }
            assert_eq!(totals, [left, 0.0], "{gains:?}");
        };
        // A window has two rows: one gain, and a base of all that came before.
        check(&[1e15, 0.25, 0.5, 0.75], 1.5);
        check(&[2_097_152.0, 2.0, 3.0], 2_097_157.0);
        check(&[1_048_577.0, 1.0], 1.0);
        check(&[f64::INFINITY, 0.0], 0.0);
    }

    #[test]
    fn the_oldest_row_is_the_first_that_a_window_can_use() {
        assert_eq!(window(&[]).oldest(), None);
        assert_eq!(window(&[(10, 1.0), (20, 2.0)]).oldest(), Some(at(10)));
        assert_eq!(window(&[(10, 1.0), (20, 2.0), (51, 3.0)]).oldest(), Some(at(20)));
    }

    proptest! {
        #[test]
        fn a_window_agrees_with_a_scan_of_the_full_history(
            gaps in prop::collection::vec((1u64..9_000, 0u32..50), 1..200)
        ) {
            let (length, stale) = (Duration::from_secs(30), Duration::from_secs(4));
            let mut window = Window::new(length, stale, 1);
            let mut rows: Vec<(Instant, f64)> = Vec::new();
            let (mut time, mut total, mut totals) = (0, 0.0, [0.0]);
            for (gap, gain) in gaps {
                (time, total) = (time + gap, total + f64::from(gain));
                let now = Instant::from_millis(time);
                rows.push((now, total));
                totals[0] += f64::from(gain);
                window.push(now, &mut totals);
                let start = now.before(length);
                let inside = rows.iter().filter(|row| row.0 > start);
                let before = rows.iter().rfind(|row| row.0 <= start && start.since(row.0) <= stale);
                let used: Vec<_> = before.into_iter().chain(inside).collect();
                let expected = (used.len() >= 2).then(|| {
                    let (first, last) = (used[0], used[used.len() - 1]);
                    (last.1 - first.1, last.0.since(first.0))
                });
                let got = window.span(now).ok().map(|s| (window.increase(s, 0), s.elapsed));
                prop_assert_eq!(got, expected);
            }
        }
    }
}
