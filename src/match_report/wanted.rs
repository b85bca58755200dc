//! What signals ask pages for: each selector with the shape of what it must find.

use std::collections::HashSet;

use crate::model::plan::Plan;
use crate::model::selector::{Matcher, Selector, Test};
use crate::model::signal::SignalKind;

/// What a selector must find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shape {
    /// Series that only rise.
    Counter,
    /// Series that are taken as they are.
    Gauge,
    /// A histogram by its base name, or a summary that has this quantile.
    Quantile(f64),
    /// A summary that has this quantile.
    SummaryQuantile(f64),
    /// A histogram or summary by its base name.
    Mean,
}

/// One selector of a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'p> {
    /// The key of the signal that holds it.
    pub(super) key: &'static str,
    pub(super) selector: &'p Selector,
    pub(super) shape: Shape,
}

impl Asked<'_> {
    /// The names under which a page holds what is asked for. Any one of them will do.
    pub(super) fn names(&self) -> Vec<String> {
        let base = &self.selector.metric;
        match self.shape {
            Shape::Counter | Shape::Gauge | Shape::SummaryQuantile(_) => vec![base.clone()],
            Shape::Quantile(_) => vec![format!("{base}_bucket"), base.clone()],
            Shape::Mean => vec![format!("{base}_count")],
        }
    }

    /// The label that tells apart the series of one histogram or summary.
    pub(super) const fn splits(&self) -> &'static str {
        match self.shape {
            Shape::Quantile(_) => "le",
            Shape::Counter | Shape::Gauge | Shape::SummaryQuantile(_) | Shape::Mean => "",
        }
    }
}

/// The selectors of a signal, in the order in which they are written.
pub(super) fn asked(kind: &SignalKind) -> Vec<Asked<'_>> {
    let one = |key, selector, shape| vec![Asked { key, selector, shape }];
    match kind {
        SignalKind::Rate { of, .. } => one("rate", of, Shape::Counter),
        SignalKind::Increase { of, .. } => one("increase", of, Shape::Counter),
        SignalKind::Ratio { of, to, .. } => vec![
            Asked { key: "of", selector: of, shape: Shape::Counter },
            Asked { key: "to", selector: to, shape: Shape::Counter },
        ],
        SignalKind::Quantile { q, of, window: Some(_) } => one("of", of, Shape::Quantile(*q)),
        SignalKind::Quantile { q, of, window: None } => one("of", of, Shape::SummaryQuantile(*q)),
        SignalKind::Mean { of, .. } => one("of", of, Shape::Mean),
        SignalKind::Gauge { of, .. } => one("gauge", of, Shape::Gauge),
        SignalKind::Count { of, .. } => one("count", of, Shape::Gauge),
        SignalKind::Age { of, .. } => one("age", of, Shape::Gauge),
        SignalKind::Baseline { .. } | SignalKind::Before { .. } => Vec::new(),
        SignalKind::Up(_) | SignalKind::Value(_) | SignalKind::Expr(_) => Vec::new(),
    }
}

/// The metrics whose series a survey must keep for a plan.
#[must_use]
pub fn wanted(plan: &Plan) -> HashSet<String> {
    let all = plan.signals.iter().flat_map(|signal| asked(&signal.kind));
    all.flat_map(|asked| asked.names()).collect()
}

/// A selector as it is written.
pub(super) fn text(selector: &Selector) -> String {
    if selector.matchers.is_empty() {
        return selector.metric.clone();
    }
    let matchers: Vec<String> = selector.matchers.iter().map(matcher_text).collect();
    format!("{}{{{}}}", selector.metric, matchers.join(","))
}

/// A matcher as it is written.
pub(super) fn matcher_text(matcher: &Matcher) -> String {
    let operator = match matcher.test {
        Test::Equal(_) => "=",
        Test::NotEqual(_) => "!=",
        Test::Matches(_) => "=~",
        Test::NotMatches(_) => "!~",
    };
    format!("{}{operator}\"{}\"", matcher.label, pattern(&matcher.test))
}

/// What a matcher compares with, without the anchors that every expression gets.
pub(super) fn pattern(test: &Test) -> &str {
    match test {
        Test::Equal(value) | Test::NotEqual(value) => value,
        Test::Matches(regex) | Test::NotMatches(regex) => {
            let text = regex.as_str();
            text.strip_prefix("^(?:").and_then(|text| text.strip_suffix(")$")).unwrap_or(text)
        }
    }
}
