//! Refusals: why a rule that fires, or would, is not acted on, and putting that on record, once for
//! each rule and reason. It only ever says no: what speaks for acting is not decided here.

use crate::model::deployment::Mode;
use crate::model::entry::{Event, Refusal};
use crate::model::hook::{Hook, Placeholder};
use crate::model::index::RuleIx;
use crate::model::reading::{NoData, Verdict};
use crate::model::rule::{Severity, Then};
use crate::model::time::Moment;

use super::approval::is_on_record;
use crate::engine::durable::state::Phase;
use crate::engine::guard::Guard;
use crate::engine::run::order::Occasion;
use crate::engine::view::evidence;

impl Guard {
    /// Why a rule would not be acted on if it fired now; `None` if it would.
    pub(crate) fn refusal(&self, ix: RuleIx, now: Moment) -> Option<Refusal> {
        let rule = self.plan().rule(ix);
        let Some(deployment) = self.log.state().current.as_ref() else {
            return Some(Refusal::NotArmed);
        };
        match deployment.phase {
            Phase::Guarding => {}
            Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
                return Some(Refusal::AlreadyRolledBack);
            }
            Phase::Baked | Phase::Ended(_) => return Some(Refusal::NotArmed),
        }
        if self.log.is_halted() {
            return Some(Refusal::JournalUnusable);
        }
        if !self.evaluator.applies(ix) {
            return Some(Refusal::OtherStage);
        }
        if self.timers.warm.is_some() {
            return Some(Refusal::WarmingUp);
        }
        if deployment.set_aside.contains(&rule.name) {
            return Some(Refusal::SetAside);
        }
        match (rule.then, self.plan().mode) {
            (Then::Report, _) | (Then::Notify | Then::Rollback(_), Mode::Observe) => {
                Some(Refusal::Observing)
            }
            (Then::Notify, _) | (Then::Rollback(_), Mode::Notify) => Some(Refusal::NotifyOnly),
            (Then::Rollback(hook), Mode::Auto | Mode::Confirm) => {
                let hook = self.plan().hook(hook);
                self.hook_refusal(hook).or_else(|| self.peoples_refusal(deployment, rule, now))
            }
        }
    }

    /// Why a hook cannot be run for the current deployment.
    pub(crate) fn hook_refusal(&self, hook: &Hook) -> Option<Refusal> {
        let deployment = self.log.state().current.as_ref()?;
        match &deployment.good {
            _ if !hook.names(Placeholder::Good) => None,
            None => Some(Refusal::NoGoodVersion),
            Some(good) if *good == deployment.version => Some(Refusal::AlreadyAtGood),
            Some(_) => None,
        }
    }

    /// What is to be said of a rule that does not fire, or fires in vain.
    pub(crate) fn standing_refusal(&self, ix: RuleIx, now: Moment) -> Option<Refusal> {
        match self.evaluator.rule(ix).verdict {
            _ if self.is_resting(ix) => Some(Refusal::OtherStage),
            Verdict::NoData(NoData::EvidenceTooThin) => Some(Refusal::EvidenceTooThin),
            Verdict::NoData(_) => Some(Refusal::NoData),
            Verdict::Holds | Verdict::Fails => {
                self.refusal(ix, now).or_else(|| self.live_refusal())
            }
        }
    }

    /// Whether a rule is not for the stage that a guarded deployment is in.
    fn is_resting(&self, ix: RuleIx) -> bool {
        self.guarded().is_some() && !self.evaluator.applies(ix)
    }

    /// Records once for each rule and reason that nothing is done, and again when the rule fires
    /// after it has cleared. Tells people where that is what was asked for.
    pub(crate) fn refuse(&mut self, now: Moment, ix: RuleIx, refusal: Refusal) {
        let rule = self.plan().rule(ix);
        let Some(deployment) = self.guarded() else { return };
        let known = deployment.has_refused(&rule.name, refusal);
        // Nobody was told of what is only observed, so that it has cleared is no news either.
        let anew = refusal != Refusal::Observing && deployment.cleared.would_tell_again(&rule.name);
        if is_on_record(refusal) || (known && !anew) {
            return;
        }
        // What people brought about is reported even if something else was refused before.
        let people = [Refusal::Paused, Refusal::Irreversible, Refusal::BudgetSpent];
        let first = deployment.refused.is_empty() || people.contains(&refusal);
        let critical = rule.severity == Severity::Critical;
        let text = rule.when.text.clone();
        let evidence = evidence::of_rule(&self.evaluator, ix, now);
        self.record(now, Event::Refused { refusal, evidence });
        // A hook is not told that a rule clears, so it is told once that it fires.
        if refusal != Refusal::Observing && !known {
            self.tell(now, Some(ix), &text, Occasion::Refused);
        }
        if first && critical {
            self.report_refusal(now, ix, refusal);
        }
    }
}
