//! Signals: named numbers. Most select series from the pages of targets and reduce them to one
//! number over a window; the others are computed from signals.
//!
//! What a kind of signal decides is answered by methods here, so that a new kind is added in this
//! file, in `config::tables::signal`, which reads it, and in `engine::rules::reading`, which
//! computes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::{Compare, Num};
use super::index::SignalIx;
use super::name::{SignalName, TargetName};
use super::selector::Selector;

/// A named number.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// Its name, unique over all files.
    pub name: SignalName,
    /// How its reading comes about.
    pub kind: SignalKind,
    /// What it measures, for display and to check literals.
    pub unit: Option<Unit>,
    /// For people.
    pub description: Option<String>,
    /// The labels by whose values it is read, one reading for each combination; sorted. Empty: it
    /// has one reading. Arithmetic is read by the labels of what it is computed from.
    pub by: Vec<String>,
    /// How old a sample may be and still count. `None`: three intervals and the timeout of the
    /// target that it came from.
    pub stale: Option<Duration>,
}

/// How a reading comes about.
#[derive(Clone, Debug, PartialEq)]
pub enum SignalKind {
    /// Series of the targets' pages, reduced to one number.
    Series {
        /// The series; a histogram or summary by its base name, without `_bucket`.
        of: Selector,
        /// How they become one number.
        reduction: Reduction,
        /// Over how long; zero where the newest samples alone are read.
        window: Duration,
    },
    /// The median of another signal's readings over the window that ended when the deployment was
    /// armed.
    Baseline {
        /// The other signal.
        of: SignalIx,
        /// How far back.
        window: Duration,
        /// With fewer readings than this there is no baseline.
        min_readings: u32,
    },
    /// Another signal's reading one window ago.
    Before {
        /// The other signal.
        of: SignalIx,
        /// How long ago.
        window: Duration,
    },
    /// 1 where the target's last scrape succeeded, 0 where it failed.
    Up(TargetName),
    /// A constant.
    Value(f64),
    /// Arithmetic over other signals, which all come before this one in the plan.
    Expr(Num),
}

/// How the selected series become one number.
#[derive(Clone, Debug, PartialEq)]
pub enum Reduction {
    /// Per-second increase of counters, summed over the series.
    Rate,
    /// The increase itself.
    Increase,
    /// Their increase divided by the increase of other series over the same window.
    Ratio {
        /// The other series.
        to: Selector,
    },
    /// This quantile, 0 to 1, of the observations within the window of a histogram, or the largest
    /// of a summary's own quantile series. Without a window, summaries alone are read.
    Quantile(f64),
    /// Increase of `_sum` divided by increase of `_count`.
    Mean,
    /// A gauge.
    Gauge {
        /// How several series become one number; `None`: exactly one may match.
        across: Option<Aggregation>,
        /// How the samples within the window become one number.
        over: OverTime,
    },
    /// How many series there are, of those whose value passes; `None`: of all.
    Count(Option<Threshold>),
    /// Seconds since something happened. It grows by itself.
    Age(AgeOf),
}

words! {
    /// How several series become one number.
    pub enum Aggregation {
        /// Their sum.
        Sum = "sum",
        /// Their mean.
        Avg = "avg",
        /// The smallest.
        Min = "min",
        /// The largest.
        Max = "max",
        /// How many there are.
        Count = "count",
    }
}

words! {
    /// How the samples of a gauge within a window become one number.
    pub enum OverTime {
        /// The newest sample; there is no window.
        Last = "last",
        /// The mean of the samples, each counted once.
        Avg = "avg",
        /// The smallest sample.
        Min = "min",
        /// The largest sample.
        Max = "max",
        /// The median of the samples; of an even number the mean of the middle two.
        Median = "median",
        /// The population standard deviation of the samples.
        Stddev = "stddev",
        /// The last sample less the first.
        Delta = "delta",
        /// The slope of the least-squares line through the samples, in units a second.
        Slope = "slope",
    }
}

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// How it is compared.
    pub op: Compare,
    /// With what.
    pub than: f64,
}

impl Threshold {
    /// Whether a value passes.
    pub fn passes(self, value: f64) -> bool {
        self.op.test(value, self.than)
    }
}

/// What an age is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgeOf {
    /// The newest sample: by its own timestamp if it has one, else by the scrape that had it.
    Sample,
    /// The newest time that the gauges hold, in seconds since 1970.
    Value,
}

/// What a signal measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share; shown in per cent.
    Ratio,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Events in a second.
    PerSecond,
    /// A plain number of things.
    Count,
}

