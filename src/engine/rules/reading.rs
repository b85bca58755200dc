//! Readings: what the accumulators of a signal, one from each target, say together at an instant.

use crate::model::reading::{NoData, Reading};
use crate::model::signal::{AgeOf, Aggregation, Reduction};
use crate::model::time::Instant;

use crate::engine::ingest::accumulator::{Accumulator, Availability, GaugeAggregate};
use crate::engine::window::counter::Span;
use crate::engine::window::native;
use crate::engine::window::native_window::Gains;
use crate::engine::window::quantile;

/// How far the observations of native histograms may fall short of all, relatively, by rounding.
const SLACK: f64 = 1e-9;

const NO_SERIES: Reading = Reading::NoData(NoData::NoSeries);

/// What a signal over series reads at `at`, for a gauge before any window over time.
pub(crate) fn read(reduction: &Reduction, all: &[&Accumulator], at: Instant) -> Reading {
    let read = match reduction {
        Reduction::Rate => increases(all, at).map(|all| {
            let rate = |(each, span): &(&Accumulator, Span)| {
                each.increase(*span, 0) / span.elapsed.as_secs_f64()
            };
            sum(all.ready.iter().map(rate).sum(), all.missing)
        }),
        Reduction::Increase => increases(all, at).map(|all| sum(all.total(0), all.missing)),
        Reduction::Ratio { .. } => increases(all, at).map(|all| all.share(NoData::NoTraffic)),
        Reduction::Mean => increases(all, at).map(|all| all.share(NoData::NoObservations)),
        Reduction::Quantile(q) if has_buckets(all) => {
            increases(all, at).map(|all| all.quantile(*q))
        }
        Reduction::Quantile(_) => gauges(all, at).map(summary_quantile),
        Reduction::Gauge { across, .. } => gauges(all, at).map(|all| aggregated(*across, all)),
        Reduction::Count(_) => count(all, at),
        Reduction::Age(AgeOf::Sample) => Ok(sample_age(all, at)),
        Reduction::Age(AgeOf::Value) => value_age(all, at),
    };
    read.unwrap_or_else(Reading::NoData)
}

/// What is missing from a reading.
#[derive(Default)]
struct Gaps {
    /// Why a target that has a share could not be read, where there is one.
    missing: Option<NoData>,
    /// A target was read that has no share.
    any_absent: bool,
}

/// Reads those accumulators that can be read. A spoiled one spoils the reading; a stale one leaves
/// a gap; an absent one has no share.
fn gather<'a>(
    all: &[&'a Accumulator],
    at: Instant,
    mut read: impl FnMut(&'a Accumulator) -> Result<(), NoData>,
) -> Result<Gaps, NoData> {
    let mut gaps = Gaps::default();
    for each in all {
        let gap = match each.availability(at) {
            Availability::Spoiled(why) => return Err(why),
            Availability::Stale => {
                gaps.missing = Some(NoData::Stale);
                None
            }
            Availability::Absent => {
                gaps.any_absent = true;
                None
            }
            Availability::Unknown => Some(NoData::NeverScraped),
            Availability::Ready => read(each).err(),
        };
        gaps.missing = gaps.missing.or(gap);
    }
    Ok(gaps)
}

/// The accumulators whose windows can be used, and what is missing from them.
struct Increases<'a> {
    ready: Vec<(&'a Accumulator, Span)>,
    missing: Option<NoData>,
}

fn increases<'a>(all: &[&'a Accumulator], at: Instant) -> Result<Increases<'a>, NoData> {
    let mut ready = Vec::new();
    let gaps = gather(all, at, |each| {
        ready.push((each, each.span(at)?));
        Ok(())
    })?;
    if ready.is_empty() {
        return Err(gaps.missing.unwrap_or(NoData::NoSeries));
    }
    Ok(Increases { ready, missing: gaps.missing })
}

/// A sum of shares that cannot be negative: a lower bound where one is missing.
const fn sum(sum: f64, missing: Option<NoData>) -> Reading {
    match missing {
        _ if !sum.is_finite() => Reading::NoData(NoData::NotFinite),
        None => Reading::Value(sum),
        Some(_) => Reading::AtLeast(sum),
    }
}

