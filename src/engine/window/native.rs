//! What native histograms gained, their sums, and their quantiles.
//!
//! The rules are those of Prometheus 3: `FloatHistogram` in `model/histogram/float_histogram.go`
//! for resets and for bringing two histograms to one resolution, `HistogramQuantile` in
//! `promql/quantile.go` for the interpolation. Never: an observation that is lost on the way to a
//! lower resolution, or a gain that is negative.

use crate::model::native::{Bucket, MAX_BUCKETS, MIN_SCHEMA, NativeHistogram, Parts};
use crate::model::reading::{NoData, Reading};

/// What a histogram gained from one scrape to the next, at the resolution that it has now. After a
/// reset all that it holds is gain, as with a counter.
pub(crate) fn gain(before: &NativeHistogram, now: &NativeHistogram) -> NativeHistogram {
    let Some(before) = continued(before, now) else { return now.clone() };
    let now = now.parts();
    build(Parts {
        schema: now.schema,
        zero_threshold: now.zero_threshold,
        zero_count: now.zero_count - before.zero_count,
        positive: less(&now.positive, &before.positive),
        negative: less(&now.negative, &before.negative),
        count: now.count - before.count,
        sum: now.sum - before.sum,
    })
}

/// The earlier histogram at the resolution of the later one; `None` if that does not go on from
/// it. It does not where its count or any bucket fell, nor where it became finer or its zero bucket
/// narrower, which only a new beginning can bring about.
fn continued(before: &NativeHistogram, now: &NativeHistogram) -> Option<Parts> {
    let (old, new) = (before.parts(), now.parts());
    let is_finer = new.schema > old.schema || new.zero_threshold < old.zero_threshold;
    // Nothing observed has no resolution to fall back from.
    if new.count < old.count || (is_finer && old.count > 0.0) {
        return None;
    }
    if old.count == 0.0 {
        let (schema, zero_threshold) = (new.schema, new.zero_threshold);
        return Some(Parts { schema, zero_threshold, sum: old.sum, ..Parts::default() });
    }
    let mut old = old.clone();
    widen(&mut old, new.zero_threshold);
    if old.zero_threshold > new.zero_threshold {
        return None;
    }
    reduce(&mut old, new.schema);
    let grew = new.zero_count >= old.zero_count
        && covers(&new.positive, &old.positive)
        && covers(&new.negative, &old.negative);
    grew.then_some(old)
}

/// Whether no bucket of `old` is fuller than the same of `new`.
fn covers(new: &[Bucket], old: &[Bucket]) -> bool {
    let mut new = new.iter();
    old.iter().all(|(index, count)| new.any(|(at, now)| at == index && now >= count))
}

/// `now` less `before`, which it covers.
fn less(now: &[Bucket], before: &[Bucket]) -> Vec<Bucket> {
    let mut before = before.iter().peekable();
    now.iter()
        .map(|(index, count)| match before.next_if(|(at, _)| at == index) {
            Some((_, old)) => (*index, count - old),
            None => (*index, *count),
        })
        .collect()
}

/// Adds one histogram to another, at the coarser resolution and with the wider zero bucket of the
/// two. Becomes coarser still where it would have too many buckets.
pub(crate) fn add(total: &mut NativeHistogram, more: &NativeHistogram) {
    if more.parts().count == 0.0 {
        return;
    }
    if total.parts().count == 0.0 {
        return total.clone_from(more);
    }
    let mut sum = std::mem::replace(total, NativeHistogram::empty()).into_parts();
    let mut more = more.parts().clone();
    // A threshold within a bucket rises to its end, beyond that of the other.
    while sum.zero_threshold < more.zero_threshold || more.zero_threshold < sum.zero_threshold {
        let threshold = sum.zero_threshold.max(more.zero_threshold);
        widen(&mut sum, threshold);
        widen(&mut more, threshold);
    }
    let schema = sum.schema.min(more.schema);
    reduce(&mut sum, schema);
    reduce(&mut more, schema);
    sum.zero_count += more.zero_count;
    sum.count += more.count;
    sum.sum += more.sum;
    sum.positive = merged(&sum.positive, &more.positive);
    sum.negative = merged(&sum.negative, &more.negative);
    while sum.positive.len() + sum.negative.len() > MAX_BUCKETS && sum.schema > MIN_SCHEMA {
        let schema = sum.schema - 1;
        reduce(&mut sum, schema);
    }
    *total = build(sum);
}

