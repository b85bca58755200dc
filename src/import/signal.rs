//! Signals as they will be written. Two that are equal are one.

use std::time::Duration;

use super::ast::Selector;

/// A signal.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signal {
    pub(super) kind: Kind,
    /// One reading for each value of these labels.
    pub(super) by: Vec<String>,
    /// The only target that it looks at.
    pub(super) target: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Rate(Selector, Duration),
    Increase(Selector, Duration),
    Ratio {
        of: Selector,
        to: Selector,
        window: Duration,
    },
    /// By the base name of a histogram.
    Quantile {
        q: f64,
        of: Selector,
        window: Duration,
        buckets: Buckets,
    },
    Mean(Selector, Duration),
    Gauge {
        of: Selector,
        across: Option<Across>,
        over: Option<(Over, Duration)>,
    },
    Count {
        of: Selector,
        value: Option<String>,
    },
    Age {
        of: Selector,
        since: Since,
    },
    Up,
}

/// How a histogram keeps its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buckets {
    Classic,
    Native,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Across {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

impl Across {
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::Sum, Self::Avg, Self::Min, Self::Max, Self::Count];
        all.into_iter().find(|across| across.text() == name)
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Count => "count",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Avg,
    Min,
    Max,
    Median,
    Stddev,
    Delta,
    Slope,
}

impl Over {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Median => "median",
            Self::Stddev => "stddev",
            Self::Delta => "delta",
            Self::Slope => "slope",
        }
    }

    /// Whether the value over time of what was put together across series is the same as what
    /// Prometheus says, which puts together the values over time.
    pub(super) const fn commutes(self, across: Across) -> bool {
        matches!(
            (self, across),
            (Self::Avg | Self::Delta | Self::Slope, Across::Sum | Across::Avg)
                | (Self::Min, Across::Min)
                | (Self::Max, Across::Max)
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    Sample,
    Value,
}

impl Signal {
    /// A series that has to be the only one for the signal to mean what a single series means:
    /// counters are added up, whatever they belong to.
    pub(super) fn counted(&self) -> Vec<Selector> {
        match &self.kind {
            Kind::Rate(of, _) | Kind::Increase(of, _) | Kind::Age { of, .. } => vec![of.clone()],
            Kind::Ratio { of, to, .. } => vec![of.clone(), to.clone()],
            Kind::Quantile { of, buckets: Buckets::Classic, .. } | Kind::Mean(of, _) => {
                vec![of.named(format!("{}_count", of.metric))]
            }
            Kind::Quantile { of, buckets: Buckets::Native, .. } => vec![of.clone()],
            Kind::Gauge { .. } | Kind::Count { .. } | Kind::Up => Vec::new(),
        }
    }
}
