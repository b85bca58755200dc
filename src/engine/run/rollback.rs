//! The rollback: one decision, its steps in order, and the cure. `procedure` decides what comes
//! next from what is on record; this component records it and asks the shell for it. Where the rest
//! of the guard has to do something first, it says so in a [`Need`].

use std::time::Duration;

use crate::model::entry::{Attempt, AttemptEvent, Decision, RollbackEvent, StepResult};
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::live::Live;
use crate::model::plan::Plan;
use crate::model::reading::Verdict;
use crate::model::rule::Severity;
use crate::model::scrape::Scrape;
use crate::model::time::{Instant, format_duration};

use super::attempts::{Choose, HookRun};
use super::order::{HookContext, Occasion};
use super::procedure::{self, Next};
use super::verify::{CureWatch, Purpose};
use crate::engine::context::Cx;
use crate::engine::deployment::version_check::{self, LiveComparison, RollbackCase};
use crate::engine::durable::state::{Deployment, Phase};
use crate::engine::effect::{Effect, Outcome};
use crate::engine::notify::incident;
use crate::engine::policy::refusal;
use crate::engine::rules::state::RuleState;
use crate::engine::view::evidence;

/// The rollback of the current deployment.
#[derive(Debug, Default)]
pub(crate) struct Rollback {
    /// The hook's run. It is kept when the rollback is over: the hook says who is told of what
    /// fails afterwards.
    attempts: Option<HookRun>,
    awaits: RollbackAwaits,
    /// The guard was restarted in the middle of the rollback: the live version is checked before
    /// the next attempt.
    is_resumed: bool,
    /// When the guard was started: its windows hold nothing older.
    started: Instant,
}

/// What a rollback waits for.
#[derive(Debug, Default)]
enum RollbackAwaits {
    /// What the attempts at its steps wait for, if anything.
    #[default]
    Steps,
    /// A check of the live version, before the next attempt.
    Check,
    /// The cure.
    Cure(CureWatch),
}

/// What the rest of the guard has to do for a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Need {
    /// Nothing.
    Nothing,
    /// Check the live version before this attempt, and tell with [`Rollback::go_on`] what it is.
    Check {
        /// The attempt's number.
        number: u32,
    },
    /// Read the live version soon: the cure is being looked for.
    LiveVersion,
}

impl Rollback {
    /// The guard is started.
    pub(crate) const fn start(&mut self, at: Instant) {
        self.started = at;
    }

    /// Another deployment begins.
    pub(crate) fn reset(&mut self) {
        *self = Self { started: self.started, ..Self::default() };
    }

    /// Nothing is done any more.
    pub(crate) fn halt(&mut self) {
        self.awaits = RollbackAwaits::Steps;
        if let Some(attempts) = &mut self.attempts {
            attempts.stop();
        }
    }

    /// Remembers the hook of a rollback that is over.
    pub(crate) fn remember(&mut self, hook: Hook, at: Instant) {
        self.attempts = Some(HookRun::new(hook, at, Duration::ZERO));
    }

    /// Makes the hook refer to other hooks by their places in a new plan.
    pub(crate) fn reload(&mut self, old: &Plan, new: &Plan) {
        if let Some(attempts) = &mut self.attempts {
            let hook = attempts.hook_mut();
            let name = hook.on_failure.map(|next| &old.hook(next).name);
            hook.on_failure =
                new.hooks.iter().position(|next| Some(&next.name) == name).map(HookIx);
        }
    }

    /// Records the decision to roll back. The first step is begun with [`pursue`](Self::pursue).
    pub(crate) fn decide(&mut self, cx: &mut Cx<'_>, case: RollbackCase) {
        let RollbackCase { trigger, hook, approval } = case;
        let current = cx.current().expect("only a deployment is rolled back");
        let decision = evidence::of_decision(cx.evaluator, cx.now, current, trigger, &hook);
        self.is_resumed = false;
        self.awaits = RollbackAwaits::Steps;
        self.attempts = Some(HookRun::new(hook, cx.now.at, Duration::ZERO));
        cx.record(RollbackEvent::Decided(Box::new(Decision { approval, ..decision })));
    }