/// A coarser histogram of the same observations; the same if it is as coarse already.
pub(crate) fn coarser(histogram: NativeHistogram, schema: i32) -> NativeHistogram {
    let mut parts = histogram.into_parts();
    reduce(&mut parts, schema);
    build(parts)
}

/// Where a count overflowed there is no more to say than that: it counts as nothing observed.
fn build(parts: Parts) -> NativeHistogram {
    NativeHistogram::new(parts).unwrap_or_else(|_| NativeHistogram::empty())
}

/// The buckets of both, ascending.
fn merged(a: &[Bucket], b: &[Bucket]) -> Vec<Bucket> {
    let mut all = [a, b].concat();
    // Two ascending runs, which the sort merges in one pass.
    all.sort_by_key(|(index, _)| *index);
    join_same(&mut all);
    all
}

/// Joins neighbours of the same index.
fn join_same(side: &mut Vec<Bucket>) {
    side.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0.0 };
        same
    });
}

/// Joins buckets until the histogram has that resolution, if it is not coarser already.
fn reduce(parts: &mut Parts, schema: i32) {
    let by = parts.schema - schema;
    if by <= 0 {
        return;
    }
    for side in [&mut parts.positive, &mut parts.negative] {
        // Both join the bucket whose bound is theirs or the next one above.
        side.iter_mut().for_each(|(index, _)| *index = ((*index - 1) >> by) + 1);
        join_same(side);
    }
    parts.schema = schema;
}

/// Widens the zero bucket to the threshold, or beyond it to the end of a bucket in whose midst it
/// lies, because a bucket cannot be divided.
fn widen(parts: &mut Parts, threshold: f64) {
    if threshold <= parts.zero_threshold {
        return;
    }
    let mut threshold = threshold;
    for side in [&parts.positive, &parts.negative, &parts.positive] {
        let cut = side.iter().rev().find(|(index, _)| bound(*index - 1, parts.schema) < threshold);
        threshold = cut.map_or(threshold, |(index, _)| threshold.max(bound(*index, parts.schema)));
    }
    let schema = parts.schema;
    for side in [&mut parts.positive, &mut parts.negative] {
        let inside = side.partition_point(|(index, _)| bound(*index, schema) <= threshold);
        parts.zero_count += side.drain(..inside).map(|(_, count)| count).sum::<f64>();
    }
    parts.zero_threshold = threshold;
}

/// The upper bound of a bucket, `2^(index / 2^schema)`. That of the last whose lower bound is
/// finite is the largest float, since what is infinite is counted in the next one.
pub(crate) fn bound(index: i32, schema: i32) -> f64 {
    let (whole, rest) = if schema <= 0 {
        (i64::from(index) << -schema, 0.0)
    } else {
        let parts = 1 << schema;
        let rest = index.rem_euclid(parts);
        (i64::from(index.div_euclid(parts)), f64::from(rest) / f64::from(parts))
    };
    if whole == i64::from(f64::MAX_EXP) && rest == 0.0 {
        return f64::MAX;
    }
    // Two factors: the larger exponents of subnormal numbers are exact only one by one.
    (whole as f64).exp2() * rest.exp2()
}

/// A bucket with its bounds as they stand on the number line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Range {
    lower: f64,
    upper: f64,
    count: f64,
}

/// The `q`-quantile, 0 to 1, of what a native histogram observed: `HistogramQuantile` of
/// Prometheus 3. Within a bucket the logarithm is interpolated, as if a finer histogram were evenly
/// filled; within the zero bucket the value itself, from 0 where there are no negative observations
/// and to 0 where there are no positive ones. The rank is counted from the nearer end, except where
/// observations that are not a number stand above all others.
///
/// No data without observations, or where the rank is among those that are not a number. A rank
/// among infinite observations reads as at least the largest finite bound.
pub(crate) fn quantile(q: f64, histogram: &NativeHistogram) -> Reading {
    let parts = histogram.parts();
    if parts.count <= 0.0 {
        return Reading::NoData(NoData::NoObservations);
    }
    let upwards = parts.sum.is_nan() || q < 0.5;
    let mut ranges = ranges(parts);
    if !upwards {
        ranges.reverse();
    }
    let rank = if upwards { q * parts.count } else { (1.0 - q) * parts.count };
    let mut seen = 0.0;
    let reached = ranges.iter().find(|range| {
        seen += range.count;
        seen >= rank
    });
    let Some(range) = reached else {
        // The rank was not reached: by rounding, which is of no matter, or because what is not a
        // number is in no bucket.
        return match ranges.last() {
            Some(end) if !parts.sum.is_nan() => {
                reading(if upwards { end.upper } else { end.lower }, end.lower)
            }
            Some(_) | None => Reading::NoData(NoData::NotFinite),
        };
    };
    let below = seen - range.count;
    let share = ((rank - below) / range.count).clamp(0.0, 1.0);
    let share = if upwards { share } else { 1.0 - share };
    reading(interpolate(*range, share), range.lower)
}

