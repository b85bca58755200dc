//! Signals: named numbers derived from windows of series.

use std::time::Duration;

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
    /// Per-second increase of counters, summed over the matched series.
    Rate {
        /// The counters.
        of: Selector,
        /// Over how long.
        window: Duration,
    },
    /// The increase itself.
    Increase {
        /// The counters.
        of: Selector,
        /// Over how long.
        window: Duration,
    },
    /// Increase of one selection by the increase of another over the same window.
    Ratio {
        /// The part.
        of: Selector,
        /// The whole.
        to: Selector,
        /// Over how long.
        window: Duration,
    },
    /// A quantile of the observations within the window of a classic histogram, or the largest of
    /// a summary's own quantile series.
    Quantile {
        /// The quantile, 0 to 1.
        q: f64,
        /// The histogram or summary by its base name, without `_bucket`.
        of: Selector,
        /// Over how long; `None` is for summaries only.
        window: Option<Duration>,
    },
    /// Increase of `_sum` by increase of `_count`.
    Mean {
        /// The histogram or summary by its base name.
        of: Selector,
        /// Over how long.
        window: Duration,
    },
    /// A gauge.
    Gauge {
        /// The gauges.
        of: Selector,
        /// How several series become one number; `None`: exactly one may match.
        across: Option<Across>,
        /// How several instants become one number.
        over: Over,
    },
    /// How many series there are, of those whose value passes.
    Count {
        /// The series.
        of: Selector,
        /// What a series' value must be to be counted; `None`: it is enough that it is there.
        value: Option<Limit>,
    },
    /// Seconds since something happened. It grows by itself, and while its target is silent.
    Age {
        /// The series.
        of: Selector,
        /// What happened.
        since: Since,
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

/// How several series become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    /// Their sum.
    Sum,
    /// Their mean.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many there are.
    Count,
}

/// How several instants become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The newest sample.
    Last,
    /// The mean of the samples in the window, each counted once.
    Avg(Duration),
    /// The smallest sample in the window.
    Min(Duration),
    /// The largest sample in the window.
    Max(Duration),
    /// The median of the samples in the window; of an even number the mean of the middle two.
    Median(Duration),
    /// The population standard deviation of the samples in the window.
    Stddev(Duration),
    /// The last sample in the window less the first.
    Delta(Duration),
    /// The slope of the least-squares line through the samples in the window, in units a second.
    Slope(Duration),
}

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// How it is compared.
    pub op: Compare,
    /// With what.
    pub than: f64,
}

impl Limit {
    /// Whether a value passes.
    #[must_use]
    pub fn passes(self, value: f64) -> bool {
        self.op.test(value, self.than)
    }
}

/// What an age is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The newest sample: by its own timestamp if it has one, else by the scrape that had it.
    Sample,
    /// The newest time that the gauges hold, in seconds since 1970.
    Value,
}

/// What a signal measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl SignalKind {
    /// Calls `f` with every signal that this one is computed from.
    pub fn for_each_signal(&self, f: &mut impl FnMut(SignalIx)) {
        match self {
            Self::Expr(expr) => expr.for_each_signal(f),
            Self::Baseline { of, .. } | Self::Before { of, .. } => f(*of),
            Self::Rate { .. }
            | Self::Increase { .. }
            | Self::Ratio { .. }
            | Self::Quantile { .. }
            | Self::Mean { .. }
            | Self::Gauge { .. }
            | Self::Count { .. }
            | Self::Age { .. }
            | Self::Up(_)
            | Self::Value(_) => {}
        }
    }

    /// The signal whose earlier readings it looks at, and how far back.
    #[must_use]
    pub fn looks_back(&self) -> Option<(SignalIx, Duration)> {
        match self {
            Self::Baseline { of, window, .. } | Self::Before { of, window } => Some((*of, *window)),
            Self::Rate { .. }
            | Self::Increase { .. }
            | Self::Ratio { .. }
            | Self::Quantile { .. }
            | Self::Mean { .. }
            | Self::Gauge { .. }
            | Self::Count { .. }
            | Self::Age { .. }
            | Self::Up(_)
            | Self::Value(_)
            | Self::Expr(_) => None,
        }
    }

    /// Whether it is read from what targets say, rather than from other signals.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        match self {
            Self::Rate { .. }
            | Self::Increase { .. }
            | Self::Ratio { .. }
            | Self::Quantile { .. }
            | Self::Mean { .. }
            | Self::Gauge { .. }
            | Self::Count { .. }
            | Self::Age { .. }
            | Self::Up(_) => true,
            Self::Baseline { .. } | Self::Before { .. } | Self::Value(_) | Self::Expr(_) => false,
        }
    }

    /// The longest window that the signal looks back over; zero where it looks at one instant.
    #[must_use]
    pub fn window(&self) -> Duration {
        match self {
            Self::Rate { window, .. }
            | Self::Increase { window, .. }
            | Self::Ratio { window, .. }
            | Self::Mean { window, .. }
            | Self::Gauge {
                over:
                    Over::Avg(window)
                    | Over::Min(window)
                    | Over::Max(window)
                    | Over::Median(window)
                    | Over::Stddev(window)
                    | Over::Delta(window)
                    | Over::Slope(window),
                ..
            } => *window,
            Self::Quantile { window, .. } => window.unwrap_or(Duration::ZERO),
            // The reading of a window ago looked back over a window of its own.
            Self::Before { window, .. } => window.saturating_mul(2),
            Self::Gauge { over: Over::Last, .. } | Self::Count { .. } | Self::Age { .. } => {
                Duration::ZERO
            }
            Self::Baseline { .. } | Self::Up(_) | Self::Value(_) | Self::Expr(_) => Duration::ZERO,
        }
    }
}
