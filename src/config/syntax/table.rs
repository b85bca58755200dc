//! Tables of a TOML tree, each with its declaration: which keys it may have, what a key is called,
//! and what holds where a key is not written.

use toml::de::DeTable;

use crate::model::name::NameError;

use super::context::ReadContext;
use super::declaration::{TableDeclaration, declaration};
use super::diagnostic::{Diagnostic, SourceSpan};
use super::value::{FromToml, TomlEntry, TomlValue, entries};

/// A table and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct TomlTable<'a> {
    pub(crate) cx: &'a ReadContext,
    file: usize,
    source: &'a str,
    table: &'a DeTable<'a>,
    declaration: &'static TableDeclaration,
    /// The name that the operator gave it, not yet checked for its letters; empty where there is
    /// one table of the kind.
    pub(crate) name: &'a str,
    /// The name in messages.
    pub(crate) title: String,
    /// Where it is named.
    pub(crate) span: SourceSpan,
}

impl<'a> TomlTable<'a> {
    /// A whole file that has these keys.
    pub(crate) fn root(
        cx: &'a ReadContext,
        file: usize,
        source: &'a str,
        table: &'a DeTable<'a>,
        declaration: &'static TableDeclaration,
    ) -> Self {
        let span = SourceSpan::new(file, 0..source.find('\n').unwrap_or(source.len()));
        let title = declaration.title.to_owned();
        Self { cx, file, source, table, declaration, name: "", title, span }
    }

    /// The value as a table of the language, its keys checked.
    pub(crate) fn of(value: TomlValue<'a>, name: &str) -> Option<Self> {
        let table = Self::unchecked(value, name)?;
        table.check_keys();
        Some(table)
    }

    /// The same, where which keys it may have depends on what it says.
    pub(crate) fn unchecked(value: TomlValue<'a>, name: &str) -> Option<Self> {
        let Some(table) = value.toml().as_table() else { return value.expected("a table") };
        let root = Self::root(value.cx, value.file, value.source, table, declaration(name));
        Some(Self { span: value.span(), ..root })
    }

    /// The table at a key, which has the name of its declaration and stands where it is named.
    pub(crate) fn subtable(&self, key: &str) -> Option<Self> {
        let entry = self.entry(key)?;
        Some(Self { span: entry.key_span(), ..Self::unchecked(entry.value, key)? })
    }

    /// The name that the operator gave it, its letters checked.
    pub(crate) fn own_name<T: TryFrom<String, Error = NameError>>(&self) -> Option<T> {
        let name = T::try_from(self.name.to_owned());
        name.map_err(|error| self.cx.report(self.error(error.to_string()))).ok()
    }

    /// Whether both stand in files that say the same.
    pub(crate) fn is_copy(&self, other: &Self) -> bool {
        self.file != other.file && self.source == other.source
    }

    /// Where the value of a key stands, or else the name.
    pub(crate) fn span_of(&self, key: &str) -> SourceSpan {
        self.get(key).map_or(self.span.clone(), |value| value.span())
    }

