//! Signals and rules as TOML, with comments that say where each comes from.

use std::fmt::Write as _;

use crate::model::condition::{Arith, Compare, Cond, Extreme, Num};
use crate::model::index::SignalIx;
use crate::model::time::format_duration;

use super::compare::symbol;
use super::signal::{Kind, Signal};

/// How wide comments are.
const WIDTH: usize = 98;

/// A name and what it names, as far as conditions need it.
pub(super) struct Named<'n> {
    pub(super) name: &'n str,
    pub(super) signal: &'n Signal,
}

/// A comment of one or several lines.
pub(super) fn comment(out: &mut String, lead: &str, text: &str) {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let indent = " ".repeat(lead.chars().count());
    let mut line = format!("# {lead}");
    let mut fresh = true;
    for word in clean.split_whitespace() {
        if !fresh && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(out, "{}", line.trim_end());
            line = format!("# {indent}");
            fresh = true;
        }
        if !fresh {
            line.push(' ');
        }
        line.push_str(word);
        fresh = false;
    }
    let _ = writeln!(out, "{}", line.trim_end());
}

/// A TOML string: in single quotes where that can be, so that selectors stay readable.
pub(super) fn string(text: &str) -> String {
    let plain = !text.contains('\'') && !text.chars().any(char::is_control);
    if plain && text.contains(['"', '\\']) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Keys and values in columns.
pub(super) fn entries(out: &mut String, entries: &[(&str, String)]) {
    let width = entries.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in entries {
        let _ = writeln!(out, "{key:width$} = {value}");
    }
}

/// A signal's section.
pub(super) fn signal(out: &mut String, name: &str, signal: &Signal) {
    let _ = writeln!(out, "[signal.{name}]");
    let text = |of: &dyn std::fmt::Display| string(&of.to_string());
    let span = |window: &std::time::Duration| string(&format_duration(*window));
    let mut keys: Vec<(&str, String)> = match &signal.kind {
        Kind::Rate(of, window) => vec![("rate", text(of)), ("window", span(window))],
        Kind::Increase(of, window) => vec![("increase", text(of)), ("window", span(window))],
        Kind::Ratio { of, to, window } => {
            let ratio = format!("{{ of = {}, to = {} }}", text(of), text(to));
            vec![("ratio", ratio), ("window", span(window))]
        }
        Kind::Quantile { q, of, window, .. } => {
            vec![("quantile", format!("{q:?}")), ("of", text(of)), ("window", span(window))]
        }
        Kind::Mean(of, window) => vec![("mean", text(of)), ("window", span(window))],
        Kind::Gauge { of, across, over } => {
            let mut keys = vec![("gauge", text(of))];
            keys.extend(across.map(|across| ("across", string(across.text()))));
            if let Some((over, window)) = over {
                keys.extend([("over", string(over.text())), ("window", span(window))]);
            }
            keys
        }
        Kind::Count { of, value } => {
            let value = value.as_ref().map(|value| ("value", string(value)));
            std::iter::once(("count", text(of))).chain(value).collect()
        }
        Kind::Age { of, since } => {
            let timestamp =
                (*since == super::signal::Since::Value).then(|| ("timestamp", "true".to_owned()));
            std::iter::once(("age", text(of))).chain(timestamp).collect()
        }
        Kind::Up => vec![("up", string(signal.target.as_deref().unwrap_or_default()))],
    };
    if let (Some(target), false) = (&signal.target, signal.kind == Kind::Up) {
        keys.push(("target", string(target)));
    }
    if !signal.by.is_empty() {
        let by: Vec<_> = signal.by.iter().map(|label| string(label)).collect();
        keys.push(("by", format!("[{}]", by.join(", "))));
    }
    entries(out, &keys);
}

/// A condition in our language.
pub(super) fn condition(cond: &Cond, names: &[Named<'_>]) -> String {
    match cond {
        Cond::Compare(left, op, right) => compare(left, *op, right, names),
        Cond::And(left, right) => {
            let side = |cond: &Cond| match cond {
                Cond::Or(..) => format!("({})", condition(cond, names)),
                Cond::Compare(..) | Cond::And(..) | Cond::Not(_) => condition(cond, names),
            };
            format!("{} && {}", side(left), side(right))
        }
        Cond::Or(left, right) => {
            let side = |cond: &Cond| match cond {
                Cond::And(..) => format!("({})", condition(cond, names)),
                Cond::Compare(..) | Cond::Or(..) | Cond::Not(_) => condition(cond, names),
            };
            format!("{} || {}", side(left), side(right))
        }
        Cond::Not(of) => format!("!({})", condition(of, names)),
    }
}

fn compare(left: &Num, op: Compare, right: &Num, names: &[Named<'_>]) -> String {
    let limit = match (left, right) {
        (Num::Signal(ix), Num::Const(limit)) => unit(*limit, names[ix.0].signal),
        _ => None,
    };
    let right = limit.unwrap_or_else(|| number(right, 0, names));
    format!("{} {} {right}", number(left, 0, names), symbol(op))
}

/// A limit as people say it, where that is the same number.
fn unit(limit: f64, signal: &Signal) -> Option<String> {
    let shares = matches!(signal.kind, Kind::Ratio { .. });
    let seconds = match &signal.kind {
        Kind::Quantile { of, .. } | Kind::Mean(of, _) => of.metric.ends_with("_seconds"),
        Kind::Age { .. } => true,
        Kind::Rate(..)
        | Kind::Increase(..)
        | Kind::Ratio { .. }
        | Kind::Gauge { .. }
        | Kind::Count { .. }
        | Kind::Up => false,
    };
    if limit.is_nan() || limit <= 0.0 {
        return None;
    }
    let scaled = |by: f64, unit: &str| {
        let written = (limit * by * 1e6).round() / 1e6;
        (written / by == limit).then(|| format!("{written}{unit}"))
    };
    if shares {
        scaled(100.0, "%")
    } else if seconds && limit >= 1.0 {
        scaled(1.0, "s")
    } else if seconds {
        scaled(1000.0, "ms")
    } else {
        None
    }
}

/// How tightly an operator binds; operands that bind less are put into parentheses.
const fn tightness(op: Arith) -> u8 {
    match op {
        Arith::Add | Arith::Sub => 1,
        Arith::Mul | Arith::Div => 2,
    }
}

fn number(num: &Num, around: u8, names: &[Named<'_>]) -> String {
    match num {
        Num::Const(number) if *number < 0.0 && around > 0 => format!("({number})"),
        Num::Const(number) => format!("{number}"),
        Num::Signal(SignalIx(ix)) => names[*ix].name.to_owned(),
        Num::Neg(of) => format!("-{}", number(of, 3, names)),
        Num::Abs(of) => format!("abs({})", number(of, 0, names)),
        Num::Extreme(which, of) => {
            let name = match which {
                Extreme::Min => "min",
                Extreme::Max => "max",
            };
            let of: Vec<_> = of.iter().map(|num| number(num, 0, names)).collect();
            format!("{name}({})", of.join(", "))
        }
        Num::Arith(op, left, right) => {
            let own = tightness(*op);
            let symbol = match op {
                Arith::Add => "+",
                Arith::Sub => "-",
                Arith::Mul => "*",
                Arith::Div => "/",
            };
            let (left, right) = (number(left, own, names), number(right, own + 1, names));
            let text = format!("{left} {symbol} {right}");
            if own < around { format!("({text})") } else { text }
        }
    }
}
