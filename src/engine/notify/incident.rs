//! What people are told by the hook that tells them, and the incident report: everything filled in,
//! to be performed beside the critical path. Hooks that go along with a deployment are asked for
//! here, too. Nothing is decided here.

use crate::model::deployment::Milestone;
use crate::model::entry::{Decision, NoticeEvent, Refusal};
use crate::model::hook::{Hook, Placeholder};
use crate::model::index::{HookIx, RuleIx};

use crate::engine::effect::{Conclusion, Effect, Incident};
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

/// Writes the incident report of what was decided, or of this, which would have been or may be.
pub(crate) fn report(
    cx: &mut Cx<'_>,
    decision: Option<Decision>,
    ended: Conclusion,
    why: Option<String>,
) {
    let Some(deployment) = cx.current() else { return };
    let decided = || deployment.decision.as_ref().map(|(_, decision)| decision.clone());
    let Some(decision) = decision.or_else(decided) else { return };
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

/// Runs the hook that goes along with a milestone of the current deployment, where there is one.
pub(crate) fn go_along(cx: &mut Cx<'_>, on: Milestone) {
    let plan = cx.plan().clone();
    let Some(HookIx(place)) = plan.deployment.along[on as usize] else { return };
    let Some(hook) = plan.hooks.get(place).filter(|_| !cx.log.is_halted()) else { return };
    let has_good = cx.current().is_some_and(|current| current.good.is_some());
    if hook.names(Placeholder::Good) && !has_good {
        // The version to go back to would be an empty word in it.
        let failure = Some(Refusal::NoGoodVersion.to_string());
        return cx.record(NoticeEvent::Notified { hook: hook.name.clone(), failure });
    }
    cx.record(NoticeEvent::HookBegun { hook: hook.name.clone(), on });
    let Some(current) = cx.current() else { return };
    let occasion = match on {
        Milestone::Begin => Occasion::OnBegin,
        Milestone::Stage => Occasion::OnStage,
        Milestone::Trip => Occasion::OnTrip,
        Milestone::Commit => Occasion::OnCommit,
    };
    let signals = &evidence::of_signals(cx.evaluator);
    let context = HookContext { signals, ..HookContext::of(current, occasion, cx.now.wall) };
    let notice = context.notice(hook);
    cx.push(Effect::GoAlong(Box::new(notice)));
}
