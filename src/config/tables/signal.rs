//! `[signal.NAME]`: exactly one key says what kind of signal it is, the others how it is taken.

use std::time::Duration;

use crate::model::condition::Compare;
use crate::model::name::{SignalName, TargetName};
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::{
    AgeOf, Aggregation, OverTime, Reduction, Signal, SignalKind, Threshold, Unit,
};

use super::named::{Declared, Listed};
use crate::config::expr::lexer::literal;
use crate::config::expr::lowering::{Names, Refused, arithmetic};
use crate::config::lint::selectors;
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::selector::selector_within;
use crate::config::syntax::tree::{Fault, Item, Section};

/// The longest window. Samples of a window are kept in memory, and a release is judged by what
/// happened since it, not by what happened the day before.
pub(crate) const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

const MIN_WINDOW: Duration = Duration::from_millis(100);

/// Kinds and the keys that go with each, besides those for all.
const KINDS: [(&str, &[&str]); 11] = [
    ("rate", &["window", "by", "target", "labels", "stale"]),
    ("increase", &["window", "by", "target", "labels", "stale"]),
    ("ratio", &["window", "by", "target", "labels", "stale"]),
    ("quantile", &["of", "window", "by", "target", "labels", "stale"]),
    ("mean", &["of", "window", "by", "target", "labels", "stale"]),
    ("gauge", &["across", "over", "window", "by", "target", "labels", "stale"]),
    ("count", &["value", "by", "target", "labels", "stale"]),
    ("age", &["timestamp", "by", "target", "labels", "stale"]),
    ("up", &[]),
    ("value", &[]),
    ("expr", &[]),
];
const FOR_ALL: [&str; 3] = ["description", "unit", "baseline"];

/// The most labels that a signal is read by; a person has to read them.
const MAX_BY: usize = 8;

/// Reads one signal.
pub(crate) fn signal(
    declared: &Declared<'_>,
    names: &Names,
    targets: &Listed,
    sink: &mut Sink,
) -> Option<Signal> {
    let section = &declared.section;
    let name = name(declared, sink);
    let kind_key = kind_key(section, sink)?;
    let context = Context { section, targets };
    let stated = section.opt("unit", |item| unit(item, sink));
    let description = section.opt("description", |item| item.string(sink));
    let stale = section.opt("stale", |item| item.duration_within(MIN_WINDOW, MAX_WINDOW, sink));
    let (kind, literal_unit) = context.kind(kind_key, names, sink)?;
    let unit = stated?.or(literal_unit).or_else(|| kind.unit());
    let by = if let SignalKind::Expr(expr) = &kind {
        let by = names.by(|each| expr.for_each_signal(&mut |ix| each(ix)));
        by.map_err(|odd| expression_fault(declared, odd, sink)).ok()?
    } else {
        section.or("by", Vec::new(), |item| labels_by(item, sink))?
    };
    if kind.outlives_silence()
        && let Some(item) = section.get("by")
    {
        let message = "a group is gone with its samples, so that it never grows old";
        let error = Diagnostic::error(item.place(), message);
        sink.report(error.help("add `timestamp = true` if the gauge holds a time"));
        return None;
    }
    Some(Signal { name: name?, kind, unit, description: description?, by, stale: stale? })
}

fn name(declared: &Declared<'_>, sink: &mut Sink) -> Option<SignalName> {
    let name = SignalName::new(declared.name).map_err(|error| error.to_string());
    let name = name.and_then(|name| match name.is_derived() {
        true => {
            Err(format!("`{name}` is not written so, a signal's baseline is [signal.x.baseline]"))
        }
        false => Ok(name),
    });
    name.map_err(|why| sink.report(Diagnostic::error(declared.place.clone(), why))).ok()
}

