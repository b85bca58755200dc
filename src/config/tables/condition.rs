//! Conditions and expressions as values of keys.

use crate::model::condition::{Cond, Condition, Num};

use crate::config::expr::lowering::{ExprError, arithmetic, condition};
use crate::config::expr::scope::SignalScope;
use crate::config::syntax::{ErrorSink, TomlValue};

/// A condition over signals.
pub(crate) fn read_condition(
    value: TomlValue<'_>,
    signals: &SignalScope,
    sink: &mut ErrorSink,
) -> Option<Condition> {
    let read = condition(value.text(sink)?, signals);
    read.map_err(|error| report(value, error, sink)).ok()
}

/// Arithmetic over signals.
pub(crate) fn read_expression(
    value: TomlValue<'_>,
    signals: &SignalScope,
    sink: &mut ErrorSink,
) -> Option<Num> {
    let read = arithmetic(value.text(sink)?, signals);
    read.map_err(|error| report(value, error, sink)).ok()
}

fn report(value: TomlValue<'_>, error: ExprError, sink: &mut ErrorSink) {
    match error {
        ExprError::Wrong(error) => sink.report(value.error_within(error)),
        ExprError::Missing(error) => sink.missing(value.error_within(error)),
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
