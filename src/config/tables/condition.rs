//! Conditions, expressions and selectors as values of keys.

use crate::model::condition::{Cond, Condition, Num};
use crate::model::selector::Selector;

use crate::config::expr::lowering::{arithmetic, condition};
use crate::config::expr::scope::SignalScope;
use crate::config::syntax::selector::selector_within;
use crate::config::syntax::{FromToml, TomlValue};

impl FromToml for Condition {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.parse(|text| condition(text, &value.cx.signals.borrow()))
    }
}

impl FromToml for Num {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.parse(|text| arithmetic(text, &value.cx.signals.borrow()))
    }
}

/// A selector, whose regular expressions take some of the budget of all.
impl FromToml for Selector {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.parse(|text| selector_within(text, &mut value.cx.regexes.borrow_mut()))
    }
}

/// The labels by which the signals of conditions are read; an error says which two are read by
/// different ones.
pub(crate) fn groups<'c>(
    conditions: impl IntoIterator<Item = &'c Cond>,
    signals: &SignalScope,
) -> Result<Vec<String>, String> {
    signals.groups(|each| {
        conditions.into_iter().for_each(|cond| cond.for_each_signal(&mut |ix| each(ix)));
    })
}
