//! Approvals: in mode `confirm` a rule that fires does not roll back but asks people, once, with
//! the whole evidence. It waits for a yes, a no, or the end of the time limit, at which the
//! configured default is done. What is asked is in the journal, so the wait survives a restart.
//!
//! While it waits rules are fed as always; whether the rule that asked still holds is shown and put
//! on record with the answer, but changes nothing by itself: only people and the time limit answer.

use std::time::Duration;

use crate::model::deployment::{Confirm, Unanswered};
use crate::model::entry::{Answer, Approval, ApprovalEvent, Caller, Refusal};
use crate::model::name::{DeploymentId, RuleName};
use crate::model::time::{Instant, format_duration};
use crate::model::{hook::Hook, index::RuleIx, reading::Verdict};

use super::{budget, refusal};
use crate::engine::command::{Accepted, Rejection, check_reason};
use crate::engine::context::{Cx, ReadCx};
use crate::engine::durable::deployment::{Ask, Deployment};
use crate::engine::effect::Conclusion;
use crate::engine::{
    deployment::version_check::RollbackCase, notify::incident, run::order::Occasion,
    view::evidence, view::snapshot::ApprovalStatus,
};

/// How long people have at least to answer a guard that was restarted: nobody could while it was
/// down.
const AFTER_RESTART: Duration = Duration::from_secs(60);

/// Times in the journal are cut to this: a limit may be this much later, never earlier.
const TICK: Duration = Duration::from_millis(1);

/// What is done without an answer by a plan in mode `confirm` that does not say it. Configurations
/// must; this is what changes nothing.
const UNSAID: Confirm = Confirm { within: Duration::from_secs(600), default: Unanswered::Deny };

/// When it is too late to answer, on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    until: Option<Instant>,
}

/// What follows when nobody has answered in time.
#[derive(Debug)]
pub(crate) enum Unheeded {
    /// The answer is no.
    Denied,
    /// The answer is yes.
    RollBack(Box<RollbackCase>),
}

impl Approvals {
    /// Asks whether to roll back for a rule that fires.
    pub(crate) fn ask(&mut self, cx: &mut Cx<'_>, ix: RuleIx, hook: &Hook) {
        let deployment = cx.guarded().expect("only a guarded deployment has rules that ask");
        let trigger = evidence::trigger(cx.evaluator, ix, cx.now);
        let decision = cx.read().decision(trigger, hook);
        let Confirm { within, default } = cx.plan().deployment.confirm.unwrap_or(UNSAID);
        let reason = question(&deployment.id, &cx.plan().rule(ix).when.text, within, default);
        let until = cx.now.wall.after(within);
        cx.record(ApprovalEvent::Asked { decision: Box::new(decision.clone()), until, default });
        self.until = Some(cx.now.at.after(within));
        incident::tell(cx, Some(ix), &reason, Occasion::AwaitingApproval);
        incident::report(cx, Some(decision), Conclusion::Asked, None);
    }

    /// Takes in a person's no.
    pub(crate) fn deny(
        &mut self,
        cx: &mut Cx<'_>,
        id: Option<&DeploymentId>,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let (deployment, ask) = asked(cx.read(), id)?;
        check_reason(&reason)?;
        let (deployment, ask) = (deployment.id.clone(), ask.clone());
        let why = format!("denied: {reason}");
        self.denied(cx, ask, Answer::Person { by, reason: Some(reason) }, why);
        let message = format!("deployment {deployment} is not rolled back for this; still guarded");
        Ok(Accepted { deployment: Some(deployment), message })
    }

    /// Does what is to be done when nobody has answered in time; `None`: nothing follows from it.
    pub(crate) fn end_due(&mut self, cx: &mut Cx<'_>) -> Option<Unheeded> {
        if self.deadline(cx.read())? > cx.now.at {
            return None;
        }
        let ask = cx.guarded()?.ask.clone()?;
        if ask.default == Unanswered::Deny {
            let why = "denied: nobody answered in time".to_owned();
            self.denied(cx, ask, Answer::TimeLimit, why);
            return Some(Unheeded::Denied);
        }
        match approved_by_default(cx.read(), &ask) {
            Ok(case) => Some(Unheeded::RollBack(Box::new(case))),
            Err(why) => {
                self.lapse(cx, why);
                None
            }
        }
    }

