//! Rules: a condition over signals, held for a time, with a consequence.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::index::{HookIx, SignalIx};
use super::name::{RuleName, StageName};

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, unique over all files.
    pub name: RuleName,
    /// The condition.
    pub when: Condition,
    /// The evidence floor: while it does not hold, there is no verdict.
    pub given: Option<Condition>,
    /// `for`: how long the condition must hold without interruption.
    pub hold: Duration,
    /// How much of the time within `for` it must hold.
    pub share: Share,
    /// In how many of its groups it must hold, where its signals are read by labels.
    pub quorum: Quorum,
    /// The stages in which it is judged; empty: in all.
    pub stages: Vec<StageName>,
    /// After how long without any of its readings people are told.
    pub telemetry_lost_after: Duration,
    /// How long the rule keeps firing after its condition stopped holding.
    pub keep_firing_for: Duration,
    /// What the absence of data means.
    pub on_no_data: OnNoData,
    /// What happens when it fires.
    pub then: Then,
    /// Whether it may roll back at all.
    pub severity: Severity,
    /// May fire although it held when the deployment was armed.
    pub relative: bool,
    /// For people, shown with every decision.
    pub about: About,
}

impl Rule {
    /// Calls `f` with every signal that the rule names, in the order in which they are written.
    pub fn for_each_signal(&self, f: &mut dyn FnMut(SignalIx)) {
        self.when.cond.for_each_signal(&mut |ix| f(ix));
        if let Some(given) = &self.given {
            given.cond.for_each_signal(&mut |ix| f(ix));
        }
    }
}

/// What people are told about a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// What it watches for.
    pub description: Option<String>,
    /// Where the procedure is written down.
    pub runbook: Option<String>,
    /// Whom to ask.
    pub owner: Option<String>,
}

/// A share of time, more than 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Share(f64);

impl Share {
    /// All of the time, without interruption.
    pub const ALL: Self = Self(1.0);

    /// A share; `None` unless it is more than 0 and at most 1.
    pub fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(share))
    }

    /// The share as a number.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// This share of a time.
    pub fn of(self, time: Duration) -> Duration {
        if self == Self::ALL { time } else { time.mul_f64(self.0) }
    }
}

impl Eq for Share {}

/// In how many groups a condition must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quorum {
    /// In one at least.
    #[default]
    Any,
    /// In every one.
    All,
    /// In this many at least; never 0.
    AtLeast(u32),
}

/// What the absence of data means for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnNoData {
    /// The clock stops; time without data counts neither way.
    Hold,
    /// As if the condition did not hold.
    Clear,
    /// As if the condition held.
    Breach,
}

/// What happens when a rule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// This hook is run: a rollback.
    Rollback(HookIx),
    /// People are told.
    Notify,
    /// Only the decision is recorded: a dry run of this one rule.
    Report,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Yellow: never rolls back.
    Warning,
    /// Red.
    Critical,
}
