//! The end of a bake: whether a deployment that was guarded for its time may count as good.

use crate::model::index::{RuleIx, TargetIx};
use crate::model::{entry::DeploymentEvent, plan::Plan, rule::Severity, time::Instant};

use super::stages;
use crate::engine::context::{Cx, ReadCx};
use crate::engine::rules::state::RuleState;

/// The bake of the newest deployment, on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Bake {
    /// The end of the bake; `None`: it never ends.
    until: Option<Instant>,
    /// The end of the bake was met, but nothing was committed: what that waits for is a scrape,
    /// not time.
    overdue: bool,
}

impl Bake {
    /// The bake of a deployment that begins now.
    pub(crate) fn begin(cx: ReadCx<'_>) -> Self {
        let until = cx.plan().deployment.bake.map(|bake| cx.now.at.after(bake));
        Self { until, overdue: false }
    }

    /// The rest of the bake of the guarded deployment after a restart. What happened while the
    /// guard was away was not seen: every rule gets the time that it needs to fire on what it can
    /// see from now on.
    pub(crate) fn restart(&mut self, cx: ReadCx<'_>) {
        let Some(deployment) = cx.guarded() else { return };
        let elapsed = cx.now.wall.since(deployment.begun);
        let rest = |bake: std::time::Duration| {
            cx.now.at.after(bake.saturating_sub(elapsed).max(cx.plan().longest_reach()))
        };
        *self = Self { until: cx.plan().deployment.bake.map(rest), overdue: false };
    }

    /// Takes over another plan. What new rules did not see was not survived: each gets the time
    /// that it needs to fire.
    pub(crate) fn reload(&mut self, plan: &Plan, at: Instant) {
        if let Some(until) = self.until {
            let until = Some(until.max(at.after(plan.longest_reach())));
            *self = Self { until, overdue: false };
        }
    }

    /// The end of the bake.
    pub(crate) const fn until(&self) -> Option<Instant> {
        self.until
    }

    /// When the end of the bake must be looked at.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.until.filter(|_| !self.overdue)
    }

    /// Commits a deployment that survived its bake; whether it did. It does so only at an instant
    /// at which no critical rule holds and every target that one needs answers. What was not seen
    /// was not survived.
    pub(crate) fn end_due(&mut self, cx: &mut Cx<'_>, armed: Instant) -> bool {
        if self.until.is_none_or(|until| until > cx.now.at) {
            return false;
        }
        self.overdue = true;
        let Some(deployment) = cx.guarded() else { return false };
        if withheld(cx.read(), armed).is_some() {
            return false;
        }
        let version = deployment.version.clone();
        cx.record(DeploymentEvent::Baked { version });
        true
    }
}

/// Why the guarded deployment, which was armed at `armed`, cannot be committed at this instant.
pub(crate) fn withheld(cx: ReadCx<'_>, armed: Instant) -> Option<String> {
    let deployment = cx.guarded()?;
    if deployment.ask.is_some() {
        return Some("a rollback awaits approval".to_owned());
    }
    // What could not be acted on is not survived.
    if cx.state().pause.is_some() {
        return Some("automatic rollbacks are paused".to_owned());
    }
    // A version that only ever had some of the traffic is not good.
    if let Some(why) = stages::unfinished(cx) {
        return Some(why);
    }
    let (mut critical, mut judged) = (false, false);
    for (index, rule) in cx.plan().rules.iter().enumerate() {
        let ix = RuleIx(index);
        if rule.severity == Severity::Warning || deployment.set_aside.contains(&rule.name) {
            continue;
        }
        let state = cx.evaluator.rule(ix);
        if state.state != RuleState::Inactive {
            return Some(format!("rule {} is {}", rule.name, cx.evaluator.standing(ix)));
        }
        if let Some(TargetIx(target)) = cx.evaluator.blind(ix, cx.now.at) {
            let target = &cx.plan().targets[target].name;
            return Some(format!("target {target}, which rule {} needs, is silent", rule.name));
        }
        critical = true;
        judged |= state.judged.is_some_and(|at| at >= armed);
    }
    let blind = critical && !judged;
    blind.then(|| "no critical rule has had data to judge by since it began".to_owned())
}
