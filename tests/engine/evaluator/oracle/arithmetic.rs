//! What numbers come to: over time, in buckets, in expressions and in comparisons.

use std::time::Duration;

use rollguard::model::condition::{Arith, Compare, Cond, Extreme, Num};
use rollguard::model::reading::{NoData, Reading, Verdict};
use rollguard::model::signal::OverTime;
use rollguard::model::time::Instant;

/// What the samples of a window come to, oldest first, as of the newest.
pub(super) fn over_time(over: OverTime, length: Duration, all: &[(Instant, f64)]) -> Reading {
    let newest = all.last().unwrap().0;
    let inside: Vec<(f64, f64)> = all
        .iter()
        .filter(|(time, _)| newest.since(*time) < length)
        .map(|(time, value)| (-newest.since(*time).as_secs_f64(), *value))
        .collect();
    if inside.len() < 2 {
        return Reading::NoData(NoData::WindowFilling);
    }
    let count = inside.len() as f64;
    let values = || inside.iter().map(|(_, value)| *value);
    let mean = values().sum::<f64>() / count;
    Reading::Value(match over {
        OverTime::Min => values().fold(f64::INFINITY, f64::min),
        OverTime::Max => values().fold(f64::NEG_INFINITY, f64::max),
        OverTime::Median => median(values().collect()),
        OverTime::Stddev => {
            (values().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt()
        }
        OverTime::Delta => inside[inside.len() - 1].1 - inside[0].1,
        OverTime::Slope => {
            // Over all pairs of samples: the mean of their slopes, weighed by their squared times.
            let pairs = || inside.iter().flat_map(|a| inside.iter().map(move |b| (a, b)));
            let both: f64 = pairs().map(|(a, b)| (a.0 - b.0) * (a.1 - b.1)).sum();
            both / pairs().map(|(a, b)| (a.0 - b.0) * (a.0 - b.0)).sum::<f64>()
        }
        OverTime::Avg | OverTime::Last => mean,
    })
}

/// The middle of the sorted values, or the mean of the middle two.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

pub(super) fn quantile(q: f64, bounds: &[f64], mut counts: Vec<f64>) -> Reading {
    let last = match bounds.last() {
        Some(bound) if bound.is_infinite() && bounds.len() > 1 => bounds.len() - 1,
        _ => return Reading::NoData(NoData::NoBuckets),
    };
    for bucket in 1..=last {
        counts[bucket] = counts[bucket].max(counts[bucket - 1]);
    }
    if counts[last] <= 0.0 {
        return Reading::NoData(NoData::NoObservations);
    }
    let rank = q * counts[last];
    let mut bucket = 0;
    while bucket < last && counts[bucket] < rank {
        bucket += 1;
    }
    if bucket == last {
        return Reading::AtLeast(bounds[last - 1]);
    }
    let (low, below) = if bucket > 0 { (bounds[bucket - 1], counts[bucket - 1]) } else { (0., 0.) };
    let inside = counts[bucket] - below;
    let share = if inside > 0.0 { (rank - below) / inside } else { 0.0 };
    Reading::Value(low + (bounds[bucket] - low) * share)
}

/// A reading as the interval that it stands for; no data is `Err`.
fn interval(reading: Reading) -> Result<(f64, f64), NoData> {
    match reading {
        Reading::Value(value) => Ok((value, value)),
        Reading::AtLeast(value) => Ok((value, f64::INFINITY)),
        Reading::NoData(why) => Err(why),
    }
}

/// Arithmetic over the values and bounds that the generator writes: sums, scaled differences.
pub(super) fn number(num: &Num, readings: &impl Fn(usize) -> Reading) -> Reading {
    let of = |num: &Num| interval(number(num, readings));
    let result = match num {
        Num::Const(value) => return Reading::Value(*value),
        Num::Signal(signal) => return readings(signal.0),
        Num::Neg(inner) => of(inner).map(|(low, high)| (-high, -low)),
        Num::Abs(inner) => of(inner).map(|(low, high)| match high.is_finite() {
            true => (low.abs(), low.abs()),
            false => (f64::NEG_INFINITY, f64::INFINITY),
        }),
        Num::Arith(op, left, right) => match (of(left), of(right)) {
            (Err(why), _) | (_, Err(why)) => Err(why),
            (Ok((a, b)), Ok((c, d))) => match op {
                Arith::Add => Ok((a + c, b + d)),
                Arith::Sub => Ok((a - d, b - c)),
                Arith::Mul if b.is_finite() && d.is_finite() => Ok((a * c, a * c)),
                Arith::Mul if d.is_finite() && c >= 0.0 => Ok((a * c, f64::INFINITY)),
                Arith::Mul if b.is_finite() && a >= 0.0 => Ok((a * c, f64::INFINITY)),
                Arith::Mul => Err(NoData::Stale),
                Arith::Div if c == 0.0 => Err(NoData::DivisionByZero),
                Arith::Div if b.is_finite() && d.is_finite() => Ok((a / c, a / c)),
                Arith::Div if d.is_finite() && c > 0.0 => Ok((a / c, f64::INFINITY)),
                Arith::Div => Err(NoData::Stale),
            },
        },
        Num::Extreme(which, operands) => {
            let intervals: Result<Vec<_>, _> = operands.iter().map(of).collect();
            intervals
                .map(|all| {
                    let lows = all.iter().map(|(low, _)| *low);
                    let highs = all.iter().map(|(_, high)| *high);
                    match which {
                        Extreme::Max => (lows.reduce(f64::max), highs.reduce(f64::max)),
                        Extreme::Min => (lows.reduce(f64::min), highs.reduce(f64::min)),
                    }
                })
                .map(|(low, high)| (low.unwrap(), high.unwrap()))
        }
    };
    match result {
        Err(why) => Reading::NoData(why),
        // Zero has two signs and is one number.
        Ok((low, high)) if low.is_finite() && low >= high => Reading::Value(low),
        Ok((low, _)) if low.is_finite() => Reading::AtLeast(low),
        Ok(_) => Reading::NoData(NoData::Stale),
    }
}

/// A comparison holds if it does so for every number that its sides may stand for.
pub(super) fn verdict(cond: &Cond, readings: &impl Fn(usize) -> Reading) -> Verdict {
    let is_absent = |verdict| matches!(verdict, Verdict::NoData(_));
    match cond {
        Cond::Not(inner) => match verdict(inner, readings) {
            Verdict::Holds => Verdict::Fails,
            Verdict::Fails => Verdict::Holds,
            absent @ Verdict::NoData(_) => absent,
        },
        Cond::And(left, right) => match (verdict(left, readings), verdict(right, readings)) {
            (Verdict::Fails, _) | (_, Verdict::Fails) => Verdict::Fails,
            (Verdict::Holds, Verdict::Holds) => Verdict::Holds,
            (left, right) => {
                if is_absent(left) {
                    left
                } else {
                    right
                }
            }
        },
        Cond::Or(left, right) => match (verdict(left, readings), verdict(right, readings)) {
            (Verdict::Holds, _) | (_, Verdict::Holds) => Verdict::Holds,
            (Verdict::Fails, Verdict::Fails) => Verdict::Fails,
            (left, right) => {
                if is_absent(left) {
                    left
                } else {
                    right
                }
            }
        },
        Cond::Compare(left, op, right) => {
            let sides = (interval(number(left, readings)), interval(number(right, readings)));
            let ((a, b), (c, d)) = match sides {
                (Err(why), _) | (_, Err(why)) => return Verdict::NoData(why),
                (Ok(left), Ok(right)) => (left, right),
            };
            // (never true, always true)
            let (never, always) = match op {
                Compare::Greater => (b <= c, a > d),
                Compare::GreaterOrEqual => (b < c, a >= d),
                Compare::Less => (a >= d, b < c),
                Compare::LessOrEqual => (a > d, b <= c),
                Compare::Equal => (b < c || a > d, a == b && c == d && a == c),
                Compare::NotEqual => (a == b && c == d && a == c, b < c || a > d),
            };
            match (never, always) {
                (true, _) => Verdict::Fails,
                (_, true) => Verdict::Holds,
                (false, false) => Verdict::NoData(NoData::Stale),
            }
        }
    }
}
