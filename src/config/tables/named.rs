//! The named tables of all files: `[signal.NAME]`, `[rule.NAME]`, `[target.NAME]`,
//! `[hook.NAME]`. Names are unique over all files, and what one file declares every file may use.

use std::collections::HashMap;

use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Section, Text};

/// The most tables of one kind: four for each of a thousand targets.
const MAX_TABLES: usize = 4_000;

/// A named table.
#[derive(Clone, Debug)]
pub(crate) struct Declared<'a> {
    /// Its name, not yet checked for its letters.
    pub(crate) name: &'a str,
    /// Where the name stands.
    pub(crate) place: Place,
    /// What it says.
    pub(crate) section: Section<'a>,
}

/// The tables of one kind in all files, in the order in which they are written.
pub(crate) fn declared<'a>(
    files: &[Section<'a>],
    kind: &str,
    sink: &mut Sink,
) -> Vec<Declared<'a>> {
    let mut all: Vec<Declared<'a>> = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for new in files.iter().flat_map(|file| in_file(file, kind, sink)).collect::<Vec<_>>() {
        if let Some(first) = first.get(new.name).map(|first| &all[*first]) {
            let message = format!("{kind} `{}` is defined twice", new.name);
            let error = Diagnostic::error(new.place, message);
            let error = error.also(first.place.clone(), "first defined here");
            sink.report(if new.section.is_copy(&first.section) {
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
        let message = format!("more than {MAX_TABLES} tables [{kind}.NAME]");
        sink.report(Diagnostic::error(first.place.clone(), message));
        all.truncate(MAX_TABLES);
    }
    all
}

fn in_file<'a>(file: &Section<'a>, kind: &str, sink: &mut Sink) -> Vec<Declared<'a>> {
    let Some(entry) = file.entries().into_iter().find(|entry| entry.key == kind) else {
        return Vec::new();
    };
    let nameless = || {
        Diagnostic::error(entry.key_place(), format!("a {kind} needs a name"))
            .label(format!("write `[{kind}.NAME]`"))
    };
    if entry.item.value().as_array().is_some() {
        sink.report(nameless());
        return Vec::new();
    }
    let Some(table) = entry.item.section(kind, sink) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in table.entries() {
        if entry.item.value().as_array().is_some() {
            let message = format!("`{}` is a list, there is one {kind} of a name", entry.key);
            let error = Diagnostic::error(entry.key_place(), message);
            sink.report(error.label(format!("write `[{kind}.{}]`", entry.key)));
            continue;
        }
        if !entry.item.is_table() {
            sink.report(nameless());
            return Vec::new();
        }
        let title = format!("[{kind}.{}]", entry.key);
        if let Some(mut section) = entry.item.section(&title, sink) {
            section.place = entry.key_place();
            all.push(Declared { name: entry.key, place: entry.key_place(), section });
        }
    }
    all
}

/// The names of one kind that may be referred to.
#[derive(Clone, Debug)]
pub(crate) enum Listed {
    /// These.
    All(Vec<String>),
    /// A rules file is checked alone: nobody knows what its main file declares.
    Unknown,
}

impl Listed {
    pub(crate) fn of(declared: &[Declared<'_>]) -> Self {
        Self::All(declared.iter().map(|d| d.name.to_owned()).collect())
    }

    /// The place of a name in its list. Where nothing is known every name is accepted, and the
    /// place means nothing: without a main file nothing is ever run by it.
    pub(crate) fn find(&self, kind: &str, name: Text<'_>, sink: &mut Sink) -> Option<usize> {
        let Self::All(names) = self else { return Some(0) };
        let found = names.iter().position(|known| known == name.value);
        if found.is_none() {
            let message = format!("unknown {kind} `{}`", name.value.escape_debug());
            let error = Diagnostic::error(name.place(), message);
            let error = sink.suggest(error, name.value, names.iter().map(String::as_str));
            sink.missing(error);
        }
        found
    }
}
