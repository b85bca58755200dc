//! Quantiles of classic histograms, from the increases of their buckets over a window.

use crate::model::reading::{NoData, Reading};

/// How far a bucket may lie below the one before it, relative to their sum, before that is more
/// than rounding; as in Prometheus's `ensureMonotonicAndIgnoreSmallDeltas`.
const SMALL_DELTA: f64 = 1e-12;

/// The `q`-quantile of observations counted in cumulative buckets, by linear interpolation within
/// the bucket, as Prometheus's `histogram_quantile`. `bounds` are the upper bounds, ascending;
/// `counts` are the observations at or below each and are made monotone in place, since a scrape
/// may race a write.
///
/// No data without a `+Inf` bucket, with nothing but it, or without observations. A rank in the
/// `+Inf` bucket reads as at least the highest finite bound.
pub(crate) fn quantile(q: f64, bounds: &[f64], counts: &mut [f64]) -> Reading {
    debug_assert!((0.0..=1.0).contains(&q) && bounds.len() == counts.len());
    let [.., highest, f64::INFINITY] = bounds else { return Reading::NoData(NoData::NoBuckets) };
    let last = bounds.len() - 1;
    make_monotone(counts);
    let observations = counts[last];
    if observations <= 0.0 {
        return Reading::NoData(NoData::NoObservations);
    }
    let rank = q * observations;
    let bucket = counts[..last].partition_point(|count| *count < rank);
    if bucket == last {
        return Reading::AtLeast(*highest);
    }
    if bucket == 0 && bounds[0] <= 0.0 {
        return Reading::Value(bounds[0]);
    }
    let (start, below) = match bucket.checked_sub(1) {
        Some(previous) => (bounds[previous], counts[previous]),
        None => (0.0, 0.0),
    };
    let within = counts[bucket] - below;
    // Only q = 0 with an empty first bucket has nothing within: the quantile is its start.
    let share = if within > 0.0 { (rank - below) / within } else { 0.0 };
    Reading::Value(start + (bounds[bucket] - start) * share)
}

fn make_monotone(counts: &mut [f64]) {
    for index in 1..counts.len() {
        let (previous, count) = (counts[index - 1], counts[index]);
        let small = (count - previous).abs() <= SMALL_DELTA * (count.abs() + previous.abs());
        if small || count < previous {
            counts[index] = previous;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn check(q: f64, buckets: &[(f64, f64)], expected: Reading) {
        let (bounds, mut counts): (Vec<f64>, Vec<f64>) = buckets.iter().copied().unzip();
        assert_eq!(quantile(q, &bounds, &mut counts), expected, "{q} of {buckets:?}");
    }

    #[test]
    fn a_quantile_is_interpolated_within_its_bucket() {
        check(0.5, &[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)], Reading::Value(1.0));
        check(0.75, &[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)], Reading::Value(1.5));
        check(0.25, &[(1.0, 10.0), (2.0, 20.0), (INF, 20.0)], Reading::Value(0.5));
        check(0.5, &[(-1.0, 10.0), (2.0, 10.0), (INF, 10.0)], Reading::Value(-1.0));
        check(0.0, &[(1.0, 0.0), (2.0, 20.0), (INF, 20.0)], Reading::Value(0.0));
    }

    #[test]
    fn a_rank_in_the_infinite_bucket_is_at_least_the_highest_finite_bound() {
        check(0.95, &[(1.0, 10.0), (2.0, 12.0), (INF, 20.0)], Reading::AtLeast(2.0));
    }

    #[test]
    fn what_cannot_give_a_quantile_says_why() {
        check(0.5, &[], Reading::NoData(NoData::NoBuckets));
        check(0.5, &[(INF, 4.0)], Reading::NoData(NoData::NoBuckets));
        check(0.5, &[(1.0, 4.0), (2.0, 5.0)], Reading::NoData(NoData::NoBuckets));
        check(0.5, &[(1.0, 0.0), (INF, 0.0)], Reading::NoData(NoData::NoObservations));
    }

    #[test]
    fn a_bucket_that_raced_a_write_is_lifted_to_the_one_before_it() {
        check(0.5, &[(1.0, 10.0), (2.0, 9.0), (INF, 20.0)], Reading::Value(1.0));
    }
}
