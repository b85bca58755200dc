//! Values of a TOML tree. Each knows its place, so that every error does, and the declaration of
//! its key, so that ranges are checked where it is read. Each method either answers with a value or
//! has reported why it cannot.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::name::NameError;
use crate::model::time::{format_duration, parse_duration};

use super::context::ReadContext;
use super::declaration::{KeyDeclaration, ValueRange};
use super::diagnostic::{Diagnostic, SourceSpan};

/// A value and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TomlValue<'a> {
    pub(crate) cx: &'a ReadContext,
    pub(crate) file: usize,
    pub(crate) source: &'a str,
    pub(crate) node: &'a Spanned<DeValue<'a>>,
    /// `None`: the names of a table's keys are the operator's own.
    pub(crate) key: Option<&'static KeyDeclaration>,
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
    cx: &'a ReadContext,
    file: usize,
    source: &'a str,
    table: &'a DeTable<'a>,
) -> Vec<TomlEntry<'a>> {
    let entry = |(key, node): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| TomlEntry {
        key: AsRef::<str>::as_ref(key.get_ref()),
        key_span: (key.span().start, key.span().end),
        value: TomlValue { cx, file, source, node, key: None },
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

/// What can be read from a value by its type alone.
pub(crate) trait FromToml: Sized {
    /// Reads it, or reports why it cannot be read.
    fn from_toml(value: TomlValue<'_>) -> Option<Self>;

    /// What a key holds that is not written, has no default and need not be there.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: FromToml> FromToml for Option<T> {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        T::from_toml(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.each(T::from_toml)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Reads types by a method of the value.
macro_rules! read_by {
    ($method:ident: $($type:ty),+) => {
        $(impl $crate::config::syntax::FromToml for $type {
            fn from_toml(value: $crate::config::syntax::TomlValue<'_>) -> Option<Self> {
                value.$method()
            }
        })+
    };
}
pub(crate) use read_by;

read_by!(string: String);
read_by!(boolean: bool);
read_by!(integer: u8, u16, u32);
read_by!(number: f64);
read_by!(duration: Duration);
read_by!(path: PathBuf);

impl<'a> TomlValue<'a> {
    pub(crate) fn span(&self) -> SourceSpan {
        SourceSpan::new(self.file, self.node.span())
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

    /// Reports an error about the value.
    pub(crate) fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.cx.refuse(self.error(message))
    }

    /// An error about a part of the text that the value holds, at the place where the file says it.
    pub(crate) fn error_within(&self, error: Diagnostic) -> Diagnostic {
        let outer = self.node.span();
        let raw = self.source.get(outer.clone()).unwrap_or_default();
        let text = self.as_str().unwrap_or_default();
        let inner =
            locate(raw, text, &(error.span.start..error.span.end)).unwrap_or(0..outer.len());
        let span = outer.start + inner.start..outer.start + inner.end;
        Diagnostic { span: SourceSpan::new(self.file, span), ..error }
    }

    /// Reports that something else was expected.
    pub(crate) fn expected<T>(&self, what: &str) -> Option<T> {
        let found = match self.toml() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.refuse(format!("expected {what}, found {found}"))
    }

    /// A string that is not empty.
    pub(crate) fn text(self) -> Option<&'a str> {
        let Some(text) = self.as_str() else { return self.expected("a string") };
        if text.trim().is_empty() {
            return self.refuse("an empty string says nothing");
        }
        Some(text)
    }

    /// The same, owned.
    pub(crate) fn string(self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// A text with a syntax of its own.
    pub(crate) fn parse<T>(
        &self,
        read: impl FnOnce(&'a str) -> Result<T, Diagnostic>,
    ) -> Option<T> {
        match read(self.text()?) {
            Ok(read) => Some(read),
            Err(error) if error.is_missing => self.cx.missing(self.error_within(error)),
            Err(error) => self.cx.refuse(self.error_within(error)),
        }
    }

    /// A name, its letters checked.
    pub(crate) fn name<T: TryFrom<String, Error = NameError>>(self) -> Option<T> {
        let name = T::try_from(self.string()?);
        name.map_err(|error| self.cx.report(self.error(error.to_string()))).ok()
    }

    /// The index of one of the known names of a kind. Where nothing is known every name is
    /// accepted, and the index means nothing: without a main file nothing is ever run by it.
    pub(crate) fn known(self, kind: &str, names: Option<&Vec<String>>) -> Option<usize> {
        let name = self.text()?;
        let Some(names) = names else { return Some(0) };
        let found = names.iter().position(|known| known == name);
        found.or_else(|| {
            let error = self.unknown(kind);
            self.cx.missing(self.cx.suggest(error, name, names.iter().map(String::as_str)))
        })
    }

    /// Says that nothing of the kind has this name.
    pub(crate) fn unknown(&self, kind: &str) -> Diagnostic {
        let name = self.as_str().unwrap_or_default().escape_debug();
        self.error(format!("unknown {kind} `{name}`"))
    }

    /// `true` or `false`.
    pub(crate) fn boolean(self) -> Option<bool> {
        self.toml().as_bool().or_else(|| self.expected("true or false"))
    }

    /// A whole number within the range of its key.
    pub(crate) fn integer<T: TryFrom<u32>>(self) -> Option<T> {
        let Some(number) = self.toml().as_integer() else {
            return self.expected("a whole number");
        };
        let Some(ValueRange::Integers(least, most)) = self.key.and_then(|key| key.range) else {
            unreachable!("every whole number has a range in language.toml");
        };
        let read = u32::from_str_radix(number.as_str(), number.radix()).ok();
        let read = read.filter(|n| (least..=most).contains(n)).and_then(|n| T::try_from(n).ok());
        let message = || format!("`{number}` is out of range, {least} to {most} is allowed");
        read.or_else(|| self.refuse(message()))
    }

    /// A finite number.
    pub(crate) fn number(self) -> Option<f64> {
        let text = match (self.toml().as_integer(), self.toml().as_float()) {
            (Some(number), _) if number.radix() == 10 => number.as_str(),
            (_, Some(number)) => number.as_str(),
            _ => return self.expected("a decimal number"),
        };
        let number = text.parse().ok().filter(|n: &f64| n.is_finite());
        number.or_else(|| self.refuse(format!("`{text}` is not a finite number")))
    }

    /// A duration within the range of its key.
    pub(crate) fn duration(self) -> Option<Duration> {
        let Some(text) = self.as_str() else {
            return self.expected("a duration like \"30s\", \"2m\" or \"1h30m\"");
        };
        let duration = match parse_duration(text) {
            Ok(duration) => duration,
            Err(why) => return self.refuse(format!("not a duration: {why}")),
        };
        match self.key.and_then(|key| key.range) {
            Some(ValueRange::Durations(least, most)) if !(least..=most).contains(&duration) => {
                let [duration, least, most] = [duration, least, most].map(format_duration);
                self.refuse(format!("`{duration}` is out of range, {least} to {most} is allowed"))
            }
            Some(ValueRange::Durations(..) | ValueRange::Integers(..)) | None => Some(duration),
        }
    }

    /// An absolute path.
    pub(crate) fn path(self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.starts_with('/') && !text.contains('\0') {
            return Some(PathBuf::from(text));
        }
        self.refuse(format!("`{}` is not an absolute path", text.escape_debug()))
    }

    /// One of the words of its key.
    pub(crate) fn word(self) -> Option<&'a str> {
        let key = self.key.expect("a choice is a declared key");
        let text = self.text()?;
        if key.words.contains(&text) {
            return Some(text);
        }
        if key.later.contains(&text) {
            return self.refuse(format!("`{text}` is not available in this version"));
        }
        let list: Vec<_> = key.words.iter().map(|word| format!("`{word}`")).collect();
        let error = self.error(format!("`{}` is none of {}", text.escape_debug(), list.join(", ")));
        self.cx.refuse(self.cx.suggest(error, text, key.words.iter().copied()))
    }

    /// What one of the words of its key stands for.
    pub(crate) fn choice<T: Deserialize<'a>>(self) -> Option<T> {
        let word: StrDeserializer<'a, serde::de::value::Error> = self.word()?.into_deserializer();
        T::deserialize(word).map_err(|error| self.cx.report(self.error(error.to_string()))).ok()
    }

    /// The elements of an array, as many as its key allows.
    pub(crate) fn list(self) -> Option<Vec<TomlValue<'a>>> {
        let Some(array) = self.toml().as_array() else { return self.expected("an array") };
        let count = self.key.and_then(|key| key.count.as_ref());
        if let Some((count, message)) = count.and_then(|c| Some((c, c.error(array.len())?))) {
            let help = count.help.map(str::to_owned);
            return self.cx.refuse(Diagnostic { help, ..self.error(message) });
        }
        Some(array.iter().map(|node| TomlValue { node, ..self }).collect())
    }

    /// Reads every element of an array.
    pub(crate) fn each<T>(&self, read: impl FnMut(TomlValue<'a>) -> Option<T>) -> Option<Vec<T>> {
        all(self.list()?.into_iter().map(read))
    }

    /// The entries of a table whose keys are the operator's own.
    pub(crate) fn entries(self) -> Option<Vec<TomlEntry<'a>>> {
        let Some(table) = self.toml().as_table() else { return self.expected("a table") };
        Some(entries(self.cx, self.file, self.source, table))
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
        let cx = ReadContext::default();
        let value = entries(&cx, 0, &source, table.get_ref())[0].value;
        let start = value.as_str().unwrap().find(needle).unwrap();
        let span = value.error_within(Diagnostic::new(start..start + needle.len(), "")).span;
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