    /// Goes on with a rollback that the journal left open.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> Need {
        let current = cx.current().expect("only a deployment is rolled back");
        let decision = decision(current);
        let name = decision.hook.clone();
        let spent = current.progress.spent(cx.now.wall);
        let Some(hook) = cx.plan().hooks.iter().find(|hook| hook.name == name).cloned() else {
            return self.fail(cx, format!("hook {name} is not in the configuration any more"));
        };
        let open = current.progress.open.then(|| attempt(current));
        // It may have been edited meanwhile.
        let refusal = refusal::of_hook(current, &hook);
        let mut attempts = HookRun::new(hook, cx.now.at, spent);
        let goes_on = refusal.is_none() && attempts.resume(cx, open);
        (self.attempts, self.is_resumed) = (Some(attempts), true);
        match refusal {
            Some(refusal) => {
                self.fail(cx, format!("hook {name} as it is now cannot be run: {refusal}"))
            }
            None if goes_on => self.pursue(cx),
            None => Need::Nothing,
        }
    }

    /// Whether the outcome of an attempt is awaited.
    pub(crate) fn is_attempting(&self) -> bool {
        self.attempts.as_ref().is_some_and(HookRun::is_attempting)
    }

    /// Whether a step is being run or will be.
    pub(crate) fn has_steps_to_run(&self) -> bool {
        match self.awaits {
            RollbackAwaits::Steps => self.attempts.as_ref().is_some_and(HookRun::is_waiting),
            RollbackAwaits::Check => true,
            RollbackAwaits::Cure(_) => false,
        }
    }

    /// Whether the steps are done and the cure is being looked for.
    pub(crate) const fn is_verifying(&self) -> bool {
        matches!(self.awaits, RollbackAwaits::Cure(_))
    }

    /// Since when the cure is being looked for.
    pub(crate) const fn verified_since(&self) -> Option<Instant> {
        match &self.awaits {
            RollbackAwaits::Cure(watch) => Some(watch.since()),
            RollbackAwaits::Steps | RollbackAwaits::Check => None,
        }
    }

    /// The hook of the rollback, under way or over.
    pub(crate) fn hook(&self) -> Option<&Hook> {
        self.attempts.as_ref().map(HookRun::hook)
    }

    /// The hook that tells people that the rollback failed.
    pub(crate) fn on_failure(&self) -> Option<HookIx> {
        self.hook().and_then(|hook| hook.on_failure)
    }

    /// When [`wake`](Self::wake) must be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.awaits {
            RollbackAwaits::Steps => self.attempts.as_ref().and_then(HookRun::deadline),
            RollbackAwaits::Check => None,
            RollbackAwaits::Cure(watch) => Some(watch.deadline()),
        }
    }

    /// Takes in what became of an attempt; `None` if it is none that is awaited.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) -> Option<Need> {
        // What cannot be recorded is not awaited any more: the next start inspects it.
        let awaited = !cx.log.is_halted()
            && cx.current().is_some_and(|current| {
                current.id == outcome.deployment
                    && current.phase == Phase::RollingBack
                    && current.progress.open
                    && attempt(current) == outcome.attempt
            });
        awaited.then(|| {
            cx.record(outcome.event());
            self.pursue(cx)
        })
    }

    /// Postpones the first step.
    pub(crate) fn wait_until(&mut self, until: Instant) {
        let attempts = self.attempts.as_mut().expect("a rollback that was decided has a hook");
        attempts.wait_until(until);
    }

    /// Starts the first step, where it waits only for a drill that is over now.
    pub(crate) fn stop_waiting(&mut self, cx: &mut Cx<'_>) -> Need {
        let is_first = cx.current().is_some_and(|current| {
            current.phase == Phase::RollingBack && current.progress.number == 0
        });
        match &mut self.attempts {
            Some(attempts) if is_first && attempts.deadline().is_some() => {
                attempts.stop();
                self.follow(cx, procedure::next_after_pause)
            }
            Some(_) | None => Need::Nothing,
        }
    }

    /// Does what comes next.
    pub(crate) fn pursue(&mut self, cx: &mut Cx<'_>) -> Need {
        self.follow(cx, procedure::next)
    }

    /// Does what comes next according to `choose`.
    fn follow(&mut self, cx: &mut Cx<'_>, choose: Choose) -> Need {
        let (Some(attempts), Some(current)) = (&mut self.attempts, cx.current()) else {
            return Need::Nothing;
        };
        // An attempt that was called off may shift traffic, too: one after the other.
        if current.phase != Phase::RollingBack || cx.state().stray.is_some() {
            return Need::Nothing;
        }
        let must_check = self.is_resumed && cx.plan().deployment.live.is_some();
        let next = attempts.advance(cx.now.at, &current.id, &current.progress, choose);
        match next {
            Next::Start { number, .. } if must_check => {
                attempts.stop();
                (self.is_resumed, self.awaits) = (false, RollbackAwaits::Check);
                Need::Check { number }
            }
            Next::Start { number, pause } if pause.is_zero() => self.start_attempt(cx, number),
            Next::Await | Next::Start { .. } => Need::Nothing,
            Next::LookForCure(rerun) if self.has_cure(cx) => {
                self.look_for_cure(cx, Purpose::AfterUnknown(rerun))
            }
            Next::LookForCure(_) => self.follow(cx, procedure::next_without_cure),
            Next::Verify => self.look_for_cure(cx, Purpose::Verify),
            Next::GiveUp(why) => self.fail(cx, why),
        }
    }

    fn start_attempt(&mut self, cx: &mut Cx<'_>, number: u32) -> Need {
        let current = cx.current().expect("only a deployment is rolled back");
        let attempts = self.attempts.as_mut().expect("a rollback that was decided has a hook");
        let decision = decision(current);
        let context = HookContext {
            deployment: current.into(),
            occasion: Occasion::Rollback,
            at: cx.now.wall,
            reason: decision.trigger.reason(),
            rule: decision.trigger.rule(),
            trigger: Some(&decision.trigger),
            signals: &decision.signals,
        };
        let order = attempts.order(cx.now.at, &context, Attempt { number, ..attempt(current) });
        self.awaits = RollbackAwaits::Steps;
        if let Some(order) = attempts.start(cx, order) {
            cx.push(Effect::Run(order));
        }
        Need::Nothing
    }

    /// Goes on after a restart, once it is known what is live.
    pub(crate) fn go_on(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        live: &Live,
        compared: LiveComparison,
    ) -> Need {
        let current = cx.current().filter(|current| current.phase == Phase::RollingBack);
        let (Some(current), Some(attempts)) = (current, &self.attempts) else {
            return Need::Nothing;
        };
        let progress = &current.progress;
        // What an earlier step may have done is not somebody else's doing.
        let untouched = progress.step == 0 && progress.failed == 0 && progress.unknown == 0;
        let step = attempts.step(progress);
        let may_repeat = step.is_some_and(|step| step.idempotent || step.action.is_harmless());
        let (judged, good) = (current.version.clone(), current.good.clone());
        let refusal = version_check::refusal(cx.plan(), compared);
        version_check::record(cx, live, refusal);
        match compared {
            LiveComparison::Judged => self.start_attempt(cx, number),
            LiveComparison::Good if untouched => self.look_for_cure(cx, Purpose::Verify),
            LiveComparison::Good if may_repeat || !self.has_cure(cx) => {
                self.start_attempt(cx, number)
            }
            // Perhaps all is done, by another guard that had the same record.
            LiveComparison::Good => self.look_for_cure(cx, Purpose::AfterRestart { number }),
            LiveComparison::Unknown if !untouched || refusal.is_none() => {
                self.start_attempt(cx, number)
            }
            LiveComparison::Unknown => {
                self.fail(cx, format!("the guard was restarted, and the live version is {live}"))
            }
            LiveComparison::Other => {
                let good = good.map(|good| format!(" nor {good}")).unwrap_or_default();
                let why = format!("the live version is {live} now, neither {judged}{good}");
                self.fail(cx, why)
            }
        }
    }

    fn look_for_cure(&mut self, cx: &Cx<'_>, purpose: Purpose) -> Need {
        let hook = self.hook().expect("a rollback that was decided has a hook");
        let (at, reach) = (cx.now.at, cx.plan().longest_reach());
        self.awaits =
            RollbackAwaits::Cure(CureWatch::new(hook, purpose, at, reach, self.filling(cx)));
        Need::LiveVersion
    }

    /// How long it takes until the windows of the rule that caused the rollback are full. A guard
    /// that was just restarted would take a second without errors for a window without errors.
    fn filling(&self, cx: &Cx<'_>) -> Duration {
        let plan = cx.plan();
        let window = cause(cx).map_or(Duration::ZERO, |ix| {
            let rule = plan.rule(ix);
            plan.reach(rule).saturating_sub(rule.hold)
        });
        window.saturating_sub(cx.now.at.since(self.started))
    }

    /// Looks whether what a rollback waits for has come. `live` is what was read of the live
    /// version since the cure is being looked for.
    pub(crate) fn wake(
        &mut self,
        cx: &mut Cx<'_>,
        scrape: Option<&Scrape>,
        live: Option<&Live>,
    ) -> Need {
        match std::mem::take(&mut self.awaits) {
            RollbackAwaits::Steps => {
                let attempts = self.attempts.as_mut();
                if attempts.is_some_and(|attempts| attempts.end_pause(cx.now.at)) {
                    return self.follow(cx, procedure::next_after_pause);
                }
                Need::Nothing
            }
            RollbackAwaits::Check => {
                self.awaits = RollbackAwaits::Check;
                Need::Nothing
            }
            RollbackAwaits::Cure(mut watch) => {
                if let Some(scrape) = scrape
                    && let Some(verdict) = self.cure_verdict(cx, scrape)
                {
                    watch.judge(scrape.at, verdict);
                }
                if watch.is_seen() && is_live_cured(cx, live) {
                    return self.cured(cx, watch.purpose);
                }
                if watch.is_over(cx.now.at) {
                    return self.not_cured(cx, &watch, live);
                }
                self.awaits = RollbackAwaits::Cure(watch);
                Need::Nothing
            }
        }
    }

    /// What a scrape says of the cure; `None` if it says nothing new.
    fn cure_verdict(&self, cx: &Cx<'_>, scrape: &Scrape) -> Option<Verdict> {
        match self.hook()?.cure.as_ref() {
            Some(cure) => {
                let is_news = cx.evaluator.is_news(scrape, &cure.when.cond);
                is_news.then(|| cx.evaluator.verdict(&cure.when.cond))
            }
            None => default_cure(cx, scrape),
        }
    }

    fn cured(&mut self, cx: &mut Cx<'_>, purpose: Purpose) -> Need {
        let current = cx.current().expect("only a deployment is rolled back");
        match purpose {
            Purpose::AfterUnknown(_) => {
                let output = "the cure is seen, so it took effect".to_owned();
                let (attempt, result) = (attempt(current), StepResult::Done);
                cx.record(AttemptEvent::Outcome { attempt, result, output, took_ms: 0 });
                self.pursue(cx)
            }
            Purpose::Verify | Purpose::AfterRestart { .. } => {
                let decided = current.decision.as_ref().map(|(at, _)| *at);
                let took = decided.map(|at| cx.now.wall.since(at)).unwrap_or_default();
                let signals = evidence::of_signals(cx.evaluator);
                cx.record(RollbackEvent::Cured { signals, took_ms: evidence::millis(took) });
                incident::report(cx, "rolled back", None);
                Need::Nothing
            }
        }
    }

    fn not_cured(&mut self, cx: &mut Cx<'_>, watch: &CureWatch, live: Option<&Live>) -> Need {
        let within = format_duration(watch.within());
        match watch.purpose {
            Purpose::AfterUnknown(_) => self.follow(cx, procedure::next_without_cure),
            Purpose::AfterRestart { number } => self.start_attempt(cx, number),
            Purpose::Verify if !is_live_cured(cx, live) => {
                let instead = match live {
                    Some(Live::Version(version)) => format!("the live version is still {version}"),
                    Some(live @ Live::Unknown(_)) => format!("the live version is {live}"),
                    None => "the live version could not be read".to_owned(),
                };
                self.fail(cx, format!("{instead}, {within} after the last step"))
            }
            Purpose::Verify => {
                let cure = self.hook().and_then(|hook| hook.cure.as_ref());
                let what = cure.map_or_else(
                    || "the rules did not clear".to_owned(),
                    |cure| format!("the cure `{}` was not seen", cure.when.text),
                );
                self.fail(cx, format!("{what} within {within}"))
            }
        }
    }

    /// Whether there is a cure whose sight says that a step took effect. Where a person saw what
    /// the rules did not, that no rule holds says nothing.
    fn has_cure(&self, cx: &Cx<'_>) -> bool {
        let decision = cx.current().and_then(|current| current.decision.as_ref());
        let caused = decision.is_some_and(|(_, decision)| decision.trigger.rule().is_some());
        caused || self.hook().is_some_and(|hook| hook.cure.is_some())
    }

    /// Ends a rollback that did not help or could not be done: page, stop, wait for a person.
    fn fail(&mut self, cx: &mut Cx<'_>, why: String) -> Need {
        self.halt();
        let signals = evidence::of_signals(cx.evaluator);
        cx.record(RollbackEvent::Failed { why: why.clone(), signals });
        incident::tell_by(cx, self.on_failure(), None, &why, Occasion::RollbackFailed);
        incident::report(cx, "rollback failed", Some(why));
        Need::Nothing
    }
}