/// One selector of a signal and what it is meant to find on a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Selection<'s> {
    /// The key of the signal's kind.
    pub kind: &'static str,
    /// The configuration key that holds the selector.
    pub key: &'static str,
    /// Which series.
    pub selector: &'s Selector,
    /// What they are read as.
    pub shape: Shape,
}

/// What selected series are read as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// Series that only rise.
    Counter,
    /// Series that are taken as they are.
    Gauge,
    /// Series that are counted where their value passes.
    Counted(Option<Threshold>),
    /// Series that say when something happened.
    Age(AgeOf),
    /// A classic or native histogram by its base name, or a summary that has this quantile.
    Histogram(f64),
    /// A summary that has this quantile.
    Summary(f64),
    /// The `_sum` and `_count` of a histogram or summary.
    Mean,
}

impl Shape {
    /// The quantile that is read of a histogram or summary.
    pub const fn quantile(self) -> Option<f64> {
        match self {
            Self::Histogram(q) | Self::Summary(q) => Some(q),
            Self::Counter | Self::Gauge | Self::Counted(_) | Self::Age(_) | Self::Mean => None,
        }
    }
}

impl SignalKind {
    /// Calls `f` with every signal that this one is computed from.
    pub fn for_each_signal(&self, f: &mut impl FnMut(SignalIx)) {
        match self {
            Self::Expr(expr) => expr.for_each_signal(f),
            Self::Baseline { of, .. } | Self::Before { of, .. } => f(*of),
            Self::Series { .. } | Self::Up(_) | Self::Value(_) => {}
        }
    }

    /// The signal whose earlier readings it looks at, and how far back.
    pub const fn looks_back(&self) -> Option<(SignalIx, Duration)> {
        match self {
            Self::Baseline { of, window, .. } | Self::Before { of, window } => Some((*of, *window)),
            Self::Series { .. } | Self::Up(_) | Self::Value(_) | Self::Expr(_) => None,
        }
    }

    /// Whether it is read from what targets say, rather than from other signals.
    pub const fn is_sampled(&self) -> bool {
        matches!(self, Self::Series { .. } | Self::Up(_))
    }

    /// The longest window that the signal looks back over; zero where it looks at one instant.
    pub const fn window(&self) -> Duration {
        match self {
            Self::Series { window, .. } => *window,
            // The reading of a window ago looked back over a window of its own.
            Self::Before { window, .. } => window.saturating_mul(2),
            Self::Baseline { .. } | Self::Up(_) | Self::Value(_) | Self::Expr(_) => Duration::ZERO,
        }
    }

    /// How it reduces series to one number, where it is over series.
    const fn reduction(&self) -> Option<&Reduction> {
        if let Self::Series { reduction, .. } = self { Some(reduction) } else { None }
    }

    /// The constant that it is.
    pub const fn constant(&self) -> Option<f64> {
        if let Self::Value(value) = self { Some(*value) } else { None }
    }

    /// The target whose scrapes it is about.
    pub const fn up(&self) -> Option<&TargetName> {
        if let Self::Up(target) = self { Some(target) } else { None }
    }

    /// Whether few events make its reading jump, so that it says little without an evidence floor.
    pub const fn jumps_on_little_traffic(&self) -> bool {
        matches!(self.reduction(), Some(Reduction::Ratio { .. } | Reduction::Quantile(_)))
    }

    /// Whether it goes on being known while its targets say nothing: the age of the newest sample
    /// grows by itself.
    pub const fn outlives_silence(&self) -> bool {
        matches!(self.reduction(), Some(Reduction::Age(AgeOf::Sample)))
    }

    /// Whether it can be read over a window, if it is not.
    pub const fn can_have_window(&self) -> bool {
        matches!(self.reduction(), Some(Reduction::Gauge { .. }))
    }

