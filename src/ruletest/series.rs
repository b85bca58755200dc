//! The series of a rule test: who they are, which target answers with them, and their values.

use crate::engine::wanted_names;
use crate::exposition::series_text;
use crate::model::name::TargetName;
use crate::model::plan::Plan;
use crate::model::selector::Test;

use super::notation::{Points, points};
use super::script::TargetPages;
use crate::config::syntax::selector::selector;
use crate::config::syntax::{Diagnostic, SourceSpan, TomlTable, TomlValue};

/// One series as it is written.
pub(crate) struct TestSeries<'a> {
    value: TomlValue<'a>,
    metric: String,
    /// Name and labels as they stand on a page.
    text: String,
    /// The target that it names.
    pub(crate) target: Option<(TargetName, SourceSpan)>,
    points: Points,
}

/// Reads one series.
pub(crate) fn series<'a>(value: TomlValue<'a>) -> Option<TestSeries<'a>> {
    let table = TomlTable::of(value, "series")?;
    let name = table.read_with("name", |value| value.parse(identity));
    let points = table.read_with("values", |value| {
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return value.refuse("a series has at least one value");
        }
        value.parse(points)
    });
    let target = table.opt("target", |value| Some((value.name()?, value.span())));
    let (metric, text) = name?;
    Some(TestSeries { value, metric, text, target: target?, points: points? })
}

/// Reads a selector that says which series it is, by `=` alone: the metric, and the series as it
/// stands on a page.
fn identity(text: &str) -> Result<(String, String), Diagnostic> {
    let whole = 0..text.len();
    let selector = selector(text)?;
    let mut labels: Vec<(String, String)> = Vec::new();
    for matcher in selector.matchers {
        let Test::Equal(value) = matcher.test else {
            let message = "a series has one value for each label, written with `=`";
            return Err(Diagnostic::new(whole, message));
        };
        if matcher.label == "target" {
            let error = Diagnostic::new(whole, "the label `target` is given by rollguard");
            return Err(error.help("write target = \"…\" beside name and values"));
        }
        if labels.iter().any(|(name, _)| *name == matcher.label) {
            let message = format!("the label `{}` stands twice", matcher.label.escape_debug());
            return Err(Diagnostic::new(whole, message));
        }
        // An empty value is no label.
        if !value.is_empty() {
            labels.push((matcher.label, value));
        }
    }
    labels.sort();
    let text = series_text(&selector.metric, &labels);
    Ok((selector.metric, text))
}

/// What each target of the plan answers.
pub(crate) fn pages(
    plan: &Plan,
    all: Vec<TestSeries<'_>>,
    test: &TomlTable<'_>,
) -> Option<Vec<TargetPages>> {
    if all.is_empty() {
        return test.cx.missing(test.error("the test has no series"));
    }
    let mut seen: Vec<Vec<TestSeries<'_>>> = plan.targets.iter().map(|_| Vec::new()).collect();
    let mut all_known = true;
    for each in all {
        let Some(target) = target(plan, &each) else {
            all_known = false;
            continue;
        };
        check_read(plan, target, &each);
        check_alone(&each, &seen[target]);
        seen[target].push(each);
    }
    let page = |each: TestSeries<'_>| (each.text, each.points);
    all_known.then(|| seen.into_iter().map(|all| all.into_iter().map(page).collect()).collect())
}

fn target(plan: &Plan, series: &TestSeries<'_>) -> Option<usize> {
    let names = || plan.targets.iter().map(|target| target.name.as_str());
    let Some((name, span)) = &series.target else {
        // Without a configuration there is a target for series that name none.
        let only = (plan.targets.len() == 1).then_some(0);
        return names().position(|name| name == "test").or(only).or_else(|| {
            let error = series.value.error("which target answers with this series is not said");
            let list = names().collect::<Vec<_>>().join(", ");
            series.value.cx.refuse(error.help(format!("write target = \"…\"; known are {list}")))
        });
    };
    let found = names().position(|known| known == name.as_str());
    found.or_else(|| {
        let error = Diagnostic::error(span.clone(), format!("unknown target `{name}`"));
        series.value.cx.refuse(error.suggest(name.as_str(), names()))
    })
}

/// A series that nobody reads is most often a mistyped one.
fn check_read(plan: &Plan, target: usize, series: &TestSeries<'_>) {
    let target = &plan.targets[target];
    let wanted = wanted_names(plan, target);
    if wanted.contains(&series.metric) {
        return;
    }
    let metric = series.metric.escape_debug();
    let error = series.value.error(format!("no signal reads `{metric}` of target {}", target.name));
    series.value.cx.report(error.suggest(&series.metric, wanted.iter().map(String::as_str)));
}

/// The same series twice, or two that say differently how a scrape fails, mean nothing.
fn check_alone(series: &TestSeries<'_>, seen: &[TestSeries<'_>]) {
    if let Some(first) = seen.iter().find(|other| other.text == series.text) {
        let error = series.value.error("the series is written twice");
        series.value.cx.report(error.also(first.value.span(), "first written here"));
    }
    for other in seen.iter().filter(|other| differ(&series.points, &other.points)) {
        let message = "two series of a target say differently how a scrape of it fails";
        series
            .value
            .cx
            .report(series.value.error(message).also(other.value.span(), "otherwise here"));
    }
}

/// Whether a scrape fails by both, and not in the same way.
fn differ(a: &Points, b: &Points) -> bool {
    a.failures().any(|(from, count, class)| {
        let apart = |start, length| from + count <= start || start + length <= from;
        let differs = |(start, length, other)| class != other && !apart(start, length);
        b.failures().any(differs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_stands_on_the_page_as_an_exporter_would_write_it() {
        let check = |text: &str, page: &str| {
            assert_eq!(identity(text).unwrap().1, page);
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
            let (a, b) = (points(a).unwrap(), points(b).unwrap());
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
