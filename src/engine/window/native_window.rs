//! What native histograms gained within a window: one row a scrape, each with its own sum.
//!
//! Unlike totals, which are set back when they have grown too large, gains leave with their row: a
//! series of low resolution blurs the window for as long as it is in it and no longer. A row is
//! mostly a handful of buckets, so adding them up for a reading costs little.

use std::collections::VecDeque;

use crate::model::native::{MAX_SCHEMA, MIN_SCHEMA, NativeHistogram};
use crate::model::time::Instant;

use super::native;

/// The most buckets of all rows, 4 MiB of them: an hour of scrapes every second that each touch 70.
/// Beyond it all rows become coarser, down to the coarsest schema, at which a row has at most a few
/// hundred.
const MAX_BUCKETS: usize = 1 << 18;

/// Gains over a time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gains {
    /// What native histograms gained.
    pub(crate) native: NativeHistogram,
    /// How many of the observations are of histograms without classic buckets, so that only the
    /// native ones know where they lie.
    pub(crate) bare: f64,
}

impl Gains {
    pub(crate) fn none() -> Self {
        Self { native: NativeHistogram::empty(), bare: 0.0 }
    }

    pub(crate) fn add(&mut self, more: &Self) {
        native::add(&mut self.native, &more.native);
        self.bare += more.bare;
    }
}

/// The rows of a window. Without native histograms there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct NativeWindow {
    rows: VecDeque<(Instant, Gains)>,
    buckets: usize,
    /// What native histograms gained since the last row, where there are any.
    gathering: Option<NativeHistogram>,
    bare: f64,
}

impl NativeWindow {
    /// A histogram gained this since it was last seen.
    pub(crate) fn add(&mut self, gain: &NativeHistogram) {
        native::add(self.gathering.get_or_insert_with(NativeHistogram::empty), gain);
    }

    /// A histogram without classic buckets gained so many observations. Of no account on a page
    /// without native histograms, where the order of the buckets may be any.
    pub(crate) fn add_bare(&mut self, gain: f64) {
        self.bare += gain;
    }

    /// Ends a scrape; what is not newer than `oldest`, where windows begin, leaves.
    pub(crate) fn push(&mut self, at: Instant, oldest: Option<Instant>) {
        let bare = std::mem::take(&mut self.bare);
        if let Some(native) = self.gathering.take() {
            self.buckets += native.len();
            self.rows.push_back((at, Gains { native, bare }));
        }
        while self.rows.front().is_some_and(|(time, _)| oldest.is_some_and(|end| *time <= end)) {
            let gone = self.rows.pop_front();
            self.buckets -= gone.map_or(0, |(_, gains)| gains.native.len());
        }
        self.coarsen();
    }

    fn coarsen(&mut self) {
        let mut schema = MAX_SCHEMA;
        while self.buckets > MAX_BUCKETS && schema > MIN_SCHEMA {
            schema -= 1;
            for (_, gains) in &mut self.rows {
                let native = std::mem::replace(&mut gains.native, NativeHistogram::empty());
                gains.native = native::coarser(native, schema);
            }
            self.buckets = self.rows.iter().map(|(_, gains)| gains.native.len()).sum();
        }
    }

    /// Whether a native histogram was on a page within the window.
    pub(crate) fn is_known(&self) -> bool {
        !self.rows.is_empty()
    }

    /// What was gained after `from` and no later than `to`.
    pub(crate) fn gains(&self, (from, to): (Instant, Instant)) -> Gains {
        let within = self.rows.iter().filter(|(time, _)| *time > from && *time <= to);
        within.fold(Gains::none(), |mut all, (_, gains)| {
            all.add(gains);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::native::Parts;

    fn histogram(buckets: std::ops::Range<i32>) -> NativeHistogram {
        let positive: Vec<_> = buckets.map(|index| (index, 1.0)).collect();
        let count = positive.len() as f64;
        NativeHistogram::new(Parts { schema: 8, positive, count, ..Parts::default() }).unwrap()
    }

    fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1000)
    }

    #[test]
    fn gains_leave_with_their_scrape() {
        let mut window = NativeWindow::default();
        for second in 1..=5 {
            window.add(&histogram(0..second as i32));
            window.push(at(second), Some(at(second.saturating_sub(3))));
        }
        let count = |from, to| window.gains((at(from), at(to))).native.parts().count;
        assert_eq!((count(2, 5), count(3, 4), count(0, 9)), (12.0, 4.0, 12.0));
        window.push(at(99), Some(at(98)));
        assert!(!window.is_known() && window.buckets == 0);
    }

    #[test]
    fn more_buckets_than_can_be_kept_become_coarser_and_lose_no_observation() {
        let mut window = NativeWindow::default();
        for second in 0..100 {
            window.add(&histogram(0..4096));
            window.push(at(second), None);
        }
        assert!(window.buckets <= MAX_BUCKETS);
        let gains = window.gains((at(0), at(99)));
        assert_eq!(gains.native.parts().count, 99.0 * 4096.0);
        assert!(gains.native.parts().schema < 8);
    }
}
