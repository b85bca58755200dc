//! The rollback: one decision, its steps in order, and the cure. What comes next is decided by
//! `procedure` from the record; this file records it and asks for it.

use std::time::Duration;

use crate::model::deployment::Milestone;
use crate::model::entry::{Attempt, Decision, Event, RuleEvidence, StepResult, Trigger};
use crate::model::index::{HookIx, RuleIx};
use crate::model::reading::Verdict;
use crate::model::rule::Severity;
use crate::model::scrape::Scrape;
use crate::model::time::{Instant, Moment, format_duration};

use super::order::{Context, Occasion};
use super::procedure::{self, At, Next};
use super::verify::{Purpose, Watch};
use crate::engine::deployment::version_check::Case;
use crate::engine::durable::state::{Deployment, Phase, Progress};
use crate::engine::effect::{Effect, Outcome};
use crate::engine::guard::{Doing, Guard};
use crate::engine::notify::incident;
use crate::engine::rules::state::State;
use crate::engine::view::evidence;

impl Guard {
    /// Rolls back because a rule fired.
    pub(crate) fn roll_back_for(&mut self, now: Moment, ix: RuleIx, hook: HookIx) {
        let trigger = Trigger::Rule(Box::new(evidence::of_rule(&self.evaluator, ix, now)));
        let hook = self.plan().hook(hook).clone();
        self.roll_back(now, Case { trigger, hook, approval: None });
    }

    /// Puts the decision on record, once for a deployment, and begins.
    pub(crate) fn decide_on(&mut self, now: Moment, case: Case) {
        let Some(deployment) = &self.log.state().current else { return };
        let Case { trigger, hook, approval } = case;
        let decision = evidence::of_decision(&self.evaluator, now, deployment, trigger, &hook);
        let decision = Decision { approval, ..decision };
        self.live.resumed = false;
        self.limit = hook.timeout.map(|timeout| now.at.after(timeout));
        self.hook = Some(hook);
        self.record(now, Event::Decided(decision));
        match self.make_way(now) {
            Some(until) => self.doing = Doing::Backoff { until },
            None => self.pursue(now),
        }
        self.go_along(now, Milestone::Trip);
    }

    /// Goes on with a rollback that the journal left open.
    pub(crate) fn resume_rollback(&mut self, now: Moment) {
        let Some(deployment) = &self.log.state().current else { return };
        let Some((_, decision)) = &deployment.decision else { return };
        let name = decision.hook.clone();
        let hook = self.plan().hooks.iter().find(|hook| hook.name == name).cloned();
        let Some(hook) = hook else {
            return self.fail(now, format!("hook {name} is not in the configuration any more"));
        };
        // It may have been edited meanwhile.
        if let Some(refusal) = self.hook_refusal(&hook) {
            self.hook = Some(hook);
            return self.fail(now, format!("hook {name} as it is now cannot be run: {refusal}"));
        }
        let (progress, id) = (deployment.progress.clone(), deployment.id.clone());
        let spent = spent(deployment, now);
        self.limit = hook.timeout.map(|timeout| now.at.after(timeout.saturating_sub(spent)));
        let step = hook.steps.get(progress.step as usize).cloned();
        self.hook = Some(hook);
        self.live.resumed = true;
        match step
            .filter(|_| progress.open)
            .map(|step| (step.action.longest(step.timeout), step.action))
        {
            // Doing it twice changes nothing, so it is simply done again.
            Some((_, action)) if action.is_harmless() => {
                if let Some(attempt) = self.attempt(&progress) {
                    self.record_outcome(now, attempt, StepResult::Unknown, String::new(), 0);
                }
                self.pursue(now);
            }
            Some((timeout, _)) => {
                let timeout = self.left(now).map_or(timeout, |left| timeout.min(left));
                self.doing = Doing::Attempt;
                if let Some(attempt) = self.attempt(&progress) {
                    self.push(Effect::Inspect { deployment: id, attempt, timeout });
                }
            }
            None => self.pursue(now),
        }
    }

