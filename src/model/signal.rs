//! Signals: named numbers derived from windows of series.

use std::time::Duration;

use super::condition::Num;
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
    /// The longest window that the signal looks back over; zero where it looks at one instant.
    #[must_use]
    pub fn window(&self) -> Duration {
        match self {
            Self::Rate { window, .. }
            | Self::Increase { window, .. }
            | Self::Ratio { window, .. }
            | Self::Mean { window, .. }
            | Self::Gauge {
                over: Over::Avg(window) | Over::Min(window) | Over::Max(window), ..
            } => *window,
            Self::Quantile { window, .. } => window.unwrap_or(Duration::ZERO),
            Self::Gauge { over: Over::Last, .. } | Self::Up(_) | Self::Value(_) | Self::Expr(_) => {
                Duration::ZERO
            }
        }
    }
}
