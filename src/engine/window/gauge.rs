//! One number over the samples of a window: mean, smallest, largest, slope and the like. Every
//! sample is added once and leaves once, and takes all its weight along: one absurd value is gone
//! with its window.
//!
//! Statistics count samples, and a target is sampled more often while a rule is near its limit:
//! what was seen then must not outweigh what was seen before. So one sample is kept in the usual
//! time between two, and the newest beside them until the next one comes.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::reading::{NoData, Reading};
use crate::model::signal::OverTime;
use crate::model::time::Instant;

use super::history::median;

/// A sample may come early by this part of the usual time between two, which is how late the one
/// before it may have been.
const GRACE: u32 = 10;

/// The samples of a gauge within its window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GaugeWindow {
    over: OverTime,
    length: Duration,
    /// The least time between two samples that are kept.
    spacing: Duration,
    /// When the next sample is kept.
    due: Instant,
    /// The newest sample came before it was due, and is here until the next one comes.
    is_early: bool,
    samples: VecDeque<(Instant, f64)>,
    /// Candidates for the smallest or largest, best first; each is newer and worse than the one
    /// before it.
    best: VecDeque<(Instant, f64)>,
}

impl GaugeWindow {
    /// A window of that length which keeps samples `spacing` apart; zero: all of them.
    pub(crate) fn new(over: OverTime, length: Duration, spacing: Duration) -> Self {
        let (samples, best) = (VecDeque::new(), VecDeque::new());
        Self { over, length, spacing, due: Instant::ZERO, is_early: false, samples, best }
    }

    /// Adds a sample; one that is not newer than the last is ignored.
    pub(crate) fn push(&mut self, at: Instant, value: f64) {
        if self.samples.back().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        if self.is_early {
            self.samples.pop_back();
        }
        // A sample may be a little early without the next one being so by as much more.
        let grace = self.spacing / GRACE;
        self.is_early = at.after(grace) < self.due;
        if !self.is_early {
            self.due = self.due.max(at.before(grace)).after(self.spacing);
        }
        self.samples.push_back((at, value));
        self.add_candidate(at, value);
        for list in [&mut self.samples, &mut self.best] {
            while list.front().is_some_and(|(time, _)| at.since(*time) >= self.length) {
                list.pop_front();
            }
        }
    }

    fn add_candidate(&mut self, at: Instant, value: f64) {
        let is_beaten = |old: f64| match self.over {
            OverTime::Min => old >= value,
            OverTime::Max => old <= value,
            OverTime::Last | OverTime::Avg | OverTime::Median => true,
            OverTime::Stddev | OverTime::Delta | OverTime::Slope => true,
        };
        while self.best.back().is_some_and(|(_, old)| is_beaten(*old)) {
            self.best.pop_back();
        }
        self.best.push_back((at, value));
    }

    fn values(&self) -> impl DoubleEndedIterator<Item = f64> {
        self.samples.iter().map(|(_, value)| *value)
    }

    /// The mean of the samples. Added up anew each time, since a running sum would never be rid of
    /// what a huge sample rounded away; a window's few hundred additions cost nothing.
    fn mean(&self) -> f64 {
        self.values().sum::<f64>() / self.samples.len() as f64
    }

