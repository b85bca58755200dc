//! Walking a TOML tree: every value knows its place, so that every error does. Nothing here knows
//! what a key means; each helper either answers a value or has reported why it cannot.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::name::NameError;
use crate::model::time::parse_duration;

use super::diagnostic::{Diagnostic, Place};
use super::errors::Sink;

/// What is wrong within a text, by the text's own offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where in the text.
    pub(crate) span: Range<usize>,
    /// What is wrong.
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) label: Option<String>,
    /// Advice.
    pub(crate) help: Option<String>,
}

impl Fault {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), label: None, help: None }
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

/// A string and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    /// What it says, escapes replaced.
    pub(crate) value: &'a str,
    item: Item<'a>,
}

impl<'a> Text<'a> {
    /// The place of the whole string.
    pub(crate) fn place(&self) -> Place {
        self.item.place()
    }

    /// The fault as a diagnostic, at the place where the file says what is wrong.
    pub(crate) fn fault(&self, fault: Fault) -> Diagnostic {
        let outer = self.item.node.span();
        let raw = self.item.source.get(outer.clone()).unwrap_or_default();
        let inner = locate(raw, self.value, &fault.span).unwrap_or(0..outer.len());
        let span = outer.start + inner.start..outer.start + inner.end;
        let mut diagnostic = Diagnostic::error(Place::new(self.item.file, span), fault.message);
        diagnostic.label = fault.label;
        diagnostic.help = fault.help;
        diagnostic
    }

    /// Reads the text, reporting what is wrong with it.
    pub(crate) fn parse<T>(
        &self,
        sink: &mut Sink,
        read: impl FnOnce(&'a str) -> Result<T, Fault>,
    ) -> Option<T> {
        read(self.value).map_err(|fault| sink.report(self.fault(fault))).ok()
    }

    /// Reads a name.
    pub(crate) fn name<T>(
        &self,
        sink: &mut Sink,
        read: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        let error = |e: NameError| sink.report(Diagnostic::error(self.place(), e.to_string()));
        read(self.value).map_err(error).ok()
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

/// A value and its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    file: usize,
    source: &'a str,
    node: &'a Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        Place::new(self.file, self.node.span())
    }

    /// The TOML value.
    pub(crate) fn value(&self) -> &'a DeValue<'a> {
        self.node.get_ref()
    }

    /// Whether it is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value().is_table()
    }

    /// Reports that something else was expected.
    pub(crate) fn expected<T>(&self, what: &str, sink: &mut Sink) -> Option<T> {
        let found = match self.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        sink.report(Diagnostic::error(self.place(), format!("expected {what}, found {found}")));
        None
    }

