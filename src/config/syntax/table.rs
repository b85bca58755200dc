//! Tables of a TOML tree, each with its declaration: which keys it may have, what a key is called,
//! and what holds where a key is not written.

use toml::de::DeTable;

use super::declaration::{TableDeclaration, declaration};
use super::diagnostic::{Diagnostic, SourceSpan};
use super::error_sink::ErrorSink;
use super::value::{TomlEntry, TomlValue, entries};

/// A table and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct TomlTable<'a> {
    file: usize,
    source: &'a str,
    table: &'a DeTable<'a>,
    declaration: &'static TableDeclaration,
    /// The name in messages.
    pub(crate) title: String,
    /// Where it is named.
    pub(crate) span: SourceSpan,
}

impl<'a> TomlTable<'a> {
    /// A whole file.
    pub(crate) fn root(file: usize, source: &'a str, table: &'a DeTable<'a>, name: &str) -> Self {
        Self::declared_by(file, source, table, declaration(name))
    }

    /// A whole file that has these keys.
    pub(crate) fn declared_by(
        file: usize,
        source: &'a str,
        table: &'a DeTable<'a>,
        declaration: &'static TableDeclaration,
    ) -> Self {
        let span = SourceSpan::new(file, 0..source.find('\n').unwrap_or(source.len()));
        Self { file, source, table, declaration, title: declaration.title.to_owned(), span }
    }

    /// The value as a table of the language.
    pub(crate) fn of(value: TomlValue<'a>, name: &str, sink: &mut ErrorSink) -> Option<Self> {
        Self::titled(value, name, declaration(name).title, sink)
    }

    /// The same with a title of its own.
    pub(crate) fn titled(
        value: TomlValue<'a>,
        name: &str,
        title: &str,
        sink: &mut ErrorSink,
    ) -> Option<Self> {
        let Some(table) = value.toml().as_table() else { return value.expected("a table", sink) };
        let (file, source, span) = (value.file(), value.source(), value.span());
        let title = title.to_owned();
        Some(Self { file, source, table, declaration: declaration(name), title, span })
    }

    /// The table at a key, which has the name of its declaration and stands where it is named.
    pub(crate) fn subtable(&self, key: &str, sink: &mut ErrorSink) -> Option<Self> {
        let entry = self.entry(key)?;
        Some(Self::of(entry.value, key, sink)?.named_at(entry.key_span()))
    }

    /// The same table, where its name stands elsewhere than its value.
    pub(crate) fn named_at(self, span: SourceSpan) -> Self {
        Self { span, ..self }
    }

    /// Whether both stand in files that say the same.
    pub(crate) fn is_copy(&self, other: &Self) -> bool {
        self.file != other.file && self.source == other.source
    }

