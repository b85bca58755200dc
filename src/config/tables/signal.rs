//! `[signal.NAME]`: exactly one key says what kind of signal it is, the others how it is taken.

use std::time::Duration;

use crate::model::condition::Compare;
use crate::model::name::{SignalName, TargetName};
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{AgeOf, OverTime, Reduction, Signal, SignalKind, Threshold, Unit};

use super::target::labels;
use crate::config::expr::lexer::literal;
use crate::config::lint::selectors;
use crate::config::syntax::{Diagnostic, FromToml, TomlTable, TomlValue};

/// The longest window. Samples of a window are kept in memory, and a release is judged by what
/// happened since it, not by what happened the day before.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Reads one signal.
pub(crate) fn signal(table: &TomlTable<'_>) -> Option<Signal> {
    let name = table.own_name().and_then(|name: SignalName| {
        let message =
            format!("`{name}` is not written so, a signal's baseline is [signal.x.baseline]");
        if name.is_derived() { table.cx.refuse(table.error(message)) } else { Some(name) }
    });
    let kind = kind_key(table)?;
    let unit: Option<Option<Unit>> = table.read("unit");
    let read = table.all(["description", "stale"]);
    let (kind, literal_unit) = table.read_with(kind, |value| match kind {
        "value" => constant(value),
        _ => Some((signal_kind(kind, value, table)?, None)),
    })?;
    let unit = unit?.or(literal_unit).or_else(|| kind.unit());
    let by = if let SignalKind::Expr(expr) = &kind {
        let signals = table.cx.signals.borrow();
        let groups = signals.groups(|each| expr.for_each_signal(&mut |ix| each(ix)));
        groups.map_err(|odd| report_expression(table, odd)).ok()?
    } else {
        table.opt("by", labels_by)?.unwrap_or_default()
    };
    if kind.outlives_silence()
        && let Some(by) = table.get("by")
    {
        let error = by.error("a group is gone with its samples, so that it never grows old");
        return by.cx.refuse(error.help("add `timestamp = true` if the gauge holds a time"));
    }
    let (description, stale) = read?;
    Some(Signal { name: name?, kind, unit, description, by, stale })
}

/// The labels by which a signal is read, sorted.
fn labels_by(value: TomlValue<'_>) -> Option<Vec<String>> {
    /// Part of the page's own format.
    const RESERVED: [&str; 3] = ["__name__", "le", "quantile"];
    let mut labels: Vec<String> = Vec::new();
    for label in value.list()? {
        let text = label.text()?;
        if RESERVED.contains(&text) {
            return label.refuse(format!("`{text}` is part of the page's format"));
        }
        if labels.iter().any(|known| known == text) {
            return label.refuse(format!("`{}` is there twice", text.escape_debug()));
        }
        labels.push(text.to_owned());
    }
    labels.sort();
    Some(labels)
}

/// The one key that says what kind it is; every other key is checked to go with it.
fn kind_key<'a>(table: &TomlTable<'a>) -> Option<&'a str> {
    let mut kinds = table.kinds();
    // A count has a `value` of its own.
    if kinds.iter().any(|entry| entry.key == "count") {
        kinds.retain(|entry| entry.key != "value");
    }
    let Some(first) = kinds.first() else {
        if table.check_keys() {
            let message = format!("{} does not say what kind of signal it is", table.title);
            let help = format!("give it one of {}", table.one_of().join(", "));
            return table.cx.missing(table.error(message).help(help));
        }
        return None;
    };
    let kind = first.key;
    if let Some(second) = kinds.get(1) {
        let message = format!("a signal is of one kind, `{kind}` or `{}`", second.key);
        let error = second.key_error(message);
        return table.cx.refuse(error.also(first.key_span(), "the first one"));
    }
    let foreign = table.check_meaning(kind, &format!("`{kind}`"));
    table.check_keys_for(kind, &foreign);
    Some(kind)
}

/// Reads what makes a signal of its kind.
fn signal_kind(kind: &str, value: TomlValue<'_>, table: &TomlTable<'_>) -> Option<SignalKind> {
    let (of, reduction, window) = match kind {
        "rate" => (selector(value, table), Some(Reduction::Rate), table.read("window")),
        "increase" => (selector(value, table), Some(Reduction::Increase), table.read("window")),
        "ratio" => {
            let ratio = TomlTable::of(value, "ratio")?;
            let of = ratio.read_with("of", |value| selector(value, table));
            let to = ratio.read_with("to", |value| selector(value, table));
            (of, to.map(|to| Reduction::Ratio { to }), table.read("window"))
        }
        "quantile" => {
            let q = value.number().and_then(|q| {
                if (0.0..=1.0).contains(&q) {
                    return Some(Reduction::Quantile(q));
                }
                let error = value.error("a quantile is between 0 and 1");
                value.cx.refuse(error.label("write 0.95 for the 95th percentile"))
            });
            let of = table.read_with("of", |value| histogram(value, table));
            (of, q, table.read("window").map(Option::unwrap_or_default))
        }
        "mean" => (mean(value, table), Some(Reduction::Mean), table.read("window")),
        "gauge" => {
            let (of, across) = (selector(value, table), table.read("across"));
            let (over, window) = over(table)?;
            (of, across.map(|across| Reduction::Gauge { across, over }), Some(window))
        }
        "count" => {
            let of = selector(value, table);
            let value = table.opt("value", |value| value.parse(threshold));
            (of, value.map(Reduction::Count), Some(Duration::ZERO))
        }
        "age" => {
            let (of, timestamp) = (selector(value, table), table.read("timestamp"));
            let age = |timestamp| if timestamp { AgeOf::Value } else { AgeOf::Sample };
            (of, timestamp.map(|timestamp| Reduction::Age(age(timestamp))), Some(Duration::ZERO))
        }
        "up" => return TargetName::from_toml(value).map(SignalKind::Up),
        _ => return FromToml::from_toml(value).map(SignalKind::Expr),
    };
    Some(SignalKind::Series { of: of?, reduction: reduction?, window: window? })
}

