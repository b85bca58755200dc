//! Why a selector finds nothing on any page, and what was probably meant.
//!
//! It looks at all pages together, because the answer to "not here" may be "there": a selector
//! that is restricted to one target while its metric is on another.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::model::selector::{Matcher, Test};
use crate::model::signal::{Selection, Shape};

use super::nearest::{self, MAX_VALUES};
use super::page::{PageContents, SeriesLabels, label};
use super::wanted::{matcher_text, names};

/// How many series are looked at to explain one selector. What the first of them show, the others
/// would show again.
const MAX_SERIES: usize = 10_000;

/// The label that tells apart the buckets of one histogram.
const BOUND: &str = "le";

/// Why a selector finds nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SelectorProblem {
    /// What is wrong, for scripts.
    pub kind: ProblemKind,
    /// What is wrong, for people.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Names or values that were probably meant, best first.
    pub candidates: Vec<String>,
}

/// What is wrong with a selector that finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// No page has the metric.
    NoMetric,
    /// The metric is there, on a target that the selector excludes.
    OtherTarget,
    /// The metric is there without the label.
    NoLabel,
    /// The metric and the label are there, with other values.
    NoValue,
    /// The metric is there as something else than what the signal needs.
    OtherKind,
    /// No page that it may be on could be looked at.
    NotSeen,
}

/// How many series a selector finds on a page. The buckets of one histogram count once.
pub(super) fn count(asked: &Selection<'_>, page: &PageContents) -> usize {
    let names = names(asked);
    let mut all = names.iter().map(|name| matching(asked, page, name));
    let first = all.find(|found| !found.is_empty()).unwrap_or_default();
    let Shape::Histogram(_) = asked.shape else { return first.len() };
    let whole = |labels: &&SeriesLabels| -> BTreeSet<(String, String)> {
        labels.iter().filter(|(name, _)| name != BOUND).cloned().collect()
    };
    first.iter().map(whole).collect::<BTreeSet<_>>().len()
}

/// The series of a metric that are selected, and of use.
pub(super) fn matching<'s>(
    asked: &Selection<'_>,
    page: &'s PageContents,
    metric: &str,
) -> Vec<&'s SeriesLabels> {
    let quantile = asked.shape.quantile().filter(|_| metric == asked.selector.metric);
    let own_quantile = |labels: &&SeriesLabels| {
        let own = label(labels, "quantile").parse::<f64>();
        quantile.is_none_or(|q| own.is_ok_and(|own| own.total_cmp(&q).is_eq()))
    };
    let accepted = |labels: &&SeriesLabels| asked.selector.accepts(|name| label(labels, name));
    page.series(metric).iter().filter(accepted).filter(own_quantile).collect()
}

/// Why the selector finds nothing on any of the pages. `unseen` says that some targets could not
/// be looked at.
pub(super) fn explain(
    asked: &Selection<'_>,
    pages: &[PageContents],
    unseen: bool,
) -> SelectorProblem {
    let names = names(asked);
    let series = |name: &String| -> Vec<&SeriesLabels> {
        pages.iter().flat_map(|page| page.series(name)).take(MAX_SERIES).collect()
    };
    let there = names.iter().map(series).find(|series| !series.is_empty());
    there.map_or_else(|| absent(asked, pages, unseen), |series| excluded(asked, &series))
}

/// The metric is not there under any name that would do.
fn absent(asked: &Selection<'_>, pages: &[PageContents], unseen: bool) -> SelectorProblem {
    let metric = &asked.selector.metric;
    if let Some(problem) = other_kind(asked, pages) {
        return problem;
    }
    let names = pages.iter().flat_map(|page| &page.names).map(String::as_str);
    let near = nearest::metrics(metric, asked.shape, names);
    let not_seen = unseen && near.is_empty();
    let kind = if not_seen { ProblemKind::NotSeen } else { ProblemKind::NoMetric };
    let text = match pages {
        _ if not_seen => format!("`{metric}` is on no page that could be looked at"),
        [only] => format!("{} has no metric `{metric}`", only.target),
        _ => format!("no target has a metric `{metric}`"),
    };
    let hint = match near.as_slice() {
        [] if unseen => "a target that failed may have it".to_owned(),
        [] => "look at the page: nothing on it has a similar name".to_owned(),
        [one] => format!("did you mean `{one}`?"),
        _ => format!("did you mean {}?", listed(&near, "or")),
    };
    SelectorProblem { kind, text, hint: Some(hint), candidates: near }
}