/// The labels by which a signal is read, sorted.
fn labels_by(item: Item<'_>, sink: &mut Sink) -> Option<Vec<String>> {
    /// Part of the page's own format.
    const RESERVED: [&str; 3] = ["__name__", "le", "quantile"];
    let mut labels: Vec<String> = Vec::new();
    for label in item.list(sink)? {
        let text = label.text(sink)?;
        let wrong = if text.value.is_empty() {
            Some("a label's name is not empty".to_owned())
        } else if RESERVED.contains(&text.value) {
            Some(format!("`{}` is part of the page's format", text.value))
        } else if labels.iter().any(|known| known == text.value) {
            Some(format!("`{}` is there twice", text.value.escape_debug()))
        } else {
            None
        };
        if let Some(message) = wrong {
            sink.report(Diagnostic::error(text.place(), message));
            return None;
        }
        labels.push(text.value.to_owned());
    }
    if labels.is_empty() || labels.len() > MAX_BY {
        let message = format!("`by` names 1 to {MAX_BY} labels");
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    labels.sort();
    Some(labels)
}

/// The one key that says what kind it is; every other key is checked to go with it.
fn kind_key(section: &Section<'_>, sink: &mut Sink) -> Option<&'static str> {
    let entries = section.entries();
    let mut given: Vec<_> =
        entries.iter().filter(|e| KINDS.iter().any(|(k, _)| *k == e.key)).collect();
    // A count has a `value` of its own.
    if given.iter().any(|entry| entry.key == "count") {
        given.retain(|entry| entry.key != "value");
    }
    let names: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let Some(first) = given.first() else {
        let known = [&names[..], &FOR_ALL, &every_option()].concat();
        if !section.only(&known, &[], sink) {
            return None;
        }
        let message = format!("{} does not say what kind of signal it is", section.title);
        let error = Diagnostic::error(section.place.clone(), message);
        sink.missing(error.help(format!("give it one of {}", names.join(", "))));
        return None;
    };
    let (kind, options) = KINDS.iter().find(|(kind, _)| *kind == first.key)?;
    if let Some(second) = given.get(1) {
        let message = format!("a signal is of one kind, `{}` or `{}`", first.key, second.key);
        let error = Diagnostic::error(second.key_place(), message);
        sink.report(error.also(first.key_place(), "the first one"));
        return None;
    }
    let known = [&[*kind], &FOR_ALL[..], options].concat();
    let foreign: Vec<_> =
        every_option().into_iter().filter(|option| !known.contains(option)).collect();
    for entry in entries.iter().filter(|entry| foreign.contains(&entry.key)) {
        let message = format!("`{}` has no meaning for `{kind}`", entry.key);
        sink.report(Diagnostic::error(entry.key_place(), message));
    }
    section.only(&[known, foreign].concat(), &[], sink);
    Some(kind)
}

fn every_option() -> Vec<&'static str> {
    vec!["of", "window", "by", "target", "labels", "stale", "across", "over", "timestamp"]
}

fn unit(item: Item<'_>, sink: &mut Sink) -> Option<Unit> {
    let words = [
        ("ratio", Unit::Ratio),
        ("seconds", Unit::Seconds),
        ("bytes", Unit::Bytes),
        ("per_second", Unit::PerSecond),
        ("count", Unit::Count),
    ];
    item.choice(&words, &[], sink)
}

struct Context<'c, 'a> {
    section: &'c Section<'a>,
    targets: &'c Listed,
}

impl<'a> Context<'_, 'a> {
    /// The kind, and the unit of its literal where it is one.
    fn kind(
        &self,
        key: &str,
        names: &Names,
        sink: &mut Sink,
    ) -> Option<(SignalKind, Option<Unit>)> {
        let item = self.section.get(key)?;
        let kind = match key {
            "rate" => self.over_window(item, Reduction::Rate, sink)?,
            "increase" => self.over_window(item, Reduction::Increase, sink)?,
            "ratio" => self.ratio(item, sink)?,
            "quantile" => self.quantile(item, sink)?,
            "mean" => self.mean(item, sink)?,
            "gauge" => self.gauge(item, sink)?,
            "count" => self.count(item, sink)?,
            "age" => self.age(item, sink)?,
            "up" => self.up(item, sink)?,
            "value" => return value(item, sink),
            _ => SignalKind::Expr(expression(item, names, sink)?),
        };
        Some((kind, None))
    }

    fn over_window(
        &self,
        item: Item<'a>,
        reduction: Reduction,
        sink: &mut Sink,
    ) -> Option<SignalKind> {
        let of = self.selector(item, sink);
        let window = self.window(sink)?;
        Some(SignalKind::Series { of: of?, reduction, window })
    }

    fn window(&self, sink: &mut Sink) -> Option<Duration> {
        self.section.required("window", sink)?.duration_within(MIN_WINDOW, MAX_WINDOW, sink)
    }

    /// A selector with the signal's own restriction to a target and labels.
    fn selector(&self, item: Item<'a>, sink: &mut Sink) -> Option<Selector> {
        let (text, mut room) = (item.text(sink)?, sink.room);
        let selector = text.parse(sink, |text| selector_within(text, &mut room));
        sink.room = room;
        let mut selector = selector?;
        let equal = |label: &str, value: &str| Matcher {
            label: label.to_owned(),
            test: Test::Equal(value.to_owned()),
        };
        if let Some(item) = self.section.get("target") {
            let name = item.text(sink)?;
            self.targets.find("target", name, sink)?;
            selector.matchers.push(equal("target", name.value));
        }
        if let Some(item) = self.section.get("labels") {
            let labels = super::target::labels(item, sink)?;
            selector.matchers.extend(labels.iter().map(|(label, value)| equal(label, value)));
        }
        selectors::selector(item, &selector, sink);
        Some(selector)
    }

    fn ratio(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let section = item.section("`ratio`", sink)?;
        section.only(&["of", "to"], &[], sink);
        let of = section.required("of", sink).and_then(|item| self.selector(item, sink));
        let to = section.required("to", sink).and_then(|item| self.selector(item, sink));
        let window = self.window(sink);
        let (of, reduction) = (of?, Reduction::Ratio { to: to? });
        Some(SignalKind::Series { of, reduction, window: window? })
    }

    fn quantile(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let q = item.number(sink).filter(|q| {
            let valid = (0.0..=1.0).contains(q);
            if !valid {
                let error = Diagnostic::error(item.place(), "a quantile is between 0 and 1");
                sink.report(error.label("write 0.95 for the 95th percentile"));
            }
            valid
        });
        let of = self.base(self.section.required("of", sink), sink);
        let window =
            self.section.opt("window", |item| item.duration_within(MIN_WINDOW, MAX_WINDOW, sink));
        let (reduction, of) = (Reduction::Quantile(q?), of?);
        Some(SignalKind::Series { of, reduction, window: window?.unwrap_or_default() })
    }

    /// `mean = "metric"`, or `mean = true` with `of`.
    fn mean(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let of = if item.value().as_bool() == Some(true) {
            self.section.required("of", sink)
        } else if let Some(of) = self.section.get("of") {
            let error = Diagnostic::error(of.place(), "the metric is named twice");
            sink.report(error.help("write `mean = \"METRIC\"`"));
            None
        } else {
            Some(item)
        };
        let of = self.base(of, sink);
        let window = self.window(sink)?;
        Some(SignalKind::Series { of: of?, reduction: Reduction::Mean, window })
    }

    /// A histogram or summary by its base name.
    fn base(&self, item: Option<Item<'a>>, sink: &mut Sink) -> Option<Selector> {
        let item = item?;
        let selector = self.selector(item, sink)?;
        let ending =
            ["_bucket", "_sum", "_count"].into_iter().find(|end| selector.metric.ends_with(end));
        if let Some(ending) = ending {
            let message = format!("a histogram is named without its `{ending}`");
            let error = Diagnostic::error(item.place(), message);
            let base = selector.metric.trim_end_matches(ending);
            sink.report(error.label(format!("write `{base}`")));
            return None;
        }
        Some(selector)
    }

    fn gauge(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let of = self.selector(item, sink);
        let words = [
            ("sum", Aggregation::Sum),
            ("avg", Aggregation::Avg),
            ("min", Aggregation::Min),
            ("max", Aggregation::Max),
            ("count", Aggregation::Count),
        ];
        let across = self.section.opt("across", |item| item.choice(&words, &[], sink));
        let (over, window) = self.over(sink)?;
        let reduction = Reduction::Gauge { across: across?, over };
        Some(SignalKind::Series { of: of?, reduction, window })
    }

    /// How it is read over time, and the window.
    fn over(&self, sink: &mut Sink) -> Option<(OverTime, Duration)> {
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
        let over =
            self.section.or("over", OverTime::Last, |item| item.choice(&words, &[], sink))?;
        if over != OverTime::Last {
            return Some((over, self.window(sink)?));
        }
        let Some(window) = self.section.get("window") else {
            return Some((over, Duration::ZERO));
        };
        let message = "`window` has no meaning for the last value of a gauge";
        let error = Diagnostic::error(window.place(), message);
        sink.report(error.help("add `over`, as in over = \"avg\""));
        None
    }

    fn count(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let of = self.selector(item, sink);
        let value = self.section.opt("value", |item| item.text(sink)?.parse(sink, threshold));
        let (of, reduction) = (of?, Reduction::Count(value?));
        Some(SignalKind::Series { of, reduction, window: Duration::ZERO })
    }

    fn age(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let of = self.selector(item, sink);
        let since = match self.section.or("timestamp", false, |item| item.boolean(sink))? {
            true => AgeOf::Value,
            false => AgeOf::Sample,
        };
        let reduction = Reduction::Age(since);
        Some(SignalKind::Series { of: of?, reduction, window: Duration::ZERO })
    }

    fn up(&self, item: Item<'a>, sink: &mut Sink) -> Option<SignalKind> {
        let text = item.text(sink)?;
        self.targets.find("target", text, sink)?;
        text.name(sink, TargetName::new).map(SignalKind::Up)
    }
}