/// A selector with the signal's own restriction to a target and labels.
fn selector(value: TomlValue<'_>, table: &TomlTable<'_>) -> Option<Selector> {
    let mut selector = Selector::from_toml(value)?;
    let equal = |label: &str, value: &str| Matcher {
        label: label.to_owned(),
        test: Test::Equal(value.to_owned()),
    };
    if let Some(target) = table.get("target") {
        target.known("target", target.cx.targets.get())?;
        selector.matchers.push(equal("target", target.text()?));
    }
    if let Some(value) = table.get("labels") {
        let labels = labels(value)?;
        selector.matchers.extend(labels.iter().map(|(label, value)| equal(label, value)));
    }
    selectors::selector(value, &selector);
    Some(selector)
}

/// `mean = "metric"`, or `mean = true` with `of`.
fn mean(value: TomlValue<'_>, table: &TomlTable<'_>) -> Option<Selector> {
    if value.toml().as_bool() == Some(true) {
        return table.read_with("of", |value| histogram(value, table));
    }
    let Some(of) = table.get("of") else { return histogram(value, table) };
    let error = of.error("the metric is named twice");
    of.cx.refuse(error.help("write `mean = \"METRIC\"`"))
}

/// A histogram or summary by its base name.
fn histogram(value: TomlValue<'_>, table: &TomlTable<'_>) -> Option<Selector> {
    let selector = selector(value, table)?;
    let metric = &selector.metric;
    let ending = ["_bucket", "_sum", "_count"].into_iter().find(|end| metric.ends_with(end));
    let Some(ending) = ending else { return Some(selector) };
    let error = value.error(format!("a histogram is named without its `{ending}`"));
    value.cx.refuse(error.label(format!("write `{}`", metric.trim_end_matches(ending))))
}

/// How a gauge is read over time, and the window.
fn over(table: &TomlTable<'_>) -> Option<(OverTime, Duration)> {
    let over = table.read("over")?;
    if over != OverTime::Last {
        return Some((over, table.read("window")?));
    }
    let Some(window) = table.get("window") else { return Some((over, Duration::ZERO)) };
    let error = window.error("`window` has no meaning for the last value of a gauge");
    window.cx.refuse(error.help("add `over`, as in over = \"avg\""))
}

/// A comparison with a number: `> 0`, `<= 5%`, `== -1`.
fn threshold(text: &str) -> Result<Threshold, Diagnostic> {
    let wrong = || {
        Diagnostic::new(0..text.len(), "not a comparison with a number")
            .help("write one like \"> 0\" or \"== 1\"")
    };
    let trimmed = text.trim();
    let read = |(word, op)| Some((op, trimmed.strip_prefix(word)?));
    let found = Compare::ALL.into_iter().filter_map(read);
    // `>=` begins with `>`.
    let (op, rest) = found.min_by_key(|(_, rest)| rest.len()).ok_or_else(wrong)?;
    let rest = rest.trim_start();
    let (sign, rest) = rest.strip_prefix('-').map_or((1.0, rest), |rest| (-1.0, rest));
    let (number, _) = literal(rest).map_err(|_| wrong())?;
    Ok(Threshold { op, than: sign * number })
}

/// A number, or a string that holds one with a unit.
pub(crate) fn constant(value: TomlValue<'_>) -> Option<(SignalKind, Option<Unit>)> {
    if value.as_str().is_none() {
        return value.number().map(|number| (SignalKind::Value(number), None));
    }
    let (number, unit) = value.parse(literal)?;
    Some((SignalKind::Value(number), unit))
}

/// Reports an error about a signal's whole expression, which only all signals together show.
pub(crate) fn report_expression(table: &TomlTable<'_>, message: String) {
    let expr = table.get("expr").and_then(|value| Some((value, value.text()?)));
    table.cx.report(match expr {
        Some((value, text)) => value.error_within(Diagnostic::new(0..text.len(), message)),
        None => table.error(message),
    });
}
