//! What people are told by the hook that tells them, and the incident report: everything filled in,
//! to be performed beside the critical path. Nothing is decided here.

use crate::model::entry::Decision;
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};

use crate::engine::effect::{Effect, Incident};
use crate::engine::run::order::{HookContext, Occasion};
use crate::engine::{context::Cx, durable::deployment::Owed, view::evidence};

/// Runs the hook that tells people, beside the critical path.
pub(crate) fn tell(cx: &mut Cx<'_>, rule: Option<RuleIx>, reason: &str, occasion: Occasion) {
    tell_by(cx, None, rule, reason, occasion);
}

/// The same by another hook, where it is given.
pub(crate) fn tell_by(
    cx: &mut Cx<'_>,
    hook: Option<HookIx>,
    rule: Option<RuleIx>,
    reason: &str,
    occasion: Occasion,
) {
    let plan = cx.plan();
    let Some(hook) = hook.or(plan.deployment.notify) else { return };
    let Some(deployment) = cx.current() else { return };
    let rule = rule.map(|ix| evidence::of_rule(cx.evaluator, ix, cx.now));
    let signals = evidence::of_signals(cx.evaluator);
    let context = HookContext {
        reason,
        rule: rule.as_ref(),
        trigger: deployment.trigger(),
        signals: &signals,
        ..HookContext::of(deployment, occasion, cx.now.wall)
    };
    let notice = context.notice(plan.hook(hook));
    cx.push(Effect::Notify(Box::new(notice)));
}

/// Tells again what is not on record as told. Returns the hook of a rollback that failed, whose
/// `on_failure` has told of it.
pub(crate) fn tell_owed(cx: &mut Cx<'_>) -> Option<Hook> {
    let view = cx.read();
    let current = view.current()?;
    match current.owed.clone() {
        Owed::Failure(why) => {
            let decision = current.decision.as_ref();
            let hook = decision.and_then(|(_, decision)| view.hook_named(&decision.hook)).cloned();
            let by = hook.as_ref().and_then(|hook| hook.on_failure);
            tell_by(cx, by, None, &why, Occasion::RollbackFailed);
            return hook;
        }
        // Where they are asked anew, that tells them.
        Owed::Refusal(rule, when) if current.ask.is_none() => {
            let ix = view.rule_named(&rule);
            tell(cx, ix, &when, Occasion::Refused);
        }
        Owed::Nothing | Owed::Refusal(..) => {}
    }
    None
}

/// Writes the incident report of the rollback of the current deployment.
pub(crate) fn report(cx: &mut Cx<'_>, ended: &'static str, why: Option<String>) {
    let decision = cx.current().and_then(|deployment| deployment.decision.as_ref());
    if let Some((_, decision)) = decision {
        let decision = decision.clone();
        report_as(cx, decision, ended, why);
    }
}

/// Writes the incident report of what was decided, would have been, or may be.
pub(crate) fn report_as(
    cx: &mut Cx<'_>,
    decision: Decision,
    ended: &'static str,
    why: Option<String>,
) {
    let Some(deployment) = cx.current() else { return };
    let incident = Incident {
        deployment: deployment.id.clone(),
        service: deployment.service.to_string(),
        begun: deployment.begun,
        at: cx.now.wall,
        ended,
        why,
        decision,
        before: deployment.before.clone(),
        after: evidence::of_signals(cx.evaluator),
        units: evidence::units(cx.evaluator),
        entries: deployment.entries.clone(),
    };
    cx.push(Effect::Report(Box::new(incident)));
}
