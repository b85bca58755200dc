//! Stages of a rollout: what must be seen, and for how long, before more traffic may follow. It
//! exists so that a gate says exactly what it waits for; it never says when a stage is passed.

use std::time::Duration;

use super::condition::Condition;
use super::index::{HookIx, RuleIx};
use super::name::StageName;

/// The most stages of a configuration, and the most that a rule may name; no rollout has more.
pub const MAX_STAGES: usize = 64;

/// A stage: `[[stage]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Its name, unique.
    pub name: StageName,
    /// How long it must have been clean, as far as that was observed.
    pub hold: Duration,
    /// The rules that must be inactive.
    pub watched: Watched,
    /// The conditions that must hold.
    pub limits: Vec<Condition>,
    /// The evidence floor of the limits: while it does not hold they say nothing.
    pub given: Option<Condition>,
    /// The hook that enters it.
    pub enter: Option<HookIx>,
    /// After how long people are told that it has not passed; `None`: never.
    pub within: Option<Duration>,
}

/// The rules that a stage looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Every one that is judged in it.
    InForce,
    /// These.
    These(Vec<RuleIx>),
}