    /// The population standard deviation, around the mean found first, which rounds less than the
    /// difference of two sums.
    fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self.values().map(|value| (value - mean).powi(2));
        (squares.sum::<f64>() / self.samples.len() as f64).sqrt()
    }

    /// The slope of the least-squares line, per second: the covariance of time and value by the
    /// variance of time, as Prometheus's `deriv`.
    fn slope(&self) -> Option<f64> {
        let first = self.samples.front()?.0;
        let seconds = |at: Instant| at.since(first).as_secs_f64();
        let times = self.samples.iter().map(|(at, _)| seconds(*at));
        let (middle, mean) = (times.sum::<f64>() / self.samples.len() as f64, self.mean());
        let (mut both, mut time) = (0.0, 0.0);
        for (at, value) in &self.samples {
            let from_middle = seconds(*at) - middle;
            both += from_middle * (value - mean);
            time += from_middle * from_middle;
        }
        Some(both / time)
    }

    /// The reading after the value of `at`, across series, was added; at an instant at which it was
    /// added already, the same as before.
    pub(crate) fn read(&mut self, at: Instant, now: Reading) -> Reading {
        match now {
            Reading::NoData(_) => now,
            Reading::AtLeast(_) => Reading::NoData(NoData::Stale),
            Reading::Value(value) => {
                self.push(at, value);
                self.reading()
            }
        }
    }

    /// The reading at the time of the newest sample. A window needs two samples, like every
    /// window.
    pub(crate) fn reading(&self) -> Reading {
        if self.samples.len() < 2 {
            return Reading::NoData(NoData::WindowFilling);
        }
        let number = match self.over {
            OverTime::Last => self.values().next_back(),
            OverTime::Min | OverTime::Max => self.best.front().map(|(_, value)| *value),
            OverTime::Avg => Some(self.mean()),
            OverTime::Median => median(&mut self.values().collect::<Vec<f64>>()),
            OverTime::Stddev => Some(self.deviation()),
            OverTime::Delta => {
                self.samples.back().zip(self.samples.front()).map(|(last, first)| last.1 - first.1)
            }
            OverTime::Slope => self.slope(),
        };
        match number {
            Some(number) if number.is_finite() => Reading::Value(number),
            Some(_) => Reading::NoData(NoData::NotFinite),
            None => Reading::NoData(NoData::NoSeries),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn fed(over: OverTime, samples: &[(u64, f64)]) -> Reading {
        let mut window = GaugeWindow::new(over, MINUTE, Duration::ZERO);
        samples.iter().for_each(|(s, value)| window.push(Instant::from_millis(s * 1000), *value));
        window.reading()
    }

    #[test]
    fn one_sample_fills_no_window() {
        use OverTime::{Avg, Delta, Max, Median, Min, Slope, Stddev};
        for over in [Avg, Min, Max, Median, Stddev, Delta, Slope] {
            assert_eq!(fed(over, &[(1, 3.0)]), Reading::NoData(NoData::WindowFilling));
            assert_eq!(fed(over, &[(1, 3.0), (99, 4.0)]), Reading::NoData(NoData::WindowFilling));
        }
    }

    #[test]
    fn what_a_window_shows_of_its_course() {
        let samples =
            [(1, 2.0), (2, 4.0), (3, 4.0), (4, 4.0), (5, 5.0), (6, 5.0), (7, 7.0), (8, 9.0)];
        assert_eq!(fed(OverTime::Median, &samples), Reading::Value(4.5));
        assert_eq!(fed(OverTime::Stddev, &samples), Reading::Value(2.0));
        assert_eq!(fed(OverTime::Delta, &samples), Reading::Value(7.0));
        assert_eq!(fed(OverTime::Slope, &[(1, 3.0), (3, 7.0), (9, 19.0)]), Reading::Value(2.0));
        assert_eq!(fed(OverTime::Slope, &[(1, 3.0), (3, 3.0)]), Reading::Value(0.0));
        assert_eq!(
            fed(OverTime::Delta, &[(1, f64::MIN), (3, f64::MAX)]),
            Reading::NoData(NoData::NotFinite)
        );
    }

    #[test]
    fn what_was_looked_at_more_often_does_not_count_for_more() {
        // A minute: 50 s at 0 looked at each second, then 10 s at 1 ten times a second.
        let second = Duration::from_secs(1);
        let mut windows = [OverTime::Avg, OverTime::Min, OverTime::Max]
            .map(|over| GaugeWindow::new(over, MINUTE, second));
        for window in &mut windows {
            (1..=50).for_each(|s| window.push(Instant::from_millis(s * 1000), 0.0));
            (1..=100).for_each(|n| window.push(Instant::from_millis(50_000 + n * 100), 1.0));
        }
        let [Reading::Value(mean), least, most] = windows.each_ref().map(GaugeWindow::reading)
        else {
            panic!("{windows:?}")
        };
        // Within one sample of 10 s of 60.
        assert!((mean - 10.0 / 60.0).abs() < 1.5 / 60.0, "{mean}");
        assert_eq!((least, most), (Reading::Value(0.0), Reading::Value(1.0)));
        // The newest always counts.
        windows[0].push(Instant::from_millis(60_050), 1_000.0);
        let Reading::Value(mean) = windows[0].reading() else { panic!("{windows:?}") };
        assert!(mean > 10.0, "{mean}");
    }

    proptest! {
        #[test]
        fn readings_agree_with_a_scan_of_the_full_history(
            steps in prop::collection::vec((1u64..20, -50i32..50), 2..200)
        ) {
            let length = Duration::from_secs(30);
            let mut windows = [OverTime::Avg, OverTime::Min, OverTime::Max]
                .map(|over| GaugeWindow::new(over, length, Duration::ZERO));
            let mut history: Vec<(Instant, f64)> = Vec::new();
            let mut second = 0;
            for (gap, value) in steps {
                second += gap;
                let at = Instant::from_millis(second * 1000);
                history.push((at, f64::from(value)));
                windows.iter_mut().for_each(|window| window.push(at, f64::from(value)));
                let inside: Vec<f64> = history.iter()
                    .filter(|(time, _)| *time > at.before(length)).map(|(_, v)| *v).collect();
                let expected = if inside.len() < 2 {
                    [Reading::NoData(NoData::WindowFilling); 3]
                } else {
                    let sum: f64 = inside.iter().sum();
                    let min = inside.iter().copied().fold(f64::INFINITY, f64::min);
                    let max = inside.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    [sum / inside.len() as f64, min, max].map(Reading::Value)
                };
                prop_assert_eq!([0, 1, 2].map(|w: usize| windows[w].reading()), expected);
            }
        }
    }
}
