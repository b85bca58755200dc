//! The rollback: one decision, its steps in order, and the cure. `procedure` decides what comes
//! next from what is on record; this component records it and asks the shell for it. Where the rest
//! of the guard has to do something first, it says so in a [`RunStep`].

use std::time::Duration;

use crate::model::entry::{AttemptEvent, Decision, RollbackEvent, StepResult};
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::live::Live;
use crate::model::plan::Plan;
use crate::model::reading::Verdict;
use crate::model::rule::Severity;
use crate::model::scrape::Scrape;
use crate::model::time::{Instant, format_duration, millis};

use super::attempts::{Awaits, Choose, HookRun, RunKind, RunStep};
use super::order::Occasion;
use super::procedure::{self, Next};
use crate::engine::context::Cx;
use crate::engine::deployment::version_check::{self, LiveComparison, RollbackCase};
use crate::engine::durable::deployment::Deployment;
use crate::engine::effect::{Conclusion, Outcome, Rerun};
use crate::engine::notify::incident;
use crate::engine::policy::refusal;
use crate::engine::rules::state::{FiringTerms, Judgement, RuleState};
use crate::engine::view::evidence;

const KIND: RunKind = RunKind::Rollback;

/// How long a cure is looked for where the hook does not say, unless the rules need longer to
/// notice: a rollback as a whole should take less than this.
const DEFAULT_WITHIN: Duration = Duration::from_secs(300);

/// How long a cure is looked for beyond its own `for` after an interrupted step that may be run
/// again. Running it again is safe and is what heals, so the look is only long enough to see that
/// it is not needed.
const BRIEFLY: Duration = Duration::from_secs(10);

/// The rollback of the current deployment.
#[derive(Debug, Default)]
pub(crate) struct Rollback {
    /// The hook's run. It is kept when the rollback is over: the hook says who is told of what
    /// fails afterwards.
    run: HookRun,
    cure: Option<CureWatch>,
    /// The guard was restarted in the middle of the rollback: the live version is checked before
    /// the next attempt.
    is_resumed: bool,
    /// When the guard was started: its windows hold nothing older.
    started: Instant,
}

/// A cure that is being looked for: what must be seen, freshly, after the steps are done.
#[derive(Debug)]
struct CureWatch {
    /// Only what was sampled after this counts.
    since: Instant,
    /// When it must have been seen.
    until: Instant,
    purpose: CurePurpose,
    terms: FiringTerms,
    state: RuleState,
}