/// What was decided of a deployment that is rolled back.
fn decision(of: &Deployment) -> &Decision {
    let decision = of.decision.as_ref();
    decision.map(|(_, decision)| decision).expect("a rollback begins with its decision")
}

/// The newest attempt at the step at hand.
fn attempt(of: &Deployment) -> Attempt {
    Attempt::of(decision(of).hook.clone(), of.progress.step, of.progress.number)
}

/// The rule that caused the rollback, if one did and it is still there.
fn cause(cx: &Cx<'_>) -> Option<RuleIx> {
    let (_, decision) = cx.current()?.decision.as_ref()?;
    cx.read().rule_named(&decision.trigger.rule()?.rule)
}

/// What a scrape says where the hook has no cure of its own: a rollback has helped when the rule
/// that caused it says so, on what was sampled since, and no other critical rule holds.
fn default_cure(cx: &Cx<'_>, scrape: &Scrape) -> Option<Verdict> {
    if let Some(cause) = cause(cx) {
        let is_news = cx.evaluator.is_news(scrape, &cx.plan().rule(cause).when.cond);
        let verdict = cx.evaluator.rule(cause).verdict();
        if !is_news || verdict != Verdict::Fails {
            return is_news.then_some(match verdict {
                Verdict::NoData(why) => Verdict::NoData(why),
                Verdict::Holds | Verdict::Fails => Verdict::Fails,
            });
        }
    } else if scrape.result.is_err() {
        return None;
    }
    Some(if critical_rule_holds(cx) { Verdict::Fails } else { Verdict::Holds })
}

fn critical_rule_holds(cx: &Cx<'_>) -> bool {
    let set_aside = cx.current().map(|deployment| &deployment.set_aside);
    cx.plan().rules.iter().enumerate().any(|(index, rule)| {
        rule.severity == Severity::Critical
            && !set_aside.is_some_and(|names| names.contains(&rule.name))
            && cx.evaluator.rule(RuleIx(index)).state() != RuleState::Inactive
    })
}

/// Whether the live version is the good one, as far as that belongs to the cure.
fn is_live_cured(cx: &Cx<'_>, live: Option<&Live>) -> bool {
    let good = cx.current().and_then(|current| current.good.as_ref());
    match (good, &cx.plan().deployment.live) {
        (Some(good), Some(_)) => live.is_some_and(|live| live.is(good)),
        (Some(_) | None, _) => true,
    }
}
