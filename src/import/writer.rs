//! Writes signals and conditions in the language of rollguard.

use super::promql::Op;
use super::signal::{ImportedKind, ImportedSignal, across_text};
use crate::model::condition::{Cond, Extreme, Num};
use crate::model::index::SignalIx;
use crate::model::signal::AgeOf;
use crate::model::time::format_duration;
use crate::toml_text::{Table, string};

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
            .optional("across", across.map(across_text))
            .optional("over", over.map(|over| over.text())),
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
    let seconds = match &signal.kind {
        ImportedKind::Ratio { .. } => false,
        ImportedKind::Age(_) => true,
        ImportedKind::Quantile { .. } | ImportedKind::Mean => {
            signal.of.metric.ends_with("_seconds").then_some(true)?
        }
        ImportedKind::Rate
        | ImportedKind::Increase
        | ImportedKind::Gauge { .. }
        | ImportedKind::Count { .. }
        | ImportedKind::Up => return None,
    };
    if limit.is_nan() || limit <= 0.0 {
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
