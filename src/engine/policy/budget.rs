//! The budget: how many rollbacks a service may have in a while before rollguard only tells
//! people. Three bad releases a day are no bad releases but a bad database, or a bad rule, and then
//! going back and forth helps nobody. It is counted from the journal and never stops a person.

use crate::model::time::Timestamp;

use crate::engine::guard::Guard;

impl Guard {
    /// Whether there were as many rollbacks lately as the budget allows.
    pub(crate) fn is_budget_spent(&self, wall: Timestamp) -> bool {
        self.rollbacks_lately(wall) >= self.plan().deployment.budget.rollbacks
    }

    /// How many rollbacks of the service, a person's included, were decided within the time that
    /// the budget is for. One that a clock that stepped puts into the future counts, too.
    pub(crate) fn rollbacks_lately(&self, wall: Timestamp) -> u32 {
        let settings = &self.plan().deployment;
        let since = wall.before(settings.budget.per);
        let all = self.log.state().rollbacks.iter();
        let lately = all.filter(|(of, at)| *of == settings.service && *at > since).count();
        u32::try_from(lately).unwrap_or(u32::MAX)
    }
}
