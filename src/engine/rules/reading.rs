//! Readings: what the accumulators of a signal, one from each target, say together at an instant.

use std::time::Duration;

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

/// What a signal over series reads at `at`, for a gauge before any window over time.
pub(crate) fn read(reduction: &Reduction, all: &[&Accumulator], at: Instant) -> Reading {
    let read = match reduction {
        Reduction::Rate => increases(all, at).and_then(|all| {
            let rate = |(each, span): &(&Accumulator, Span)| {
                each.window().increase(*span, 0) / span.elapsed.as_secs_f64()
            };
            all.sum(all.ready.iter().map(rate).sum())
        }),
        Reduction::Increase => increases(all, at).and_then(|all| all.sum(all.total(0))),
        Reduction::Ratio { .. } => increases(all, at).and_then(|all| all.share(NoData::NoTraffic)),
        Reduction::Mean => increases(all, at).and_then(|all| all.share(NoData::NoObservations)),
        Reduction::Quantile(q) if has_buckets(all) => {
            increases(all, at).map(|all| all.quantile(*q))
        }
        // The largest of a summary's own quantiles.
        Reduction::Quantile(_) => {
            aggregated(all, at, Some(Aggregation::Max), NoData::NoObservations)
        }
        Reduction::Gauge { across, .. } => aggregated(all, at, *across, NoData::NoSeries),
        Reduction::Count(_) => count(all, at),
        Reduction::Age(of) => age(all, at, *of),
    };
    read.unwrap_or_else(Reading::NoData)
}

/// What is missing from a reading.
#[derive(Default)]
struct Gaps {
    /// Why a target that has a share could not be read, where there is one.
    missing: Option<NoData>,
    any_ready: bool,
    /// A target was read that has no share.
    any_absent: bool,
}

impl Gaps {
    /// What is missing beside what was read; that nothing was is an error.
    fn beside_some(&self) -> Result<Option<NoData>, NoData> {
        if self.any_ready {
            Ok(self.missing)
        } else {
            Err(self.missing.unwrap_or(NoData::NoSeries))
        }
    }
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
        match each.availability(at) {
            Availability::Spoiled(why) => return Err(why),
            Availability::Stale => gaps.missing = Some(NoData::Stale),
            Availability::Absent => gaps.any_absent = true,
            Availability::Unknown => {
                gaps.missing.get_or_insert(NoData::NeverScraped);
            }
            Availability::Ready => match read(each) {
                Ok(()) => gaps.any_ready = true,
                Err(why) => {
                    gaps.missing.get_or_insert(why);
                }
            },
        }
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
        ready.push((each, each.window().span(at)?));
        Ok(())
    })?;
    Ok(Increases { ready, missing: gaps.beside_some()? })
}

impl Increases<'_> {
    /// How much a column grew over all targets.
    fn total(&self, column: usize) -> f64 {
        self.ready.iter().map(|(each, span)| each.window().increase(*span, column)).sum()
    }

    /// A sum of shares that cannot be negative: a lower bound where one is missing.
    const fn sum(&self, sum: f64) -> Result<Reading, NoData> {
        match self.missing {
            _ if !sum.is_finite() => Err(NoData::NotFinite),
            None => Ok(Reading::Value(sum)),
            Some(_) => Ok(Reading::AtLeast(sum)),
        }
    }

    /// The first column divided by the second.
    fn share(&self, nothing: NoData) -> Result<Reading, NoData> {
        let (part, whole) = (self.total(0), self.total(1));
        let share = part / whole;
        match whole > 0.0 {
            true if share.is_finite() => Ok(Reading::Value(share)),
            true => Err(NoData::NotFinite),
            false => Err(nothing),
        }
    }

    /// Of the native histograms if they know of every observation in the window. Where some
    /// histograms have only classic buckets, or had at the window's beginning, these are it; where
    /// others have only native ones, nothing holds all.
    fn quantile(&self, q: f64) -> Reading {
        if !self.ready.iter().any(|(each, _)| each.natives().is_known()) {
            return self.classic_quantile(q);
        }
        let mut gains = Gains::none();
        let mut all = 0.0;
        for (each, span) in &self.ready {
            gains.add(&each.natives().gains(each.window().times(*span)));
            let last = each.bounds().iter().position(|bound| *bound == f64::INFINITY);
            all += last.map_or(0.0, |column| each.window().increase(*span, column));
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
                buckets.push((*bound, each.window().increase(*span, column)));
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets.dedup_by(|next, kept| {
            let same = next.0.total_cmp(&kept.0).is_eq();
            kept.1 += if same { next.1 } else { 0.0 };
            same
        });
        let (bounds, mut counts): (Vec<f64>, Vec<f64>) = buckets.into_iter().unzip();
        quantile::quantile(q, &bounds, &mut counts)
    }
}

