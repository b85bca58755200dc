//! Lints about rules that little evidence decides, and about what follows a rule.

use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::rule::{Rule, Severity, Share, Then};
use crate::model::signal::Signal;
use crate::model::time::format_duration;

use crate::config::syntax::{Diagnostic, TomlTable};

/// For each signal the first that it is made of and that little traffic makes jump.
pub(crate) fn evidence_sources(plan: &Plan) -> Vec<Option<SignalIx>> {
    let own = |ix, signal: &Signal| signal.kind.jumps_on_little_traffic().then_some(ix);
    plan.gathered(own, Option::or)
}

/// Reports a rule without `given` over a signal that little traffic makes jump.
pub(crate) fn no_evidence_floor(
    plan: &Plan,
    rule: &Rule,
    thin: &[Option<SignalIx>],
    table: &TomlTable<'_>,
) {
    let mut found = None;
    rule.for_each_signal(&mut |ix| found = found.or(thin[ix.0]));
    let Some(signal) = found.filter(|_| rule.given.is_none()) else { return };
    let help = format!(
        "without an evidence floor one request decides what `{}` is; add `given`, as in \
         \"requests > 1\"",
        plan.signal(signal).name
    );
    table.lint("when", format!("rule `{}` has no `given`", table.name), help);
}

/// Reports a rule that one or two samples decide. Of its `for` only its share must hold.
pub(crate) fn short_hold(rule: &Rule, intervals: &[Option<Duration>], table: &TomlTable<'_>) {
    let mut longest = None;
    rule.for_each_signal(&mut |ix| longest = longest.max(intervals[ix.0]));
    let Some(interval) = longest else { return };
    let needed = rule.share.of(rule.hold);
    if needed.is_zero() || needed >= interval * 2 {
        return;
    }
    let (what, help) = if rule.share == Share::ALL {
        ("`for`", "; write \"0s\" if that is meant".to_owned())
    } else {
        let needed = format_duration(needed);
        ("the `share` of `for`", format!(": it is enough that it held for {needed}"))
    };
    let message = format!("{what} is shorter than two intervals of {}", format_duration(interval));
    table.lint("for", message, format!("a single sample decides{help}"));
}

/// Reports a critical rule after which nothing is done, and a warning that names a hook all the
/// same.
pub(crate) fn no_hook(rule: &Rule, table: &TomlTable<'_>) {
    match (rule.severity, rule.then, table.get("then")) {
        (Severity::Critical, Then::Notify, None) => {
            let message = format!("no hook follows rule `{}`, it only notifies", table.name);
            let help = "name a hook with `then`, here or in [deployment]; write then = \"notify\" \
                        if that is meant";
            table.lint("then", message, help);
        }
        (Severity::Warning, _, Some(then))
            if !matches!(then.as_str(), Some("notify" | "report")) =>
        {
            let lint = Diagnostic::lint(then.span(), "a warning never rolls back");
            table.cx.report(lint.label("this hook is not run"));
        }
        _ => {}
    }
}
