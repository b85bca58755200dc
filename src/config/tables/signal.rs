//! `[signal.NAME]`: exactly one key says what kind of signal it is, the others how it is taken.

use std::time::Duration;

use crate::model::condition::Compare;
use crate::model::name::{SignalName, TargetName};
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{
    AgeOf, Aggregation, OverTime, Reduction, Signal, SignalKind, Threshold, Unit,
};

use super::condition::read_expression;
use super::named_table::{KnownNames, NamedTable};
use super::selector::selector;
use super::target::labels;
use crate::config::expr::lexer::literal;
use crate::config::expr::scope::SignalScope;
use crate::config::lint::selectors;
use crate::config::syntax::{ErrorSink, TextError, TomlTable, TomlValue};

/// How several series become one number, as it is written.
pub(crate) const ACROSS: [(&str, Aggregation); 5] = [
    ("sum", Aggregation::Sum),
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("count", Aggregation::Count),
];

/// The longest window. Samples of a window are kept in memory, and a release is judged by what
/// happened since it, not by what happened the day before.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Reads one signal.
pub(crate) fn signal(
    named: &NamedTable<'_>,
    scope: &SignalScope,
    targets: &KnownNames,
    sink: &mut ErrorSink,
) -> Option<Signal> {
    let table = &named.table;
    let name = name(named, sink);
    let kind = kind_key(table, sink)?;
    let units = [
        ("ratio", Unit::Ratio),
        ("seconds", Unit::Seconds),
        ("bytes", Unit::Bytes),
        ("per_second", Unit::PerSecond),
        ("count", Unit::Count),
    ];
    let unit = table.opt("unit", sink, |value, sink| value.choice(&units, sink));
    let description = table.opt("description", sink, TomlValue::string);
    let stale = table.opt("stale", sink, TomlValue::duration);
    let (kind, literal_unit) = if kind == "value" {
        table.read("value", sink, constant)?
    } else {
        (SignalReader { table, targets }.kind(kind, scope, sink)?, None)
    };
    let unit = unit?.or(literal_unit).or_else(|| kind.unit());
    let by = if let SignalKind::Expr(expr) = &kind {
        let groups = scope.groups(|each| expr.for_each_signal(&mut |ix| each(ix)));
        groups.map_err(|odd| report_expression(named, odd, sink)).ok()?
    } else {
        table.opt("by", sink, labels_by)?.unwrap_or_default()
    };
    if kind.outlives_silence()
        && let Some(by) = table.get("by")
    {
        let error = by.error("a group is gone with its samples, so that it never grows old");
        return sink.refuse(error.help("add `timestamp = true` if the gauge holds a time"));
    }
    Some(Signal { name: name?, kind, unit, description: description?, by, stale: stale? })
}

fn name(named: &NamedTable<'_>, sink: &mut ErrorSink) -> Option<SignalName> {
    let name = named.read_name(sink, SignalName::new)?;
    if !name.is_derived() {
        return Some(name);
    }
    let message = format!("`{name}` is not written so, a signal's baseline is [signal.x.baseline]");
    sink.refuse(named.table.error(message))
}

/// The labels by which a signal is read, sorted.
fn labels_by(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Vec<String>> {
    /// Part of the page's own format.
    const RESERVED: [&str; 3] = ["__name__", "le", "quantile"];
    let mut labels: Vec<String> = Vec::new();
    for label in value.list(sink)? {
        let text = label.text(sink)?;
        if RESERVED.contains(&text) {
            let message = format!("`{text}` is part of the page's format");
            return sink.refuse(label.error(message));
        }
        if labels.iter().any(|known| known == text) {
            let message = format!("`{}` is there twice", text.escape_debug());
            return sink.refuse(label.error(message));
        }
        labels.push(text.to_owned());
    }
    labels.sort();
    Some(labels)
}

/// The one key that says what kind it is; every other key is checked to go with it.
fn kind_key<'a>(table: &TomlTable<'a>, sink: &mut ErrorSink) -> Option<&'a str> {
    let mut kinds = table.kinds();
    // A count has a `value` of its own.
    if kinds.iter().any(|entry| entry.key == "count") {
        kinds.retain(|entry| entry.key != "value");
    }
    let Some(first) = kinds.first() else {
        if table.check_keys(sink) {
            let message = format!("{} does not say what kind of signal it is", table.title);
            let help = format!("give it one of {}", table.one_of().join(", "));
            sink.missing(table.error(message).help(help));
        }
        return None;
    };
    let kind = first.key;
    if let Some(second) = kinds.get(1) {
        let message = format!("a signal is of one kind, `{kind}` or `{}`", second.key);
        return sink.refuse(second.key_error(message).also(first.key_span(), "the first one"));
    }
    let foreign = table.check_meaning(kind, &format!("`{kind}`"), sink);
    table.check_keys_for(kind, &foreign, sink);
    Some(kind)
}

