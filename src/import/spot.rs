//! Places in files, and what is wrong at them.

use std::fmt;

/// A character of a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The file's index in the list of files.
    pub file: usize,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for Spot {
    /// `line:column`; only whoever has the list of files knows the file's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong at a place, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) spot: Spot,
    pub(super) why: String,
    pub(super) instead: String,
}

impl Flaw {
    pub(super) fn new(spot: Spot, why: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { spot, why: why.into(), instead: instead.into() }
    }
}