/// The metric is there, and is something else than what the signal needs.
fn other_kind(asked: &Selection<'_>, pages: &[PageContents]) -> Option<SelectorProblem> {
    let metric = &asked.selector.metric;
    let has = |name: &str| pages.iter().any(|page| page.names.contains(name));
    let histogram = has(&format!("{metric}_bucket"));
    let summary = has(&format!("{metric}_count")) && !histogram;
    let kept_as = if histogram { "histogram" } else { "summary" };
    let (what, hint) = match (asked.shape, histogram || summary) {
        (Shape::Counter, true) => {
            (kept_as, format!("its observations are counted by `{metric}_count`"))
        }
        (Shape::Gauge | Shape::Counted(_) | Shape::Age(_), true) => {
            (kept_as, "a signal over it says `quantile` and `of`, or `mean`".to_owned())
        }
        (Shape::Summary(_), _) if histogram => (kept_as, "give the signal a `window`".to_owned()),
        (Shape::Histogram(_) | Shape::Summary(_), _) if summary => {
            let hint = "give the service's library quantiles to keep, or use `mean`".to_owned();
            ("summary without quantiles", hint)
        }
        (Shape::Mean, _) if has(metric) => {
            let kind = pages.iter().find_map(|page| page.kinds.get(metric));
            let what = kind.map_or("single value", String::as_str);
            (what, "`mean` needs a histogram or summary".to_owned())
        }
        _ => return None,
    };
    let (kind, text) = (ProblemKind::OtherKind, format!("`{metric}` is a {what}"));
    Some(SelectorProblem { kind, text, hint: Some(hint), candidates: Vec::new() })
}

/// The metric is there, and no series of it is selected.
fn excluded(asked: &Selection<'_>, series: &[&SeriesLabels]) -> SelectorProblem {
    let matchers = &asked.selector.matchers;
    let accepts = |matcher: &Matcher, labels: &SeriesLabels| {
        matcher.test.accepts(label(labels, &matcher.label))
    };
    let alone = matchers.iter().position(|m| !series.iter().any(|labels| accepts(m, labels)));
    let left = |counts: &dyn Fn(usize) -> bool| -> Vec<&SeriesLabels> {
        let all = |labels: &&&SeriesLabels| {
            let mut counted = matchers.iter().enumerate().filter(|(ix, _)| counts(*ix));
            counted.all(|(_, matcher)| accepts(matcher, labels))
        };
        series.iter().filter(all).copied().collect()
    };
    // What the other matchers leave; where that is nothing, what those before it leave.
    let others = |ix: usize| left(&|other| other != ix);
    let before = |ix: usize| left(&|other| other < ix);
    let mut together = (0..matchers.len()).filter(|ix| !others(*ix).is_empty());
    let last = (0..matchers.len()).find(|ix| before(ix + 1).is_empty());
    let Some(ix) = alone.or_else(|| together.next()).or(last) else {
        return other_quantile(asked, series);
    };
    let left = [others(ix), before(ix)].into_iter().find(|left| !left.is_empty());
    let scope = if alone.is_some() { "" } else { " that the others leave" };
    by_matcher(asked, &matchers[ix], left.as_deref().unwrap_or(series), scope)
}

/// Every matcher accepts something, so it can only be the summary's quantile that is not there.
fn other_quantile(asked: &Selection<'_>, series: &[&SeriesLabels]) -> SelectorProblem {
    let metric = &asked.selector.metric;
    let values = values(series, "quantile");
    let wanted = asked.shape.quantile().map(|q| q.to_string()).unwrap_or_default();
    let values = nearest::sorted(&wanted, values);
    let (text, hint) = if values.is_empty() {
        let hint = "a quantile needs one of them; `gauge` takes the value as it is";
        (format!("`{metric}` is neither a histogram nor a summary"), hint.to_owned())
    } else {
        let text = format!("`{metric}` is a summary without the quantile {wanted}");
        (text, format!("it has {}", bounded(&values)))
    };
    let candidates = values.into_iter().take(MAX_VALUES).collect();
    SelectorProblem { kind: ProblemKind::OtherKind, text, hint: Some(hint), candidates }
}

