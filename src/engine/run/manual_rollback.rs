//! A person's own rollback. It works in every mode, while paused, beyond the budget and while a
//! rule waits for approval; what stands against it is told, and whoever insists may overrule that.

use crate::model::entry::Refusal;
use crate::model::hook::Hook;
use crate::model::plan::Plan;

use crate::engine::command::{Force, Rejection, check_reason};
use crate::engine::durable::deployment::{Deployment, Phase};
use crate::engine::policy::refusal;

/// The hook with which a person may roll back a deployment, unless something stands against it.
pub(crate) fn check<'a>(
    plan: &'a Plan,
    deployment: &Deployment,
    reason: &str,
    force: Force,
) -> Result<&'a Hook, Rejection> {
    check_reason(reason)?;
    match deployment.phase {
        // A version may turn out bad after its bake, too: a person may still say so.
        Phase::Guarding | Phase::Baked | Phase::Ended(_) => {}
        Phase::RollingBack | Phase::RolledBack | Phase::Failed(_) => {
            return Err(Rejection::Refused(Refusal::AlreadyRolledBack));
        }
    }
    if deployment.irreversible && force == Force::No {
        return Err(Rejection::because(format!(
            "deployment {} was begun as irreversible: make sure that going back does no more harm \
             than staying, then insist with --force",
            deployment.id
        )));
    }
    let no_hook = || Rejection::because("no hook to roll back with: set `then` in [deployment]");
    let hook = plan.hook(plan.deployment.then.ok_or_else(no_hook)?);
    refusal::of_hook(deployment, hook).map_or(Ok(hook), |why| Err(Rejection::Refused(why)))
}
