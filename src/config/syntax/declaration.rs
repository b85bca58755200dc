//! The declarations of `language.toml`: which tables the language has, which keys a table has, and
//! what a key may hold. Everything that reads, suggests or documents a key takes it from there.
//! Whether what is declared is what is read, the tests of [`tables`](crate::config::tables) show.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::time::parse_duration;

/// A table of the language.
#[derive(Debug)]
pub(crate) struct TableDeclaration {
    /// The name in messages; empty where each table of the kind has its own.
    pub(crate) title: &'static str,
    /// The keys of which each table has exactly one.
    pub(crate) one_of: Vec<&'static str>,
    pub(crate) keys: Vec<KeyDeclaration>,
}

/// A key of a table.
#[derive(Debug)]
pub(crate) struct KeyDeclaration {
    pub(crate) name: &'static str,
    /// The name that it had one release ago.
    pub(crate) was: Option<&'static str>,
    /// The value where none is written.
    pub(crate) default: Option<&'static Spanned<DeValue<'static>>>,
    pub(crate) range: Option<ValueRange>,
    pub(crate) count: Option<ElementCount>,
    /// The words of a choice.
    pub(crate) words: Vec<&'static str>,
    /// The words of a choice that this version does not offer.
    pub(crate) later: Vec<&'static str>,
    /// The keys or words beside which alone it has a meaning; empty: it always has one.
    pub(crate) with: Vec<&'static str>,
    /// Whether no other key may stand beside it.
    alone: bool,
}

/// The values that are allowed.
#[derive(Clone, Debug)]
pub(crate) enum ValueRange {
    Durations(RangeInclusive<Duration>),
    Integers(RangeInclusive<u32>),
}

/// How many elements a list has.
#[derive(Clone, Debug)]
pub(crate) struct ElementCount {
    least: usize,
    most: Option<usize>,
    message: Option<&'static str>,
    pub(crate) help: Option<&'static str>,
}

impl ElementCount {
    /// What is wrong with a list of so many elements, if anything.
    pub(crate) fn error(&self, count: usize) -> Option<String> {
        let most = self.most.unwrap_or(usize::MAX);
        if (self.least..=most).contains(&count) {
            return None;
        }
        Some(match self.message {
            Some(message) => message.replace("{count}", &format!("{} to {most}", self.least)),
            None => format!("{count} are too many, {most} is the most"),
        })
    }
}

type DocumentTable = &'static DeTable<'static>;

static DOCUMENT: LazyLock<Spanned<DeTable<'static>>> = LazyLock::new(|| {
    DeTable::parse(include_str!("../language.toml")).expect("language.toml is valid TOML")
});

static LANGUAGE: LazyLock<HashMap<&'static str, TableDeclaration>> =
    LazyLock::new(|| tables(DOCUMENT.get_ref()));

/// The declaration of a table.
pub(crate) fn declaration(table: &str) -> &'static TableDeclaration {
    LANGUAGE.get(table).expect("every table that is read is declared in language.toml")
}

/// The names of all tables.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LANGUAGE.keys().copied()
}

/// All tables that are declared in a document.
pub(crate) fn tables(document: DocumentTable) -> HashMap<&'static str, TableDeclaration> {
    document.keys().map(|name| (&**name.get_ref(), table(document, name.get_ref()))).collect()
}

impl TableDeclaration {
    /// The key of this name, which the table must have.
    pub(crate) fn key(&self, name: &str) -> &KeyDeclaration {
        let key = self.keys.iter().find(|key| key.name == name);
        key.expect("every key that is read is declared in language.toml")
    }

    /// The names of all keys.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// The names of the keys that go with this one of `one_of`.
    pub(crate) fn names_for(&self, kind: &'static str) -> Vec<&'static str> {
        if self.key(kind).alone {
            return vec![kind];
        }
        let own = self.keys.iter().filter(|key| key.with.contains(&kind));
        let common =
            |key: &&KeyDeclaration| key.with.is_empty() && !self.one_of.contains(&key.name);
        let all = own.chain(self.keys.iter().filter(common));
        std::iter::once(kind).chain(all.map(|key| key.name)).collect()
    }
}

fn table(document: DocumentTable, name: &str) -> TableDeclaration {
    let table = inner(document, name).expect("the name of a table");
    let keys = inner(table, "keys").expect("a table has keys");
    let mut keys: Vec<_> = keys.iter().collect();
    keys.sort_by_key(|(name, _)| name.span().start);
    let mut keys: Vec<_> =
        keys.into_iter().map(|(name, key)| declared(name.get_ref(), key)).collect();
    if let Some(base) = text(table, "extends") {
        keys.extend(self::table(document, base).keys);
    }
    let title = text(table, "title").unwrap_or_default();
    TableDeclaration { title, one_of: texts(table, "one_of"), keys }
}

fn declared(name: &'static str, key: &'static Spanned<DeValue<'static>>) -> KeyDeclaration {
    let key = key.get_ref().as_table().expect("a key is an inline table");
    KeyDeclaration {
        name,
        was: text(key, "was"),
        default: key.get("default"),
        range: range(key),
        count: inner(key, "count").map(|count| ElementCount {
            least: integer(count.get("least")).map_or(0, |least| least as usize),
            most: integer(count.get("most")).map(|most| most as usize),
            message: text(count, "message"),
            help: text(count, "help"),
        }),
        words: texts(key, "words"),
        later: texts(key, "later"),
        with: texts(key, "with"),
        alone: key.contains_key("alone"),
    }
}

fn range(key: DocumentTable) -> Option<ValueRange> {
    let [least, most] = key.get("range")?.get_ref().as_array()?.iter().collect::<Vec<_>>()[..]
    else {
        return None;
    };
    if let (Some(least), Some(most)) = (integer(Some(least)), integer(Some(most))) {
        return Some(ValueRange::Integers(least..=most));
    }
    let duration = |end: &Spanned<DeValue<'_>>| parse_duration(end.get_ref().as_str()?).ok();
    Some(ValueRange::Durations(duration(least)?..=duration(most)?))
}

fn inner(table: DocumentTable, key: &str) -> Option<DocumentTable> {
    table.get(key)?.get_ref().as_table()
}

fn text(table: DocumentTable, key: &str) -> Option<&'static str> {
    table.get(key)?.get_ref().as_str()
}

fn texts(table: DocumentTable, key: &str) -> Vec<&'static str> {
    let list = table.get(key).and_then(|list| list.get_ref().as_array());
    list.into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|text| text.get_ref().as_str())
        .collect()
}

fn integer(value: Option<&Spanned<DeValue<'_>>>) -> Option<u32> {
    value?.get_ref().as_integer()?.as_str().parse().ok()
}