fn reading(value: f64, lower: f64) -> Reading {
    if value.is_finite() {
        Reading::Value(value)
    } else if value == f64::INFINITY && lower > 0.0 {
        Reading::AtLeast(lower.min(f64::MAX))
    } else {
        Reading::NoData(NoData::NotFinite)
    }
}

/// All populated buckets, ascending. None reaches into the zero bucket.
fn ranges(parts: &Parts) -> Vec<Range> {
    let zero = parts.zero_threshold;
    let of = |(index, count): &Bucket| {
        let lower = bound(*index - 1, parts.schema).max(zero);
        Range { lower, upper: bound(*index, parts.schema).max(lower), count: *count }
    };
    let mirrored = |range: Range| Range { lower: -range.upper, upper: -range.lower, ..range };
    let mut ranges: Vec<Range> = parts.negative.iter().rev().map(of).map(mirrored).collect();
    if parts.zero_count > 0.0 {
        let (any_below, any_above) = (!parts.negative.is_empty(), !parts.positive.is_empty());
        let lower = if any_above && !any_below { 0.0 } else { -zero };
        let upper = if any_below && !any_above { 0.0 } else { zero };
        ranges.push(Range { lower, upper, count: parts.zero_count });
    }
    ranges.extend(parts.positive.iter().map(of));
    ranges
}

