//! The budget: how many rollbacks a service may have in a while before rollguard only tells
//! people. Three bad releases a day are no bad releases but a bad database, or a bad rule, and then
//! going back and forth helps nobody. It is counted from the journal and never stops a person.

use crate::engine::{context::ReadCx, view::evidence::millis, view::snapshot::BudgetStatus};

/// Whether there were as many rollbacks lately as the budget allows.
pub(crate) fn is_spent(cx: ReadCx<'_>) -> bool {
    status(cx).spent >= cx.plan().deployment.budget.rollbacks
}

/// How many rollbacks of the service, a person's included, were decided within the time that the
/// budget is for. A rollback whose time is in the future, because the clock was set back, counts.
pub(crate) fn status(cx: ReadCx<'_>) -> BudgetStatus {
    let settings = &cx.plan().deployment;
    let since = cx.now.wall.before(settings.budget.per);
    let all = cx.state().rollbacks.iter();
    let lately = all.filter(|(of, at)| *of == settings.service && *at > since).count();
    BudgetStatus {
        rollbacks: settings.budget.rollbacks,
        per_ms: millis(settings.budget.per),
        spent: u32::try_from(lately).unwrap_or(u32::MAX),
    }
}