/// Reads what makes a signal of its kind.
struct SignalReader<'c, 'a> {
    table: &'c TomlTable<'a>,
    targets: &'c KnownNames,
}

impl<'a> SignalReader<'_, 'a> {
    fn kind(&self, kind: &str, scope: &SignalScope, sink: &mut ErrorSink) -> Option<SignalKind> {
        let value = self.table.value(kind, sink)?;
        match kind {
            "rate" => self.over_window(value, Reduction::Rate, sink),
            "increase" => self.over_window(value, Reduction::Increase, sink),
            "ratio" => self.ratio(value, sink),
            "quantile" => self.quantile(value, sink),
            "mean" => self.mean(value, sink),
            "gauge" => self.gauge(value, sink),
            "count" => {
                let of = self.selector(value, sink);
                let value =
                    self.table.opt("value", sink, |value, sink| value.parse(sink, threshold));
                let (of, reduction) = (of?, Reduction::Count(value?));
                Some(SignalKind::Series { of, reduction, window: Duration::ZERO })
            }
            "age" => {
                let of = self.selector(value, sink);
                let timestamp = self.table.read("timestamp", sink, TomlValue::boolean);
                let age = if timestamp? { AgeOf::Value } else { AgeOf::Sample };
                let (of, reduction) = (of?, Reduction::Age(age));
                Some(SignalKind::Series { of, reduction, window: Duration::ZERO })
            }
            "up" => {
                self.targets.find("target", value, sink)?;
                value.name(sink, TargetName::new).map(SignalKind::Up)
            }
            _ => read_expression(value, scope, sink).map(SignalKind::Expr),
        }
    }

    fn over_window(
        &self,
        value: TomlValue<'a>,
        reduction: Reduction,
        sink: &mut ErrorSink,
    ) -> Option<SignalKind> {
        let of = self.selector(value, sink);
        let window = self.window(sink)?;
        Some(SignalKind::Series { of: of?, reduction, window })
    }

    fn window(&self, sink: &mut ErrorSink) -> Option<Duration> {
        self.table.read("window", sink, TomlValue::duration)
    }

    /// A selector with the signal's own restriction to a target and labels.
    fn selector(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<Selector> {
        let mut selector = selector(value, sink)?;
        let equal = |label: &str, value: &str| Matcher {
            label: label.to_owned(),
            test: Test::Equal(value.to_owned()),
        };
        if let Some(target) = self.table.get("target") {
            self.targets.find("target", target, sink)?;
            selector.matchers.push(equal("target", target.text(sink)?));
        }
        if let Some(value) = self.table.get("labels") {
            let labels = labels(value, sink)?;
            selector.matchers.extend(labels.iter().map(|(label, value)| equal(label, value)));
        }
        selectors::selector(value, &selector, sink);
        Some(selector)
    }

    fn ratio(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<SignalKind> {
        let table = TomlTable::of(value, "ratio", sink)?;
        table.check_keys(sink);
        let of = table.read("of", sink, |value, sink| self.selector(value, sink));
        let to = table.read("to", sink, |value, sink| self.selector(value, sink));
        let window = self.window(sink);
        let (of, reduction) = (of?, Reduction::Ratio { to: to? });
        Some(SignalKind::Series { of, reduction, window: window? })
    }

    fn quantile(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<SignalKind> {
        let q = value.number(sink).and_then(|q| {
            if (0.0..=1.0).contains(&q) {
                return Some(q);
            }
            let error = value.error("a quantile is between 0 and 1");
            sink.refuse(error.label("write 0.95 for the 95th percentile"))
        });
        let of = self.table.read("of", sink, |value, sink| self.histogram(value, sink));
        let window = self.table.opt("window", sink, TomlValue::duration);
        let (of, reduction) = (of?, Reduction::Quantile(q?));
        Some(SignalKind::Series { of, reduction, window: window?.unwrap_or_default() })
    }

    /// `mean = "metric"`, or `mean = true` with `of`.
    fn mean(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<SignalKind> {
        let of = if value.toml().as_bool() == Some(true) {
            self.table.read("of", sink, |value, sink| self.histogram(value, sink))
        } else if let Some(of) = self.table.get("of") {
            let error = of.error("the metric is named twice");
            sink.refuse(error.help("write `mean = \"METRIC\"`"))
        } else {
            self.histogram(value, sink)
        };
        let window = self.window(sink)?;
        Some(SignalKind::Series { of: of?, reduction: Reduction::Mean, window })
    }

    /// A histogram or summary by its base name.
    fn histogram(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<Selector> {
        let selector = self.selector(value, sink)?;
        let metric = &selector.metric;
        let ending = ["_bucket", "_sum", "_count"].into_iter().find(|end| metric.ends_with(end));
        let Some(ending) = ending else { return Some(selector) };
        let error = value.error(format!("a histogram is named without its `{ending}`"));
        sink.refuse(error.label(format!("write `{}`", metric.trim_end_matches(ending))))
    }

    fn gauge(&self, value: TomlValue<'a>, sink: &mut ErrorSink) -> Option<SignalKind> {
        let of = self.selector(value, sink);
        let across = self.table.opt("across", sink, |value, sink| value.choice(&ACROSS, sink));
        let (over, window) = self.over(sink)?;
        let reduction = Reduction::Gauge { across: across?, over };
        Some(SignalKind::Series { of: of?, reduction, window })
    }

    /// How it is read over time, and the window.
    fn over(&self, sink: &mut ErrorSink) -> Option<(OverTime, Duration)> {
        let words = [
            ("last", OverTime::Last),
            ("avg", OverTime::Avg),
            ("min", OverTime::Min),
            ("max", OverTime::Max),
            ("median", OverTime::Median),
            ("stddev", OverTime::Stddev),
            ("delta", OverTime::Delta),
            ("slope", OverTime::Slope),
        ];
        let over = self.table.read("over", sink, |value, sink| value.choice(&words, sink))?;
        if over != OverTime::Last {
            return Some((over, self.window(sink)?));
        }
        let Some(window) = self.table.get("window") else {
            return Some((over, Duration::ZERO));
        };
        let error = window.error("`window` has no meaning for the last value of a gauge");
        sink.refuse(error.help("add `over`, as in over = \"avg\""))
    }
}

/// A comparison with a number: `> 0`, `<= 5%`, `== -1`.
fn threshold(text: &str) -> Result<Threshold, TextError> {
    let ops = [
        (">=", Compare::GreaterOrEqual),
        ("<=", Compare::LessOrEqual),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Greater),
        ("<", Compare::Less),
    ];
    let wrong = || {
        TextError::new(0..text.len(), "not a comparison with a number")
            .help("write one like \"> 0\" or \"== 1\"")
    };
    let trimmed = text.trim();
    let found = ops.into_iter().find_map(|(word, op)| Some((op, trimmed.strip_prefix(word)?)));
    let (op, rest) = found.ok_or_else(wrong)?;
    let rest = rest.trim_start();
    let (sign, rest) = rest.strip_prefix('-').map_or((1.0, rest), |rest| (-1.0, rest));
    let (number, _) = literal(rest).map_err(|_| wrong())?;
    Ok(Threshold { op, than: sign * number })
}

/// A number, or a string that holds one with a unit.
pub(crate) fn constant(
    value: TomlValue<'_>,
    sink: &mut ErrorSink,
) -> Option<(SignalKind, Option<Unit>)> {
    if value.as_str().is_none() {
        return value.number(sink).map(|number| (SignalKind::Value(number), None));
    }
    let (number, unit) = value.parse(sink, literal)?;
    Some((SignalKind::Value(number), unit))
}

/// Reports an error about a signal's whole expression, which only all signals together show.
pub(crate) fn report_expression(named: &NamedTable<'_>, message: String, sink: &mut ErrorSink) {
    let expr = named.table.get("expr").and_then(|value| Some((value, value.text(sink)?)));
    sink.report(match expr {
        Some((value, text)) => value.error_within(TextError::new(0..text.len(), message)),
        None => named.table.error(message),
    });
}
