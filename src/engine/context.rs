//! What a component of the guard is called with: the time, the evaluator to read, and the log to
//! read and to write. It owns nothing; the guard lends it for the length of one call.

use std::sync::Arc;

use crate::engine::durable::log::Log;
use crate::engine::durable::state::{Deployment, Durable, Phase};
use crate::engine::effect::Effect;
use crate::engine::notify::outbox;
use crate::engine::rules::evaluator::Evaluator;
use crate::model::entry::{Entry, Event};
use crate::model::hook::Hook;
use crate::model::index::RuleIx;
use crate::model::name::HookName;
use crate::model::name::{DeploymentId, RuleName};
use crate::model::plan::Plan;
use crate::model::time::Moment;

/// What a component of the guard is called with.
#[derive(Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) now: Moment,
    pub(crate) evaluator: &'a Evaluator,
    pub(crate) log: &'a mut Log,
}

impl<'a> Cx<'a> {
    /// A context for one call.
    pub(crate) const fn new(now: Moment, evaluator: &'a Evaluator, log: &'a mut Log) -> Self {
        Self { now, evaluator, log }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
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
        self.current().filter(|deployment| deployment.phase == Phase::Guarding)
    }

    /// The place of a rule in the plan in force.
    pub(crate) fn rule_named(&self, name: &RuleName) -> Option<RuleIx> {
        self.plan().rules.iter().position(|rule| rule.name == *name).map(RuleIx)
    }

    /// A hook of the plan in force.
    pub(crate) fn hook_named(&self, name: &HookName) -> Option<&Hook> {
        self.plan().hooks.iter().find(|hook| hook.name == *name)
    }

    /// Records an event of the newest deployment.
    pub(crate) fn record(&mut self, event: Event) {
        let deployment = self.current().map(|deployment| deployment.id.clone());
        self.record_for(deployment, event);
    }

    /// Records an event of a certain deployment, or of none. The event is applied to the durable
    /// state at once, and channels are told of it where it is an alert.
    pub(crate) fn record_for(&mut self, deployment: Option<DeploymentId>, event: Event) {
        if self.log.record(Entry { at: self.now.wall, deployment, event }) {
            outbox::send_newest(self.log, self.evaluator);
        }
    }

    /// Whether nothing is done any more.
    pub(crate) const fn is_halted(&self) -> bool {
        self.log.is_halted()
    }

    /// Asks the shell for something.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.log.push(effect);
    }
}
