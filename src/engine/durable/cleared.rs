//! Which rules that people were told of have cleared. People are told so, and are told again when
//! the rule fires again, but not for ever: a rule that comes and goes says the same each time.

use crate::model::entry::Refusal;
use crate::model::name::RuleName;

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

    pub(crate) fn firing(&self) -> impl Iterator<Item = &RuleName> {
        self.0.iter().filter(|known| known.fires).map(|known| &known.rule)
    }
}
