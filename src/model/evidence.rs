//! What a decision rests on, as plain values: rules and their readings at one moment.

use serde::{Deserialize, Serialize};

use super::name::{RuleName, SignalName};
use super::rule::{About, Severity};
use super::time::Timestamp;

/// A rule and what it rests on, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleEvidence {
    /// The rule.
    pub rule: RuleName,
    /// Its condition as written.
    pub when: String,
    /// Its evidence floor as written.
    pub given: Option<String>,
    /// Its state.
    pub state: RuleStanding,
    /// How long it must hold, in milliseconds.
    pub for_ms: u64,
    /// How long it was observed to hold, in milliseconds.
    pub held_ms: u64,
    /// When it began to hold.
    pub since: Option<Timestamp>,
    /// Its severity.
    pub severity: Severity,
    /// Its signals.
    pub signals: Vec<SignalEvidence>,
    /// Left and right side of its comparisons, for display.
    pub comparisons: Vec<Comparison>,
    /// For how much of its `for` it must hold, from 0 to 1; `None`: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Where its signals are read by labels: in how many groups it must hold, and those in which it
    /// holds or held, the worst first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// See `quorum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupEvidence>,
    /// For people.
    pub about: About,
}

/// A rule in one of its groups, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupEvidence {
    /// The group, as in `instance="a:1"`.
    pub group: String,
    /// The rule's state there.
    pub state: RuleStanding,
    /// How long it was observed to hold there, in milliseconds.
    pub held_ms: u64,
    /// Left and right side of its comparisons there, for display.
    pub comparisons: Vec<Comparison>,
}

words! {
    /// A rule's state and verdict, as plain words.
    pub enum RuleStanding {
        /// The condition does not hold.
        Inactive = "inactive",
        /// It holds, not yet for long enough.
        Pending = "pending",
        /// It holds, or held, for long enough.
        Firing = "firing",
    }
}

/// A signal's reading at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalEvidence {
    /// The signal.
    pub signal: SignalName,
    /// The group, where it is read by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its value; `None` where there is none.
    pub value: Option<f64>,
    /// The value is a lower bound.
    #[serde(default)]
    pub at_least: bool,
    /// Why there is no value.
    pub no_data: Option<String>,
}

impl SignalEvidence {
    /// The signal, with the group where it is read by labels: `errors{route="/pay"}`.
    pub fn label(&self) -> String {
        match &self.group {
            Some(group) => format!("{}{{{group}}}", self.signal),
            None => self.signal.to_string(),
        }
    }
}

/// The two sides of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The left side; `None` where there is no data.
    pub left: Option<f64>,
    /// The operator.
    pub op: String,
    /// The right side; `None` where there is no data.
    pub right: Option<f64>,
}
