//! What is known while files are read: what is wrong with them so far, and what they may refer to.
//! It keeps one mistake from being reported as several: what stands on a line that is not even TOML
//! is not judged, and what seems to be missing is not reported while a part of a file could not be
//! read. Every value that is read holds it, so that none needs to be told where its errors go.

use std::cell::{Cell, OnceCell, RefCell};

use crate::config::expr::scope::SignalScope;
use crate::model::secrecy::RegisteredSecret;

use super::diagnostic::{
    Diagnostic, DiagnosticLevel, Diagnostics, MAX_SUGGESTED, SourceFile, SourceSpan,
};
use super::regex_budget::RegexBudget;

/// The most lines that are remembered as not being TOML. A file with more is not a configuration,
/// and from there on nothing of it is judged.
const MAX_BROKEN: usize = 100;

/// The most syntax errors that are looked at: one for each line that is remembered, and the one
/// from which on nothing is judged.
pub(crate) const MAX_SYNTAX: usize = MAX_BROKEN + 1;

/// Collects diagnostics, and what is declared.
#[derive(Debug, Default)]
pub(crate) struct ReadContext {
    list: RefCell<Vec<Diagnostic>>,
    /// Lines, by file, first and last byte, that are not TOML.
    broken: RefCell<Vec<SourceSpan>>,
    /// Whether files are known to be missing, so that nothing else can be.
    pub(crate) is_incomplete: Cell<bool>,
    /// For how many names a near one was looked up.
    suggested: Cell<usize>,
    /// What the regular expressions that are still to come may take.
    pub(crate) regexes: RefCell<RegexBudget>,
    /// The secrets that are named, so that they are kept out of whatever is shown.
    pub(crate) secrets: RefCell<Vec<RegisteredSecret>>,
    /// The names of all targets; not set where a rules file is checked alone: nobody knows what its
    /// main file declares, so every name is accepted.
    pub(crate) targets: OnceCell<Vec<String>>,
    /// The same of all hooks.
    pub(crate) hooks: OnceCell<Vec<String>>,
    /// The signals that conditions may name.
    pub(crate) signals: RefCell<SignalScope>,
}

impl ReadContext {
    /// Reports an error or a lint.
    pub(crate) fn report(&self, diagnostic: Diagnostic) {
        let span = &diagnostic.span;
        let hidden = self.broken.borrow().iter().any(|broken| {
            broken.file == span.file
                && (span.end == 0 || (span.start <= broken.end && span.end >= broken.start))
                && broken.end > 0
        });
        if !hidden {
            self.list.borrow_mut().push(diagnostic);
        }
    }

    /// Reports an error; the answer stands for the value that could not be read.
    pub(crate) fn refuse<T>(&self, error: Diagnostic) -> Option<T> {
        self.report(error);
        None
    }

    /// Reports that something is not there, unless it may be in a part that could not be read; the
    /// answer stands for it.
    pub(crate) fn missing<T>(&self, diagnostic: Diagnostic) -> Option<T> {
        if self.broken.borrow().is_empty() && !self.is_incomplete.get() {
            self.report(diagnostic);
        }
        None
    }

    /// The error with the nearest known name, while there are few enough of them.
    pub(crate) fn suggest<'n>(
        &self,
        error: Diagnostic,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Diagnostic {
        if self.suggested.get() == MAX_SUGGESTED {
            return error;
        }
        self.suggested.set(self.suggested.get() + 1);
        error.suggest(name, known)
    }

    /// Reports that a stretch of a file is not TOML.
    pub(crate) fn syntax(&self, source: &str, span: SourceSpan, message: &str) {
        let here = self.broken.borrow().iter().filter(|b| b.file == span.file).count();
        if here > MAX_BROKEN {
            return;
        }
        if here == MAX_BROKEN {
            self.broken.borrow_mut().push(SourceSpan { end: source.len(), ..span });
            return;
        }
        let start = span.start.min(source.len());
        let line = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        // Below the broken head of a table nobody knows which table it is.
        let next = if source[line..].trim_start().starts_with('[') { "\n[" } else { "\n" };
        let end = source[start..].find(next).map_or(source.len(), |newline| start + newline);
        let broken = SourceSpan { file: span.file, start: line, end: end.max(span.end) };
        // What is wrong after the first error of a line is most often its consequence.
        self.report(Diagnostic::error(span, message));
        self.broken.borrow_mut().push(broken);
    }

    /// Whether anything was an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.list.borrow().iter().any(|d| d.level == DiagnosticLevel::Error)
    }

    /// What was read of files, and the lints; everything that is wrong where there are errors.
    pub(crate) fn finish<T>(
        self,
        read: Option<T>,
        files: Vec<SourceFile>,
    ) -> Result<(T, Diagnostics), Diagnostics> {
        let read = read.filter(|_| !self.has_errors());
        let found = Diagnostics::new(files, self.list.into_inner());
        match read {
            Some(read) => Ok((read, found)),
            None => Err(found),
        }
    }
}
