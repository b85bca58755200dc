//! Which rules files a main file names, and what is wrong with them, located where it names them.
//! Finding them is `load`'s business.

use std::path::PathBuf;

use toml::de::DeTable;

use crate::config::compile::{body, without_bom};
use crate::config::syntax::diagnostic::{Diagnostic, Diagnostics, Level, Place, SourceFile};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Item, Section};

/// The most directories of a rules path; systemd's own tools have four.
const MAX_DIRECTORIES: usize = 8;

/// A pattern of the main file's `rules`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Relative to the main file.
    pub text: String,
    place: Place,
}

impl Pattern {
    /// Says that no file is named so.
    #[must_use]
    pub fn matches_nothing(&self) -> Diagnostic {
        let message = format!("no file matches `{}`", self.text.escape_debug());
        Diagnostic::lint(self.place.clone(), message)
    }

    /// Says why what it names cannot be used.
    #[must_use]
    pub fn fails(&self, message: String) -> Diagnostic {
        Diagnostic::error(self.place.clone(), message)
    }

    /// Says that it leads to a file that was read under another name.
    #[must_use]
    pub fn repeats(&self, path: &str, known: &str) -> Diagnostic {
        let message =
            format!("`{}` is the same file as `{}`", path.escape_debug(), known.escape_debug());
        Diagnostic::lint(self.place.clone(), message).help("it is read once, as the latter")
    }
}

/// What is wrong with the patterns of a file of rule tests: tests of no rules test nothing.
#[must_use]
pub fn wrong_patterns(file: &SourceFile, problems: Vec<Diagnostic>) -> Diagnostics {
    let mut sink = Sink::default();
    for problem in problems {
        sink.report(Diagnostic { level: Level::Error, ..problem });
    }
    sink.finish(without_bom(std::iter::once(file)))
}

/// The patterns of the main file's `rules`. [`crate::config::compile()`] reports
/// what is wrong with them.
#[must_use]
pub fn patterns(main: &SourceFile) -> Vec<Pattern> {
    let text = body(&main.text);
    let (table, _) = DeTable::parse_recoverable(text);
    let root = Section::root(0, text, table.get_ref());
    rules_patterns(&root, &mut Sink::default()).unwrap_or_default()
}

/// The main file's `rules_path`: the directories in which patterns of the drop-in directory are
/// looked up too, lowest first. `None` where it says nothing sensible of them.
#[must_use]
pub fn rules_path(main: &SourceFile) -> Option<Vec<PathBuf>> {
    let text = body(&main.text);
    let (table, _) = DeTable::parse_recoverable(text);
    let root = Section::root(0, text, table.get_ref());
    read_rules_path(&root, &mut Sink::default())?
}

/// The main file's `state`, whatever else may be wrong with the file. `None` where it says nothing
/// sensible of it.
#[must_use]
pub fn state_path(main: &SourceFile) -> Option<PathBuf> {
    let text = body(&main.text);
    let (table, _) = DeTable::parse_recoverable(text);
    let root = Section::root(0, text, table.get_ref());
    let sink = &mut Sink::default();
    root.opt("state", |item| item.path(sink))?
}

/// Reads `rules_path`; the outer `None` means that it says nothing sensible.
pub(crate) fn read_rules_path(root: &Section<'_>, sink: &mut Sink) -> Option<Option<Vec<PathBuf>>> {
    root.opt("rules_path", |item| {
        let list = item.list(sink)?;
        if list.len() > MAX_DIRECTORIES {
            let message = format!("more than {MAX_DIRECTORIES} directories");
            sink.report(Diagnostic::error(item.place(), message));
            return None;
        }
        let paths: Vec<_> = list.into_iter().map(|item| item.path(sink)).collect();
        paths.into_iter().collect()
    })
}

/// `None` where one of them is wrong: which files belong to the configuration is unknown then.
pub(crate) fn rules_patterns(root: &Section<'_>, sink: &mut Sink) -> Option<Vec<Pattern>> {
    let Some(rules) = root.get("rules") else { return Some(Vec::new()) };
    let all: Vec<_> = rules.list(sink)?.into_iter().map(|item| pattern(item, sink)).collect();
    all.into_iter().collect()
}

fn pattern(item: Item<'_>, sink: &mut Sink) -> Option<Pattern> {
    let text = item.text(sink)?;
    let message = match text.value.rsplit_once('/') {
        _ if text.value.contains('\0') => "a path holds no NUL character",
        Some((directory, _)) if directory.contains('*') => {
            "only the last part of the path may hold `*`"
        }
        Some((_, "")) => "the path names no file",
        Some(_) | None => {
            return Some(Pattern { text: text.value.to_owned(), place: text.place() });
        }
    };
    sink.report(Diagnostic::error(text.place(), message));
    None
}
