//! Values of a TOML tree. Each knows its place, so that every error does, and the declaration of
//! its key, so that ranges are checked where it is read. Each method either answers with a value or
//! has reported why it cannot.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::name::NameError;
use crate::model::time::{format_duration, parse_duration};

use super::declaration::{KeyDeclaration, ValueRange};
use super::diagnostic::{Diagnostic, SourceSpan};
use super::error_sink::ErrorSink;
use super::text_error::TextError;

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TomlValue<'a> {
    file: usize,
    source: &'a str,
    node: &'a Spanned<DeValue<'a>>,
    /// `None`: the names of a table's keys are the operator's own.
    key: Option<&'static KeyDeclaration>,
}

/// A key of a table, its value, and where both stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TomlEntry<'a> {
    pub(crate) key: &'a str,
    key_span: (usize, usize),
    pub(crate) value: TomlValue<'a>,
}

impl TomlEntry<'_> {
    pub(crate) fn key_span(&self) -> SourceSpan {
        SourceSpan::new(self.value.file, self.key_span.0..self.key_span.1)
    }

    /// An error about the key.
    pub(crate) fn key_error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.key_span(), message)
    }
}

/// The entries of a table in the order in which they are written.
pub(crate) fn entries<'a>(
    file: usize,
    source: &'a str,
    table: &'a DeTable<'a>,
) -> Vec<TomlEntry<'a>> {
    let entry = |(key, node): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| TomlEntry {
        key: AsRef::<str>::as_ref(key.get_ref()),
        key_span: (key.span().start, key.span().end),
        value: TomlValue { file, source, node, key: None },
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_span);
    entries
}

/// All values, or `None` where one of them is missing; every one is looked at.
pub(crate) fn all<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<_> = values.collect();
    values.into_iter().collect()
}

impl<'a> TomlValue<'a> {
    pub(crate) const fn new(
        file: usize,
        source: &'a str,
        node: &'a Spanned<DeValue<'a>>,
        key: &'static KeyDeclaration,
    ) -> Self {
        Self { file, source, node, key: Some(key) }
    }

    pub(crate) fn span(&self) -> SourceSpan {
        SourceSpan::new(self.file, self.node.span())
    }

    pub(crate) const fn file(&self) -> usize {
        self.file
    }

