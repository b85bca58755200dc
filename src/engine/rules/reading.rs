//! Readings: what the tracks of a signal, one from each target, say together at an instant.

use crate::model::reading::{NoData, Reading};
use crate::model::signal::{Across, SignalKind, Since};
use crate::model::time::Instant;

use crate::engine::ingest::accumulator::{Gauges, Standing, Track};
use crate::engine::window::counter::Span;
use crate::engine::window::gauge::OverWindow;
use crate::engine::window::native;
use crate::engine::window::native_window::Gains;
use crate::engine::window::quantile;

/// How far the observations of native histograms may fall short of all, relatively, by rounding.
const SLACK: f64 = 1e-9;

/// The tracks of one signal.
pub(crate) type Tracks<'a> = Vec<&'a Track>;

/// What could be used, and what is missing from it.
struct Usable<'a> {
    ready: Vec<(&'a Track, Span)>,
    /// Why a target that has a share is not in `ready`, where there is one.
    missing: Option<NoData>,
}

/// The reading of a signal over counters or histograms at `at`.
pub(crate) fn over_counters(kind: &SignalKind, tracks: &Tracks<'_>, at: Instant) -> Reading {
    let usable = match usable(tracks, at) {
        Ok(usable) => usable,
        Err(why) => return Reading::NoData(why),
    };
    let total = |column| usable.ready.iter().map(|(t, span)| t.increase(*span, column)).sum();
    match kind {
        SignalKind::Rate { .. } => {
            let rate = |(track, span): &(&Track, Span)| {
                track.increase(*span, 0) / span.elapsed.as_secs_f64()
            };
            usable.sum(usable.ready.iter().map(rate).sum())
        }
        SignalKind::Increase { .. } => usable.sum(total(0)),
        SignalKind::Ratio { .. } => share(total(0), total(1), NoData::NoTraffic),
        SignalKind::Mean { .. } => share(total(0), total(1), NoData::NoObservations),
        SignalKind::Quantile { q, .. } => usable.quantile(*q),
        SignalKind::Gauge { .. } | SignalKind::Count { .. } | SignalKind::Age { .. } => no_series(),
        SignalKind::Baseline { .. } | SignalKind::Before { .. } => no_series(),
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => no_series(),
    }
}

const fn no_series() -> Reading {
    Reading::NoData(NoData::NoSeries)
}

fn share(part: f64, whole: f64, nothing: NoData) -> Reading {
    let share = part / whole;
    match whole > 0.0 {
        true if share.is_finite() => Reading::Value(share),
        true => Reading::NoData(NoData::NotFinite),
        false => Reading::NoData(nothing),
    }
}

/// Sorts the tracks by what can be said of them. A spoiled one spoils the reading; a stale one
/// leaves a gap; an absent one has no share.
fn usable<'a>(tracks: &Tracks<'a>, at: Instant) -> Result<Usable<'a>, NoData> {
    let mut usable = Usable { ready: Vec::new(), missing: None };
    for track in tracks {
        match track.standing(at) {
            Standing::Absent => {}
            Standing::Unknown => usable.missing = usable.missing.or(Some(NoData::NeverScraped)),
            Standing::Spoiled(why) => return Err(why),
            Standing::Stale => usable.missing = Some(NoData::Stale),
            Standing::Ready => match track.span(at) {
                Ok(span) => usable.ready.push((track, span)),
                Err(why) => usable.missing = usable.missing.or(Some(why)),
            },
        }
    }
    if usable.ready.is_empty() {
        return Err(usable.missing.unwrap_or(NoData::NoSeries));
    }
    Ok(usable)
}

