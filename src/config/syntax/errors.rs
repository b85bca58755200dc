//! Where errors and lints go while files are read. It keeps one mistake from being reported as
//! several: what stands on a line that is not even TOML is not judged, and what seems to be
//! missing is not reported while a part of a file could not be read.

use super::diagnostic::{Diagnostic, Diagnostics, Level, MAX_SUGGESTED, Place, SourceFile};
use super::selector::Room;

/// The most lines that are remembered as not being TOML. A file with more is not a configuration,
/// and from there on nothing of it is judged.
const MAX_BROKEN: usize = 100;

/// The most syntax errors that are looked at: one for each line that is remembered, and the one
/// from which on nothing is judged.
pub(crate) const MAX_SYNTAX: usize = MAX_BROKEN + 1;

/// Collects diagnostics.
#[derive(Debug, Default)]
pub(crate) struct Sink {
    list: Vec<Diagnostic>,
    /// Lines, by file, first and last byte, that are not TOML.
    broken: Vec<Place>,
    /// Files are known to be missing.
    incomplete: bool,
    /// For how many names a near one was looked up.
    suggested: usize,
    /// How much regular expressions may still take.
    pub(crate) room: Room,
}

impl Sink {
    /// Reports an error or a lint.
    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        let place = &diagnostic.place;
        let hidden = self.broken.iter().any(|broken| {
            broken.file == place.file
                && (place.end == 0 || (place.start <= broken.end && place.end >= broken.start))
                && broken.end > 0
        });
        if !hidden {
            self.list.push(diagnostic);
        }
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
    pub(crate) fn syntax(&mut self, source: &str, place: Place, message: &str) {
        let here = self.broken.iter().filter(|broken| broken.file == place.file).count();
        if here > MAX_BROKEN {
            return;
        }
        if here == MAX_BROKEN {
            self.broken.push(Place { end: source.len(), ..place });
            return;
        }
        let start = place.start.min(source.len());
        let line = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
        // Below the broken head of a table nobody knows which table it is.
        let next = if source[line..].trim_start().starts_with('[') { "\n[" } else { "\n" };
        let end = source[start..].find(next).map_or(source.len(), |newline| start + newline);
        let broken = Place { file: place.file, start: line, end: end.max(place.end) };
        // What is wrong after the first error of a line is most often its consequence.
        self.report(Diagnostic::error(place, message));
        self.broken.push(broken);
    }

    /// Whether anything was an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.level == Level::Error)
    }

    pub(crate) fn finish(self, files: Vec<SourceFile>) -> Diagnostics {
        Diagnostics::new(files, self.list)
    }
}
