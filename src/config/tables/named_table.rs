//! The named tables of all files: `[signal.NAME]`, `[rule.NAME]`, `[target.NAME]`, `[hook.NAME]`,
//! `[notify.NAME]`. Names are unique over all files, and what one file declares every file may use.

use std::collections::HashMap;

use crate::model::index::HookIx;
use crate::model::name::TargetName;

use crate::config::syntax::{FromToml, TomlTable, TomlValue};

/// The most tables of one kind: four for each of a thousand targets.
const MAX_TABLES: usize = 4_000;

/// The tables of one kind in all files, in the order in which they are written.
pub(crate) fn named_tables<'a>(files: &[TomlTable<'a>], kind: &str) -> Vec<TomlTable<'a>> {
    let mut all: Vec<TomlTable<'a>> = Vec::new();
    let mut first: HashMap<&str, usize> = HashMap::new();
    for new in files.iter().flat_map(|file| in_file(file, kind)) {
        if let Some(first) = first.get(new.name).map(|first| &all[*first]) {
            let error = new.error(format!("{kind} `{}` is defined twice", new.name));
            let error = error.also(first.span.clone(), "first defined here");
            new.cx.report(if new.is_copy(first) {
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
        let error = first.error(format!("more than {MAX_TABLES} tables [{kind}.NAME]"));
        first.cx.report(error);
        all.truncate(MAX_TABLES);
    }
    all
}

fn in_file<'a>(file: &TomlTable<'a>, kind: &str) -> Vec<TomlTable<'a>> {
    let Some(entry) = file.entry(kind) else { return Vec::new() };
    let nameless = || {
        let error = entry.key_error(format!("a {kind} needs a name"));
        file.cx.report(error.label(format!("write `[{kind}.NAME]`")));
        Vec::new()
    };
    if entry.value.toml().is_array() {
        return nameless();
    }
    let declaration = if kind == "notify" { "channel" } else { kind };
    let mut all = Vec::new();
    for entry in entry.value.entries().unwrap_or_default() {
        if entry.value.toml().is_array() {
            let message = format!("`{}` is a list, there is one {kind} of a name", entry.key);
            let error = entry.key_error(message);
            file.cx.report(error.label(format!("write `[{kind}.{}]`", entry.key)));
            continue;
        }
        if !entry.value.is_table() {
            return nameless();
        }
        let Some(mut table) = TomlTable::unchecked(entry.value, declaration) else { continue };
        table.title = format!("[{kind}.{}]", entry.key);
        (table.name, table.span) = (entry.key, entry.key_span());
        all.push(table);
    }
    all
}

impl FromToml for HookIx {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.known("hook", value.cx.hooks.get()).map(Self)
    }
}

impl FromToml for TargetName {
    fn from_toml(value: TomlValue<'_>) -> Option<Self> {
        value.known("target", value.cx.targets.get())?;
        value.name()
    }
}
