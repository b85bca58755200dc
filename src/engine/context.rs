//! What a component of the guard is called with: the time, the evaluator to read, and the log to
//! read and to write. It owns nothing; the guard lends it for the length of one call.

use std::sync::Arc;

use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::{
    command::Rejection, durable::log::Log, durable::stage::StrayAttempt, durable::state::Durable,
    effect::Effect, notify::outbox, rules::evaluator::Evaluator, rules::state::RuleState,
    view::evidence,
};
use crate::model::entry::{Decision, Entry, Event, Trigger};
use crate::model::name::{DeploymentId, HookName, RuleName};
use crate::model::{hook::Hook, index::RuleIx, plan::Plan, reading::Verdict, time::Moment};

/// What a component of the guard is called with.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) now: Moment,
    pub(crate) evaluator: &'a Evaluator,
    pub(crate) log: &'a mut Log,
}

/// What a component is asked with: the same, read only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadCx<'a> {
    pub(crate) now: Moment,
    pub(crate) evaluator: &'a Evaluator,
    pub(crate) log: &'a Log,
}

impl<'a> ReadCx<'a> {
    /// The plan in force.
    pub(crate) fn plan(self) -> &'a Arc<Plan> {
        self.evaluator.plan()
    }

    /// The durable state, with every entry that was asked for so far.
    pub(crate) const fn state(self) -> &'a Durable {
        self.log.state()
    }

    /// The newest deployment, guarded or not.
    pub(crate) const fn current(self) -> Option<&'a Deployment> {
        self.log.state().current.as_ref()
    }

    /// The deployment, while it is guarded.
    pub(crate) fn guarded(self) -> Option<&'a Deployment> {
        self.current().filter(|deployment| deployment.phase == Phase::Guarding)
    }

    /// The deployment, while it is guarded and something can still be recorded of it.
    pub(crate) fn active(self) -> Option<&'a Deployment> {
        self.guarded().filter(|_| !self.log.is_halted())
    }

    /// The newest deployment, for a command that may name it.
    pub(crate) fn addressed(self, id: Option<&DeploymentId>) -> Result<&'a Deployment, Rejection> {
        let current =
            self.current().ok_or_else(|| Rejection::because("no deployment has begun"))?;
        let other = id.filter(|asked| **asked != current.id);
        other.map_or(Ok(current), |asked| {
            let current = &current.id;
            let why = format!("deployment {asked} is not the current one, {current} is");
            Err(Rejection::because(why))
        })
    }

    /// The same, if it is guarded.
    pub(crate) fn addressed_guarded(
        self,
        id: Option<&DeploymentId>,
    ) -> Result<&'a Deployment, Rejection> {
        let current = self.addressed(id)?;
        let why = match &current.phase {
            Phase::Guarding => return Ok(current),
            Phase::RollingBack => return Err(Rejection::RollingBack(current.id.clone())),
            Phase::RolledBack => "rolled back",
            Phase::Failed(why) => &format!("failed, {why}"),
            Phase::Baked => "baked",
            Phase::Ended(why) => why,
        };
        let why = format!("deployment {} is not guarded any more: {why}", current.id);
        Err(Rejection::because(why))
    }

    /// The place of a rule in the plan in force.
    pub(crate) fn rule_named(self, name: &RuleName) -> Option<RuleIx> {
        self.plan().rules.iter().position(|rule| rule.name == *name).map(RuleIx)
    }

    /// Whether a rule is inactive because of what was seen: what is not seen has not cleared.
    pub(crate) fn is_clear(self, ix: RuleIx) -> bool {
        let rule = self.evaluator.rule(ix);
        rule.state == RuleState::Inactive && rule.verdict == Verdict::Fails
    }

    /// What a rollback of the current deployment by a hook would rest on now.
    pub(crate) fn decision(self, trigger: Trigger, hook: &Hook) -> Decision {
        let deployment = self.current().expect("only a deployment is rolled back");
        Decision {
            trigger,
            hook: hook.name.clone(),
            version: deployment.version.clone(),
            good: deployment.good.clone(),
            approval: None,
            cure: evidence::describe_cure(hook),
            rules: evidence::of_rules(self.evaluator, self.now),
            signals: evidence::of_signals(self.evaluator),
        }
    }

    /// A hook of the plan in force.
    pub(crate) fn hook_named(self, name: &HookName) -> Option<&'a Hook> {
        self.plan().hooks.iter().find(|hook| hook.name == *name)
    }
}

impl<'a> Cx<'a> {
    /// The same, read only.
    pub(crate) const fn read(&self) -> ReadCx<'_> {
        ReadCx { now: self.now, evaluator: self.evaluator, log: self.log }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> &'a Arc<Plan> {
        self.evaluator.plan()
    }

    /// The durable state, with every entry that was asked for so far.
    pub(crate) const fn state(&self) -> &Durable {
        self.log.state()
    }

    /// The newest deployment, guarded or not.
    pub(crate) const fn current(&self) -> Option<&Deployment> {
        self.log.state().current.as_ref()
    }

    /// The deployment, while it is guarded.
    pub(crate) fn guarded(&self) -> Option<&Deployment> {
        self.read().guarded()
    }

    /// Records an event of the newest deployment.
    pub(crate) fn record(&mut self, event: impl Into<Event>) {
        let deployment = self.current().map(|deployment| deployment.id.clone());
        self.record_for(deployment, event);
    }

    /// Records an event of a certain deployment, or of none. The event is applied to the durable
    /// state at once, and channels are told of it where it is an alert.
    pub(crate) fn record_for(&mut self, deployment: Option<DeploymentId>, event: impl Into<Event>) {
        let had_stray = self.state().stray.is_some();
        if self.log.record(Entry { at: self.now.wall, deployment, event: event.into() }) {
            outbox::send_newest(self.log, self.evaluator);
            if !had_stray {
                self.call_off();
            }
        }
    }

    /// Asks for the end of the attempt that nobody needs any more, where there is one.
    pub(crate) fn call_off(&mut self) {
        if let Some(StrayAttempt { deployment, attempt }) = self.state().stray.clone() {
            self.push(Effect::CallOff { deployment, attempt });
        }
    }

    /// Asks the shell for something.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.log.push(effect);
    }
}
