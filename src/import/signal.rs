//! Signals as they will be written. Two that are equal become one.

use std::time::Duration;

use crate::import::promql::SeriesSelector;
pub(super) use crate::model::signal::OverTime;
use crate::model::signal::{AgeOf, Aggregation};

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ImportedSignal {
    pub(super) kind: ImportedKind,
    /// What it reads; of a histogram its base name. Nothing for `up`.
    pub(super) of: SeriesSelector,
    /// Over how long it looks back.
    pub(super) window: Option<Duration>,
    /// It has one reading for each value of these labels.
    pub(super) by: Vec<String>,
    /// The only target that it looks at.
    pub(super) target: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ImportedKind {
    Rate,
    Increase,
    /// The increase of `of` by that of `to`.
    Ratio {
        to: SeriesSelector,
    },
    Quantile {
        q: f64,
        buckets: Buckets,
    },
    Mean,
    Gauge {
        across: Option<Aggregation>,
        over: Option<OverTime>,
    },
    /// How many series pass a comparison.
    Count {
        value: Option<String>,
    },
    Age(AgeOf),
    Up,
}

/// How a histogram keeps its buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buckets {
    Classic,
    Native,
}

const ACROSS: [(&str, Aggregation); 5] = [
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("count", Aggregation::Count),
];

/// How an aggregation of PromQL puts series together, where it has a counterpart.
pub(super) fn across_named(name: &str) -> Option<Aggregation> {
    ACROSS.iter().find(|(known, _)| *known == name).map(|(_, across)| *across)
}

pub(super) fn across_text(across: Aggregation) -> &'static str {
    let found = ACROSS.iter().find(|(_, known)| *known == across);
    found.expect("every way is in the table").0
}

/// The function of PromQL, our word for it, and what it computes.
const OVER_TIME: [(&str, &str, OverTime); 7] = [
    ("avg_over_time", "avg", OverTime::Avg),
    ("min_over_time", "min", OverTime::Min),
    ("max_over_time", "max", OverTime::Max),
    ("stddev_over_time", "stddev", OverTime::Stddev),
    // Of all quantiles only the median.
    ("quantile_over_time", "median", OverTime::Median),
    ("delta", "delta", OverTime::Delta),
    ("deriv", "slope", OverTime::Slope),
];

impl OverTime {
    /// What a function of PromQL computes, where it has a counterpart.
    pub(super) fn named(function: &str) -> Option<Self> {
        let found = OVER_TIME.iter().find(|(known, _, _)| *known == function);
        found.map(|(_, _, over)| *over)
    }

    pub(super) fn text(self) -> &'static str {
        let found = OVER_TIME.iter().find(|(_, _, known)| *known == self);
        found.expect("the newest sample alone is never imported").1
    }

    /// Whether it makes no difference if series are put together before or after. Here they are
    /// put together before; Prometheus puts together the values over time.
    pub(super) const fn commutes(self, across: Aggregation) -> bool {
        matches!(
            (self, across),
            (Self::Avg | Self::Delta | Self::Slope, Aggregation::Sum | Aggregation::Avg)
                | (Self::Min, Aggregation::Min)
                | (Self::Max, Aggregation::Max)
        )
    }
}

impl ImportedSignal {
    /// The series of which there must be only one for the signal to mean what a single series
    /// means: counters are added up, whatever they belong to.
    pub(super) fn counted(&self) -> Vec<SeriesSelector> {
        let of = || self.of.clone();
        match &self.kind {
            ImportedKind::Rate | ImportedKind::Increase | ImportedKind::Age(_) => vec![of()],
            ImportedKind::Ratio { to } => vec![of(), to.clone()],
            ImportedKind::Quantile { buckets: Buckets::Native, .. } => vec![of()],
            ImportedKind::Quantile { .. } | ImportedKind::Mean => vec![self.count()],
            ImportedKind::Gauge { .. } | ImportedKind::Count { .. } | ImportedKind::Up => {
                Vec::new()
            }
        }
    }

    /// The number of observations of a histogram.
    pub(super) fn count(&self) -> SeriesSelector {
        self.of.named(format!("{}_count", self.of.metric))
    }
}