impl Increases<'_> {
    /// How much a column grew over all targets.
    fn total(&self, column: usize) -> f64 {
        self.ready.iter().map(|(each, span)| each.increase(*span, column)).sum()
    }

    /// The first column divided by the second.
    fn share(&self, nothing: NoData) -> Reading {
        let (part, whole) = (self.total(0), self.total(1));
        let share = part / whole;
        match whole > 0.0 {
            true if share.is_finite() => Reading::Value(share),
            true => Reading::NoData(NoData::NotFinite),
            false => Reading::NoData(nothing),
        }
    }

    /// Of the native histograms if they know of every observation in the window. Where some
    /// histograms have only classic buckets, or had at the window's beginning, these are it; where
    /// others have only native ones, nothing holds all.
    fn quantile(&self, q: f64) -> Reading {
        if !self.ready.iter().any(|(each, _)| each.has_natives()) {
            return self.classic_quantile(q);
        }
        let mut gains = Gains::none();
        let mut all = 0.0;
        for (each, span) in &self.ready {
            gains.add(&each.natives(*span));
            let last = each.bounds().iter().position(|bound| *bound == f64::INFINITY);
            all += last.map_or(0.0, |column| each.increase(*span, column));
        }
        if gains.native.parts().count >= all * (1.0 - SLACK) {
            native::quantile(q, &gains.native)
        } else if gains.bare > 0.0 {
            Reading::NoData(NoData::NoBuckets)
        } else {
            self.classic_quantile(q)
        }
    }

    /// Buckets are added by their upper bound over all targets.
    fn classic_quantile(&self, q: f64) -> Reading {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (each, span) in &self.ready {
            for (column, bound) in each.bounds().iter().enumerate() {
                buckets.push((*bound, each.increase(*span, column)));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets.dedup_by(|next, kept| {
            let same = next.0.total_cmp(&kept.0).is_eq();
            if same {
                kept.1 += next.1;
            }
            same
        });
        let (bounds, mut counts): (Vec<f64>, Vec<f64>) = buckets.into_iter().unzip();
        quantile::quantile(q, &bounds, &mut counts)
    }
}

/// Whether the accumulators hold a histogram rather than a summary.
fn has_buckets(all: &[&Accumulator]) -> bool {
    all.iter().any(|each| !each.bounds().is_empty() || each.has_natives())
}

/// The gauges of all targets at `at`, and whether a share is missing.
fn gauges(all: &[&Accumulator], at: Instant) -> Result<(GaugeAggregate, Option<NoData>), NoData> {
    let (mut gauges, mut any) = (GaugeAggregate::NONE, false);
    let gaps = gather(all, at, |each| {
        gauges.merge(each.gauges());
        any = true;
        Ok(())
    })?;
    if any { Ok((gauges, gaps.missing)) } else { Err(gaps.missing.unwrap_or(NoData::NoSeries)) }
}

/// The largest of a summary's own quantiles.
const fn summary_quantile((gauges, missing): (GaugeAggregate, Option<NoData>)) -> Reading {
    match missing {
        Some(why) if gauges.count == 0 => Reading::NoData(why),
        None if gauges.count == 0 => Reading::NoData(NoData::NoObservations),
        Some(_) => Reading::AtLeast(gauges.max),
        None => Reading::Value(gauges.max),
    }
}

/// The gauges across series.
fn aggregated(
    across: Option<Aggregation>,
    (gauges, missing): (GaugeAggregate, Option<NoData>),
) -> Reading {
    if gauges.count == 0 {
        return Reading::NoData(missing.unwrap_or(NoData::NoSeries));
    }
    let count = f64::from(gauges.count);
    let value = match across {
        None if gauges.count > 1 => return Reading::NoData(NoData::SeveralSeries(gauges.count)),
        None | Some(Aggregation::Sum) => gauges.sum,
        Some(Aggregation::Avg) => gauges.sum / count,
        Some(Aggregation::Min) => gauges.min,
        Some(Aggregation::Max) => gauges.max,
        Some(Aggregation::Count) => count,
    };
    match (missing, across) {
        _ if !value.is_finite() => Reading::NoData(NoData::NotFinite),
        (None, _) => Reading::Value(value),
        // What is missing can only add to these two.
        (Some(_), Some(Aggregation::Max | Aggregation::Count)) => Reading::AtLeast(value),
        (Some(why), None | Some(Aggregation::Sum | Aggregation::Avg | Aggregation::Min)) => {
            Reading::NoData(why)
        }
    }
}

/// How many series count at `at`. None on a page that could be read is 0, which is known; what a
/// silent target has can only add to it.
fn count(all: &[&Accumulator], at: Instant) -> Result<Reading, NoData> {
    let (mut total, mut any) = (0, false);
    let gaps = gather(all, at, |each| {
        total += each.gauges().count;
        any = true;
        Ok(())
    })?;
    let total = f64::from(total);
    Ok(match gaps.missing {
        None if all.is_empty() => NO_SERIES,
        None => Reading::Value(total),
        Some(_) if any || gaps.any_absent => Reading::AtLeast(total),
        Some(why) => Reading::NoData(why),
    })
}

/// Seconds since the newest sample. That nothing was sampled since does not make it unknown.
fn sample_age(all: &[&Accumulator], at: Instant) -> Reading {
    if all.iter().any(|each| each.availability(at) == Availability::Unknown) {
        return Reading::NoData(NoData::NeverScraped);
    }
    let youngest = all.iter().filter_map(|each| each.age(at)).min();
    youngest.map_or(NO_SERIES, |age| Reading::Value(age.as_secs_f64()))
}

/// Seconds since the newest time that a gauge holds.
fn value_age(all: &[&Accumulator], at: Instant) -> Result<Reading, NoData> {
    let mut youngest = None;
    let gaps = gather(all, at, |each| {
        youngest = youngest.into_iter().chain(each.age(at)).min();
        Ok(())
    })?;
    Ok(match (gaps.missing, youngest) {
        (Some(why), _) => Reading::NoData(why),
        (None, Some(age)) => Reading::Value(age.as_secs_f64()),
        (None, None) => NO_SERIES,
    })
}

/// Why nothing is known of a group that no accumulator has a share of.
pub(crate) fn absence(all: impl Iterator<Item = Availability>) -> NoData {
    let mut reasons = all.filter_map(|availability| match availability {
        Availability::Unknown => Some(NoData::NeverScraped),
        Availability::Spoiled(why) => Some(why),
        Availability::Absent | Availability::Stale | Availability::Ready => None,
    });
    reasons.next().unwrap_or(NoData::NoSeries)
}
