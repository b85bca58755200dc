//! Doubts that only a real page can raise: a signal whose metric is of another kind than what it
//! is taken for, and a limit that lies beyond what a histogram can tell.

use crate::model::condition::{Compare, Cond, Num};
use crate::model::plan::Plan;
use crate::model::signal::{Selection, Shape, Signal};

use super::explain::matching;
use super::page::{Survey, label};

/// What each signal's metrics are, where that is not what the signal takes them for.
pub(super) fn kinds(signal: &Signal, surveys: &[Survey]) -> Vec<String> {
    let mut doubts = Vec::new();
    for asked in signal.kind.selections() {
        let metric = &asked.selector.metric;
        let found = surveys.iter().filter(|survey| !matching(&asked, survey, metric).is_empty());
        let mut kinds: Vec<&str> = found.filter_map(|survey| survey.kind(metric)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let doubt = doubt(&asked, kind);
            doubts.extend(doubt.map(|doubt| format!("signal {}: {doubt}", signal.name)));
        }
    }
    doubts.dedup();
    doubts
}

fn doubt(selection: &Selection<'_>, kind: &str) -> Option<String> {
    let metric = &selection.selector.metric;
    match (selection.shape, kind) {
        (Shape::Counter, "gauge") => {
            let word = selection.kind;
            Some(format!(
                "`{metric}` is a gauge, and `{word}` takes each fall for a restart; use `gauge`"
            ))
        }
        (Shape::Gauge, "counter") => Some(format!(
            "`{metric}` is a counter, and `gauge` reads all that it ever counted; use `rate` or \
             `increase`"
        )),
        _ => None,
    }
}

/// The highest finite bound of the histogram of a signal over all pages.
fn top(signal: &Signal, surveys: &[Survey]) -> Option<f64> {
    let asked = signal.kind.selections().next()?;
    let (Shape::Histogram(_), metric) = (asked.shape, &asked.selector.metric) else { return None };
    let name = format!("{metric}_bucket");
    let series = surveys.iter().flat_map(|survey| matching(&asked, survey, &name));
    let bounds = series.filter_map(|labels| label(labels, "le").parse::<f64>().ok());
    bounds.filter(|bound| bound.is_finite()).max_by(f64::total_cmp)
}

/// Limits that a quantile can never be seen to pass: a rank beyond the top bucket reads as at
/// least that bucket's bound, and no more is known.
pub(super) fn limits(plan: &Plan, surveys: &[Survey]) -> Vec<String> {
    let mut doubts = Vec::new();
    for rule in &plan.rules {
        let mut compare = |left: &Num, op: Compare, right: &Num| {
            let (signal, limit) = match (left, op, right) {
                (Num::Signal(ix), Compare::Greater | Compare::GreaterOrEqual, limit)
                | (limit, Compare::Less | Compare::LessOrEqual, Num::Signal(ix)) => (ix, limit),
                _ => return,
            };
            let Some(limit) = constant(plan, limit) else { return };
            let signal = plan.signal(*signal);
            let Some(top) = top(signal, surveys) else { return };
            let strict = matches!(op, Compare::Greater | Compare::Less);
            if limit > top || (strict && limit >= top) {
                let name = &signal.name;
                doubts.push(format!(
                    "rule {}: the top bucket behind {name} ends at {top}, so {name} is never seen \
                     to pass {limit}; choose a lower limit, or give the histogram higher buckets",
                    rule.name
                ));
            }
        };
        for_each_comparison(&rule.when.cond, &mut compare);
    }
    doubts
}

/// What a limit is, where it is one that never changes.
fn constant(plan: &Plan, num: &Num) -> Option<f64> {
    match num {
        Num::Const(value) => Some(*value),
        Num::Signal(ix) => plan.signal(*ix).kind.constant(),
        Num::Neg(_) | Num::Arith(..) | Num::Extreme(..) | Num::Abs(_) => None,
    }
}

/// Calls `f` with the sides of each comparison, in the order in which they are written.
pub(super) fn for_each_comparison<'c>(
    cond: &'c Cond,
    f: &mut impl FnMut(&'c Num, Compare, &'c Num),
) {
    match cond {
        Cond::Compare(left, op, right) => f(left, *op, right),
        Cond::And(left, right) | Cond::Or(left, right) => {
            for_each_comparison(left, f);
            for_each_comparison(right, f);
        }
        Cond::Not(inner) => for_each_comparison(inner, f),
    }
}
