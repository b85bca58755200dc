//! What signals ask pages for: each selector with the shape of what it must find.

use std::collections::HashSet;

use crate::model::plan::Plan;
use crate::model::selector::{Matcher, Selector};
use crate::model::signal::{Selection, Shape};

/// The names under which a page holds what is selected. Any one of them will do.
pub(super) fn names(selection: &Selection<'_>) -> Vec<String> {
    let base = &selection.selector.metric;
    match selection.shape {
        Shape::Counter | Shape::Gauge | Shape::Counted(_) | Shape::Age(_) | Shape::Summary(_) => {
            vec![base.clone()]
        }
        Shape::Histogram(_) => vec![format!("{base}_bucket"), base.clone()],
        Shape::Mean => vec![format!("{base}_count")],
    }
}

/// The metrics whose series a page must keep for a plan.
pub fn wanted(plan: &Plan) -> HashSet<String> {
    let all = plan.signals.iter().flat_map(|signal| signal.kind.selections());
    all.flat_map(|selection| names(&selection)).collect()
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
    format!("{}{}\"{}\"", matcher.label, matcher.test.operator(), matcher.test.text())
}
