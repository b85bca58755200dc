//! Lints about signals: windows that are too short for what feeds them, and signals that nothing
//! feeds or that nothing uses.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::signal::SignalKind;
use crate::model::target::Target;
use crate::model::time::format_duration;

use crate::config::syntax::{Diagnostic, TomlTable};

/// The targets that may feed the signal itself.
fn feeding<'p>(plan: &'p Plan, kind: &'p SignalKind) -> impl Iterator<Item = &'p Target> {
    let selects =
        |target: &Target| kind.selections().any(|selection| selection.selector.may_match(target));
    let is_about = |target: &Target| kind.up().is_some_and(|up| *up == target.name);
    plan.targets.iter().filter(move |target| selects(target) || is_about(target))
}

/// The longest interval of the targets that may feed the signal itself.
pub(crate) fn interval_of(plan: &Plan, ix: SignalIx) -> Option<Duration> {
    feeding(plan, &plan.signal(ix).kind).map(|target| target.interval).max()
}

/// How many readings fit into the window of a baseline: one for each scrape that feeds it.
pub(crate) fn readings_of(plan: &Plan, ix: SignalIx) -> u128 {
    let SignalKind::Baseline { of, window, .. } = &plan.signal(ix).kind else { return 0 };
    let kind = &plan.signal(*of).kind;
    // The window is open at its start, but a scrape may come early.
    let scrapes = |t: &Target| window.as_nanos() / t.interval.as_nanos().max(1) + 1;
    if kind.is_sampled() {
        return feeding(plan, kind).map(scrapes).sum();
    }
    plan.targets.iter().map(scrapes).sum()
}

/// Reports a signal whose samples are too old, or too few, to be judged by.
pub(crate) fn short_window(plan: &Plan, ix: SignalIx, table: &TomlTable<'_>) {
    let signal = plan.signal(ix);
    let window = signal.kind.window();
    let Some(interval) = interval_of(plan, ix) else {
        // A signal that looks only at targets that are not there never has a reading.
        if signal.kind.selections().next().is_some() {
            let message = format!("no target feeds signal `{}`", table.name);
            let help = "its selector excludes every target by `target` or by a target's label";
            table.cx.report(Diagnostic::lint(table.span.clone(), message).help(help));
        }
        return;
    };
    let shown = format_duration(interval);
    if signal.stale.is_some_and(|stale| stale <= interval) {
        let message = "every sample is stale before the next one comes";
        table.lint("stale", message, format!("give `stale` more than the interval of {shown}"));
    }
    if !window.is_zero() && window < interval * 4 {
        let message = format!("the window is shorter than four intervals of {shown}");
        table.lint("window", message, "one missed scrape leaves too little to judge by");
    }
}

/// Reports signals that nothing looks at.
pub(crate) fn unused_signals(plan: &Plan, tables: &[&TomlTable<'_>]) {
    let used = plan.reached(|add| {
        plan.rules.iter().for_each(|rule| rule.for_each_signal(add));
        let stages = plan.stages.iter().flat_map(|stage| stage.limits.iter().chain(&stage.given));
        let cures = plan.hooks.iter().filter_map(|hook| hook.cure.as_ref());
        for condition in stages.chain(cures.map(|cure| &cure.when)) {
            condition.cond.for_each_signal(&mut |ix| add(ix));
        }
    });
    let used: HashSet<SignalIx> = used.into_iter().collect();
    for (ix, table) in tables.iter().enumerate() {
        let ix = SignalIx(ix);
        if !plan.signal(ix).name.is_derived() && !used.contains(&ix) {
            let message = format!("no rule uses signal `{}`", table.name);
            table.cx.report(Diagnostic::lint(table.span.clone(), message));
        }
    }
}
