//! The series of a rule test: who they are, which target answers with them, and their values.

use crate::engine::wanted_names;
use crate::model::name::TargetName;
use crate::model::plan::Plan;
use crate::model::selector::Test;
use crate::ruletest::{Feed, Values};

use super::notation::values;
use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::selector::selector;
use crate::config::syntax::tree::{Fault, Item};

/// One series as it is written.
pub(crate) struct Series<'a> {
    item: Item<'a>,
    metric: String,
    /// Labels by name.
    labels: Vec<(String, String)>,
    /// The target that it names, and where.
    pub(crate) target: Option<(String, Place)>,
    values: Values,
}

/// Reads one series.
pub(crate) fn series<'a>(item: Item<'a>, sink: &mut Sink) -> Option<Series<'a>> {
    let section = item.section("a series", sink)?;
    section.only(&["name", "values", "target"], &[], sink);
    let name = section.required("name", sink);
    let name = name.and_then(|item| item.text(sink)?.parse(sink, identity));
    let values = section.required("values", sink).and_then(|item| {
        let Some(text) = item.value().as_str() else { return item.expected("a string", sink) };
        if text.trim().is_empty() {
            sink.report(Diagnostic::error(item.place(), "a series has at least one value"));
            return None;
        }
        item.text(sink)?.parse(sink, values)
    });
    let target = section.opt("target", |item| {
        let name = item.text(sink)?.name(sink, TargetName::new)?;
        Some((name.as_str().to_owned(), item.place()))
    });
    let (metric, labels) = name?;
    Some(Series { item, metric, labels, target: target?, values: values? })
}

/// A selector that says which series it is: by `=` alone.
fn identity(text: &str) -> Result<(String, Vec<(String, String)>), Fault> {
    let whole = 0..text.len();
    let selector = selector(text)?;
    let mut labels: Vec<(String, String)> = Vec::new();
    for matcher in selector.matchers {
        let Test::Equal(value) = matcher.test else {
            let message = "a series has one value for each label, written with `=`";
            return Err(Fault::new(whole, message));
        };
        if matcher.label == "target" {
            let fault = Fault::new(whole, "the label `target` is given by rollguard");
            return Err(fault.help("write target = \"…\" beside name and values"));
        }
        if labels.iter().any(|(name, _)| *name == matcher.label) {
            let message = format!("the label `{}` stands twice", matcher.label.escape_debug());
            return Err(Fault::new(whole, message));
        }
        // An empty value is no label.
        if !value.is_empty() {
            labels.push((matcher.label, value));
        }
    }
    labels.sort();
    Ok((selector.metric, labels))
}

/// What each target of the plan answers.
pub(crate) fn feeds(
    plan: &Plan,
    all: Vec<Series<'_>>,
    place: &Place,
    sink: &mut Sink,
) -> Option<Vec<Feed>> {
    if all.is_empty() {
        sink.missing(Diagnostic::error(place.clone(), "the test has no series"));
        return None;
    }
    let mut feeds = Some(vec![Feed::default(); plan.targets.len()]);
    let mut seen: Vec<Vec<(String, Values, Place)>> = vec![Vec::new(); plan.targets.len()];
    for each in all {
        let target = target(plan, &each, sink);
        let Some(target) = target else {
            feeds = None;
            continue;
        };
        let text = on_page(&each.metric, &each.labels);
        is_read(plan, target, &each, sink);
        is_alone(&text, &each, &seen[target], sink);
        if let Some(feeds) = &mut feeds {
            feeds[target].series.push((text.clone(), each.values.clone()));
        }
        seen[target].push((text, each.values, each.item.place()));
    }
    feeds
}

fn target(plan: &Plan, series: &Series<'_>, sink: &mut Sink) -> Option<usize> {
    let names = || plan.targets.iter().map(|target| target.name.as_str());
    let Some((name, place)) = &series.target else {
        // Without a configuration there is a target for series that name none.
        if let Some(default) = names().position(|name| name == "test") {
            return Some(default);
        }
        if plan.targets.len() == 1 {
            return Some(0);
        }
        let message = "which target answers with this series is not said";
        let error = Diagnostic::error(series.item.place(), message);
        let list: Vec<_> = names().collect();
        sink.report(error.help(format!("write target = \"…\"; known are {}", list.join(", "))));
        return None;
    };
    let found = names().position(|known| known == name);
    if found.is_none() {
        let error = Diagnostic::error(place.clone(), format!("unknown target `{name}`"));
        sink.report(error.suggest(name, names()));
    }
    found
}

