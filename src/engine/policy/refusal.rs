//! Refusals: why a rule that fires, or would, is not acted on, and putting that on record, once for
//! each rule and reason. It only ever says no: what speaks for acting is not decided here.

use crate::model::entry::{Refusal, RuleEvent};
use crate::model::hook::{Hook, Placeholder};
use crate::model::reading::{NoData, Verdict};
use crate::model::rule::{Rule, Severity, Then};
use crate::model::{deployment::Mode, index::RuleIx, name::RuleName, plan::Plan};

use super::budget;
use crate::engine::command::{Force, Rejection, check_reason};
use crate::engine::context::{Cx, ReadCx};
use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::effect::Conclusion;
use crate::engine::{
    deployment::warmup::Warmup, notify::incident, run::order::Occasion, view::evidence,
};

/// Why a rule would not be acted on if it fired now; `None` if it would.
pub(crate) fn of_rule(cx: ReadCx<'_>, warmup: &Warmup, ix: RuleIx) -> Option<Refusal> {
    let (plan, rule) = (cx.plan(), cx.plan().rule(ix));
    let Some(deployment) = cx.current() else { return Some(Refusal::NotArmed) };
    match deployment.phase {
        Phase::Guarding => {}
        Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
            return Some(Refusal::AlreadyRolledBack);
        }
        Phase::Baked | Phase::Ended(_) => return Some(Refusal::NotArmed),
    }
    let refused = first([
        (cx.log.is_halted(), Refusal::JournalUnusable),
        (!cx.evaluator.applies(ix), Refusal::OtherStage),
        (warmup.is_under_way(), Refusal::WarmingUp),
        (deployment.set_aside.contains(&rule.name), Refusal::SetAside),
    ]);
    refused.or_else(|| match rule.then {
        Then::Report => Some(Refusal::Observing),
        Then::Notify => of_mode(plan.mode).or(Some(Refusal::NotifyOnly)),
        Then::Rollback(hook) => of_mode(plan.mode)
            .or_else(|| of_hook(deployment, plan.hook(hook)))
            .or_else(|| of_people(cx, deployment, rule)),
    })
}

/// Why nothing is rolled back in a mode; `None` if it may be.
pub(crate) const fn of_mode(mode: Mode) -> Option<Refusal> {
    match mode {
        Mode::Observe => Some(Refusal::Observing),
        Mode::Notify => Some(Refusal::NotifyOnly),
        Mode::Confirm | Mode::Auto => None,
    }
}

/// Why a hook cannot be run for a deployment.
pub(crate) fn of_hook(deployment: &Deployment, hook: &Hook) -> Option<Refusal> {
    match &deployment.good {
        _ if !hook.names(Placeholder::Good) => None,
        None => Some(Refusal::NoGoodVersion),
        Some(good) if *good == deployment.version => Some(Refusal::AlreadyAtGood),
        Some(_) => None,
    }
}

/// Why people do not want a rollback that nothing else speaks against.
fn of_people(cx: ReadCx<'_>, deployment: &Deployment, rule: &Rule) -> Option<Refusal> {
    first([
        (deployment.ask.is_some(), Refusal::AwaitingApproval),
        (deployment.irreversible, Refusal::Irreversible),
        (deployment.denied.contains(&rule.name), Refusal::Denied),
        (cx.state().pause.is_some(), Refusal::Paused),
        (budget::is_spent(cx), Refusal::BudgetSpent),
    ])
}

/// The first refusal that applies.
pub(crate) fn first<const N: usize>(refusals: [(bool, Refusal); N]) -> Option<Refusal> {
    refusals.into_iter().find(|(applies, _)| *applies).map(|(_, refusal)| refusal)
}

/// What status says of a rule that does not fire, or fires in vain; `live` is why the live version
/// would keep it from acting.
pub(crate) fn in_status(
    cx: ReadCx<'_>,
    warmup: &Warmup,
    live: Option<Refusal>,
    ix: RuleIx,
) -> Option<Refusal> {
    match cx.evaluator.rule(ix).verdict {
        _ if cx.guarded().is_some() && !cx.evaluator.applies(ix) => Some(Refusal::OtherStage),
        Verdict::NoData(NoData::EvidenceTooThin) => Some(Refusal::EvidenceTooThin),
        Verdict::NoData(_) => Some(Refusal::NoData),
        Verdict::Holds | Verdict::Fails => of_rule(cx, warmup, ix).or(live),
    }
}