    fn denied(&mut self, cx: &mut Cx<'_>, ask: Ask, answer: Answer, why: String) {
        self.close(cx, ask, why, |rule| ApprovalEvent::Denied { rule, answer });
    }

    /// Records that what people were asked cannot be done after all, if they are asked anything.
    pub(crate) fn lapse(&mut self, cx: &mut Cx<'_>, why: String) {
        if let Some(ask) = cx.guarded().and_then(|current| current.ask.clone()) {
            let told = format!("nobody answered in time, and it cannot be rolled back: {why}");
            self.close(cx, ask, told, |rule| ApprovalEvent::Lapsed { rule, why });
        }
    }

    fn close(
        &mut self,
        cx: &mut Cx<'_>,
        ask: Ask,
        why: String,
        event: impl FnOnce(RuleName) -> ApprovalEvent,
    ) {
        let Some(rule) = ask.rule().map(|evidence| evidence.rule.clone()) else { return };
        self.until = None;
        let ix = cx.read().rule_named(&rule);
        cx.record(event(rule));
        incident::tell(cx, ix, &why, Occasion::Denied);
        incident::report(cx, Some(ask.decision), Conclusion::NotDone, Some(why));
    }

    /// When it is too late to answer.
    pub(crate) fn deadline(&self, cx: ReadCx<'_>) -> Option<Instant> {
        let asked = cx.active()?.ask.is_some();
        self.until.filter(|_| asked)
    }

    /// Goes on with what the journal left open. People are asked again: the guard may have died
    /// before it had told them.
    pub(crate) fn restart(&mut self, cx: &mut Cx<'_>) {
        let view = cx.read();
        let asked = view.guarded().and_then(|current| Some((&current.id, current.ask.as_ref()?)));
        let Some((id, ask)) = asked else { return };
        let whole = ask.until.since(ask.at);
        let rest = (ask.until.since(cx.now.wall) + TICK).max(AFTER_RESTART).min(whole);
        let rule = ask.rule();
        let when = rule.map(|rule| rule.when.as_str()).unwrap_or_default();
        let reason = question(id, when, Duration::from_secs(rest.as_secs()), ask.default);
        let ix = rule.and_then(|rule| view.rule_named(&rule.rule));
        self.until = Some(cx.now.at.after(rest));
        incident::tell(cx, ix, &reason, Occasion::AwaitingApproval);
    }

    /// What people are asked, as status shows it.
    pub(crate) fn status(&self, cx: ReadCx<'_>) -> Option<ApprovalStatus> {
        let ask = cx.guarded()?.ask.as_ref()?;
        let rule = ask.rule()?.rule.clone();
        let end = self.until.map(|end| cx.now.wall.after(end.since(cx.now.at)));
        Some(ApprovalStatus {
            holds: holds(cx, ask),
            rule,
            hook: ask.decision.hook.clone(),
            asked: ask.at,
            until: end.unwrap_or(ask.until),
            default: ask.default,
        })
    }
}

/// The rollback that a person says yes to. Everything that would keep a person's own rollback is
/// looked at again.
pub(crate) fn approve(
    cx: ReadCx<'_>,
    id: Option<&DeploymentId>,
    reason: Option<String>,
    by: Caller,
) -> Result<(RollbackCase, Accepted), Rejection> {
    let (deployment, ask) = asked(cx, id)?;
    reason.as_deref().map_or(Ok(()), check_reason)?;
    let name = &ask.decision.hook;
    let hook = cx.hook_named(name).ok_or_else(|| {
        let which = format!("hook {name}, which would roll it back,");
        Rejection::because(format!("{which} is not in the configuration any more"))
    })?;
    if let Some(refusal) = refusal::of_hook(deployment, hook) {
        return Err(Rejection::Refused(refusal));
    }
    let now_says = match holds(cx, ask) {
        Some(true) => "still holds",
        Some(false) => "does not hold any more",
        None => "cannot be told to hold or not",
    };
    let rule = ask.rule().map(|rule| rule.rule.as_str()).unwrap_or_default();
    let message = format!("rolling back deployment {}; rule {rule} {now_says}", deployment.id);
    let case = approved(cx, ask, hook, Answer::Person { by, reason });
    Ok((case, Accepted { deployment: Some(deployment.id.clone()), message }))
}

