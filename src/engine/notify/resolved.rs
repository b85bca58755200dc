//! Clearing: a rule that people were told of and that does not fire any more. They are told so,
//! and are told again when it fires again, but not for ever: a rule that comes and goes says the
//! same each time. It never decides to act.

use crate::model::entry::{Event, Refusal};
use crate::model::index::RuleIx;
use crate::model::name::RuleName;
use crate::model::reading::Verdict;
use crate::model::time::Moment;

use crate::engine::guard::Guard;
use crate::engine::rules::state::State;

/// How often a rule may clear and fire again before nobody is told any more. By then everybody
/// knows that it comes and goes, and the journal must not grow with it.
const MAX_CLEARED: u32 = 8;

/// Which rules that were told of have cleared, and how often.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clearings(Vec<Clearing>);

#[derive(Clone, Debug, PartialEq)]
struct Clearing {
    rule: RuleName,
    times: u32,
    fires: bool,
}

impl Clearings {
    /// A rule fires and nothing is done. Nobody is told of what is only observed.
    pub(crate) fn fire(&mut self, rule: &RuleName, refusal: Refusal) {
        if refusal == Refusal::Observing {
            return;
        }
        match self.0.iter_mut().find(|known| known.rule == *rule) {
            Some(known) => known.fires = true,
            None => self.0.push(Clearing { rule: rule.clone(), times: 0, fires: true }),
        }
    }

    pub(crate) fn clear(&mut self, rule: &RuleName) {
        if let Some(known) = self.0.iter_mut().find(|known| known.rule == *rule) {
            known.fires = false;
            known.times = known.times.saturating_add(1);
        }
    }

    /// Whether people would be told if it fired again.
    pub(crate) fn would_tell_again(&self, rule: &RuleName) -> bool {
        let known = self.0.iter().find(|known| known.rule == *rule);
        known.is_some_and(|known| !known.fires && known.times < MAX_CLEARED)
    }

    fn firing(&self) -> impl Iterator<Item = &RuleName> {
        self.0.iter().filter(|known| known.fires).map(|known| &known.rule)
    }
}

impl Guard {
    /// Records which of the rules that people were told of have cleared.
    pub(crate) fn watch_cleared(&mut self, now: Moment) {
        let Some(deployment) = self.guarded().filter(|_| !self.log.is_halted()) else { return };
        let told = |rule: &RuleName| {
            let refused =
                |(name, why): &(RuleName, Refusal)| name == rule && *why != Refusal::Observing;
            deployment.refused.iter().any(refused)
        };
        let firing = deployment.cleared.firing().filter(|rule| told(rule));
        let cleared: Vec<RuleName> =
            firing.filter(|rule| self.has_cleared(rule)).cloned().collect();
        for rule in cleared {
            self.record(now, Event::Cleared { rule });
        }
    }

    /// What is not seen has not cleared. A rule that is not there any more has.
    fn has_cleared(&self, name: &RuleName) -> bool {
        let place = self.plan().rules.iter().position(|rule| rule.name == *name).map(RuleIx);
        place.is_none_or(|ix| {
            let rule = self.evaluator.rule(ix);
            rule.state == State::Inactive && matches!(rule.verdict, Verdict::Fails)
        })
    }
}