/// Records once for each rule and reason that nothing is done for a rule of the guarded deployment,
/// and again when the rule fires after it has cleared. Tells people where that was asked for.
pub(crate) fn record(cx: &mut Cx<'_>, ix: RuleIx, refusal: Refusal) {
    let rule = cx.plan().rule(ix);
    let deployment = cx.guarded().expect("only a guarded deployment has rules to refuse");
    let known = deployment.has_refused(&rule.name, refusal);
    // Nobody was told of what is only observed, so that it has cleared is no news either.
    let anew = refusal != Refusal::Observing && deployment.cleared.would_tell_again(&rule.name);
    if is_on_record(refusal) || (known && !anew) {
        return;
    }
    // What people brought about is reported even if something else was refused before.
    let people = [Refusal::Paused, Refusal::Irreversible, Refusal::BudgetSpent];
    let first = deployment.refused.is_empty() || people.contains(&refusal);
    let evidence = evidence::of_rule(cx.evaluator, ix, cx.now);
    cx.record(RuleEvent::Refused { refusal, evidence });
    // A hook is not told that a rule clears, so it is told once that it fires.
    if refusal != Refusal::Observing && !known {
        incident::tell(cx, Some(ix), &rule.when.text, Occasion::Refused);
    }
    if first
        && rule.severity == Severity::Critical
        && let Then::Rollback(hook) = rule.then
    {
        let trigger = evidence::trigger(cx.evaluator, ix, cx.now);
        let decision = cx.read().decision(trigger, cx.plan().hook(hook));
        incident::report(cx, Some(decision), Conclusion::NotDone, Some(refusal.to_string()));
    }
}

/// Whether an entry of its own says already that nothing is done for this reason, or there is
/// nothing to say.
const fn is_on_record(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::WarmingUp | Refusal::SetAside | Refusal::AwaitingApproval | Refusal::Denied
    )
}

/// Records which of the rules that people were told of have cleared.
pub(crate) fn record_cleared(cx: &mut Cx<'_>) {
    let view = cx.read();
    let Some(deployment) = view.active() else { return };
    let told = |rule: &RuleName| {
        let refused =
            |(name, why): &(RuleName, Refusal)| name == rule && *why != Refusal::Observing;
        deployment.refused.iter().any(refused)
    };
    // A rule that is not there any more has cleared.
    let has_cleared = |rule: &RuleName| view.rule_named(rule).is_none_or(|ix| view.is_clear(ix));
    let firing = deployment.cleared.firing().filter(|rule| told(rule));
    let cleared: Vec<RuleName> = firing.filter(|rule| has_cleared(rule)).cloned().collect();
    for rule in cleared {
        cx.record(RuleEvent::Cleared { rule });
    }
}

/// The hook with which a person may roll back a deployment, unless something stands against it.
pub(crate) fn check_manual<'a>(
    plan: &'a Plan,
    deployment: &Deployment,
    reason: &str,
    force: Force,
) -> Result<&'a Hook, Rejection> {
    check_reason(reason)?;
    match deployment.phase {
        // A version may turn out bad after its bake, too: a person may still say so.
        Phase::Guarding | Phase::Baked | Phase::Ended(_) => {}
        Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
            return Err(Rejection::Refused(Refusal::AlreadyRolledBack));
        }
    }
    if deployment.irreversible && force == Force::No {
        return Err(Rejection::because(format!(
            "deployment {} was begun as irreversible: make sure that going back does no more harm \
             than staying, then insist with --force",
            deployment.id
        )));
    }
    let no_hook = || Rejection::because("no hook to roll back with: set `then` in [deployment]");
    let hook = plan.hook(plan.deployment.then.ok_or_else(no_hook)?);
    of_hook(deployment, hook).map_or(Ok(hook), |why| Err(Rejection::Refused(why)))
}
