//! Selectors as values of keys.

use crate::model::selector::Selector;

use crate::config::syntax::selector::selector_within;
use crate::config::syntax::{ErrorSink, TomlValue};

/// A selector, whose regular expressions take some of the budget of all.
pub(crate) fn selector(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<Selector> {
    let read = selector_within(value.text(sink)?, sink.regexes());
    read.map_err(|error| sink.report(value.error_within(error))).ok()
}
