//! Writes signals and conditions in the language of rollguard.

use super::signal::{ImportedKind, ImportedSignal, across_text};
use crate::model::condition::{Arith, Compare, Cond, Extreme, Num};
use crate::model::index::SignalIx;
use crate::model::signal::AgeOf;
use crate::model::time::format_duration;
use crate::toml_text::{Table, string};

/// A signal and its name.
pub(super) struct NamedSignal<'n> {
    pub(super) name: &'n str,
    pub(super) signal: &'n ImportedSignal,
}

/// A signal's table.
pub(super) fn signal_table(NamedSignal { name, signal }: &NamedSignal<'_>) -> Table {
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

/// A condition as it is written.
pub(super) fn condition(cond: &Cond, signals: &[NamedSignal<'_>]) -> String {
    let side = |of: &Cond| {
        let mixed =
            matches!((cond, of), (Cond::And(..), Cond::Or(..)) | (Cond::Or(..), Cond::And(..)));
        let text = condition(of, signals);
        if mixed { format!("({text})") } else { text }
    };
    match cond {
        Cond::Compare(left, op, right) => compare(left, *op, right, signals),
        Cond::And(left, right) => format!("{} && {}", side(left), side(right)),
        Cond::Or(left, right) => format!("{} || {}", side(left), side(right)),
        Cond::Not(of) => format!("!({})", condition(of, signals)),
    }
}

fn compare(left: &Num, op: Compare, right: &Num, signals: &[NamedSignal<'_>]) -> String {
    let limit = match (left, right) {
        (Num::Signal(ix), Num::Const(limit)) => with_unit(*limit, signals[ix.0].signal),
        _ => None,
    };
    let right = limit.unwrap_or_else(|| number(right, 0, signals));
    format!("{} {op} {right}", number(left, 0, signals))
}

/// A limit as people say it, where that is the same number.
fn with_unit(limit: f64, signal: &ImportedSignal) -> Option<String> {
    let seconds = match &signal.kind {
        ImportedKind::Ratio { .. } => false,
        ImportedKind::Age(_) => true,
        ImportedKind::Quantile { .. } | ImportedKind::Mean
            if signal.of.metric.ends_with("_seconds") =>
        {
            true
        }
        ImportedKind::Quantile { .. }
        | ImportedKind::Mean
        | ImportedKind::Rate
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

/// A number within an operator that binds as tightly as `around`; 0 stands for none.
fn number(num: &Num, around: u8, signals: &[NamedSignal<'_>]) -> String {
    match num {
        Num::Const(number) if *number < 0.0 && around > 0 => format!("({number})"),
        Num::Const(number) => format!("{number}"),
        Num::Signal(SignalIx(ix)) => signals[*ix].name.to_owned(),
        Num::Neg(of) => format!("-{}", number(of, 3, signals)),
        Num::Abs(of) => format!("abs({})", number(of, 0, signals)),
        Num::Extreme(which, of) => {
            let name = match which {
                Extreme::Min => "min",
                Extreme::Max => "max",
            };
            let of: Vec<_> = of.iter().map(|num| number(num, 0, signals)).collect();
            format!("{name}({})", of.join(", "))
        }
        Num::Arith(op, left, right) => {
            let (own, symbol) = match op {
                Arith::Add => (1, "+"),
                Arith::Sub => (1, "-"),
                Arith::Mul => (2, "*"),
                Arith::Div => (2, "/"),
            };
            let (left, right) = (number(left, own, signals), number(right, own + 1, signals));
            let text = format!("{left} {symbol} {right}");
            if own < around { format!("({text})") } else { text }
        }
    }
}
