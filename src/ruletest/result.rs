//! What came of rule tests, as plain values. The field names are documented and stable.

use serde::Serialize;

use crate::engine::view::snapshot::SignalStatus;
use crate::model::entry::RuleStanding;
use crate::model::name::RuleName;

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// The line on which it stands in its file, from 1.
    pub line: usize,
    /// How long it took on the virtual clock, in milliseconds.
    pub virtual_ms: u64,
    /// How many scrapes were played.
    pub scrapes: u64,
    /// The expectations that were not met; none where it passed.
    pub failures: Vec<Miss>,
}

impl CaseResult {
    /// Whether every expectation was met.
    pub const fn has_passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Miss {
    /// The line on which it stands in its file, from 1.
    pub line: usize,
    /// Its time, as `at 2m`.
    pub when: String,
    /// The rule that it is about.
    pub rule: Option<RuleName>,
    /// The instant at which it went wrong, in milliseconds from the first scrape.
    pub at_ms: u64,
    /// What went wrong, in a line.
    pub why: String,
    /// What was expected and what was seen at that instant, thing by thing.
    pub aspects: Vec<Aspect>,
    /// The readings around that instant.
    pub around: Vec<Row>,
}

/// One thing that was expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Aspect {
    /// What it is: `state`, `verdict`, `reason`, `decision`, `refusal`, `colour`, or a signal.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub got: String,
    /// Whether that is what was expected.
    pub met: bool,
}

/// What was seen at one instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The instant, in milliseconds from the first scrape.
    pub at_ms: u64,
    /// The rule's standing, where the expectation names a rule.
    pub rule: Option<RuleRow>,
    /// The readings of the signals that matter.
    pub signals: Vec<SignalStatus>,
}

/// A rule at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRow {
    /// Its state.
    pub state: RuleStanding,
    /// For how long it was observed to hold, in milliseconds.
    pub held_ms: u64,
    /// `holds`, `fails` or `no data`.
    pub verdict: String,
    /// Why there is no verdict.
    pub no_data: Option<String>,
}