/// Whether the accumulators hold a histogram rather than a summary.
fn has_buckets(all: &[&Accumulator]) -> bool {
    all.iter().any(|each| !each.bounds().is_empty() || each.natives().is_known())
}

/// The gauges of all targets at `at`, and what is missing from them.
fn gauges(all: &[&Accumulator], at: Instant) -> Result<(GaugeAggregate, Gaps), NoData> {
    let mut gauges = GaugeAggregate::NONE;
    let gaps = gather(all, at, |each| {
        gauges.merge(each.gauges());
        Ok(())
    })?;
    Ok((gauges, gaps))
}

/// The gauges across series; `nothing` where there are none.
fn aggregated(
    all: &[&Accumulator],
    at: Instant,
    across: Option<Aggregation>,
    nothing: NoData,
) -> Result<Reading, NoData> {
    let (gauges, gaps) = gauges(all, at)?;
    let (missing, count) = (gaps.beside_some()?, f64::from(gauges.count));
    let value = match across {
        _ if gauges.count == 0 => return Err(missing.unwrap_or(nothing)),
        None if gauges.count > 1 => return Err(NoData::SeveralSeries(gauges.count)),
        None | Some(Aggregation::Sum) => gauges.sum,
        Some(Aggregation::Avg) => gauges.sum / count,
        Some(Aggregation::Min) => gauges.min,
        Some(Aggregation::Max) => gauges.max,
        Some(Aggregation::Count) => count,
    };
    match (missing, across) {
        _ if !value.is_finite() => Err(NoData::NotFinite),
        (None, _) => Ok(Reading::Value(value)),
        // What is missing can only add to these two.
        (Some(_), Some(Aggregation::Max | Aggregation::Count)) => Ok(Reading::AtLeast(value)),
        (Some(why), None | Some(Aggregation::Sum | Aggregation::Avg | Aggregation::Min)) => {
            Err(why)
        }
    }
}

/// How many series count at `at`. None on a page that could be read is 0, which is known; what a
/// silent target has can only add to it.
fn count(all: &[&Accumulator], at: Instant) -> Result<Reading, NoData> {
    let (gauges, gaps) = gauges(all, at)?;
    let total = f64::from(gauges.count);
    match gaps.missing {
        None if all.is_empty() => Err(NoData::NoSeries),
        None => Ok(Reading::Value(total)),
        Some(_) if gaps.any_ready || gaps.any_absent => Ok(Reading::AtLeast(total)),
        Some(why) => Err(why),
    }
}

/// Seconds since the newest sample, or since the newest time that a gauge holds. That nothing was
/// sampled since does not make the age of a sample unknown.
fn age(all: &[&Accumulator], at: Instant, of: AgeOf) -> Result<Reading, NoData> {
    let mut youngest = None;
    let mut note = |each: &Accumulator| youngest = youngest.into_iter().chain(each.age(at)).min();
    let missing = match of {
        AgeOf::Sample => {
            all.iter().for_each(|each| note(each));
            let mut all = all.iter().map(|each| each.availability(at));
            all.any(|each| each == Availability::Unknown).then_some(NoData::NeverScraped)
        }
        AgeOf::Value => {
            let gaps = gather(all, at, |each| {
                note(each);
                Ok(())
            });
            gaps?.missing
        }
    };
    let age = youngest.ok_or(NoData::NoSeries);
    missing.map_or(age, Err).map(|age: Duration| Reading::Value(age.as_secs_f64()))
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
