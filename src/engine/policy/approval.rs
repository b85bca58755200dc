//! Approvals: in mode `confirm` a rule that fires does not roll back but asks people, once, with
//! the whole evidence. It waits for a yes, a no, or the end of the time limit, at which the
//! configured default is done. What is asked is in the journal, so the wait survives a restart.
//!
//! While it waits rules are fed as always; whether the rule that asked still holds is shown and put
//! on record with the answer, but changes nothing by itself: only people and the time limit answer.

use std::time::Duration;

use crate::model::deployment::{Confirm, Mode, Unanswered};
use crate::model::entry::{
    Answer, Approval, Caller, Decision, Entry, Event, Refusal, RuleEvidence, Trigger,
};
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::name::{DeploymentId, HookName, RuleName};
use crate::model::reading::Verdict;
use crate::model::rule::Rule;
use crate::model::time::{Instant, Moment, Timestamp, format_duration};

use crate::engine::command::{Accepted, Rejection, check_reason};
use crate::engine::deployment::version_check::Case;
use crate::engine::durable::state::Deployment;
use crate::engine::guard::Guard;
use crate::engine::notify::incident;
use crate::engine::rules::state::State;
use crate::engine::run::order::Occasion;
use crate::engine::run::rollback;
use crate::engine::view::evidence;
use crate::engine::view::snapshot::ApprovalStatus;

/// How long people have at least to answer a guard that was restarted: nobody could while it was
/// down.
const AFTER_RESTART: Duration = Duration::from_secs(60);

/// Times in the journal are cut to this: a limit may be this much later, never earlier.
const TICK: Duration = Duration::from_millis(1);

/// What is done without an answer by a plan in mode `confirm` that does not say it. Configurations
/// must; this is what changes nothing.
const UNSAID: Confirm = Confirm { within: Duration::from_secs(600), default: Unanswered::Deny };

/// What people are asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ask {
    pub(crate) at: Timestamp,
    /// What would be done.
    pub(crate) decision: Decision,
    /// When it is too late to answer.
    pub(crate) until: Timestamp,
    /// What is done then.
    pub(crate) default: Unanswered,
}

impl Ask {
    /// What an entry asks.
    pub(crate) fn of(entry: &Entry) -> Option<Self> {
        let Event::AwaitingApproval { decision, until, default } = &entry.event else {
            return None;
        };
        let (decision, until, default) = (decision.clone(), *until, *default);
        Some(Self { at: entry.at, decision, until, default })
    }

    fn rule(&self) -> Option<&RuleEvidence> {
        rollback::rule(&self.decision.trigger)
    }
}

impl Guard {
    /// Why people do not want a rollback that nothing else speaks against.
    pub(crate) fn peoples_refusal(
        &self,
        of: &Deployment,
        rule: &Rule,
        now: Moment,
    ) -> Option<Refusal> {
        let reasons = [
            (of.ask.is_some(), Refusal::AwaitingApproval),
            (of.irreversible, Refusal::Irreversible),
            (of.denied.contains(&rule.name), Refusal::Denied),
            (self.log.state().pause.is_some(), Refusal::Paused),
            (self.is_budget_spent(now.wall), Refusal::BudgetSpent),
        ];
        reasons.into_iter().find(|(applies, _)| *applies).map(|(_, refusal)| refusal)
    }

    /// Rolls back because a rule fired, or asks whether to, once it is certain what is live.
    pub(crate) fn act_on(&mut self, now: Moment, ix: RuleIx, hook: HookIx) {
        match self.plan().mode {
            Mode::Confirm if self.live_settings().is_none() => {
                let hook = self.plan().hook(hook).clone();
                self.ask(now, ix, &hook);
            }
            Mode::Confirm | Mode::Observe | Mode::Notify | Mode::Auto => {
                self.roll_back_for(now, ix, hook);
            }
        }
    }

    /// Asks whether to roll back for a rule that fires.
    pub(crate) fn ask(&mut self, now: Moment, ix: RuleIx, hook: &Hook) {
        let Some(deployment) = self.guarded() else { return };
        let trigger = Trigger::Rule(Box::new(evidence::of_rule(&self.evaluator, ix, now)));
        let decision = self.decision(now, deployment, trigger, hook);
        let Confirm { within, default } = self.plan().deployment.confirm.unwrap_or(UNSAID);
        let id = deployment.id.clone();
        let until = now.wall.after(within);
        let event = Event::AwaitingApproval { decision: decision.clone(), until, default };
        self.record(now, event);
        self.waits.answer = Some(now.at.after(within));
        let reason = question(&id, &self.plan().rule(ix).when.text, within, default);
        self.tell(now, Some(ix), &reason, Occasion::AwaitingApproval);
        incident::report_as(&mut self.cx(now), decision, "awaiting approval", None);
    }

