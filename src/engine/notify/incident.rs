//! What people are told by the hook that tells them, and the incident report: everything filled in,
//! to be performed beside the critical path. Nothing is decided here.

use crate::model::entry::Decision;
use crate::model::index::RuleIx;
use crate::model::time::Moment;

use crate::engine::effect::{Effect, Incident};
use crate::engine::guard::Guard;
use crate::engine::run::order::{Context, Occasion};
use crate::engine::view::evidence;

impl Guard {
    /// Runs the hook that tells people, beside the critical path.
    pub(crate) fn tell(
        &mut self,
        now: Moment,
        rule: Option<RuleIx>,
        reason: &str,
        occasion: Occasion,
    ) {
        let plan = self.plan().clone();
        let hook = match occasion {
            Occasion::RollbackFailed | Occasion::JournalLost => {
                self.hook.as_ref().and_then(|hook| hook.on_failure)
            }
            Occasion::Rollback
            | Occasion::Drill
            | Occasion::Refused
            | Occasion::AwaitingApproval
            | Occasion::Denied
            | Occasion::Paused
            | Occasion::Resumed
            | Occasion::Enter
            | Occasion::StageNotEntered
            | Occasion::StageOverdue
            | Occasion::OnBegin
            | Occasion::OnStage
            | Occasion::OnTrip
            | Occasion::OnCommit
            | Occasion::TelemetryLost => None,
        };
        let Some(hook) = hook.or(plan.deployment.notify) else { return };
        let Some(deployment) = &self.log.state().current else { return };
        let rule = rule.map(|ix| evidence::of_rule(&self.evaluator, ix, now));
        let signals = evidence::of_signals(&self.evaluator);
        let context = Context {
            deployment,
            occasion,
            at: now.wall,
            reason,
            rule: rule.as_ref(),
            trigger: deployment.decision.as_ref().map(|(_, decision)| &decision.trigger),
            signals: &signals,
        };
        let notice = context.notice(plan.hook(hook));
        self.push(Effect::Notify(Box::new(notice)));
    }

    /// The incident report of the current deployment.
    pub(crate) fn report(&mut self, now: Moment, ended: &'static str, why: Option<String>) {
        let Some(deployment) = &self.log.state().current else { return };
        let Some((_, decision)) = &deployment.decision else { return };
        self.report_as(now, decision.clone(), ended, why);
    }

    /// The incident report of what was decided, would have been, or may be.
    pub(crate) fn report_as(
        &mut self,
        now: Moment,
        decision: Decision,
        ended: &'static str,
        why: Option<String>,
    ) {
        let Some(deployment) = &self.log.state().current else { return };
        let incident = Incident {
            deployment: deployment.id.clone(),
            service: deployment.service.to_string(),
            begun: deployment.begun,
            at: now.wall,
            ended,
            why,
            decision,
            before: deployment.before.clone(),
            after: evidence::of_signals(&self.evaluator),
            units: evidence::units(&self.evaluator),
            entries: deployment.entries.clone(),
        };
        self.push(Effect::Report(Box::new(incident)));
    }
}