/// What depends on a cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CurePurpose {
    /// Every step is done; now it must help.
    Verify,
    /// The guard was restarted between two steps and the good version is live: perhaps all is
    /// done. Otherwise this attempt at the next step starts.
    AfterRestart { number: u32 },
    /// A step of unknown outcome: if the cure is there, it took effect.
    AfterUnknown(Rerun),
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
        self.cure = None;
        self.run.wait_for(Awaits::Nothing);
    }

    /// Remembers the hook of a rollback that is over.
    pub(crate) fn remember(&mut self, hook: Hook, at: Instant) {
        self.run = HookRun::new(hook, at, Duration::ZERO);
    }

    /// Makes the hook refer to other hooks by their places in a new plan.
    pub(crate) fn reload(&mut self, old: &Plan, new: &Plan) {
        if let Some(hook) = self.run.hook_mut() {
            let name = hook.on_failure.map(|next| &old.hook(next).name);
            hook.on_failure =
                new.hooks.iter().position(|next| Some(&next.name) == name).map(HookIx);
        }
    }

    /// Records the decision to roll back. The first step is begun with [`pursue`](Self::pursue).
    pub(crate) fn decide(&mut self, cx: &mut Cx<'_>, case: RollbackCase) {
        let RollbackCase { trigger, hook, approval } = case;
        let decision = cx.read().decision(trigger, &hook);
        (self.is_resumed, self.cure) = (false, None);
        self.run = HookRun::new(hook, cx.now.at, Duration::ZERO);
        cx.record(RollbackEvent::Decided(Box::new(Decision { approval, ..decision })));
    }

    /// Goes on with a rollback that the journal left open.
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> RunStep {
        let (Some(run), Some(current)) = (KIND.recorded(cx), cx.current()) else {
            return RunStep::Nothing;
        };
        self.run = match HookRun::restore(cx, &run) {
            Ok(run) => run,
            Err(why) => return self.fail(cx, why),
        };
        self.is_resumed = true;
        // It may have been edited meanwhile.
        let hook = self.hook().expect("it was restored");
        if let Some(refusal) = refusal::of_hook(current, hook) {
            let why = format!("hook {} as it is now cannot be run: {refusal}", hook.name);
            return self.fail(cx, why);
        }
        if self.run.resume(cx, KIND) { self.pursue(cx) } else { RunStep::Nothing }
    }

    /// Whether the outcome of an attempt is awaited.
    pub(crate) fn is_attempting(&self) -> bool {
        self.run.awaits() == Awaits::Outcome
    }

    /// Whether a step is being run or will be.
    pub(crate) fn has_steps_to_run(&self) -> bool {
        self.run.awaits() != Awaits::Nothing
    }

    /// Whether the steps are done and the cure is being looked for.
    pub(crate) const fn is_verifying(&self) -> bool {
        self.cure.is_some()
    }

    /// Since when the cure is being looked for.
    pub(crate) fn verified_since(&self) -> Option<Instant> {
        self.cure.as_ref().map(|watch| watch.since)
    }

    /// The hook of the rollback, under way or over.
    pub(crate) const fn hook(&self) -> Option<&Hook> {
        self.run.hook()
    }

    /// The hook that tells people that the rollback failed.
    pub(crate) fn on_failure(&self) -> Option<HookIx> {
        self.hook().and_then(|hook| hook.on_failure)
    }

    /// When [`wake`](Self::wake) must be called at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.cure.as_ref().map(|watch| watch.until).or(self.run.deadline())
    }

    /// Takes in what became of an attempt; `None` if it is none that is awaited.
    pub(crate) fn settle(&mut self, cx: &mut Cx<'_>, outcome: &Outcome) -> Option<RunStep> {
        // What cannot be recorded is not awaited any more: the next start inspects it.
        let awaited = !cx.log.is_halted() && KIND.awaits(cx, outcome);
        awaited.then(|| {
            cx.record(outcome.event());
            self.pursue(cx)
        })
    }

    /// Postpones the first step.
    pub(crate) const fn wait_until(&mut self, until: Instant) {
        self.run.wait_for(Awaits::Backoff { until });
    }

    /// Starts the first step, where it waits only for a drill that is over now.
    pub(crate) fn stop_waiting(&mut self, cx: &mut Cx<'_>) -> RunStep {
        let is_first = KIND.recorded(cx).is_some_and(|run| run.progress.number == 0);
        if !is_first || self.run.deadline().is_none() {
            return RunStep::Nothing;
        }
        self.run.wait_for(Awaits::Nothing);
        self.follow(cx, procedure::next_after_pause)
    }

    /// Does what comes next.
    pub(crate) fn pursue(&mut self, cx: &mut Cx<'_>) -> RunStep {
        self.follow(cx, procedure::next)
    }

    /// Does what comes next according to `choose`.
    fn follow(&mut self, cx: &mut Cx<'_>, choose: Choose) -> RunStep {
        // An attempt that was called off may shift traffic, too: one after the other.
        if cx.state().stray.is_some() {
            return RunStep::Nothing;
        }
        let must_check = self.is_resumed && cx.plan().deployment.live.is_some();
        match self.run.advance(cx, KIND, choose) {
            Next::Start { number, .. } if must_check => {
                self.run.wait_for(Awaits::Check);
                self.is_resumed = false;
                RunStep::Check { number }
            }
            Next::Start { number, pause } if pause.is_zero() => self.run.start(cx, KIND, number),
            Next::Await | Next::Start { .. } => RunStep::Nothing,
            Next::LookForCure(rerun) if self.has_cure(cx) => {
                self.look_for_cure(cx, CurePurpose::AfterUnknown(rerun))
            }
            Next::LookForCure(_) => self.follow(cx, procedure::next_without_cure),
            Next::Verify => self.look_for_cure(cx, CurePurpose::Verify),
            Next::GiveUp(why) => self.fail(cx, why),
        }
    }

    /// Goes on after a restart, once it is known what is live.
    pub(crate) fn go_on(
        &mut self,
        cx: &mut Cx<'_>,
        number: u32,
        live: &Live,
        compared: LiveComparison,
    ) -> RunStep {
        let Some(run) = KIND.recorded(cx) else { return RunStep::Nothing };
        let progress = run.progress;
        // What an earlier step may have done is not somebody else's doing.
        let untouched = progress.step == 0 && progress.failed == 0 && progress.unknown == 0;
        let step = self.hook().and_then(|hook| hook.steps.get(progress.step as usize));
        let may_repeat = step.is_some_and(|step| step.idempotent || step.action.is_harmless());
        let (judged, good) = (run.context.version.clone(), run.context.good.cloned());
        let refusal = version_check::refusal(cx.plan(), compared);
        version_check::record(cx, live, refusal);
        match compared {
            LiveComparison::Judged => self.run.start(cx, KIND, number),
            LiveComparison::Good if untouched => self.look_for_cure(cx, CurePurpose::Verify),
            LiveComparison::Good if may_repeat || !self.has_cure(cx) => {
                self.run.start(cx, KIND, number)
            }
            // Perhaps all is done, by another guard that had the same record.
            LiveComparison::Good => self.look_for_cure(cx, CurePurpose::AfterRestart { number }),
            LiveComparison::Unknown if !untouched || refusal.is_none() => {
                self.run.start(cx, KIND, number)
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

    /// Looks for the hook's cure from now on. Without a cure of its own what the rules say must
    /// stay so until their windows are full.
    fn look_for_cure(&mut self, cx: &Cx<'_>, purpose: CurePurpose) -> RunStep {
        let cure = self.hook().and_then(|hook| hook.cure.as_ref());
        let (hold, within) = match cure {
            Some(cure) => (cure.hold, cure.within),
            None => (self.filling(cx), DEFAULT_WITHIN.max(cx.plan().longest_reach() * 2)),
        };
        let briefly = cure.map_or(Duration::ZERO, |cure| cure.hold) + BRIEFLY;
        let within = match purpose {
            CurePurpose::AfterUnknown(Rerun::Safe) | CurePurpose::AfterRestart { .. } => {
                within.min(briefly)
            }
            CurePurpose::AfterUnknown(Rerun::Never) | CurePurpose::Verify => within,
        };
        let (terms, state) = (FiringTerms::held_for(hold), RuleState::Inactive);
        let (since, until) = (cx.now.at, cx.now.at.after(within));
        self.run.wait_for(Awaits::Nothing);
        self.cure = Some(CureWatch { since, until, purpose, terms, state });
        RunStep::LiveVersion
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
    ) -> RunStep {
        let Some(mut watch) = self.cure.take() else {
            let is_due = self.run.end_pause(cx.now.at);
            return if is_due {
                self.follow(cx, procedure::next_after_pause)
            } else {
                RunStep::Nothing
            };
        };
        if let Some(scrape) = scrape.filter(|scrape| scrape.at >= watch.since)
            && let Some(verdict) = self.cure_verdict(cx, scrape)
        {
            watch.state.judge(&watch.terms, scrape.at, Judgement::Fresh(verdict));
        }
        if matches!(watch.state, RuleState::Firing(_)) && is_live_cured(cx, live) {
            return self.cured(cx, watch.purpose);
        }
        if cx.now.at >= watch.until {
            return self.not_cured(cx, &watch, live);
        }
        self.cure = Some(watch);
        RunStep::Nothing
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

    fn cured(&mut self, cx: &mut Cx<'_>, purpose: CurePurpose) -> RunStep {
        match purpose {
            CurePurpose::AfterUnknown(_) => {
                let output = "the cure is seen, so it took effect".to_owned();
                let run = KIND.recorded(cx).expect("only a rollback under way looks for its cure");
                let (attempt, result) = (run.newest, StepResult::Done);
                cx.record(AttemptEvent::Outcome { attempt, result, output, took_ms: 0 });
                self.pursue(cx)
            }
            CurePurpose::Verify | CurePurpose::AfterRestart { .. } => {
                let decided = cx.current().and_then(|current| current.decision.as_ref());
                let took = decided.map(|(at, _)| cx.now.wall.since(*at)).unwrap_or_default();
                let signals = evidence::of_signals(cx.evaluator);
                cx.record(RollbackEvent::Cured { signals, took_ms: millis(took) });
                incident::report(cx, None, Conclusion::RolledBack, None);
                RunStep::Nothing
            }
        }
    }

    fn not_cured(&mut self, cx: &mut Cx<'_>, watch: &CureWatch, live: Option<&Live>) -> RunStep {
        let within = format_duration(watch.until.since(watch.since));
        match watch.purpose {
            CurePurpose::AfterUnknown(_) => self.follow(cx, procedure::next_without_cure),
            CurePurpose::AfterRestart { number } => self.run.start(cx, KIND, number),
            CurePurpose::Verify if !is_live_cured(cx, live) => {
                let instead = match live {
                    Some(Live::Version(version)) => format!("the live version is still {version}"),
                    Some(live @ Live::Unknown(_)) => format!("the live version is {live}"),
                    None => "the live version could not be read".to_owned(),
                };
                self.fail(cx, format!("{instead}, {within} after the last step"))
            }
            CurePurpose::Verify => {
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
        let trigger = cx.current().and_then(Deployment::trigger);
        trigger.is_some_and(|trigger| trigger.rule().is_some())
            || self.hook().is_some_and(|hook| hook.cure.is_some())
    }

    /// Ends a rollback that did not help or could not be done: page, stop, wait for a person.
    fn fail(&mut self, cx: &mut Cx<'_>, why: String) -> RunStep {
        self.halt();
        let signals = evidence::of_signals(cx.evaluator);
        cx.record(RollbackEvent::Failed { why: why.clone(), signals });
        incident::tell_by(cx, self.on_failure(), None, &why, Occasion::RollbackFailed);
        incident::report(cx, None, Conclusion::Failed, Some(why));
        RunStep::Nothing
    }
}

/// The rule that caused the rollback, if one did and it is still there.
fn cause(cx: &Cx<'_>) -> Option<RuleIx> {
    cx.read().rule_named(&cx.current()?.trigger()?.rule()?.rule)
}

/// What a scrape says where the hook has no cure of its own: a rollback has helped when the rule
/// that caused it says so, on what was sampled since, and no other critical rule holds.
fn default_cure(cx: &Cx<'_>, scrape: &Scrape) -> Option<Verdict> {
    if let Some(cause) = cause(cx) {
        let is_news = cx.evaluator.is_news(scrape, &cx.plan().rule(cause).when.cond);
        let verdict = cx.evaluator.rule(cause).verdict;
        if !is_news || verdict != Verdict::Fails {
            return is_news.then_some(match verdict {
                Verdict::NoData(why) => Verdict::NoData(why),
                Verdict::Holds | Verdict::Fails => Verdict::Fails,
            });
        }
    } else if scrape.result.is_err() {
        return None;
    }
    let set_aside = cx.current().map(|deployment| &deployment.set_aside);
    let holds = cx.plan().rules.iter().enumerate().any(|(index, rule)| {
        rule.severity == Severity::Critical
            && !set_aside.is_some_and(|names| names.contains(&rule.name))
            && cx.evaluator.rule(RuleIx(index)).state != RuleState::Inactive
    });
    Some(if holds { Verdict::Fails } else { Verdict::Holds })
}

/// Whether the live version is the good one, as far as that belongs to the cure.
fn is_live_cured(cx: &Cx<'_>, live: Option<&Live>) -> bool {
    let good = cx.current().and_then(|current| current.good.as_ref());
    match (good, &cx.plan().deployment.live) {
        (Some(good), Some(_)) => live.is_some_and(|live| live.is(good)),
        (Some(_) | None, _) => true,
    }
}