    /// A string that is not empty.
    pub(crate) fn text(&self, sink: &mut Sink) -> Option<Text<'a>> {
        let Some(value) = self.value().as_str() else { return self.expected("a string", sink) };
        if value.trim().is_empty() {
            sink.report(Diagnostic::error(self.place(), "an empty string says nothing"));
            return None;
        }
        Some(Text { value, item: *self })
    }

    /// A string of the operator's own.
    pub(crate) fn string(&self, sink: &mut Sink) -> Option<String> {
        self.text(sink).map(|text| text.value.to_owned())
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self, sink: &mut Sink) -> Option<bool> {
        self.value().as_bool().or_else(|| self.expected("true or false", sink))
    }

    /// A whole number within a range.
    pub(crate) fn integer(&self, range: Range<u32>, sink: &mut Sink) -> Option<u32> {
        let Some(number) = self.value().as_integer() else {
            return self.expected("a whole number", sink);
        };
        let read = u32::from_str_radix(number.as_str(), number.radix());
        let read = read.ok().filter(|n| range.contains(n));
        if read.is_none() {
            let (least, most) = (range.start, range.end - 1);
            let message = format!("`{number}` is out of range, {least} to {most} is allowed");
            sink.report(Diagnostic::error(self.place(), message));
        }
        read
    }

    /// A finite number.
    pub(crate) fn number(&self, sink: &mut Sink) -> Option<f64> {
        let text = match self.value() {
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
        if number.is_none() {
            sink.report(Diagnostic::error(
                self.place(),
                format!("`{text}` is not a finite number"),
            ));
        }
        number
    }

    /// A duration, `0s` included.
    pub(crate) fn duration(&self, sink: &mut Sink) -> Option<Duration> {
        if self.value().as_str().is_none() {
            return self.expected("a duration like \"30s\", \"2m\" or \"1h30m\"", sink);
        }
        let text = self.value().as_str().unwrap_or_default();
        let error =
            |e| sink.report(Diagnostic::error(self.place(), format!("not a duration: {e}")));
        parse_duration(text).map_err(error).ok()
    }

    /// A duration within a range, both ends included.
    pub(crate) fn duration_within(
        &self,
        least: Duration,
        most: Duration,
        sink: &mut Sink,
    ) -> Option<Duration> {
        use crate::model::time::format_duration as show;
        let duration = self.duration(sink)?;
        if (least..=most).contains(&duration) {
            return Some(duration);
        }
        let range = format!("{} to {} is allowed", show(least), show(most));
        let message = format!("`{}` is out of range, {range}", show(duration));
        sink.report(Diagnostic::error(self.place(), message));
        None
    }

    /// An absolute path.
    pub(crate) fn path(&self, sink: &mut Sink) -> Option<PathBuf> {
        let text = self.text(sink)?;
        if text.value.starts_with('/') && !text.value.contains('\0') {
            return Some(PathBuf::from(text.value));
        }
        let message = format!("`{}` is not an absolute path", text.value.escape_debug());
        sink.report(Diagnostic::error(text.place(), message));
        None
    }

    /// One of some words, each with what it stands for; `later` are words of the language that
    /// this version does not offer.
    pub(crate) fn choice<T: Copy>(
        &self,
        words: &[(&str, T)],
        later: &[&str],
        sink: &mut Sink,
    ) -> Option<T> {
        let text = self.text(sink)?;
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*choice);
        }
        if later.contains(&text.value) {
            sink.report(unavailable(text.place(), text.value));
            return None;
        }
        let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{}` is none of {}", text.value.escape_debug(), list.join(", "));
        let error = Diagnostic::error(text.place(), message);
        let error = sink.suggest(error, text.value, words.iter().map(|(word, _)| *word));
        sink.report(error);
        None
    }

    /// The elements of an array.
    pub(crate) fn list(&self, sink: &mut Sink) -> Option<Vec<Item<'a>>> {
        let Some(array) = self.value().as_array() else { return self.expected("an array", sink) };
        Some(array.iter().map(|node| Item { node, ..*self }).collect())
    }

    /// A table, called `title` in messages.
    pub(crate) fn section(&self, title: &str, sink: &mut Sink) -> Option<Section<'a>> {
        let Some(table) = self.value().as_table() else { return self.expected("a table", sink) };
        let (file, source, place) = (self.file, self.source, self.place());
        Some(Section { file, source, title: title.to_owned(), place, table })
    }
}

/// A table and its place.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    file: usize,
    source: &'a str,
    /// How messages call it.
    pub(crate) title: String,
    /// Where it is named.
    pub(crate) place: Place,
    table: &'a DeTable<'a>,
}

/// A key of a table, its value and both places.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The key.
    pub(crate) key: &'a str,
    key_span: (usize, usize),
    /// The value.
    pub(crate) item: Item<'a>,
}

impl Entry<'_> {
    /// Where the key stands.
    pub(crate) fn key_place(&self) -> Place {
        Place::new(self.item.file, self.key_span.0..self.key_span.1)
    }
}

impl<'a> Section<'a> {
    /// A whole file.
    pub(crate) fn root(file: usize, source: &'a str, table: &'a DeTable<'a>) -> Self {
        let place = Place::new(file, 0..source.find('\n').unwrap_or(source.len()));
        Self { file, source, title: "the file".to_owned(), place, table }
    }

    /// Whether both stand in files that say the same.
    pub(crate) fn is_copy(&self, other: &Self) -> bool {
        self.file != other.file && self.source == other.source
    }

    /// The keys in the order in which they are written.
    pub(crate) fn entries(&self) -> Vec<Entry<'a>> {
        let (file, source) = (self.file, self.source);
        let entry = |(key, node): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| Entry {
            key: AsRef::<str>::as_ref(key.get_ref()),
            key_span: (key.span().start, key.span().end),
            item: Item { file, source, node },
        };
        let mut entries: Vec<_> = self.table.iter().map(entry).collect();
        entries.sort_by_key(|entry| entry.key_span);
        entries
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.table.get(key).map(|node| Item { file: self.file, source: self.source, node })
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, key: &str, sink: &mut Sink) -> Option<Item<'a>> {
        let item = self.get(key);
        if item.is_none() {
            let message = format!("{} has no `{key}`", self.title);
            sink.missing(Diagnostic::error(self.place.clone(), message));
        }
        item
    }

    /// What the key says, or the default where it is not there.
    pub(crate) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<T> {
        self.get(key).map_or(Some(default), read)
    }

    /// What the key says, if it is there; the outer `None` means that it says nothing sensible.
    pub(crate) fn opt<T>(
        &self,
        key: &str,
        read: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.or(key, None, |item| read(item).map(Some))
    }

    /// Reports every key that is not known; `later` are keys of the language that this version
    /// does not offer. Answers whether there was none.
    pub(crate) fn only(&self, known: &[&str], later: &[&str], sink: &mut Sink) -> bool {
        let mut all_known = true;
        for entry in self.entries() {
            let is_known = known.contains(&entry.key);
            all_known &= is_known;
            if later.contains(&entry.key) {
                sink.report(unavailable(entry.key_place(), entry.key));
            } else if !is_known {
                let message = format!("unknown key `{}` in {}", entry.key, self.title);
                let error = Diagnostic::error(entry.key_place(), message);
                let error = sink.suggest(error, entry.key, known.iter().copied());
                sink.report(error.help(format!("known keys: {}", known.join(", "))));
            }
        }
        all_known
    }
}

/// Says that this version does not offer a part of the language.
pub(crate) fn unavailable(place: Place, what: &str) -> Diagnostic {
    Diagnostic::error(place, format!("`{what}` is not available in this version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(raw: &str, needle: &str) -> String {
        let source = format!("x = {raw}\n");
        let (table, errors) = DeTable::parse_recoverable(&source);
        assert!(errors.is_empty(), "{raw}");
        let section = Section::root(0, &source, table.get_ref());
        let text = section.get("x").unwrap().text(&mut Sink::default()).unwrap();
        let start = text.value.find(needle).unwrap();
        let place = text.fault(Fault::new(start..start + needle.len(), "")).place;
        source[place.start..place.end].to_owned()
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