/// A comparison with a number: `> 0`, `<= 5%`, `== -1`.
fn threshold(text: &str) -> Result<Threshold, Fault> {
    let ops = [
        (">=", Compare::GreaterOrEqual),
        ("<=", Compare::LessOrEqual),
        ("==", Compare::Equal),
        ("!=", Compare::NotEqual),
        (">", Compare::Greater),
        ("<", Compare::Less),
    ];
    let wrong = || {
        Fault::new(0..text.len(), "not a comparison with a number")
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
pub(crate) fn value(item: Item<'_>, sink: &mut Sink) -> Option<(SignalKind, Option<Unit>)> {
    if item.value().as_str().is_none() {
        return item.number(sink).map(|number| (SignalKind::Value(number), None));
    }
    let (number, unit) = item.text(sink)?.parse(sink, literal)?;
    Some((SignalKind::Value(number), unit))
}

fn expression(
    item: Item<'_>,
    names: &Names,
    sink: &mut Sink,
) -> Option<crate::model::condition::Num> {
    let text = item.text(sink)?;
    let refused = |refused| match refused {
        Refused::Wrong(fault) => sink.report(text.fault(fault)),
        Refused::Missing(fault) => sink.missing(text.fault(fault)),
    };
    arithmetic(text.value, names).map_err(refused).ok()
}

/// Where a signal's expression stands, for those who report what only all signals together show.
pub(crate) fn expression_fault(declared: &Declared<'_>, message: String, sink: &mut Sink) {
    let text = declared.section.get("expr").and_then(|item| item.text(sink));
    match text {
        Some(text) => sink.report(text.fault(Fault::new(0..text.value.len(), message))),
        None => sink.report(Diagnostic::error(declared.place.clone(), message)),
    }
}
