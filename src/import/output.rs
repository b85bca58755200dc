//! What came of an import: the rules as TOML, and for each alert what became of it.

use super::place::Spot;

/// What came of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// A file of rules, with a comment for each that tells where it comes from.
    pub toml: String,
    /// What became of each alert.
    pub report: Report,
}

/// What became of each alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The files, as they are shown; spots name them by their place.
    pub files: Vec<String>,
    /// Alerts that became rules, in the order of the files.
    pub kept: Vec<Kept>,
    /// Reasons why alerts did not, in the order of the files.
    pub misfits: Vec<Misfit>,
    /// How many alerts did not.
    pub refused: usize,
    /// Labels whose matchers were left out, and how often.
    pub dropped: Vec<(String, usize)>,
    /// How many recording rules there were.
    pub records: usize,
}

/// An alert that became a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The alert's name.
    pub alert: String,
    /// The rule's name.
    pub rule: String,
    /// Where the alert is.
    pub spot: Spot,
    /// What is not the same as it was.
    pub notes: Vec<String>,
}

/// One reason why an alert did not become a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The alert's name.
    pub alert: String,
    /// What does not fit.
    pub spot: Spot,
    /// Why.
    pub why: String,
    /// What to do instead.
    pub instead: String,
}
