//! Where errors and lints go while files are read. It keeps one mistake from being reported as
//! several: what stands on a line that is not even TOML is not judged, and what seems to be
//! missing is not reported while a part of a file could not be read.

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

/// Collects diagnostics, and the secrets that are named.
#[derive(Debug, Default)]
pub(crate) struct ErrorSink {
    list: Vec<Diagnostic>,
    /// Lines, by file, first and last byte, that are not TOML.
    broken: Vec<SourceSpan>,
    /// Files are known to be missing.
    incomplete: bool,
    /// For how many names a near one was looked up.
    suggested: usize,
    regexes: RegexBudget,
    secrets: Vec<RegisteredSecret>,
}

impl ErrorSink {
    /// Reports an error or a lint.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        let span = &diagnostic.span;
        let hidden = self.broken.iter().any(|broken| {
            broken.file == span.file
                && (span.end == 0 || (span.start <= broken.end && span.end >= broken.start))
                && broken.end > 0
        });
        if !hidden {
            self.list.push(diagnostic);
        }
    }

    /// Reports an error; the answer stands for the value that could not be read.
    pub(crate) fn refuse<T>(&mut self, error: Diagnostic) -> Option<T> {
        self.report(error);
        None
    }

    /// What the regular expressions that are still to come may take.
    pub(crate) fn regexes(&mut self) -> &mut RegexBudget {
        &mut self.regexes
    }

    /// Registers a secret, so that it is kept out of whatever is shown.
    pub(crate) fn register(&mut self, secret: RegisteredSecret) {
        self.secrets.push(secret);
    }

    /// The secrets that were registered.
    pub(crate) fn take_secrets(&mut self) -> Vec<RegisteredSecret> {
        std::mem::take(&mut self.secrets)
    }

    /// Reports that something is not there, unless it may be in a part that could not be read.
    pub(crate) fn missing(&mut self, diagnostic: Diagnostic) {
        if self.broken.is_empty() && !self.incomplete {
            self.report(diagnostic);
        }
    }

    /// The error with the nearest known name, while there are few enough of them.
    pub(crate) fn suggest<'n>(
        &mut self,
        error: Diagnostic,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) -> Diagnostic {
        if self.suggested == MAX_SUGGESTED {
            return error;
        }
        self.suggested += 1;
        error.suggest(name, known)
    }

    /// Says that not all files could be found, so that nothing can be known to be missing.
    pub(crate) fn incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Reports that a stretch of a file is not TOML.
    pub(crate) fn syntax(&mut self, source: &str, span: SourceSpan, message: &str) {
        let here = self.broken.iter().filter(|broken| broken.file == span.file).count();
        if here > MAX_BROKEN {
            return;
        }
        if here == MAX_BROKEN {
            self.broken.push(SourceSpan { end: source.len(), ..span });
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
        self.broken.push(broken);
    }

    /// Whether anything was an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.level == DiagnosticLevel::Error)
    }

    pub(crate) fn finish(self, files: Vec<SourceFile>) -> Diagnostics {
        Diagnostics::new(files, self.list)
    }
}
