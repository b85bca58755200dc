//! What only a whole plan shows: settings that do not go together, which are errors, and all lints,
//! in the order in which they are found. Lints are about plans without errors.

use crate::model::deployment::Arm;
use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::time::format_duration;

use super::baselines::{Floors, never_taken};
use super::hooks::{empty_good, unrepeatable_steps};
use super::rules::{evidence_sources, no_evidence_floor, no_hook, short_hold};
use super::signals::{interval_of, readings_of, short_window, unused_signals};
use crate::config::syntax::{Diagnostic, TomlTable};

/// Lints that need nothing but rules and signals.
pub(crate) fn lint_rules(plan: &Plan, rules: &[TomlTable<'_>]) {
    let thin = evidence_sources(plan);
    let floors = Floors::of(plan);
    for (rule, table) in plan.rules.iter().zip(rules) {
        no_evidence_floor(plan, rule, &thin, table);
        floors.check(rule, table);
    }
}

/// The other lints of a whole configuration; each list of tables is in the plan's order.
pub(crate) fn lint_plan(
    plan: &Plan,
    main: &TomlTable<'_>,
    signals: &[&TomlTable<'_>],
    rules: &[TomlTable<'_>],
    hooks: &[TomlTable<'_>],
) {
    let intervals = plan.gathered(|ix, _| interval_of(plan, ix), Option::max);
    for (rule, table) in plan.rules.iter().zip(rules) {
        short_hold(rule, &intervals, table);
        no_hook(rule, table);
    }
    for (ix, table) in signals.iter().enumerate() {
        let ix = SignalIx(ix);
        if !plan.signal(ix).name.is_derived() {
            short_window(plan, ix, table);
        }
        never_taken(plan, ix, readings_of(plan, ix), table);
    }
    unused_signals(plan, signals);
    unrepeatable_steps(plan, hooks);
    empty_good(plan, hooks);
    if plan.rules.is_empty() {
        let lint = Diagnostic::lint(main.span.clone(), "there is no rule, so nothing is judged");
        let help = "name files with rules, as in rules = [\"rules.d/*.toml\"]";
        main.cx.report(lint.help(help));
    }
}

/// Refuses a bake that is over before every rule could fire.
pub(crate) fn bake_is_long_enough(main: &TomlTable<'_>, plan: &Plan) {
    let Some((slowest, reach)) = plan.slowest() else { return };
    let Some(bake) = plan.deployment.bake.filter(|bake| *bake < reach) else { return };
    let (bake, reach) = (format_duration(bake), format_duration(reach));
    let message = format!("a bake of {bake} ends before every rule can fire");
    let rule = &slowest.name;
    let help = format!("rule `{rule}` needs {reach}: its longest window and its `for`");
    refuse_at_deployment(main, "bake", &message, &help);
}

/// Where nobody says that a deployment begins, nobody says either that traffic is to be shifted.
pub(crate) fn nothing_is_entered_unasked(main: &TomlTable<'_>, plan: &Plan) {
    let Some(first) = plan.stages.first().filter(|stage| stage.enter.is_some()) else { return };
    let arm = plan.deployment.arm;
    if arm == Arm::Deploy {
        return;
    }
    let message = format!("with `arm = \"{arm}\"` nobody asks to enter stage {}", first.name);
    let help = "write `arm = \"deploy\"`, or take `enter` out of the first stage";
    refuse_at_deployment(main, "arm", &message, help);
}

/// Reports an error about a key of `[deployment]`.
fn refuse_at_deployment(main: &TomlTable<'_>, key: &str, message: &str, help: &str) {
    if let Some(table) = main.subtable("deployment") {
        main.cx.report(table.error_at(key, message).help(help));
    }
}

/// Refuses a condition over constants alone, which never changes.
pub(crate) fn rules_can_change(plan: &Plan, rules: &[TomlTable<'_>]) {
    let sampled = plan.gathered(|_, signal| signal.kind.is_sampled(), |a, b| a || b);
    for (rule, table) in plan.rules.iter().zip(rules) {
        let mut changes = false;
        rule.when.cond.for_each_signal(&mut |ix| changes |= sampled[ix.0]);
        if !changes {
            let message = "the condition is made of constants alone, it never changes";
            table.cx.report(table.error_at("when", message));
        }
    }
}