    pub(crate) const fn source(&self) -> &'a str {
        self.source
    }

    pub(crate) fn toml(&self) -> &'a DeValue<'a> {
        self.node.get_ref()
    }

    pub(crate) fn as_str(&self) -> Option<&'a str> {
        self.toml().as_str()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.toml().is_table()
    }

    /// An error about the value.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span(), message)
    }

    /// An error about a part of the text that the value holds, at the place where the file says it.
    pub(crate) fn error_within(&self, error: TextError) -> Diagnostic {
        let outer = self.node.span();
        let raw = self.source.get(outer.clone()).unwrap_or_default();
        let text = self.as_str().unwrap_or_default();
        let inner = locate(raw, text, &error.span).unwrap_or(0..outer.len());
        let span = outer.start + inner.start..outer.start + inner.end;
        let mut diagnostic = Diagnostic::error(SourceSpan::new(self.file, span), error.message);
        diagnostic.label = error.label;
        diagnostic.help = error.help;
        diagnostic
    }

    /// Reports that something else was expected.
    pub(crate) fn expected<T>(&self, what: &str, sink: &mut ErrorSink) -> Option<T> {
        let found = match self.toml() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        sink.refuse(self.error(format!("expected {what}, found {found}")))
    }

    /// A string that is not empty.
    pub(crate) fn text(self, sink: &mut ErrorSink) -> Option<&'a str> {
        let Some(text) = self.as_str() else { return self.expected("a string", sink) };
        if text.trim().is_empty() {
            return sink.refuse(self.error("an empty string says nothing"));
        }
        Some(text)
    }

    /// The same, owned.
    pub(crate) fn string(self, sink: &mut ErrorSink) -> Option<String> {
        self.text(sink).map(str::to_owned)
    }

    /// A text with a syntax of its own.
    pub(crate) fn parse<T>(
        &self,
        sink: &mut ErrorSink,
        read: impl FnOnce(&'a str) -> Result<T, TextError>,
    ) -> Option<T> {
        read(self.text(sink)?).map_err(|error| sink.report(self.error_within(error))).ok()
    }

    pub(crate) fn name<T>(
        &self,
        sink: &mut ErrorSink,
        read: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        read(self.text(sink)?).map_err(|error| sink.report(self.error(error.to_string()))).ok()
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self, sink: &mut ErrorSink) -> Option<bool> {
        self.toml().as_bool().or_else(|| self.expected("true or false", sink))
    }

    /// A whole number within the range of its key.
    pub(crate) fn integer(self, sink: &mut ErrorSink) -> Option<u32> {
        let Some(number) = self.toml().as_integer() else {
            return self.expected("a whole number", sink);
        };
        let Some(ValueRange::Integers(range)) = self.key.and_then(|key| key.range.as_ref()) else {
            unreachable!("every whole number has a range in language.toml");
        };
        let read = u32::from_str_radix(number.as_str(), number.radix());
        read.ok().filter(|n| range.contains(n)).or_else(|| {
            let (least, most) = (range.start(), range.end());
            let message = format!("`{number}` is out of range, {least} to {most} is allowed");
            sink.refuse(self.error(message))
        })
    }

    /// A finite number.
    pub(crate) fn number(self, sink: &mut ErrorSink) -> Option<f64> {
        let text = match self.toml() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(_)
            | DeValue::String(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => return self.expected("a decimal number", sink),
        };
        let number = text.parse().ok().filter(|n: &f64| n.is_finite());
        number.or_else(|| sink.refuse(self.error(format!("`{text}` is not a finite number"))))
    }

    /// A duration within the range of its key.
    pub(crate) fn duration(self, sink: &mut ErrorSink) -> Option<Duration> {
        let Some(text) = self.as_str() else {
            return self.expected("a duration like \"30s\", \"2m\" or \"1h30m\"", sink);
        };
        let duration = match parse_duration(text) {
            Ok(duration) => duration,
            Err(why) => return sink.refuse(self.error(format!("not a duration: {why}"))),
        };
        match self.key.and_then(|key| key.range.as_ref()) {
            Some(ValueRange::Durations(range)) if !range.contains(&duration) => {
                let [duration, least, most] =
                    [&duration, range.start(), range.end()].map(|each| format_duration(*each));
                let message = format!("`{duration}` is out of range, {least} to {most} is allowed");
                sink.refuse(self.error(message))
            }
            Some(ValueRange::Durations(_) | ValueRange::Integers(_)) | None => Some(duration),
        }
    }

    /// An absolute path.
    pub(crate) fn path(self, sink: &mut ErrorSink) -> Option<PathBuf> {
        let text = self.text(sink)?;
        if text.starts_with('/') && !text.contains('\0') {
            return Some(PathBuf::from(text));
        }
        sink.refuse(self.error(format!("`{}` is not an absolute path", text.escape_debug())))
    }

    /// One of the words of its key, each with what it stands for.
    pub(crate) fn choice<W: AsRef<str>, T: Copy>(
        &self,
        words: &[(W, T)],
        sink: &mut ErrorSink,
    ) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| word.as_ref()).collect();
        debug_assert_eq!(self.key.map(|key| &key.words), Some(&known), "words of language.toml");
        let word = self.word(sink)?;
        words.iter().find(|(known, _)| known.as_ref() == word).map(|(_, meant)| *meant)
    }

    /// One of the words of its key.
    pub(crate) fn word(&self, sink: &mut ErrorSink) -> Option<&'static str> {
        let key = self.key.expect("a choice is a declared key");
        let text = self.text(sink)?;
        if let Some(word) = key.words.iter().find(|word| **word == text) {
            return Some(word);
        }
        if key.later.contains(&text) {
            let message = format!("`{text}` is not available in this version");
            return sink.refuse(self.error(message));
        }
        let list: Vec<_> = key.words.iter().map(|word| format!("`{word}`")).collect();
        let message = format!("`{}` is none of {}", text.escape_debug(), list.join(", "));
        let error = sink.suggest(self.error(message), text, key.words.iter().copied());
        sink.refuse(error)
    }

    /// The elements of an array, as many as its key allows.
    pub(crate) fn list(self, sink: &mut ErrorSink) -> Option<Vec<TomlValue<'a>>> {
        let Some(array) = self.toml().as_array() else { return self.expected("an array", sink) };
        let count = self.key.and_then(|key| key.count.as_ref());
        if let Some((count, message)) = count.and_then(|c| Some((c, c.error(array.len())?))) {
            let mut error = self.error(message);
            error.help = count.help.map(str::to_owned);
            return sink.refuse(error);
        }
        Some(array.iter().map(|node| TomlValue { node, ..self }).collect())
    }

    /// Reads every element of an array.
    pub(crate) fn each<T>(
        &self,
        sink: &mut ErrorSink,
        mut read: impl FnMut(TomlValue<'a>, &mut ErrorSink) -> Option<T>,
    ) -> Option<Vec<T>> {
        all(self.list(sink)?.into_iter().map(|element| read(element, sink)))
    }

    /// The entries of a table whose keys are the operator's own.
    pub(crate) fn entries(self, sink: &mut ErrorSink) -> Option<Vec<TomlEntry<'a>>> {
        let Some(table) = self.toml().as_table() else { return self.expected("a table", sink) };
        Some(entries(self.file, self.source, table))
    }
}