/// A series that nobody reads is most often a mistyped one.
fn is_read(plan: &Plan, target: usize, series: &Series<'_>, sink: &mut Sink) {
    let target = &plan.targets[target];
    let wanted = wanted_names(plan, target);
    if wanted.contains(&series.metric) {
        return;
    }
    let metric = series.metric.escape_debug();
    let message = format!("no signal reads `{metric}` of target {}", target.name);
    let error = Diagnostic::error(series.item.place(), message);
    sink.report(error.suggest(&series.metric, wanted.iter().map(String::as_str)));
}

/// The same series twice, or two that say differently how a scrape fails, mean nothing.
fn is_alone(text: &str, series: &Series<'_>, seen: &[(String, Values, Place)], sink: &mut Sink) {
    if let Some((_, _, first)) = seen.iter().find(|(other, ..)| other == text) {
        let error = Diagnostic::error(series.item.place(), "the series is written twice");
        sink.report(error.also(first.clone(), "first written here"));
    }
    for (_, other, first) in seen {
        if differ(&series.values, other) {
            let message = "two series of a target say differently how a scrape of it fails";
            let error = Diagnostic::error(series.item.place(), message);
            sink.report(error.also(first.clone(), "otherwise here"));
        }
    }
}

/// Whether a scrape fails by both, and not in the same way.
fn differ(a: &Values, b: &Values) -> bool {
    let (mut left, mut right) = (a.failures().peekable(), b.failures().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        let ((from, count, class), (start, length, as_class)) = (*one, *other);
        let (end, stop) = (from + count, start + length);
        if from < stop && start < end && class != as_class {
            return true;
        }
        if end <= stop {
            left.next()
        } else {
            right.next()
        };
    }
    false
}

/// The series as a page writes it.
fn on_page(metric: &str, labels: &[(String, String)]) -> String {
    let bare = |text: &str, colon: char| {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == colon;
        text.chars().all(inside) && !text.starts_with(|c: char| c.is_ascii_digit())
    };
    let quoted = |text: &str| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("\"{text}\"")
    };
    let mut inner = Vec::new();
    if !bare(metric, ':') {
        inner.push(quoted(metric));
    }
    for (name, value) in labels {
        let name = if bare(name, '_') { name.clone() } else { quoted(name) };
        inner.push(format!("{name}={}", quoted(value)));
    }
    let outer = if bare(metric, ':') { metric } else { "" };
    if inner.is_empty() { outer.to_owned() } else { format!("{outer}{{{}}}", inner.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stands_on_the_page_as_an_exporter_would_write_it() {
        let check = |text: &str, page: &str| {
            let (metric, labels) = identity(text).unwrap();
            assert_eq!(on_page(&metric, &labels), page);
        };
        check("m", "m");
        check("m{}", "m");
        check("a:b{ z=\"1\", a='2' , e=''}", "a:b{a=\"2\",z=\"1\"}");
        check("m{p=`a\"b\\c`}", r#"m{p="a\"b\\c"}"#);
        check("{\"my.name\", \"l.l\"=\"x\"}", r#"{"my.name","l.l"="x"}"#);
    }

    #[test]
    fn scrapes_that_fail_in_two_ways_are_found_wherever_they_are() {
        let check = |a: &str, b: &str, wanted: bool| {
            let (a, b) = (values(a).unwrap(), values(b).unwrap());
            assert_eq!((differ(&a, &b), differ(&b, &a)), (wanted, wanted));
        };
        check("1 fail 1", "1 fail 1", false);
        check("1 failx3 1", "1x1 fail:dns", true);
        check("failx3 fail:dns", "_x3 fail:dns", false);
        check("fail 1 fail 1 fail", "1 fail:dns 1 fail:dns", false);
        check("fail 1 fail 1 fail", "1 fail:dns 1 fail:dnsx2", true);
        check("1x9", "fail", false);
    }

    #[test]
    fn a_selector_of_several_series_is_none() {
        for text in ["m{a=~\"x\"}", "m{a!=\"x\"}", "m{a=\"1\",a=\"2\"}", "m{target=\"api\"}"] {
            assert!(identity(text).is_err(), "{text}");
        }
    }
}
