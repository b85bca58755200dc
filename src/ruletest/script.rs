//! What a rule test says, checked: the pages that are played, and what is expected of the core. A
//! value of these types names only signals, rules and targets that its plan has.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::command::Force;
use crate::model::entry::SignalEvidence;
use crate::model::name::{RuleName, StageName};
use crate::model::plan::Plan;
use crate::model::time::format_duration;
use crate::model::words::words;

use super::notation::Points;

/// One test.
#[derive(Clone, Debug)]
pub struct TestCase {
    /// Its name, for people.
    pub name: String,
    /// The line on which it stands in its file, from 1.
    pub line: usize,
    /// What the core is driven by.
    pub plan: Arc<Plan>,
    /// What each target of the plan answers, in the plan's order.
    pub pages: Vec<TargetPages>,
    /// When the deployment begins, from the first scrape on; `None`: never.
    pub arm: Option<Duration>,
    /// When the deployment enters which stage, in the order of time, and whether even if the one
    /// before it has not passed.
    pub stages: Vec<(Duration, StageName, Force)>,
    /// What is expected.
    pub expects: Vec<Expectation>,
    /// The last instant that is played.
    pub end: Duration,
}

/// What one target answers: name and labels of each series as they stand on the page, and the
/// values. A target without series answers with pages on which nothing stands that anybody reads.
pub type TargetPages = Vec<(String, Points)>;

/// One expectation: all that it wants must be so at the same instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The line on which it stands in its file, from 1.
    pub line: usize,
    /// When.
    pub when: When,
    /// The rule that it is about.
    pub rule: Option<RuleName>,
    /// What must be so; at least one thing.
    pub facts: Vec<ExpectedFact>,
}

/// When an expectation must be met. Times count from the first scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At this instant, after everything that happens at it.
    At(Duration),
    /// It becomes so between these two instants, both included: it is so at one of them, and not
    /// at the last instant before them. Firing, and what is decided because of it, comes too early
    /// at any instant before them.
    Between(Duration, Duration),
    /// At every instant between these two, both included.
    Throughout(Duration, Duration),
}

/// One thing that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedFact {
    /// What is seen in one word.
    Word(ShownWord, String),
    /// A signal's reading, and how far it may be off.
    Signal(SignalEvidence, f64),
    /// A stage that has passed.
    Passed(StageName),
}

words! {
    /// What the core shows in one word, by the key under which it is expected.
    pub enum ShownWord {
        /// The rule's state.
        State = "state",
        /// The rule's verdict.
        Verdict = "verdict",
        /// Why the rule has no verdict.
        Reason = "reason",
        /// What was decided so far, because of the rule if one is named.
        Decision = "decision",
        /// Why nothing would be done if the rule fired now; `none`: it would roll back.
        Refusal = "refusal",
        /// The deployment's colour.
        Colour = "colour",
        /// The stage that the deployment is in.
        Stage = "stage",
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = format_duration;
        match self {
            Self::At(at) => write!(f, "at {}", show(*at)),
            Self::Between(from, to) => write!(f, "between {} and {}", show(*from), show(*to)),
            Self::Throughout(from, to) => write!(f, "from {} until {}", show(*from), show(*to)),
        }
    }
}

impl When {
    /// The first and the last instant that it speaks of.
    pub const fn reach(self) -> [Duration; 2] {
        match self {
            Self::At(at) => [at, at],
            Self::Between(from, to) | Self::Throughout(from, to) => [from, to],
        }
    }
}
