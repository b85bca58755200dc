//! Arming: the times of a deployment, and the rules that cannot speak against it because they
//! held before it began. It decides nothing.

use crate::model::entry::{Frozen, RuleEvent};
use crate::model::index::{RuleIx, SignalIx};
use crate::model::name::RuleName;
use crate::model::plan::Plan;
use crate::model::reading::Verdict;
use crate::model::rule::Rule;
use crate::model::signal::SignalKind;
use crate::model::time::Moment;

use crate::engine::guard::{Guard, Timers};
use crate::engine::view::evidence;

impl Guard {
    /// Starts the times of a deployment that begins now.
    pub(crate) fn start_timers(&mut self, now: Moment) {
        let settings = &self.plan().deployment;
        let bake = settings.bake.map(|bake| now.at.after(bake));
        let warm = Some(now.at.after(settings.warmup));
        let armed = self.live.changed.unwrap_or(now.at);
        self.timers = Timers { armed, warm, bake, overdue: false };
        self.unseen.clear();
        self.end_warmup(now);
    }

    /// Goes on guarding after a restart.
    pub(crate) fn resume_guarding(&mut self, now: Moment) {
        let Some(deployment) = self.guarded() else { return };
        let (elapsed, holding) = (now.wall.since(deployment.begun), deployment.holding.clone());
        let settings = &self.plan().deployment;
        let warm = settings.warmup.checked_sub(elapsed).map(|rest| now.at.after(rest));
        // What happened while the guard was away was not seen: every rule gets the time that it
        // needs to fire on what it can see from now on.
        let bake = settings.bake.map(|bake| {
            let rest = bake.saturating_sub(elapsed).max(self.plan().longest_reach());
            now.at.after(rest)
        });
        self.timers = Timers { armed: now.at, warm, bake, overdue: false };
        // After warm-up those that cleared in it are not told apart from those that did not.
        self.unseen = if warm.is_some() { holding } else { Vec::new() };
    }

    /// The rules that hold, or held a moment ago, and cannot fire for it. One that rests has no
    /// state, but what it would see is known. One that holds only since a change that was detected
    /// afterwards is none of them.
    pub(crate) fn holding(&self) -> Vec<RuleName> {
        let before = |ix| match (self.evaluator.rule(ix).state().since(), self.live.changed) {
            (Some(since), Some(changed)) => since <= changed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let holds = |ix| match self.evaluator.applies(ix) {
            true => before(ix),
            false => self.evaluator.holds_now(ix),
        };
        let rules = self.plan().rules.iter().enumerate();
        let holding = rules.filter(|(ix, rule)| !rule.relative && holds(RuleIx(*ix)));
        holding.map(|(_, rule)| rule.name.clone()).collect()
    }

    /// A rule that rests does not see since when it holds, no more than one that nothing was seen
    /// of. To be called before its stage begins, or warm-up ends.
    pub(crate) fn keep_resting(&mut self) {
        let Some(deployment) = self.guarded() else { return };
        let rests = |name: &&RuleName| {
            let place = self.plan().rules.iter().position(|rule| rule.name == **name);
            place.is_some_and(|ix| !self.evaluator.applies(RuleIx(ix)))
        };
        let resting: Vec<RuleName> = deployment.holding.iter().filter(rests).cloned().collect();
        self.unseen.extend(resting);
    }

    /// The rules that have held since before the deployment began.
    fn held_before(&self) -> Vec<RuleName> {
        let before = |since| since <= self.timers.armed;
        let rules = self.plan().rules.iter().enumerate();
        let held = rules
            .filter(|(ix, _)| self.evaluator.rule(RuleIx(*ix)).state().since().is_some_and(before));
        held.map(|(_, rule)| rule.name.clone()).collect()
    }

    /// Those of them about which warm-up has still to decide.
    pub(crate) fn suspended(&self) -> Vec<RuleName> {
        let warming = self.guarded().is_some() && self.timers.warm.is_some();
        if warming { self.held_before() } else { Vec::new() }
    }

    /// A rule that a reload changed starts anew, and with it the time since when it holds.
    pub(crate) fn keep_suspended(&mut self, before: Vec<RuleName>) {
        let kept = self.held_before();
        let lost = before.into_iter().filter(|name| !kept.contains(name));
        self.unseen.extend(lost);
    }

    /// At the end of warm-up, rules that have held since before the deployment began are set
    /// aside: what they saw cannot be its doing.
    pub(crate) fn end_warmup(&mut self, now: Moment) {
        let due = self.timers.warm.is_some_and(|warm| warm <= now.at);
        if !due || self.guarded().is_none() {
            return;
        }
        self.timers.warm = None;
        for ix in (0..self.plan().rules.len()).map(RuleIx) {
            let since = self.evaluator.rule(ix).state().since();
            if since.is_some_and(|since| since <= self.timers.armed) {
                self.set_aside(now, ix);
            }
        }
        self.keep_resting();
    }

    /// A guard that was restarted in warm-up does not see since when a rule holds. One that held
    /// when the deployment began, and holds when it is first seen again, has held all the while.
    pub(crate) fn set_aside_unseen(&mut self, now: Moment) {
        for name in std::mem::take(&mut self.unseen) {
            let place = |rule: &Rule| rule.name == name;
            let Some(ix) = self.plan().rules.iter().position(place).map(RuleIx) else { continue };
            match self.evaluator.rule(ix).verdict() {
                Verdict::Holds => self.set_aside(now, ix),
                Verdict::Fails => {}
                Verdict::NoData(_) => self.unseen.push(name),
            }
        }
    }

    fn set_aside(&mut self, now: Moment, ix: RuleIx) {
        let rule = self.plan().rule(ix);
        let Some(deployment) = self.guarded() else { return };
        if !rule.relative && !deployment.set_aside.contains(&rule.name) {
            let evidence = evidence::of_rule(&self.evaluator, ix, now);
            self.record(now, RuleEvent::SetAside { evidence });
        }
    }
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
