//! What is wrong within a text that has a syntax of its own, by the text's own offsets. Where the
//! text stands in a file is known to [`TomlValue`](super::value::TomlValue).

use std::ops::Range;

/// A mistake within a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TextError {
    /// The bytes of the text that are wrong.
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) label: Option<String>,
    pub(crate) help: Option<String>,
    /// Whether something is not there, which may be in a part that could not be read.
    pub(crate) is_missing: bool,
}

impl TextError {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, help: None, is_missing: false }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}