/// The guarded deployment and what people are asked about it.
fn asked<'a>(
    cx: ReadCx<'a>,
    id: Option<&DeploymentId>,
) -> Result<(&'a Deployment, &'a Ask), Rejection> {
    let deployment = cx.addressed_guarded(id)?;
    let ask = deployment.ask.as_ref();
    let ask = ask.ok_or_else(|| {
        let none = format!("no rule asks for a rollback of deployment {}", deployment.id);
        Rejection::because(format!("nothing awaits approval: {none}"))
    })?;
    Ok((deployment, ask))
}

fn approved(cx: ReadCx<'_>, ask: &Ask, hook: &Hook, answer: Answer) -> RollbackCase {
    let approval = Some(Approval { answer, asked: ask.at, holds: holds(cx, ask) });
    RollbackCase { trigger: ask.decision.trigger.clone(), hook: hook.clone(), approval }
}

/// The rollback that is done without an answer, or why it cannot be done: what keeps rollguard from
/// acting by itself keeps it from acting on nobody's word.
fn approved_by_default(cx: ReadCx<'_>, ask: &Ask) -> Result<RollbackCase, String> {
    let name = &ask.decision.hook;
    let hook = cx.hook_named(name);
    let hook = hook.ok_or_else(|| format!("hook {name} is not in the configuration"))?;
    let refusal = refusal::of_mode(cx.plan().mode)
        .or_else(|| cx.guarded().and_then(|deployment| refusal::of_hook(deployment, hook)))
        .or_else(|| {
            refusal::first([
                (cx.state().pause.is_some(), Refusal::Paused),
                (budget::is_spent(cx), Refusal::BudgetSpent),
            ])
        });
    match refusal {
        None => Ok(approved(cx, ask, hook, Answer::TimeLimit)),
        Some(refusal) => Err(refusal.to_string()),
    }
}

/// A rule that was denied may ask anew once it was seen not to hold: that it fires again is news. A
/// guard that was restarted has seen nothing of what is past, so it first needs as much time since
/// it was `started` as the rule looks back.
pub(crate) fn lift_denials(cx: &mut Cx<'_>, started: Instant) {
    let view = cx.read();
    let Some(deployment) = view.active() else { return };
    let lifted = |name: &&RuleName| {
        view.rule_named(name).is_some_and(|ix| {
            let reach = view.plan().reach(view.plan().rule(ix));
            view.is_clear(ix) && view.now.at.since(started) >= reach
        })
    };
    let lifted: Vec<RuleName> = deployment.denied.iter().filter(lifted).cloned().collect();
    for rule in lifted {
        cx.record(ApprovalEvent::DenialLifted { rule });
    }
}

/// Whether the rule that asks holds now; `None` where it cannot tell, or is not there any more.
fn holds(cx: ReadCx<'_>, ask: &Ask) -> Option<bool> {
    match cx.evaluator.rule(cx.rule_named(&ask.rule()?.rule)?).verdict {
        Verdict::Holds => Some(true),
        Verdict::Fails => Some(false),
        Verdict::NoData(_) => None,
    }
}

/// What people are asked, in a line.
fn question(id: &DeploymentId, when: &str, within: Duration, default: Unanswered) -> String {
    let within = format_duration(within);
    let otherwise = match default {
        Unanswered::Rollback => "it is rolled back",
        Unanswered::Deny => "it stays",
    };
    format!("{when}: `rollguard approve --deployment {id}` within {within}, else {otherwise}")
}