    /// An error about the table as a whole.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span.clone(), message)
    }

    /// An error about the value of a key, or about the table where it is not written.
    pub(crate) fn error_at(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        let span = self.get(key).map_or(self.span.clone(), |value| value.span());
        Diagnostic::error(span, message)
    }

    /// The keys in the order in which they are written.
    pub(crate) fn entries(&self) -> Vec<TomlEntry<'a>> {
        entries(self.file, self.source, self.table)
    }

    /// A key and its value, where it is written.
    pub(crate) fn entry(&self, key: &str) -> Option<TomlEntry<'a>> {
        self.entries().into_iter().find(|entry| entry.key == key)
    }

    /// The written keys of those of which the table has exactly one.
    pub(crate) fn kinds(&self) -> Vec<TomlEntry<'a>> {
        let mut entries = self.entries();
        entries.retain(|entry| self.declaration.one_of.contains(&entry.key));
        entries
    }

    /// The names of the keys of which the table has exactly one.
    pub(crate) fn one_of(&self) -> &'static [&'static str] {
        &self.declaration.one_of
    }

    /// Whether it may have the key.
    pub(crate) fn declares(&self, key: &str) -> bool {
        self.declaration.keys.iter().any(|declared| declared.name == key)
    }

    /// What is written at the key, be it under the name that it had one release ago.
    pub(crate) fn get(&self, key: &str) -> Option<TomlValue<'a>> {
        let key = self.declaration.key(key);
        #[cfg(test)]
        asked::note(self.declaration, key.name);
        let node = self.table.get(key.name).or_else(|| self.table.get(key.was?))?;
        Some(TomlValue::new(self.file, self.source, node, key))
    }

    /// What the key holds: what is written, else its default. A key without either is reported.
    pub(crate) fn value(&self, key: &str, sink: &mut ErrorSink) -> Option<TomlValue<'a>> {
        if let Some(value) = self.get(key) {
            return Some(value);
        }
        let key = self.declaration.key(key);
        if let Some(node) = key.default {
            return Some(TomlValue::new(self.file, self.source, node, key));
        }
        sink.missing(self.error(format!("{} has no `{}`", self.title, key.name)));
        None
    }

    /// Reads what the key holds, where it holds something.
    pub(crate) fn read<T>(
        &self,
        key: &str,
        sink: &mut ErrorSink,
        read: impl FnOnce(TomlValue<'a>, &mut ErrorSink) -> Option<T>,
    ) -> Option<T> {
        read(self.value(key, sink)?, sink)
    }

    /// Reads what is written at the key, if anything is. The outer `None` means that it says
    /// nothing sensible.
    #[expect(clippy::option_option, reason = "an optional key may be wrong")]
    pub(crate) fn opt<T>(
        &self,
        key: &str,
        sink: &mut ErrorSink,
        read: impl FnOnce(TomlValue<'a>, &mut ErrorSink) -> Option<T>,
    ) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |value| read(value, sink).map(Some))
    }

    /// Reports every key that is not declared, and the old names of those that are. Answers whether
    /// all are known.
    pub(crate) fn check_keys(&self, sink: &mut ErrorSink) -> bool {
        self.check(&self.declaration.names(), &[], sink)
    }

    /// The same, where some more keys are dealt with elsewhere.
    pub(crate) fn check_keys_but(&self, but: &[&str], sink: &mut ErrorSink) -> bool {
        self.check(&self.declaration.names(), but, sink)
    }

    /// The same for the keys that go with one of the table's kinds.
    pub(crate) fn check_keys_for(&self, kind: &str, but: &[&str], sink: &mut ErrorSink) -> bool {
        let kind = self.declaration.key(kind).name;
        self.check(&self.declaration.names_for(kind), but, sink)
    }

    /// Reports the declared keys that have no meaning beside this key, or for this word.
    pub(crate) fn check_meaning(
        &self,
        of: &str,
        beside: &str,
        sink: &mut ErrorSink,
    ) -> Vec<&'a str> {
        let foreign = |entry: &TomlEntry<'_>| {
            let key = self.declaration.keys.iter().find(|key| key.name == entry.key);
            let is_foreign = key.is_some_and(|key| !key.with.is_empty() && !key.with.contains(&of));
            is_foreign && entry.key != of
        };
        let mut entries = self.entries();
        entries.retain(foreign);
        for entry in &entries {
            let message = format!("`{}` has no meaning for {beside}", entry.key);
            sink.report(entry.key_error(message));
        }
        entries.iter().map(|entry| entry.key).collect()
    }

    fn check(&self, known: &[&'static str], but: &[&str], sink: &mut ErrorSink) -> bool {
        let mut all_known = true;
        for entry in self.entries() {
            let renamed = self.declaration.keys.iter().find(|key| key.was == Some(entry.key));
            if known.contains(&entry.key) || but.contains(&entry.key) {
            } else if let Some(key) = renamed.filter(|key| known.contains(&key.name)) {
                sink.report(self.renamed(&entry, key.name));
            } else {
                all_known = false;
                let message = format!("unknown key `{}` in {}", entry.key, self.title);
                let names = known.iter().copied();
                let error = sink.suggest(entry.key_error(message), entry.key, names);
                sink.report(error.help(format!("known keys: {}", known.join(", "))));
            }
        }
        all_known
    }

    /// What to say of the name that a key had one release ago.
    fn renamed(&self, old: &TomlEntry<'_>, name: &str) -> Diagnostic {
        if let Some(new) = self.entry(name) {
            let message = format!("`{}` is the old name of `{name}`, which is there too", old.key);
            return old.key_error(message).also(new.key_span(), "the new name");
        }
        let lint =
            Diagnostic::lint(old.key_span(), format!("`{}` is called `{name}` now", old.key));
        lint.help("the old name goes with the next release")
    }
}

/// Which keys were asked for, so that a test can show that all declared ones are.
#[cfg(test)]
pub(crate) mod asked {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::TableDeclaration;

    thread_local! {
        static KEYS: RefCell<HashSet<(*const TableDeclaration, &'static str)>> = RefCell::default();
    }

    pub(super) fn note(table: &'static TableDeclaration, key: &'static str) {
        KEYS.with_borrow_mut(|keys| keys.insert((std::ptr::from_ref(table), key)));
    }

    /// Whether the key was asked for on this thread.
    pub(crate) fn was(table: &'static TableDeclaration, key: &'static str) -> bool {
        KEYS.with_borrow(|keys| keys.contains(&(std::ptr::from_ref(table), key)))
    }
}