    /// What it selects on pages, in the order in which it is written.
    pub fn selections(&self) -> impl Iterator<Item = Selection<'_>> {
        let mut all = Vec::new();
        if let Self::Series { of, reduction, window } = self {
            let (kind, shape) = (reduction.key(), reduction.shape(*window));
            let with_of = matches!(
                reduction,
                Reduction::Ratio { .. } | Reduction::Quantile(_) | Reduction::Mean
            );
            let key = if with_of { "of" } else { kind };
            all.push(Selection { kind, key, selector: of, shape });
            if let Reduction::Ratio { to } = reduction {
                all.push(Selection { kind, key: "to", selector: to, shape });
            }
        }
        all.into_iter()
    }

    /// Its selectors, to be changed.
    pub fn selectors_mut(&mut self) -> impl Iterator<Item = &mut Selector> {
        let (first, second) = match self {
            Self::Series { of, reduction: Reduction::Ratio { to }, .. } => (Some(of), Some(to)),
            Self::Series { of, .. } => (Some(of), None),
            Self::Baseline { .. } | Self::Before { .. } => (None, None),
            Self::Up(_) | Self::Value(_) | Self::Expr(_) => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// What it measures, going by its kind and by the conventional ending of its metric's name.
    pub fn unit(&self) -> Option<Unit> {
        let Self::Series { of, reduction, .. } = self else { return None };
        let ending = ending(&of.metric);
        match reduction {
            Reduction::Ratio { .. } => Some(Unit::Ratio),
            Reduction::Rate if ending.is_none() => Some(Unit::PerSecond),
            Reduction::Gauge { across: Some(Aggregation::Count), .. } | Reduction::Count(_) => {
                Some(Unit::Count)
            }
            Reduction::Age(_) => Some(Unit::Seconds),
            // In units a second, and the rate of a counter of seconds or bytes is neither.
            Reduction::Gauge { over: OverTime::Slope, .. } | Reduction::Rate => None,
            Reduction::Increase
            | Reduction::Quantile(_)
            | Reduction::Mean
            | Reduction::Gauge { .. } => ending,
        }
    }

    /// The kind as text. The journal keeps a hash of it with each frozen baseline, so it must stay
    /// what it is for every kind that exists.
    pub fn definition(&self) -> String {
        let Self::Series { of, reduction, window } = self else { return format!("{self:?}") };
        match reduction {
            Reduction::Rate => format!("Rate {{ of: {of:?}, window: {window:?} }}"),
            Reduction::Increase => format!("Increase {{ of: {of:?}, window: {window:?} }}"),
            Reduction::Ratio { to } => {
                format!("Ratio {{ of: {of:?}, to: {to:?}, window: {window:?} }}")
            }
            Reduction::Quantile(q) => {
                let window = Some(*window).filter(|window| !window.is_zero());
                format!("Quantile {{ q: {q:?}, of: {of:?}, window: {window:?} }}")
            }
            Reduction::Mean => format!("Mean {{ of: {of:?}, window: {window:?} }}"),
            Reduction::Gauge { across, over: OverTime::Last } => {
                format!("Gauge {{ of: {of:?}, across: {across:?}, over: Last }}")
            }
            Reduction::Gauge { across, over } => {
                format!("Gauge {{ of: {of:?}, across: {across:?}, over: {over:?}({window:?}) }}")
            }
            Reduction::Count(None) => format!("Count {{ of: {of:?}, value: None }}"),
            Reduction::Count(Some(Threshold { op, than })) => {
                let limit = format!("Limit {{ op: {op:?}, than: {than:?} }}");
                format!("Count {{ of: {of:?}, value: Some({limit}) }}")
            }
            Reduction::Age(since) => format!("Age {{ of: {of:?}, since: {since:?} }}"),
        }
    }
}

impl Reduction {
    /// The configuration key that makes a signal one of this kind.
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Increase => "increase",
            Self::Ratio { .. } => "ratio",
            Self::Quantile(_) => "quantile",
            Self::Mean => "mean",
            Self::Gauge { .. } => "gauge",
            Self::Count(_) => "count",
            Self::Age(_) => "age",
        }
    }

    /// What the selected series are read as.
    const fn shape(&self, window: Duration) -> Shape {
        match self {
            Self::Rate | Self::Increase | Self::Ratio { .. } => Shape::Counter,
            Self::Quantile(q) if window.is_zero() => Shape::Summary(*q),
            Self::Quantile(q) => Shape::Histogram(*q),
            Self::Mean => Shape::Mean,
            Self::Gauge { .. } => Shape::Gauge,
            Self::Count(value) => Shape::Counted(*value),
            Self::Age(since) => Shape::Age(*since),
        }
    }
}

/// The unit that the name of a metric ends in.
fn ending(metric: &str) -> Option<Unit> {
    let base = metric.strip_suffix("_total").unwrap_or(metric);
    let ends = [("_seconds", Unit::Seconds), ("_bytes", Unit::Bytes), ("_ratio", Unit::Ratio)];
    ends.into_iter().find(|(end, _)| base.ends_with(end)).map(|(_, unit)| unit)
}