/// Why this matcher excludes what is `left`; `scope` says what else had a part in it.
fn by_matcher(
    asked: &Selection<'_>,
    matcher: &Matcher,
    left: &[&SeriesLabels],
    scope: &str,
) -> SelectorProblem {
    let metric = &asked.selector.metric;
    let mut near = nearest::sorted(matcher.test.text(), values(left, &matcher.label));
    let written = matcher_text(matcher);
    let (kind, text, hint) = if matcher.label == "target" {
        let not = match &matcher.test {
            Test::Equal(wanted) => format!("not on {wanted}"),
            Test::NotEqual(_) | Test::Matches(_) | Test::NotMatches(_) => {
                format!("which {written} excludes")
            }
        };
        let text = format!("`{metric}` is on {}, {not}", listed(&near, "and"));
        (ProblemKind::OtherTarget, text, None)
    } else if near.is_empty() {
        let labels = left.iter().flat_map(|labels| labels.iter().map(|(name, _)| name.clone()));
        let labels = labels.filter(|name| name != "target");
        near = nearest::sorted(&matcher.label, labels.collect());
        let hint = match near.len() {
            0 => "it has no labels at all".to_owned(),
            _ => format!("its labels: {}", bounded(&near)),
        };
        let text = format!("no series of `{metric}` has a label `{}`", matcher.label);
        (ProblemKind::NoLabel, text, Some(hint))
    } else {
        let text = format!("{written} excludes every series of `{metric}`{scope}");
        (ProblemKind::NoValue, text, Some(format!("`{}` is {}", matcher.label, bounded(&near))))
    };
    let candidates = near.into_iter().take(MAX_VALUES).collect();
    SelectorProblem { kind, text, hint, candidates }
}

/// The values of a label.
fn values(series: &[&SeriesLabels], name: &str) -> Vec<String> {
    let mut values: Vec<&str> = series.iter().map(|labels| label(labels, name)).collect();
    values.sort_unstable();
    values.dedup();
    values.into_iter().filter(|value| !value.is_empty()).map(str::to_owned).collect()
}

