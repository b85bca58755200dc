//! A person's own rollback. It works in every mode, while paused, beyond the budget and while a
//! rule waits for approval; what stands against it is told, and whoever insists may overrule that.

use crate::model::entry::{Caller, Refusal, Trigger};
use crate::model::name::DeploymentId;
use crate::model::time::Moment;

use crate::engine::command::{Accepted, Force, Rejection, check_reason};
use crate::engine::deployment::version_check::Case;
use crate::engine::durable::state::Phase;
use crate::engine::guard::Guard;

impl Guard {
    /// Rolls back because a person says so.
    pub(crate) fn roll_back_on_demand(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        reason: String,
        force: Force,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let current = self.read(now).addressed(id.as_ref())?;
        check_reason(&reason)?;
        match current.phase {
            // A version may turn out bad after its bake, too: a person may still say so.
            Phase::Guarding | Phase::Baked | Phase::Ended(_) => {}
            Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
                return Err(Rejection::Refused(Refusal::AlreadyRolledBack));
            }
        }
        let deployment = current.id.clone();
        if current.irreversible && force == Force::No {
            return Err(Rejection::Irreversible(deployment));
        }
        let hook = self.plan().deployment.then.ok_or(Rejection::NoHook)?;
        let hook = self.plan().hook(hook).clone();
        if let Some(refusal) = self.hook_refusal(&hook) {
            return Err(Rejection::Refused(refusal));
        }
        let case = Case { trigger: Trigger::Person { reason, by }, hook, approval: None };
        match force {
            Force::Yes => {
                self.drop_check();
                self.decide_on(now, case);
                return Ok(Accepted::rolling_back(deployment));
            }
            Force::No if self.is_asked() => return Err(Rejection::Comparing(deployment)),
            Force::No => self.roll_back(now, case),
        }
        if let Some(answer) = self.take_answer() {
            return answer;
        }
        Ok(Accepted::rolling_back(deployment))
    }
}
