//! The named tables of all files: `[signal.NAME]`, `[rule.NAME]`, `[target.NAME]`, `[hook.NAME]`,
//! `[notify.NAME]`. Names are unique over all files, and what one file declares every file may use.

use std::collections::HashMap;

use crate::model::name::NameError;

use crate::config::syntax::{Diagnostic, ErrorSink, SourceSpan, TomlTable, TomlValue};

/// The most tables of one kind: four for each of a thousand targets.
const MAX_TABLES: usize = 4_000;

/// A named table.
#[derive(Clone, Debug)]
pub(crate) struct NamedTable<'a> {
    /// Its name, not yet checked for its letters.
    pub(crate) name: &'a str,
    pub(crate) table: TomlTable<'a>,
}

impl NamedTable<'_> {
    /// Where the name stands.
    pub(crate) fn span(&self) -> SourceSpan {
        self.table.span.clone()
    }

    /// Where the value of a key stands, or else the name.
    pub(crate) fn span_of(&self, key: &str) -> SourceSpan {
        self.table.get(key).map_or(self.span(), |value| value.span())
    }

    /// The name, its letters checked.
    pub(crate) fn read_name<T>(
        &self,
        sink: &mut ErrorSink,
        read: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Option<T> {
        read(self.name).map_err(|error| sink.report(self.table.error(error.to_string()))).ok()
    }
}

/// The tables of one kind in all files, in the order in which they are written.
pub(crate) fn named_tables<'a>(
    files: &[TomlTable<'a>],
    kind: &str,
    sink: &mut ErrorSink,
) -> Vec<NamedTable<'a>> {
    let mut all: Vec<NamedTable<'a>> = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for new in files.iter().flat_map(|file| in_file(file, kind, sink)).collect::<Vec<_>>() {
        if let Some(first) = first.get(new.name).map(|first| &all[*first]) {
            let error = new.table.error(format!("{kind} `{}` is defined twice", new.name));
            let error = error.also(first.span(), "first defined here");
            sink.report(if new.table.is_copy(&first.table) {
                error.help("both files say the same: one is a copy of the other")
            } else {
                error
            });
        } else {
            first.insert(new.name, all.len());
            all.push(new);
        }
    }
    if let Some(first) = all.get(MAX_TABLES) {
        sink.report(first.table.error(format!("more than {MAX_TABLES} tables [{kind}.NAME]")));
        all.truncate(MAX_TABLES);
    }
    all
}

fn in_file<'a>(file: &TomlTable<'a>, kind: &str, sink: &mut ErrorSink) -> Vec<NamedTable<'a>> {
    let Some(entry) = file.entry(kind) else { return Vec::new() };
    let nameless = || {
        entry.key_error(format!("a {kind} needs a name")).label(format!("write `[{kind}.NAME]`"))
    };
    if entry.value.toml().is_array() {
        sink.report(nameless());
        return Vec::new();
    }
    let declaration = if kind == "notify" { "channel" } else { kind };
    let mut all = Vec::new();
    for entry in entry.value.entries(sink).unwrap_or_default() {
        if entry.value.toml().is_array() {
            let message = format!("`{}` is a list, there is one {kind} of a name", entry.key);
            let error = entry.key_error(message);
            sink.report(error.label(format!("write `[{kind}.{}]`", entry.key)));
            continue;
        }
        if !entry.value.is_table() {
            sink.report(nameless());
            return Vec::new();
        }
        let title = format!("[{kind}.{}]", entry.key);
        if let Some(table) = TomlTable::titled(entry.value, declaration, &title, sink) {
            all.push(NamedTable { name: entry.key, table: table.named_at(entry.key_span()) });
        }
    }
    all
}

/// The names of one kind that may be referred to.
#[derive(Clone, Debug)]
pub(crate) enum KnownNames {
    /// These.
    All(Vec<String>),
    /// A rules file is checked alone: nobody knows what its main file declares.
    Unknown,
}

impl KnownNames {
    pub(crate) fn of(tables: &[NamedTable<'_>]) -> Self {
        Self::All(tables.iter().map(|table| table.name.to_owned()).collect())
    }

    /// The index of a name. Where nothing is known every name is accepted, and the index means
    /// nothing: without a main file nothing is ever run by it.
    pub(crate) fn find(
        &self,
        kind: &str,
        value: TomlValue<'_>,
        sink: &mut ErrorSink,
    ) -> Option<usize> {
        let name = value.text(sink)?;
        let Self::All(names) = self else { return Some(0) };
        let found = names.iter().position(|known| known == name);
        if found.is_none() {
            let error = unknown_name(kind, value, name);
            let error = sink.suggest(error, name, names.iter().map(String::as_str));
            sink.missing(error);
        }
        found
    }
}

/// Says that nothing of the kind has this name.
pub(crate) fn unknown_name(kind: &str, value: TomlValue<'_>, name: &str) -> Diagnostic {
    value.error(format!("unknown {kind} `{}`", name.escape_debug()))
}
