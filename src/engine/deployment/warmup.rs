//! Warm-up: the time after a deployment began in which no rule can fire, and the rules that cannot
//! speak against it because they held before it began. It decides nothing.

use crate::model::entry::{Frozen, RuleEvent};
use crate::model::index::{RuleIx, SignalIx};
use crate::model::{
    name::RuleName, plan::Plan, reading::Verdict, scrape::Scrape, signal::SignalKind, time::Instant,
};

use crate::engine::context::{Cx, ReadCx};
use crate::engine::rules::evaluator::Evaluator;
use crate::engine::view::evidence;

/// The warm-up of the newest deployment, on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Warmup {
    /// When guarding began, or was resumed.
    armed: Instant,
    /// The end of warm-up; `None` once rules that held before were set aside.
    until: Option<Instant>,
    /// Rules that held when the deployment began and of which nothing was seen since the guard was
    /// restarted, or since they were changed, during warm-up.
    unseen: Vec<RuleName>,
}

impl Warmup {
    /// Starts the warm-up of a deployment that begins now and has been live since `armed`.
    pub(crate) fn begin(&mut self, cx: &mut Cx<'_>, armed: Instant) {
        let until = Some(cx.now.at.after(cx.plan().deployment.warmup));
        *self = Self { armed, until, unseen: Vec::new() };
        self.end_due(cx);
    }

    /// Goes on after a restart. After warm-up the rules that cleared in it are not told apart from
    /// those that did not.
    pub(crate) fn restart(&mut self, cx: ReadCx<'_>) {
        let Some(deployment) = cx.guarded() else { return };
        let elapsed = cx.now.wall.since(deployment.begun);
        let rest = cx.plan().deployment.warmup.checked_sub(elapsed);
        let until = rest.map(|rest| cx.now.at.after(rest));
        let unseen = if until.is_some() { deployment.holding.clone() } else { Vec::new() };
        *self = Self { armed: cx.now.at, until, unseen };
    }

    /// When guarding began, or was resumed.
    pub(crate) const fn armed(&self) -> Instant {
        self.armed
    }

    /// Whether no rule can fire yet.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.until.is_some()
    }

    /// The end of warm-up.
    pub(crate) const fn deadline(&self) -> Option<Instant> {
        self.until
    }

    /// Keeps in mind that rules held before that rest in the stage at hand: a rule that rests does
    /// not see since when it holds. To be called before another stage begins.
    pub(crate) fn keep_resting(&mut self, cx: ReadCx<'_>) {
        let Some(deployment) = cx.guarded().filter(|_| self.is_under_way()) else { return };
        let rests =
            |name: &&RuleName| cx.rule_named(name).is_some_and(|ix| !cx.evaluator.applies(ix));
        self.unseen.extend(deployment.holding.iter().filter(rests).cloned());
    }

    /// The rules that have held since before the deployment began.
    fn held_before(&self, evaluator: &Evaluator) -> Vec<RuleIx> {
        let since = |ix: &RuleIx| evaluator.rule(*ix).state.since();
        let rules = (0..evaluator.plan().rules.len()).map(RuleIx);
        rules.filter(|ix| since(ix).is_some_and(|since| since <= self.armed)).collect()
    }

    /// The rules of which warm-up has still to decide whether they are set aside.
    pub(crate) fn suspended(&self, cx: ReadCx<'_>) -> Vec<RuleName> {
        let warming_up = cx.guarded().is_some() && self.is_under_way();
        let held = if warming_up { self.held_before(cx.evaluator) } else { Vec::new() };
        held.into_iter().map(|ix| cx.plan().rule(ix).name.clone()).collect()
    }

    /// Keeps in mind which of the rules that were suspended a reload changed: such a rule starts
    /// anew, and with it the time since when it holds.
    pub(crate) fn reload(&mut self, evaluator: &Evaluator, suspended: Vec<RuleName>) {
        let plan = evaluator.plan();
        let held = self.held_before(evaluator);
        let lost = |name: &RuleName| held.iter().all(|ix| plan.rule(*ix).name != *name);
        self.unseen.extend(suspended.into_iter().filter(lost));
    }

    /// At the end of warm-up, rules that have held since before the deployment began are set
    /// aside: what they saw cannot be its doing.
    pub(crate) fn end_due(&mut self, cx: &mut Cx<'_>) {
        let due = self.until.is_some_and(|until| until <= cx.now.at);
        if !due || cx.guarded().is_none() {
            return;
        }
        self.held_before(cx.evaluator).into_iter().for_each(|ix| set_aside(cx, ix));
        self.keep_resting(cx.read());
        self.until = None;
    }

    /// Sets aside the rules that hold since a scrape of before the deployment began, which came in
    /// after warm-up: it was under way then, and what it saw cannot be the deployment's doing.
    pub(crate) fn set_aside_late(&self, cx: &mut Cx<'_>, scrape: &Scrape) {
        if scrape.at < self.armed && !self.is_under_way() {
            self.held_before(cx.evaluator).into_iter().for_each(|ix| set_aside(cx, ix));
        }
    }

    /// Sets aside each rule that held when the deployment began and holds when it is first seen
    /// again: it has held all the while.
    pub(crate) fn set_aside_unseen(&mut self, cx: &mut Cx<'_>) {
        for name in std::mem::take(&mut self.unseen) {
            let Some(ix) = cx.read().rule_named(&name) else { continue };
            match cx.evaluator.rule(ix).verdict {
                Verdict::Holds => set_aside(cx, ix),
                Verdict::Fails => {}
                Verdict::NoData(_) => self.unseen.push(name),
            }
        }
    }
}

fn set_aside(cx: &mut Cx<'_>, ix: RuleIx) {
    let rule = cx.plan().rule(ix);
    let Some(deployment) = cx.guarded() else { return };
    if !rule.relative && !deployment.set_aside.contains(&rule.name) {
        let evidence = evidence::of_rule(cx.evaluator, ix, cx.now);
        cx.record(RuleEvent::SetAside { evidence });
    }
}

/// The rules that hold, or held a moment ago, and cannot fire for a deployment that begins. A rule
/// that rests has no state, but what it would see is known. Where the deployment was live since
/// `changed` before that was seen, a rule that holds only since then is not among them.
pub(crate) fn holding(evaluator: &Evaluator, changed: Option<Instant>) -> Vec<RuleName> {
    let holds = |ix: RuleIx| {
        if evaluator.applies(ix) {
            let since = evaluator.rule(ix).state.since();
            since.is_some_and(|since| changed.is_none_or(|changed| since <= changed))
        } else {
            evaluator.holds_now(ix)
        }
    };
    let rules = evaluator.plan().rules.iter().enumerate();
    let holding = rules.filter(|(ix, rule)| !rule.relative && holds(RuleIx(*ix)));
    holding.map(|(_, rule)| rule.name.clone()).collect()
}

/// Which signals have no baseline, for whoever begins a deployment.
pub(crate) fn thin(plan: &Plan, baselines: &[Frozen]) -> String {
    let lacks = |of: SignalIx| baselines.iter().all(|each| each.signal != plan.signal(of).name);
    for signal in &plan.signals {
        if let SignalKind::Baseline { of, .. } = signal.kind
            && lacks(of)
        {
            return format!("; no baseline for {}: too many groups", plan.signal(of).name);
        }
    }
    let thin = baselines.iter().find(|frozen| frozen.value.is_none());
    thin.map_or_else(String::new, |frozen| {
        let Frozen { signal, readings, needed, .. } = frozen;
        format!("; no baseline for {signal}: {readings} of {needed} readings")
    })
}