    /// A person says yes. Everything that would keep a person's own rollback is looked at again.
    pub(crate) fn approve(
        &mut self,
        now: Moment,
        id: Option<&DeploymentId>,
        reason: Option<String>,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let (deployment, ask) = self.asked(id)?;
        reason.as_deref().map_or(Ok(()), check_reason)?;
        let name = &ask.decision.hook;
        let hook = self.hook_named(name).ok_or_else(|| Rejection::HookGone(name.clone()))?;
        if let Some(refusal) = self.hook_refusal(&hook) {
            return Err(Rejection::Refused(refusal));
        }
        let now_says = match ask.rule().and_then(|rule| self.holds(&rule.rule)) {
            Some(true) => "still holds",
            Some(false) => "does not hold any more",
            None => "cannot be told to hold or not",
        };
        if self.is_asked() {
            return Err(Rejection::Comparing(deployment));
        }
        let rule = ask.rule().map(|rule| rule.rule.to_string()).unwrap_or_default();
        let message = format!("rolling back deployment {deployment}; rule {rule} {now_says}");
        self.approved(now, ask, hook, Answer::Person { by, reason });
        if let Some(Err(why)) = self.take_answer() {
            return Err(why);
        }
        Ok(Accepted { deployment: Some(deployment), message })
    }

    /// A person says no.
    pub(crate) fn deny(
        &mut self,
        now: Moment,
        id: Option<&DeploymentId>,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let (deployment, ask) = self.asked(id)?;
        check_reason(&reason)?;
        let why = format!("denied: {reason}");
        self.denied(now, &ask, Answer::Person { by, reason: Some(reason) }, why);
        let message = format!("deployment {deployment} is not rolled back for this; still guarded");
        // Another rule that fires asks at once.
        self.decide(now);
        Ok(Accepted { deployment: Some(deployment), message })
    }

    fn asked(&self, id: Option<&DeploymentId>) -> Result<(DeploymentId, Ask), Rejection> {
        let deployment = self.guarded_as(id)?;
        let ask = self.guarded().and_then(|current| current.ask.clone());
        ask.map(|ask| (deployment.clone(), ask)).ok_or(Rejection::NothingAsked(deployment))
    }

    fn approved(&mut self, now: Moment, ask: Ask, hook: Hook, answer: Answer) {
        let holds = ask.rule().and_then(|rule| self.holds(&rule.rule));
        let approval = Some(Approval { answer, asked: ask.at, holds });
        self.roll_back(now, Case { trigger: ask.decision.trigger, hook, approval });
    }

    fn denied(&mut self, now: Moment, ask: &Ask, answer: Answer, why: String) {
        let Some(rule) = ask.rule().map(|evidence| evidence.rule.clone()) else { return };
        self.waits.answer = None;
        // A yes before it may still wait for the live version.
        self.drop_check();
        self.record(now, Event::Denied { rule: rule.clone(), answer });
        self.tell(now, self.rule_named(&rule), &why, Occasion::Denied);
        incident::report_as(&mut self.cx(now), ask.decision.clone(), "not rolled back", Some(why));
    }

    /// Does what is to be done when nobody has answered in time.
    pub(crate) fn end_wait_for_answer(&mut self, now: Moment) {
        if self.answer_deadline().is_none_or(|end| end > now.at) {
            return;
        }
        let Some(ask) = self.guarded().and_then(|current| current.ask.clone()) else { return };
        let hook = self.hook_named(&ask.decision.hook);
        match (ask.default, hook) {
            (Unanswered::Deny, _) => {
                let why = "denied: nobody answered in time".to_owned();
                self.denied(now, &ask, Answer::TimeLimit, why);
            }
            (Unanswered::Rollback, Some(hook)) => match self.default_refusal(&hook, now) {
                None => self.approved(now, ask, hook, Answer::TimeLimit),
                Some(refusal) => self.lapse(now, &ask, refusal.to_string()),
            },
            (Unanswered::Rollback, None) => {
                let why = format!("hook {} is not in the configuration", ask.decision.hook);
                self.lapse(now, &ask, why);
            }
        }
    }

    /// Why the default of rolling back cannot be done: what keeps rollguard from acting by itself
    /// keeps it from acting on nobody's word.
    fn default_refusal(&self, hook: &Hook, now: Moment) -> Option<Refusal> {
        let by_mode = match self.plan().mode {
            Mode::Observe => Some(Refusal::Observing),
            Mode::Notify => Some(Refusal::NotifyOnly),
            Mode::Confirm | Mode::Auto => None,
        };
        let paused = self.log.state().pause.is_some().then_some(Refusal::Paused);
        let spent = self.is_budget_spent(now.wall).then_some(Refusal::BudgetSpent);
        by_mode.or_else(|| self.hook_refusal(hook)).or(paused).or(spent)
    }

