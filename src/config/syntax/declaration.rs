//! The declarations of `language.toml`: which tables the language has, which keys a table has, and
//! what a key may hold. Everything that reads, suggests or documents a key takes it from there.
//! Whether what is declared is what is read, the tests of [`tables`](crate::config::tables) show.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::model::time::parse_duration;

/// A table of the language.
#[derive(Debug, Deserialize)]
pub(crate) struct TableDeclaration {
    /// The name in messages; empty where each table of the kind has its own.
    #[serde(default)]
    pub(crate) title: &'static str,
    /// The keys of which each table has exactly one.
    #[serde(default)]
    pub(crate) one_of: Vec<&'static str>,
    /// The table whose keys it has besides its own.
    extends: Option<&'static str>,
    #[serde(rename = "keys")]
    written: HashMap<&'static str, KeyDeclaration>,
    /// The keys in their order.
    #[serde(skip)]
    pub(crate) keys: Vec<KeyDeclaration>,
}

/// A key of a table.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct KeyDeclaration {
    #[serde(skip)]
    pub(crate) name: &'static str,
    /// The name that it had one release ago.
    pub(crate) was: Option<&'static str>,
    /// The value where none is written.
    #[serde(skip)]
    pub(crate) default: Option<&'static Spanned<DeValue<'static>>>,
    /// Whether it must be written.
    pub(crate) required: bool,
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
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ValueRange {
    Integers(u32, u32),
    Durations(
        #[serde(deserialize_with = "duration")] Duration,
        #[serde(deserialize_with = "duration")] Duration,
    ),
}

fn duration<'de, D: Deserializer<'de>>(text: D) -> Result<Duration, D::Error> {
    parse_duration(&String::deserialize(text)?).map_err(D::Error::custom)
}

/// How many elements a list has.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ElementCount {
    #[serde(default)]
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

static LANGUAGE: LazyLock<HashMap<&'static str, TableDeclaration>> =
    LazyLock::new(|| tables(include_str!("../language.toml")));

/// The declaration of a table.
pub(crate) fn declaration(table: &str) -> &'static TableDeclaration {
    LANGUAGE.get(table).expect("every table that is read is declared in language.toml")
}

/// The names of all tables.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    LANGUAGE.keys().copied()
}

type DocumentTable = &'static DeTable<'static>;

/// All tables that a text declares.
pub(crate) fn tables(text: &'static str) -> HashMap<&'static str, TableDeclaration> {
    let document = Box::leak(Box::new(DeTable::parse(text).expect("language.toml is valid TOML")));
    let mut tables: HashMap<&'static str, TableDeclaration> =
        toml::from_str(text).expect("language.toml declares tables");
    for (name, table) in &mut tables {
        let inner = |table: DocumentTable, key: &str| table.get(key)?.get_ref().as_table();
        let keys = inner(document.get_ref(), name).and_then(|table| inner(table, "keys"));
        let mut keys: Vec<_> = keys.into_iter().flatten().collect();
        keys.sort_by_key(|(name, _)| name.span().start);
        let key = |(name, key): (&'static Spanned<DeString<'static>>, &'static Spanned<_>)| {
            let key: &DeValue<'static> = key.get_ref();
            let written = table.written.remove(&**name.get_ref())?;
            let default = key.as_table().and_then(|key| key.get("default"));
            Some(KeyDeclaration { name: name.get_ref(), default, ..written })
        };
        table.keys = keys.into_iter().filter_map(key).collect();
    }
    let extended = tables.iter().filter_map(|(name, table)| Some((*name, table.extends?)));
    for (name, base) in extended.collect::<Vec<(&str, &str)>>() {
        let keys = tables[base].keys.clone();
        tables.entry(name).and_modify(|table| table.keys.extend(keys));
    }
    tables
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
    pub(crate) fn names_for(&self, kind: &str) -> Vec<&'static str> {
        let kind = self.key(kind);
        let own = self.keys.iter().filter(|key| key.with.contains(&kind.name));
        let common =
            |key: &&KeyDeclaration| key.with.is_empty() && !self.one_of.contains(&key.name);
        let others = own.chain(self.keys.iter().filter(common)).filter(|_| !kind.alone);
        std::iter::once(kind).chain(others).map(|key| key.name).collect()
    }
}