    /// An error about the table as a whole.
    pub(crate) fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span.clone(), message)
    }

    /// An error about the value of a key, or about the table where it is not written.
    pub(crate) fn error_at(&self, key: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span_of(key), message)
    }

    /// Reports a lint about the value of a key, or about the table where it is not written.
    pub(crate) fn lint(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        self.cx.report(Diagnostic::lint(self.span_of(key), message).help(help));
    }

    /// The keys in the order in which they are written.
    pub(crate) fn entries(&self) -> Vec<TomlEntry<'a>> {
        entries(self.cx, self.file, self.source, self.table)
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
        let Self { cx, file, source, .. } = *self;
        Some(TomlValue { cx, file, source, node, key: Some(key) })
    }

    /// What is written at the key, else its default.
    fn value(&self, key: &str) -> Option<TomlValue<'a>> {
        self.get(key).or_else(|| {
            let key = self.declaration.key(key);
            let Self { cx, file, source, .. } = *self;
            Some(TomlValue { cx, file, source, node: key.default?, key: Some(key) })
        })
    }

    /// Reads what the key holds: what is written, else its default. A key without either is
    /// reported, unless it need not be there.
    pub(crate) fn read<T: FromToml>(&self, key: &str) -> Option<T> {
        let absent = || T::absent().filter(|_| !self.declaration.key(key).required);
        match self.value(key) {
            Some(value) => T::from_toml(value),
            None => absent().or_else(|| self.missing(key)),
        }
    }

    /// The same of several keys; every one is looked at.
    pub(crate) fn all<T: FromKeys<N>, const N: usize>(&self, keys: [&str; N]) -> Option<T> {
        T::from_keys(self, keys)
    }

    /// Reads what the key holds, where its type does not say how.
    pub(crate) fn read_with<T>(
        &self,
        key: &str,
        read: impl FnOnce(TomlValue<'a>) -> Option<T>,
    ) -> Option<T> {
        read(self.value(key).or_else(|| self.missing(key))?)
    }

    /// The same of a key that need not be there. The outer `None` means that it says nothing
    /// sensible.
    #[expect(clippy::option_option, reason = "an optional key may be wrong")]
    pub(crate) fn opt<T>(
        &self,
        key: &str,
        read: impl FnOnce(TomlValue<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |value| read(value).map(Some))
    }

    fn missing<T>(&self, key: &str) -> Option<T> {
        self.cx.missing(self.error(format!("{} has no `{key}`", self.title)))
    }

    /// Reports every key that is not declared, and the old names of those that are. Answers whether
    /// all are known.
    pub(crate) fn check_keys(&self) -> bool {
        self.check_keys_but(&[])
    }

    /// The same, where some more keys are dealt with elsewhere.
    pub(crate) fn check_keys_but(&self, but: &[&str]) -> bool {
        self.check(&self.declaration.names(), but)
    }

    /// The same for the keys that go with one of the table's kinds.
    pub(crate) fn check_keys_for(&self, kind: &str, but: &[&str]) -> bool {
        self.check(&self.declaration.names_for(kind), but)
    }

    /// Reports the declared keys that have no meaning beside this key, or for this word.
    pub(crate) fn check_meaning(&self, of: &str, beside: &str) -> Vec<&'a str> {
        let foreign = |entry: &TomlEntry<'_>| {
            let key = self.declaration.keys.iter().find(|key| key.name == entry.key);
            let is_foreign = key.is_some_and(|key| !key.with.is_empty() && !key.with.contains(&of));
            is_foreign && entry.key != of
        };
        let mut entries = self.entries();
        entries.retain(foreign);
        for entry in &entries {
            let message = format!("`{}` has no meaning for {beside}", entry.key);
            self.cx.report(entry.key_error(message));
        }
        entries.iter().map(|entry| entry.key).collect()
    }

    fn check(&self, known: &[&'static str], but: &[&str]) -> bool {
        let mut all_known = true;
        for entry in self.entries() {
            let renamed = self.declaration.keys.iter().find(|key| key.was == Some(entry.key));
            if known.contains(&entry.key) || but.contains(&entry.key) {
            } else if let Some(key) = renamed.filter(|key| known.contains(&key.name)) {
                self.cx.report(self.renamed(&entry, key.name));
            } else {
                all_known = false;
                let message = format!("unknown key `{}` in {}", entry.key, self.title);
                let names = known.iter().copied();
                let error = self.cx.suggest(entry.key_error(message), entry.key, names);
                self.cx.report(error.help(format!("known keys: {}", known.join(", "))));
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

/// What can be read from several keys of a table at once.
pub(crate) trait FromKeys<const N: usize>: Sized {
    fn from_keys(table: &TomlTable<'_>, keys: [&str; N]) -> Option<Self>;
}

macro_rules! from_keys {
    ($count:literal, $($type:ident $key:ident),+) => {
        impl<$($type: FromToml),+> FromKeys<$count> for ($($type,)+) {
            fn from_keys(table: &TomlTable<'_>, [$($key),+]: [&str; $count]) -> Option<Self> {
                $(let $key = table.read($key);)+
                Some(($($key?,)+))
            }
        }
    };
}
from_keys!(2, A a, B b);
from_keys!(3, A a, B b, C c);
from_keys!(4, A a, B b, C c, D d);
from_keys!(5, A a, B b, C c, D d, E e);

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