/// Where a stretch of a string's value stands in the string as it was written, quotes and escapes
/// included. `None` where the two do not fit together.
fn locate(raw: &str, value: &str, span: &Range<usize>) -> Option<Range<usize>> {
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| raw.starts_with(q))?;
    let body = raw.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut at = quote.len();
    if quote.len() == 3 {
        let newline =
            if body.starts_with("\r\n") { 2 } else { usize::from(body.starts_with('\n')) };
        at += newline;
    }
    let escapes = quote.starts_with('"');
    let mut start = None;
    for (offset, wanted) in value.char_indices() {
        at += skip_continuation(raw.get(at..)?, escapes);
        if offset == span.start {
            start = Some(at);
        }
        if offset == span.end {
            return Some(start?..at);
        }
        at += written_len(raw.get(at..)?, wanted, escapes)?;
    }
    // The end of the text, where it ends in the middle of nothing.
    let end = raw.len() - quote.len();
    Some(start.unwrap_or(at.min(end))..at.min(end))
}

/// How many bytes a backslash at the end of a line and the space after it take.
fn skip_continuation(raw: &str, escapes: bool) -> usize {
    let continued = raw
        .strip_prefix('\\')
        .filter(|rest| escapes && rest.trim_start_matches([' ', '\t', '\r']).starts_with('\n'));
    continued.map_or(0, |rest| raw.len() - rest.trim_start().len())
}

/// How many bytes the next character takes as it is written.
fn written_len(raw: &str, wanted: char, escapes: bool) -> Option<usize> {
    if escapes && raw.starts_with('\\') {
        return Some(match raw.as_bytes().get(1)? {
            b'x' => 4,
            b'u' => 6,
            b'U' => 10,
            _ => 2,
        });
    }
    raw.starts_with(wanted).then(|| wanted.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(raw: &str, needle: &str) -> String {
        let source = format!("x = {raw}\n");
        let (table, errors) = DeTable::parse_recoverable(&source);
        assert!(errors.is_empty(), "{raw}");
        let value = entries(0, &source, table.get_ref())[0].value;
        let start = value.as_str().unwrap().find(needle).unwrap();
        let span = value.error_within(TextError::new(start..start + needle.len(), "")).span;
        source[span.start..span.end].to_owned()
    }

    #[test]
    fn a_stretch_of_a_string_is_found_again_in_the_file() {
        assert_eq!(at("'a > b'", "b"), "b");
        assert_eq!(at("\"a > b\"", "> b"), "> b");
        assert_eq!(at(r#""m{l=\"a\"} bad""#, "bad"), "bad");
        assert_eq!(at(r#""\u00e9\t\x41 bad good""#, "bad"), "bad");
        assert_eq!(at("'''\na\nbad'''", "bad"), "bad");
        assert_eq!(at("\"\"\"\na \\\n   bad \\\n\n  x\"\"\"", "bad"), "bad");
        assert_eq!(at("\"\"\"\r\na\r\nbad\"\"\"", "bad"), "bad");
        assert_eq!(at("'é bad'", "bad"), "bad");
    }
}