    /// What people were asked cannot be done after all.
    pub(crate) fn lapse_current(&mut self, now: Moment, why: String) {
        if let Some(ask) = self.guarded().and_then(|current| current.ask.clone()) {
            self.lapse(now, &ask, why);
        }
    }

    fn lapse(&mut self, now: Moment, ask: &Ask, why: String) {
        let Some(rule) = ask.rule().map(|evidence| evidence.rule.clone()) else { return };
        self.waits.answer = None;
        self.record(now, Event::Lapsed { rule: rule.clone(), why: why.clone() });
        let why = format!("nobody answered in time, and it cannot be rolled back: {why}");
        self.tell(now, self.rule_named(&rule), &why, Occasion::Denied);
        incident::report_as(&mut self.cx(now), ask.decision.clone(), "not rolled back", Some(why));
    }

    /// A rule that was denied may ask anew once it was seen not to hold: that it fires again is
    /// news. A guard that was restarted has seen nothing of what is past, so it first needs as much
    /// time as the rule looks back.
    pub(crate) fn lift_denials(&mut self, now: Moment) {
        let Some(deployment) = self.guarded().filter(|_| !self.log.is_halted()) else { return };
        let lifted = |name: &&RuleName| {
            self.rule_named(name).is_some_and(|ix| {
                let rule = self.evaluator.rule(ix);
                rule.state == State::Inactive
                    && rule.verdict == Verdict::Fails
                    && now.at.since(self.started) >= self.plan().reach(self.plan().rule(ix))
            })
        };
        let lifted: Vec<RuleName> = deployment.denied.iter().filter(lifted).cloned().collect();
        for rule in lifted {
            self.record(now, Event::DenialLifted { rule });
        }
    }

    /// When it is too late to answer.
    pub(crate) fn answer_deadline(&self) -> Option<Instant> {
        let asked = self.guarded().filter(|_| !self.log.is_halted())?.ask.is_some();
        // One that was given waits for the live version only.
        let answered = self.is_answered();
        self.waits.answer.filter(|_| asked && !answered)
    }

    /// The end of a wait, and of a pause, that the journal left open. People are asked again: the
    /// guard may have died before it had told them.
    pub(crate) fn resume_waits(&mut self, now: Moment) {
        self.pauses.restart(now, self.log.state());
        let asked = self.guarded().and_then(|current| Some((&current.id, current.ask.as_ref()?)));
        let Some((id, ask)) = asked else { return };
        let whole = ask.until.since(ask.at);
        let rest = (ask.until.since(now.wall) + TICK).max(AFTER_RESTART).min(whole);
        let rule = ask.rule();
        let when = rule.map(|rule| rule.when.as_str()).unwrap_or_default();
        let reason = question(id, when, Duration::from_secs(rest.as_secs()), ask.default);
        let ix = rule.and_then(|rule| self.rule_named(&rule.rule));
        self.waits.answer = Some(now.at.after(rest));
        self.tell(now, ix, &reason, Occasion::AwaitingApproval);
    }

    pub(crate) fn approval_status(&self, now: Moment) -> Option<ApprovalStatus> {
        let ask = self.guarded()?.ask.as_ref()?;
        let evidence = ask.rule()?.clone();
        let end = self.waits.answer.map(|end| now.wall.after(end.since(now.at)));
        Some(ApprovalStatus {
            holds: self.holds(&evidence.rule),
            rule: evidence.rule,
            hook: ask.decision.hook.clone(),
            asked: ask.at,
            until: end.unwrap_or(ask.until),
            default: ask.default,
        })
    }

    /// Whether a rule holds now; `None` where it cannot tell, or is not there any more.
    fn holds(&self, name: &RuleName) -> Option<bool> {
        match self.evaluator.rule(self.rule_named(name)?).verdict {
            Verdict::Holds => Some(true),
            Verdict::Fails => Some(false),
            Verdict::NoData(_) => None,
        }
    }

    pub(crate) fn rule_named(&self, name: &RuleName) -> Option<RuleIx> {
        self.plan().rules.iter().position(|rule| rule.name == *name).map(RuleIx)
    }

    fn hook_named(&self, name: &HookName) -> Option<Hook> {
        self.plan().hooks.iter().find(|hook| hook.name == *name).cloned()
    }
}

/// Whether an entry of its own says already that nothing is done for this reason, or there is
/// nothing to say.
pub(crate) fn is_on_record(refusal: Refusal) -> bool {
    let known = [Refusal::WarmingUp, Refusal::SetAside, Refusal::AwaitingApproval, Refusal::Denied];
    known.contains(&refusal)
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
