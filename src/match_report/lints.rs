//! Lints that only a real page can raise: a signal whose metric is of another kind than what it is
//! taken for, and a limit beyond what a histogram can tell.

use super::explain::matching;
use super::page::{PageContents, label};
use crate::model::condition::{Compare, Num};
use crate::model::plan::Plan;
use crate::model::signal::{Selection, Shape, Signal};

/// What the metrics of a signal are, where that is not what the signal takes them for.
pub(super) fn kinds(signal: &Signal, pages: &[PageContents]) -> Vec<String> {
    let mut lints = Vec::new();
    for selection in signal.kind.selections() {
        let metric = &selection.selector.metric;
        let found = pages.iter().filter(|page| !matching(&selection, page, metric).is_empty());
        let mut kinds: Vec<&str> = found.filter_map(|page| page.kind(metric)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let wrong = kinds.into_iter().filter_map(|kind| wrong_kind(&selection, kind));
        lints.extend(wrong.map(|wrong| format!("signal {}: {wrong}", signal.name)));
    }
    lints.dedup();
    lints
}

fn wrong_kind(selection: &Selection<'_>, kind: &str) -> Option<String> {
    let (metric, word) = (&selection.selector.metric, selection.kind);
    match (selection.shape, kind) {
        (Shape::Counter, "gauge") => Some(format!(
            "`{metric}` is a gauge, and `{word}` takes each fall for a restart; use `gauge`"
        )),
        (Shape::Gauge, "counter") => Some(format!(
            "`{metric}` is a counter, and `gauge` reads all that it ever counted; use `rate` or \
             `increase`"
        )),
        _ => None,
    }
}

/// The highest finite bound of the histogram of a signal over all pages.
fn top_bucket(signal: &Signal, pages: &[PageContents]) -> Option<f64> {
    let selection = signal.kind.selections().next()?;
    let (Shape::Histogram(_), metric) = (selection.shape, &selection.selector.metric) else {
        return None;
    };
    let name = format!("{metric}_bucket");
    let series = pages.iter().flat_map(|page| matching(&selection, page, &name));
    let bounds = series.filter_map(|labels| label(labels, "le").parse::<f64>().ok());
    bounds.filter(|bound| bound.is_finite()).max_by(f64::total_cmp)
}

/// Limits that a quantile can never be seen to pass: a rank beyond the top bucket reads as at
/// least that bucket's bound, and no more is known.
pub(super) fn limits(plan: &Plan, pages: &[PageContents]) -> Vec<String> {
    let mut lints = Vec::new();
    for rule in &plan.rules {
        let mut compare = |left: &Num, op: Compare, right: &Num| {
            let (signal, limit) = match (left, op, right) {
                (Num::Signal(ix), Compare::Greater | Compare::GreaterOrEqual, limit)
                | (limit, Compare::Less | Compare::LessOrEqual, Num::Signal(ix)) => (ix, limit),
                _ => return,
            };
            let Some(limit) = constant(plan, limit) else { return };
            let signal = plan.signal(*signal);
            let Some(top) = top_bucket(signal, pages) else { return };
            let strict = matches!(op, Compare::Greater | Compare::Less);
            if limit > top || (strict && limit >= top) {
                let name = &signal.name;
                lints.push(format!(
                    "rule {}: the top bucket behind {name} ends at {top}, so {name} is never seen \
                     to pass {limit}; choose a lower limit, or give the histogram higher buckets",
                    rule.name
                ));
            }
        };
        rule.when.cond.for_each_comparison(&mut compare);
    }
    lints
}

/// What a limit is, where it is one that never changes.
fn constant(plan: &Plan, num: &Num) -> Option<f64> {
    match num {
        Num::Const(value) => Some(*value),
        Num::Signal(ix) => plan.signal(*ix).kind.constant(),
        Num::Neg(_) | Num::Arith(..) | Num::Extreme(..) | Num::Abs(_) => None,
    }
}
