//! The end of a bake: whether a deployment that was guarded for its time may count as good.

use crate::model::deployment::Milestone;
use crate::model::entry::DeploymentEvent;
use crate::model::index::{RuleIx, TargetIx};
use crate::model::rule::Severity;
use crate::model::time::{Instant, Moment};

use crate::engine::guard::Guard;
use crate::engine::rules::state::RuleState;

impl Guard {
    /// Commits a deployment that survived its bake: only at an instant at which no critical rule
    /// holds and every target that one needs answers. What was not seen was not survived.
    pub(crate) fn bake(&mut self, now: Moment) {
        if self.timers.bake.is_none_or(|bake| bake > now.at) {
            return;
        }
        self.timers.overdue = true;
        if self.bake_withheld(now.at).is_some() {
            return;
        }
        let version = self.guarded().map(|deployment| deployment.version.clone());
        if let Some(version) = version {
            self.record(now, DeploymentEvent::Baked { version });
            self.go_along(now, Milestone::Commit);
        }
    }

    /// Why a deployment cannot be committed at this instant.
    pub(crate) fn bake_withheld(&self, at: Instant) -> Option<String> {
        let deployment = self.guarded()?;
        if deployment.ask.is_some() {
            return Some("a rollback awaits approval".to_owned());
        }
        // What could not be acted on is not survived.
        if self.log.state().pause.is_some() {
            return Some("automatic rollbacks are paused".to_owned());
        }
        // A version that only ever had some of the traffic is not good.
        if let Some(why) = self.unfinished_stage() {
            return Some(why);
        }
        let (mut critical, mut judged) = (false, false);
        for (index, rule) in self.plan().rules.iter().enumerate() {
            let ix = RuleIx(index);
            if rule.severity == Severity::Warning || deployment.set_aside.contains(&rule.name) {
                continue;
            }
            if self.evaluator.rule(ix).state() != RuleState::Inactive {
                return Some(format!("rule {} is {}", rule.name, self.evaluator.standing(ix)));
            }
            if let Some(TargetIx(target)) = self.evaluator.blind(ix, at) {
                let target = &self.plan().targets[target].name;
                return Some(format!("target {target}, which rule {} needs, is silent", rule.name));
            }
            critical = true;
            judged |= self.evaluator.rule(ix).judged().is_some_and(|at| at >= self.timers.armed);
        }
        let blind = critical && !judged;
        blind.then(|| "no critical rule has had data to judge by since it began".to_owned())
    }
}