fn interpolate(range: Range, share: f64) -> f64 {
    let Range { lower, upper, .. } = range;
    if lower <= 0.0 && upper >= 0.0 {
        return lower + (upper - lower) * share;
    }
    let (from, to) = (lower.abs().log2(), upper.abs().log2());
    let value = (from + (to - from) * share).exp2();
    if lower > 0.0 { value } else { -value }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn histogram(schema: i32, zero: (f64, f64), sides: [&[Bucket]; 2]) -> NativeHistogram {
        let count = zero.1 + sides.concat().iter().map(|(_, count)| count).sum::<f64>();
        let [negative, positive] = sides.map(<[Bucket]>::to_vec);
        let (zero_threshold, zero_count) = zero;
        let parts =
            Parts { schema, zero_threshold, zero_count, positive, negative, count, sum: 1.0 };
        NativeHistogram::new(parts).unwrap()
    }

    fn above(schema: i32, positive: &[Bucket]) -> NativeHistogram {
        histogram(schema, (0.0, 0.0), [&[], positive])
    }

    #[track_caller]
    fn check(q: f64, histogram: &NativeHistogram, expected: f64) {
        let Reading::Value(value) = quantile(q, histogram) else {
            panic!("{:?}, expected {expected}", quantile(q, histogram))
        };
        assert!((value - expected).abs() <= 1e-12 * expected.abs(), "{value}, not {expected}");
    }

    #[test]
    fn within_a_bucket_the_logarithm_is_interpolated() {
        // Half of the bucket from 1 to 2 is below the square root of 2.
        check(0.5, &above(0, &[(1, 10.0)]), 2_f64.sqrt());
        check(0.25, &above(0, &[(1, 10.0)]), 2_f64.powf(0.25));
        check(0.5, &histogram(0, (0.0, 0.0), [&[(1, 10.0)], &[]]), -(2_f64.sqrt()));
        check(0.9, &histogram(0, (0.0, 0.0), [&[(1, 10.0)], &[]]), -(2_f64.powf(0.1)));
        check(1.0, &above(0, &[(1, 10.0), (3, 5.0)]), 8.0);
        check(0.0, &above(0, &[(1, 10.0), (3, 5.0)]), 1.0);
    }

    #[test]
    fn a_rank_between_two_buckets_is_counted_from_the_nearer_end() {
        check(0.5, &above(0, &[(1, 10.0), (3, 10.0)]), 4.0);
        check(0.25, &above(0, &[(1, 5.0), (3, 15.0)]), 2.0);
    }

    #[test]
    fn the_zero_bucket_is_linear_and_ends_at_zero_where_one_side_is_empty() {
        let zero = (0.5, 10.0);
        check(0.25, &histogram(0, zero, [&[], &[]]), -0.25);
        check(0.25, &histogram(0, zero, [&[], &[(1, 10.0)]]), 0.25);
        check(0.75, &histogram(0, zero, [&[(1, 10.0)], &[]]), -0.25);
        check(0.5, &histogram(0, zero, [&[(1, 5.0)], &[(1, 5.0)]]), 0.0);
    }

    #[test]
    fn a_bucket_begins_where_the_zero_bucket_ends() {
        // From 1.5, not from 1, to 2.
        check(0.0, &histogram(0, (1.5, 0.0), [&[], &[(1, 10.0)]]), 1.5);
    }

    #[test]
    fn what_has_no_quantile_says_why() {
        let no_data = |why| Reading::NoData(why);
        assert_eq!(quantile(0.5, &above(0, &[])), no_data(NoData::NoObservations));
        let nan = |count| {
            let parts = above(0, &[(1, 10.0)]).into_parts();
            NativeHistogram::new(Parts { sum: f64::NAN, count, ..parts }).unwrap()
        };
        assert_eq!(quantile(0.9, &nan(20.0)), no_data(NoData::NotFinite));
        check(0.25, &nan(20.0), 2_f64.sqrt());
        assert_eq!(quantile(0.9, &above(0, &[(1025, 1.0)])), Reading::AtLeast(f64::MAX));
        let below = histogram(0, (0.0, 0.0), [&[(1025, 1.0)], &[]]);
        assert_eq!(quantile(0.9, &below), no_data(NoData::NotFinite));
    }

    #[test]
    fn bounds_are_powers_of_two_and_the_last_is_the_largest_float() {
        for (index, schema, expected) in [
            (0, 0, 1.0),
            (1, 0, 2.0),
            (-1, 0, 0.5),
            (1, 1, 2_f64.sqrt()),
            (3, 2, 2_f64.powf(0.75)),
            (1, -4, 65_536.0),
            (-1, -2, 0.0625),
            (1024, 0, f64::MAX),
            (1025, 0, f64::INFINITY),
            (64, -4, f64::MAX),
            (262_144, 8, f64::MAX),
            (-1074, 0, 5e-324),
        ] {
            assert_eq!(bound(index, schema), expected, "{index} at {schema}");
        }
    }

    fn gained(before: &NativeHistogram, now: &NativeHistogram, expected: &NativeHistogram) {
        let mut expected = expected.clone().into_parts();
        let mut found = gain(before, now).into_parts();
        (expected.sum, found.sum) = (0.0, 0.0);
        assert_eq!(found, expected);
    }

    #[test]
    fn a_gain_is_the_difference_and_after_a_reset_all_there_is() {
        let before = above(1, &[(1, 3.0), (4, 2.0)]);
        gained(
            &before,
            &above(1, &[(1, 3.0), (3, 1.0), (4, 4.0)]),
            &above(1, &[(3, 1.0), (4, 2.0)]),
        );
        for now in [
            above(1, &[(1, 2.0), (4, 2.0)]),
            above(1, &[(1, 2.0), (4, 9.0)]),
            above(1, &[(4, 9.0)]),
            above(2, &[(1, 9.0), (7, 9.0)]),
        ] {
            gained(&before, &now, &now);
        }
        let zero = |threshold, count, positive| histogram(0, (threshold, count), [&[], positive]);
        let narrower = zero(0.25, 3.0, &[(4, 9.0)]);
        gained(&zero(0.5, 1.0, &[(4, 1.0)]), &narrower, &narrower);
        let emptier = zero(0.5, 0.0, &[(4, 9.0)]);
        gained(&zero(0.5, 1.0, &[(4, 1.0)]), &emptier, &emptier);
    }

    #[test]
    fn a_client_that_becomes_coarser_does_not_begin_anew() {
        // 2 and 4 are bounds of both; 2^1.5 to 4 joins 2 to 2^1.5.
        let before = above(1, &[(3, 3.0), (4, 2.0)]);
        gained(&before, &above(0, &[(2, 6.0)]), &above(0, &[(2, 1.0)]));
        gained(&before, &above(-1, &[(1, 6.0)]), &above(-1, &[(1, 1.0)]));
        let before = histogram(0, (0.5, 1.0), [&[(0, 2.0)], &[(1, 3.0), (3, 1.0)]]);
        let now = histogram(0, (2.0, 7.0), [&[], &[(3, 2.0)]]);
        gained(&before, &now, &histogram(0, (2.0, 1.0), [&[], &[(3, 1.0)]]));
        // A threshold within a populated bucket cannot have come of widening.
        let odd = histogram(0, (1.5, 9.0), [&[], &[(1, 9.0), (3, 9.0)]]);
        gained(&before, &odd, &odd);
    }

    #[test]
    fn a_sum_has_the_coarser_resolution_and_the_wider_zero_bucket() {
        let mut total = histogram(1, (0.0, 0.0), [&[], &[(-5, 1.0), (3, 3.0), (4, 2.0)]]);
        add(&mut total, &histogram(0, (0.3, 2.0), [&[(1, 1.0)], &[(2, 1.0)]]));
        // 0.3 is above the bucket from 2^-3 to 2^-2.5.
        assert_eq!(total.parts().zero_count, 3.0);
        assert_eq!(total.parts().positive, [(2, 6.0)]);
        assert_eq!(total.parts().negative, [(1, 1.0)]);
        // Within that from 0.25 to 0.5, whose end it becomes.
        let mut total = above(0, &[(-1, 1.0), (3, 1.0)]);
        add(&mut total, &histogram(0, (0.3, 2.0), [&[(-1, 1.0)], &[(2, 1.0)]]));
        assert_eq!((total.parts().zero_threshold, total.parts().zero_count), (0.5, 4.0));
    }

    fn side() -> impl Strategy<Value = Vec<Bucket>> {
        prop::collection::btree_map(-40..40_i32, 1..50_u32, 0..12)
            .prop_map(|map| map.into_iter().map(|(at, count)| (at, f64::from(count))).collect())
    }

    fn any() -> impl Strategy<Value = NativeHistogram> {
        let zero = (prop_oneof![Just(0.0), Just(0.01), Just(0.3), Just(3.0)], 0..20_u32);
        (MIN_SCHEMA..=8, zero, side(), side()).prop_map(|(schema, zero, below, above)| {
            histogram(schema, (zero.0, f64::from(zero.1)), [&below, &above])
        })
    }

    fn observations(histogram: &NativeHistogram) -> f64 {
        let Parts { zero_count, positive, negative, .. } = histogram.parts();
        zero_count + positive.iter().chain(negative).map(|(_, count)| count).sum::<f64>()
    }

    proptest! {
        #[test]
        fn no_observation_is_lost_by_sums_gains_or_coarser_buckets(
            a in any(), b in any(), schema in MIN_SCHEMA..=8
        ) {
            let mut total = a.clone();
            add(&mut total, &b);
            prop_assert_eq!(observations(&total), observations(&a) + observations(&b));
            prop_assert_eq!(total.parts().count, a.parts().count + b.parts().count);
            let mut other = b.clone();
            add(&mut other, &a);
            prop_assert_eq!(&total, &other);
            prop_assert_eq!(observations(&coarser(a.clone(), schema)), observations(&a));
            // What is added to a histogram is what it gained.
            let gain = gain(&a, &total);
            let rest = observations(&gain);
            if b.parts().count > 0.0 && continued(&a, &total).is_some() {
                prop_assert_eq!(rest, observations(&b));
            }
        }

        #[test]
        fn quantiles_ascend_and_stay_within_the_buckets(
            a in any(), mut qs in prop::collection::vec(0.0..=1.0_f64, 2..10)
        ) {
            qs.sort_by(f64::total_cmp);
            let values: Vec<f64> =
                qs.iter().filter_map(|q| quantile(*q, &a).value()).collect();
            prop_assert_eq!(values.len(), if a.parts().count > 0.0 { qs.len() } else { 0 });
            let slack = |value: f64| value + value.abs() * 1e-9 + 1e-300;
            prop_assert!(values.windows(2).all(|two| two[0] <= slack(two[1])), "{values:?}");
        }
    }
}