/// The first few, and how many more there are.
fn bounded(values: &[String]) -> String {
    let shown = values.iter().take(MAX_VALUES).map(|value| shorten(value)).collect::<Vec<_>>();
    match values.len().saturating_sub(MAX_VALUES) {
        0 => listed(&shown, "and"),
        // Of very many only the first are looked at.
        1000.. => format!("{} and many more", shown.join(", ")),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `a`, `a or b`, `a, b or c`.
fn listed(values: &[String], word: &str) -> String {
    let shown: Vec<String> = values.iter().map(|value| shorten(value)).collect();
    match shown.split_last() {
        Some((last, first)) if !first.is_empty() => {
            format!("{} {word} {last}", first.join(", "))
        }
        _ => shown.concat(),
    }
}

/// A value may be a whole URL, and a sentence must stay one.
fn shorten(value: &str) -> String {
    const MAX_SHOWN: usize = 60;
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::config::target_at;
    use crate::exposition::{Format, Limits, Malformed, Reader, Sample, Sink, Whole};
    use crate::model::name::TargetName;
    use crate::model::scrape::Page;
    use crate::model::selector::Selector;

    struct Keep(Page);

    impl Sink for Keep {
        fn sample(&mut self, sample: Sample<'_>) {
            self.0.push(sample.series, sample.value, None);
        }

        fn malformed(&mut self, _: Malformed<'_>) {}

        fn kind(&mut self, name: &str, kind: &str) {
            self.0.push_kind(name, kind);
        }
    }

    fn contents(text: &str, asked: &Selection<'_>) -> PageContents {
        let target = target_at(TargetName::new("api").unwrap(), "http://[::1]/").unwrap();
        let mut keep = Keep(Page::default());
        let mut reader = Reader::new(Format::Text, Limits::default(), None);
        reader.feed(text.as_bytes(), &mut keep).unwrap();
        reader.finish(Whole::Yes, &mut keep).unwrap();
        let wanted: HashSet<String> = names(asked).into_iter().collect();
        PageContents::read(&keep.0, &target, &wanted)
    }

    fn selector(metric: &str, matchers: &[(&str, &str)]) -> Selector {
        let matcher = |(label, value): &(&str, &str)| Matcher {
            label: (*label).to_owned(),
            test: Test::Equal((*value).to_owned()),
        };
        Selector { metric: metric.to_owned(), matchers: matchers.iter().map(matcher).collect() }
    }

    const SHAPES: [Shape; 5] =
        [Shape::Counter, Shape::Gauge, Shape::Histogram(0.5), Shape::Summary(0.5), Shape::Mean];

    #[track_caller]
    fn check(matchers: &[(&str, &str)], kind: ProblemKind, text: &str) {
        const PAGE: &str = "m{a=\"1\",b=\"x\"} 1\nm{a=\"2\",b=\"y\"} 1\n";
        let selector = selector("m", matchers);
        let asked =
            Selection { kind: "rate", key: "rate", selector: &selector, shape: Shape::Counter };
        let page = contents(PAGE, &asked);
        assert_eq!(count(&asked, &page), 0);
        let problem = explain(&asked, &[page], false);
        assert_eq!(problem.kind, kind, "{problem:?}");
        let hint = problem.hint.unwrap_or_default();
        assert_eq!(format!("{}; {hint}", problem.text), text);
    }

    #[test]
    fn the_matcher_that_excludes_is_named_with_what_the_others_leave() {
        let excludes =
            |matcher: &str, is: &str| format!("{matcher} excludes every series of `m`; {is}");
        let no_value = ProblemKind::NoValue;
        check(&[("a", "3")], no_value, &excludes("a=\"3\"", "`a` is 2 and 1"));
        check(&[("b", "x"), ("a", "3")], no_value, &excludes("a=\"3\"", "`a` is 1"));
        // Each of them accepts something, both together nothing.
        let others = "a=\"1\" excludes every series of `m` that the others leave; `a` is 2";
        check(&[("a", "1"), ("b", "y")], no_value, others);
        check(&[("a", "1"), ("b", "z")], no_value, &excludes("b=\"z\"", "`b` is x"));
    }

    #[test]
    fn a_label_that_no_series_has_is_answered_with_those_that_there_are() {
        let text = "no series of `m` has a label `aa`; its labels: a and b";
        check(&[("aa", "1")], ProblemKind::NoLabel, text);
    }

    #[test]
    fn the_buckets_of_a_histogram_count_as_one_series() {
        let selector = selector("h", &[]);
        let asked = Selection {
            kind: "rate",
            key: "of",
            selector: &selector,
            shape: Shape::Histogram(0.5),
        };
        let page = "h_bucket{p=\"a\",le=\"1\"} 1\nh_bucket{p=\"a\",le=\"+Inf\"} 1\n\
                    h_bucket{p=\"b\",le=\"1\"} 1\nh_bucket{p=\"b\",le=\"+Inf\"} 1\n";
        assert_eq!(count(&asked, &contents(page, &asked)), 2);
    }

    proptest! {
        #[test]
        fn whatever_a_page_says_there_is_an_explanation(
            lines in prop::collection::vec(
                ("[a-c]{1,3}(_total|_bucket|_count|_sum)?", "\\PC{0,80}", "[a-c]"), 0..12
            ),
            kinds in prop::collection::vec(("[a-c]{1,3}", "\\PC{0,9}|counter|gauge"), 0..4),
            metric in "\\PC{0,150}|[a-c]{1,3}(_bucket)?",
            matchers in prop::collection::vec(("[a-c]|target|le", "\\PC{0,80}"), 0..4),
            shape in 0..SHAPES.len(),
        ) {
            let mut page = String::new();
            for (name, kind) in &kinds {
                page.push_str(&format!("# TYPE {name} {kind}\n"));
            }
            for (name, value, label) in &lines {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                page.push_str(&format!("{name}{{{label}=\"{value}\"}} 1\n"));
            }
            let matchers: Vec<_> =
                matchers.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
            let selector = selector(&metric, &matchers);
            let (kind, key, shape) = ("rate", "of", SHAPES[shape]);
            let asked = Selection { kind, key, selector: &selector, shape };
            let page = contents(&page, &asked);
            if count(&asked, &page) == 0 {
                let problem = explain(&asked, &[page], false);
                prop_assert!(!problem.text.is_empty());
                prop_assert!(problem.candidates.len() <= MAX_VALUES);
            }
        }
    }
}
