//! Signals as they will be written, two of which are one where they are equal, and conditions on
//! them, in the language of rollguard.

use std::time::Duration;

use super::promql::{Op, SeriesSelector};
use crate::model::condition::{Cond, Extreme, Num};
use crate::model::index::SignalIx;
pub(super) use crate::model::signal::OverTime;
use crate::model::signal::{AgeOf, Aggregation};
use crate::model::time::format_duration;
use crate::toml_text::{Table, string};

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
        /// Whether the histogram keeps its buckets in itself, and not in series.
        native: bool,
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

/// How an aggregation of PromQL puts series together, where it has a counterpart: by the same name.
pub(super) fn across_named(name: &str) -> Option<Aggregation> {
    Aggregation::ALL.iter().find(|(known, _)| *known == name).map(|(_, across)| *across)
}

/// The function of PromQL, and what it computes.
const OVER_TIME: [(&str, OverTime); 7] = [
    ("avg_over_time", OverTime::Avg),
    ("min_over_time", OverTime::Min),
    ("max_over_time", OverTime::Max),
    ("stddev_over_time", OverTime::Stddev),
    // Of all quantiles only the median.
    ("quantile_over_time", OverTime::Median),
    ("delta", OverTime::Delta),
    ("deriv", OverTime::Slope),
];

impl OverTime {
    /// What a function of PromQL computes, where it has a counterpart.
    pub(super) fn named(function: &str) -> Option<Self> {
        OVER_TIME.iter().find(|(known, _)| *known == function).map(|(_, over)| *over)
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
            ImportedKind::Quantile { native: true, .. } => vec![of()],
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

/// A signal's table.
pub(super) fn signal_table(name: &str, signal: &ImportedSignal) -> Table {
    let of = signal.of.text();
    let table = Table::new(format!("signal.{name}"));
    let table = match &signal.kind {
        ImportedKind::Rate => table.text("rate", &of),
        ImportedKind::Increase => table.text("increase", &of),
        ImportedKind::Ratio { to } => {
            let (of, to) = (string(&of), string(&to.text()));
            table.raw("ratio", format!("{{ of = {of}, to = {to} }}"))
        }
        ImportedKind::Quantile { q, .. } => table.raw("quantile", format!("{q:?}")).text("of", &of),
        ImportedKind::Mean => table.text("mean", &of),
        ImportedKind::Gauge { across, over } => table
            .text("gauge", &of)
            .optional("across", across.map(Aggregation::word))
            .optional("over", over.map(OverTime::word)),
        ImportedKind::Count { value } => {
            table.text("count", &of).optional("value", value.as_deref())
        }
        ImportedKind::Age(AgeOf::Sample) => table.text("age", &of),
        ImportedKind::Age(AgeOf::Value) => table.text("age", &of).raw("timestamp", "true"),
        ImportedKind::Up => return table.optional("up", signal.target.as_deref()),
    };
    let table = table
        .optional("window", signal.window.map(format_duration))
        .optional("target", signal.target.as_deref());
    if signal.by.is_empty() {
        return table;
    }
    let by: Vec<_> = signal.by.iter().map(|label| string(label)).collect();
    table.raw("by", format!("[{}]", by.join(", ")))
}

/// Signals and their names.
#[derive(Clone, Copy)]
pub(super) struct NamedSignals<'n> {
    pub(super) names: &'n [String],
    pub(super) signals: &'n [ImportedSignal],
}

impl NamedSignals<'_> {
    /// A condition as it is written.
    pub(super) fn condition(self, cond: &Cond) -> String {
        let side = |of: &Cond| {
            let text = self.condition(of);
            match (cond, of) {
                (Cond::And(..), Cond::Or(..)) | (Cond::Or(..), Cond::And(..)) => {
                    format!("({text})")
                }
                _ => text,
            }
        };
        match cond {
            Cond::Compare(left, op, right) => {
                let limit = match (left, right) {
                    (Num::Signal(ix), Num::Const(limit)) => with_unit(*limit, &self.signals[ix.0]),
                    _ => None,
                };
                let right = limit.unwrap_or_else(|| self.number(right, 0));
                format!("{} {op} {right}", self.number(left, 0))
            }
            Cond::And(left, right) => format!("{} && {}", side(left), side(right)),
            Cond::Or(left, right) => format!("{} || {}", side(left), side(right)),
            Cond::Not(of) => format!("!({})", self.condition(of)),
        }
    }

    /// A number within an operator that binds as tightly as `around`; 0 stands for none.
    fn number(self, num: &Num, around: u8) -> String {
        match num {
            Num::Const(number) if *number < 0.0 && around > 0 => format!("({number})"),
            Num::Const(number) => format!("{number}"),
            Num::Signal(SignalIx(ix)) => self.names[*ix].clone(),
            Num::Neg(of) => format!("-{}", self.number(of, Op::Pow.tightness())),
            Num::Abs(of) => format!("abs({})", self.number(of, 0)),
            Num::Extreme(which, of) => {
                let name = if *which == Extreme::Min { "min" } else { "max" };
                let of: Vec<_> = of.iter().map(|num| self.number(num, 0)).collect();
                format!("{name}({})", of.join(", "))
            }
            Num::Arith(op, left, right) => {
                let op = Op::Arith(*op);
                let own = op.tightness();
                let (left, right) = (self.number(left, own), self.number(right, own + 1));
                let text = format!("{left} {} {right}", op.text());
                if own < around { format!("({text})") } else { text }
            }
        }
    }
}

/// A limit as people say it, where that is the same number.
fn with_unit(limit: f64, signal: &ImportedSignal) -> Option<String> {
    let in_seconds = signal.of.metric.ends_with("_seconds");
    let observed = matches!(signal.kind, ImportedKind::Quantile { .. } | ImportedKind::Mean);
    let seconds = observed && in_seconds || matches!(signal.kind, ImportedKind::Age(_));
    let has_unit = seconds || matches!(signal.kind, ImportedKind::Ratio { .. });
    if limit.is_nan() || limit <= 0.0 || !has_unit {
        return None;
    }
    let (by, unit) = match (seconds, limit >= 1.0) {
        (false, _) => (100.0, "%"),
        (true, true) => (1.0, "s"),
        (true, false) => (1000.0, "ms"),
    };
    let written = (limit * by * 1e6).round() / 1e6;
    (written / by == limit).then(|| format!("{written}{unit}"))
}