    /// How much is left of the time that the hook may take.
    fn left(&self, now: Moment) -> Option<Duration> {
        self.limit.map(|limit| limit.since(now.at))
    }

    /// Takes in what became of an attempt.
    pub fn settle(&mut self, now: Moment, outcome: &Outcome) -> Vec<Effect> {
        if outcome.attempt.entering.is_some() {
            self.settle_entering(now, outcome);
            return self.effects();
        }
        self.settle_drill(now, outcome);
        // What cannot be recorded is not awaited any more: the next start inspects it.
        let awaited = !self.log.is_halted()
            && self.log.state().current.as_ref().is_some_and(|deployment| {
                deployment.id == outcome.deployment
                    && deployment.phase == Phase::RollingBack
                    && deployment.progress.open
                    && self.attempt(&deployment.progress).as_ref() == Some(&outcome.attempt)
            });
        if awaited {
            let took = evidence::millis(outcome.took);
            let Outcome { attempt, result, output, .. } = outcome.clone();
            self.record_outcome(now, attempt, result, output, took);
            self.pursue(now);
            self.keep_pace(now.at);
        }
        self.effects()
    }

    fn record_outcome(
        &mut self,
        now: Moment,
        attempt: Attempt,
        result: StepResult,
        output: String,
        took_ms: u64,
    ) {
        self.record(now, Event::Outcome { attempt, result, output, took_ms });
    }

    fn attempt(&self, progress: &Progress) -> Option<Attempt> {
        let hook = self.hook.as_ref()?.name.clone();
        Some(Attempt::of(hook, progress.step, progress.number))
    }

    /// Does what comes next.
    pub(crate) fn pursue(&mut self, now: Moment) {
        self.follow(now, procedure::next);
    }