impl Usable<'_> {
    /// A sum of shares that cannot be negative: a lower bound where one is missing.
    fn sum(&self, sum: f64) -> Reading {
        match (sum.is_finite(), self.missing) {
            (false, _) => Reading::NoData(NoData::NotFinite),
            (true, None) => Reading::Value(sum),
            (true, Some(_)) => Reading::AtLeast(sum),
        }
    }

    /// Of the native histograms if they know of every observation in the window. Where some
    /// histograms have only classic buckets, or had at the window's beginning, these are it; where
    /// others have only native ones, nothing holds all.
    fn quantile(&self, q: f64) -> Reading {
        if !self.ready.iter().any(|(track, _)| track.has_natives()) {
            return self.classic(q);
        }
        let mut gains = Gains::none();
        let mut all = 0.0;
        for (track, span) in &self.ready {
            gains.add(&track.natives(*span));
            let last = track.bounds().iter().position(|bound| *bound == f64::INFINITY);
            all += last.map_or(0.0, |column| track.increase(*span, column));
        }
        if gains.native.parts().count >= all * (1.0 - SLACK) {
            native::quantile(q, &gains.native)
        } else if gains.bare > 0.0 {
            Reading::NoData(NoData::NoBuckets)
        } else {
            self.classic(q)
        }
    }

    /// Buckets are added by their upper bound over all targets.
    fn classic(&self, q: f64) -> Reading {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (track, span) in &self.ready {
            for (column, bound) in track.bounds().iter().enumerate() {
                buckets.push((*bound, track.increase(*span, column)));
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

/// Whether the tracks hold a histogram rather than a summary.
pub(crate) fn has_buckets(tracks: &Tracks<'_>) -> bool {
    tracks.iter().any(|track| !track.bounds().is_empty() || track.has_natives())
}

/// The largest of a summary's own quantiles at `at`.
pub(crate) fn summary_quantile(tracks: &Tracks<'_>, at: Instant) -> Reading {
    match combined(tracks, at) {
        Err(why) => Reading::NoData(why),
        Ok((gauges, missing)) if gauges.count == 0 => {
            Reading::NoData(missing.unwrap_or(NoData::NoObservations))
        }
        Ok((gauges, None)) => Reading::Value(gauges.max),
        Ok((gauges, Some(_))) => Reading::AtLeast(gauges.max),
    }
}

/// The gauges of all targets at `at`, and whether a share is missing.
fn combined(tracks: &Tracks<'_>, at: Instant) -> Result<(Gauges, Option<NoData>), NoData> {
    let mut all = Gauges::NONE;
    let (mut missing, mut any) = (None, false);
    for track in tracks {
        match track.standing(at) {
            Standing::Absent => {}
            Standing::Unknown => missing = missing.or(Some(NoData::NeverScraped)),
            Standing::Spoiled(why) => return Err(why),
            Standing::Stale => missing = Some(NoData::Stale),
            Standing::Ready => {
                any = true;
                all.merge(track.gauges());
            }
        }
    }
    if any { Ok((all, missing)) } else { Err(missing.unwrap_or(NoData::NoSeries)) }
}

/// How many series count at `at`. None on a page that could be read is 0, which is known; what a
/// silent target has can only add to it.
pub(crate) fn count(tracks: &Tracks<'_>, at: Instant) -> Reading {
    let (mut total, mut missing, mut known) = (0, None, false);
    for track in tracks {
        match track.standing(at) {
            Standing::Absent => known = true,
            Standing::Unknown => missing = missing.or(Some(NoData::NeverScraped)),
            Standing::Spoiled(why) => return Reading::NoData(why),
            Standing::Stale => missing = Some(NoData::Stale),
            Standing::Ready => {
                known = true;
                total += track.gauges().count;
            }
        }
    }
    let total = f64::from(total);
    match missing {
        None if tracks.is_empty() => no_series(),
        None => Reading::Value(total),
        Some(_) if known => Reading::AtLeast(total),
        Some(why) => Reading::NoData(why),
    }
}

/// Seconds since something happened, as of `at`. That nothing was sampled since does not make the
/// age of the newest sample unknown, but that of what a gauge held.
pub(crate) fn age(since: Since, tracks: &Tracks<'_>, at: Instant) -> Reading {
    let mut youngest: Option<std::time::Duration> = None;
    let mut missing = None;
    for track in tracks {
        match (track.standing(at), since) {
            (Standing::Spoiled(why), Since::Value) => return Reading::NoData(why),
            (Standing::Unknown, _) => missing = missing.or(Some(NoData::NeverScraped)),
            (Standing::Stale, Since::Value) => missing = Some(NoData::Stale),
            (Standing::Absent, Since::Value) => {}
            (Standing::Ready, _)
            | (Standing::Absent | Standing::Spoiled(_) | Standing::Stale, Since::Sample) => {
                let age = track.age(at);
                youngest = youngest.into_iter().chain(age).min();
            }
        }
    }
    match (missing, youngest) {
        (Some(why), _) => Reading::NoData(why),
        (None, Some(age)) => Reading::Value(age.as_secs_f64()),
        (None, None) => no_series(),
    }
}

/// Why nothing is known of a group that no track has a share of.
pub(crate) fn absence(tracks: &Tracks<'_>, at: Instant) -> NoData {
    let standings = tracks.iter().map(|track| match track.standing(at) {
        Standing::Unknown => Some(NoData::NeverScraped),
        Standing::Spoiled(why) => Some(why),
        Standing::Absent | Standing::Stale | Standing::Ready => None,
    });
    standings.flatten().next().unwrap_or(NoData::NoSeries)
}

/// The gauges across series at `at`, before any window over time.
pub(crate) fn across(across: Option<Across>, tracks: &Tracks<'_>, at: Instant) -> Reading {
    let (gauges, missing) = match combined(tracks, at) {
        Ok(combined) => combined,
        Err(why) => return Reading::NoData(why),
    };
    if gauges.count == 0 {
        return Reading::NoData(missing.unwrap_or(NoData::NoSeries));
    }
    let count = f64::from(gauges.count);
    let value = match across {
        None if gauges.count > 1 => return Reading::NoData(NoData::SeveralSeries(gauges.count)),
        None | Some(Across::Sum) => gauges.sum,
        Some(Across::Avg) => gauges.sum / count,
        Some(Across::Min) => gauges.min,
        Some(Across::Max) => gauges.max,
        Some(Across::Count) => count,
    };
    match (missing, across) {
        _ if !value.is_finite() => Reading::NoData(NoData::NotFinite),
        (None, _) => Reading::Value(value),
        // What is missing can only add to these two.
        (Some(_), Some(Across::Max | Across::Count)) => Reading::AtLeast(value),
        (Some(why), None | Some(Across::Sum | Across::Avg | Across::Min)) => Reading::NoData(why),
    }
}

/// The reading of a gauge over time after its value across series, sampled at
/// `at`, was added.
pub(crate) fn over_time(window: &mut OverWindow, now: Reading, at: Instant) -> Reading {
    match now {
        Reading::NoData(_) => now,
        Reading::AtLeast(_) => Reading::NoData(NoData::Stale),
        Reading::Value(value) => {
            window.push(at, value);
            window.reading()
        }
    }
}