    /// Does what comes next according to `choose`.
    fn follow(&mut self, now: Moment, choose: fn(At<'_>) -> Next) {
        // What was called off shifts traffic, too: one after the other.
        if let (Some(hook), Some(current)) = (&self.hook, &self.log.state().current)
            && current.phase == Phase::RollingBack
            && self.log.state().stray.is_none()
        {
            let (progress, deployment) = (&current.progress, &current.id);
            let next = choose(At { hook, progress, deployment, left: self.left(now) });
            self.take(now, next);
        }
    }

    fn take(&mut self, now: Moment, next: Next) {
        match next {
            Next::Await => self.doing = Doing::Attempt,
            Next::Start { number, .. } if self.must_compare() => self.compare_resumed(now, number),
            Next::Start { number, pause } if pause.is_zero() => self.start_attempt(now, number),
            Next::Start { pause, .. } => {
                self.doing = Doing::Backoff { until: now.at.after(pause) };
            }
            Next::LookForCure(rerun) if self.has_cure() => {
                self.look_for_cure(now, Purpose::AfterUnknown(rerun));
            }
            Next::LookForCure(_) => self.without_cure(now),
            Next::Verify => self.look_for_cure(now, Purpose::Verify),
            Next::GiveUp(why) => self.fail(now, why),
        }
    }

    pub(crate) fn start_attempt(&mut self, now: Moment, number: u32) {
        let (Some(hook), Some(deployment)) = (&self.hook, &self.log.state().current) else {
            return;
        };
        let place = deployment.progress.step;
        let Some(step) = hook.steps.get(place as usize) else { return };
        let Some((_, decision)) = &deployment.decision else { return };
        let attempt = Attempt::of(hook.name.clone(), place, number);
        let context = Context {
            deployment,
            occasion: Occasion::Rollback,
            at: now.wall,
            reason: reason(&decision.trigger),
            rule: rule(&decision.trigger),
            trigger: Some(&decision.trigger),
            signals: &decision.signals,
        };
        let order = context.order(hook, step, attempt.clone()).within(self.left(now));
        self.record(now, Event::Intent { attempt, what: order.action.describe() });
        if !self.log.is_halted() {
            self.push(Effect::Run(Box::new(order)));
            self.doing = Doing::Attempt;
        }
    }

    pub(crate) fn look_for_cure(&mut self, now: Moment, purpose: Purpose) {
        let Some(hook) = &self.hook else { return };
        let reach = self.plan().longest_reach();
        let filling = self.filling(now.at);
        self.doing = Doing::Cure(Watch::new(hook, purpose, now.at, reach, filling));
        self.look_soon(now.at);
    }

    /// How long it takes until the windows of the rule that caused the rollback are full. A guard
    /// that was just restarted would take a second without errors for a window without errors.
    fn filling(&self, at: Instant) -> Duration {
        let plan = self.plan();
        let window = self.cause().map_or(Duration::ZERO, |ix| {
            let rule = plan.rule(ix);
            plan.reach(rule).saturating_sub(rule.hold)
        });
        window.saturating_sub(at.since(self.started))
    }

    /// The rule that caused the rollback, if one did and it is still there.
    fn cause(&self) -> Option<RuleIx> {
        let (_, decision) = self.log.state().current.as_ref()?.decision.as_ref()?;
        let cause = rule(&decision.trigger)?;
        self.plan().rules.iter().position(|rule| rule.name == cause.rule).map(RuleIx)
    }

    /// Looks whether what a rollback waits for has come.
    pub(crate) fn pursue_wait(&mut self, now: Moment, scrape: Option<&Scrape>) {
        match std::mem::take(&mut self.doing) {
            Doing::Backoff { until } if until <= now.at => {
                self.follow(now, procedure::next_after_pause);
            }
            Doing::Cure(mut watch) => {
                if let Some(scrape) = scrape
                    && let Some(verdict) = self.cure_verdict(scrape)
                {
                    watch.judge(scrape.at, verdict);
                }
                let live = self.live_is_cured(watch.since(), now.at);
                match watch.is_seen() && live {
                    true => self.cured(now, watch.purpose),
                    false if watch.is_over(now.at) => self.not_cured(now, &watch),
                    false => self.doing = Doing::Cure(watch),
                }
            }
            waiting @ (Doing::Nothing
            | Doing::Attempt
            | Doing::Comparing
            | Doing::Backoff { .. }) => {
                self.doing = waiting;
            }
        }
    }

    /// What a scrape says of the cure; `None` if it is no news to it.
    fn cure_verdict(&self, scrape: &Scrape) -> Option<Verdict> {
        let news = |cond| self.evaluator.is_news(scrape, cond);
        match self.hook.as_ref()?.cure.as_ref() {
            Some(cure) => news(&cure.when.cond).then(|| self.evaluator.verdict(&cure.when.cond)),
            None => self.default_cure(scrape),
        }
    }

    /// Without a cure of its own a rollback has helped when the rule that caused it says so, on
    /// what was sampled since, and no other critical rule holds.
    fn default_cure(&self, scrape: &Scrape) -> Option<Verdict> {
        if let Some(cause) = self.cause() {
            let news = self.evaluator.is_news(scrape, &self.plan().rule(cause).when.cond);
            let verdict = self.evaluator.rule(cause).verdict;
            if !news || verdict != Verdict::Fails {
                return news.then_some(match verdict {
                    Verdict::NoData(why) => Verdict::NoData(why),
                    Verdict::Holds | Verdict::Fails => Verdict::Fails,
                });
            }
        } else if scrape.result.is_err() {
            return None;
        }
        Some(if self.critical_rule_holds() { Verdict::Fails } else { Verdict::Holds })
    }

    fn critical_rule_holds(&self) -> bool {
        let set_aside = self.log.state().current.as_ref().map(|deployment| &deployment.set_aside);
        self.plan().rules.iter().enumerate().any(|(index, rule)| {
            rule.severity == Severity::Critical
                && !set_aside.is_some_and(|names| names.contains(&rule.name))
                && self.evaluator.rule(RuleIx(index)).state != State::Inactive
        })
    }

    fn cured(&mut self, now: Moment, purpose: Purpose) {
        let Some(deployment) = &self.log.state().current else { return };
        match purpose {
            Purpose::AfterUnknown(_) => {
                let attempt = self.attempt(&deployment.progress);
                if let Some(attempt) = attempt {
                    let output = "the cure is seen, so it took effect".to_owned();
                    self.record_outcome(now, attempt, StepResult::Done, output, 0);
                }
                self.pursue(now);
            }
            Purpose::Verify | Purpose::AfterRestart { .. } => {
                let decided = deployment.decision.as_ref().map(|(at, _)| *at);
                let took = decided.map(|at| now.wall.since(at)).unwrap_or_default();
                let signals = evidence::of_signals(&self.evaluator);
                self.record(now, Event::Cured { signals, took_ms: evidence::millis(took) });
                incident::report(&mut self.cx(now), "rolled back", None);
            }
        }
    }

    fn not_cured(&mut self, now: Moment, watch: &Watch) {
        let Some(hook) = &self.hook else { return };
        match watch.purpose {
            Purpose::AfterUnknown(_) => self.without_cure(now),
            Purpose::AfterRestart { number } => self.start_attempt(now, number),
            Purpose::Verify if !self.live_is_cured(watch.since(), now.at) => {
                let instead = self.live_instead(watch.since(), now.at);
                let within = format_duration(watch.within());
                self.fail(now, format!("{instead}, {within} after the last step"));
            }
            Purpose::Verify => {
                let within = format_duration(watch.within());
                let what = hook.cure.as_ref().map_or_else(
                    || "the rules did not clear".to_owned(),
                    |cure| format!("the cure `{}` was not seen", cure.when.text),
                );
                self.fail(now, format!("{what} within {within}"));
            }
        }
    }

    /// Whether there is a cure whose sight says that a step took effect. Where a person saw what
    /// the rules did not, that no rule holds says nothing.
    pub(crate) fn has_cure(&self) -> bool {
        let decision =
            self.log.state().current.as_ref().and_then(|current| current.decision.as_ref());
        let caused = decision.is_some_and(|(_, decision)| rule(&decision.trigger).is_some());
        caused || self.hook.as_ref().is_some_and(|hook| hook.cure.is_some())
    }

    /// Goes on after a step of unknown outcome whose effect cannot be seen.
    fn without_cure(&mut self, now: Moment) {
        self.follow(now, procedure::next_without_cure);
    }

    /// Ends a rollback that did not help or could not be done: page, stop, wait for a person.
    pub(crate) fn fail(&mut self, now: Moment, why: String) {
        self.doing = Doing::Nothing;
        let signals = evidence::of_signals(&self.evaluator);
        self.record(now, Event::Failed { why: why.clone(), signals });
        self.tell(now, None, &why, Occasion::RollbackFailed);
        incident::report(&mut self.cx(now), "rollback failed", Some(why));
    }
}

/// How long a rollback has been under way. The wall clock may have been set back since; what is on
/// record has happened all the same.
fn spent(deployment: &Deployment, now: Moment) -> Duration {
    let Some((decided, _)) = &deployment.decision else { return Duration::ZERO };
    let recorded = deployment.entries.iter().map(|entry| entry.at);
    recorded.fold(now.wall, Ord::max).since(*decided)
}

/// Why a rollback was decided, in a line.
pub(crate) fn reason(trigger: &Trigger) -> &str {
    match trigger {
        Trigger::Rule(rule) => &rule.when,
        Trigger::Person { reason, .. } => reason,
    }
}

/// The rule for which a rollback was decided, or asked for.
pub(crate) fn rule(trigger: &Trigger) -> Option<&RuleEvidence> {
    match trigger {
        Trigger::Rule(rule) => Some(rule),
        Trigger::Person { .. } => None,
    }
}
