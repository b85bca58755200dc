//! Hooks: what is done, as ordered steps, each tried at most N times.

use std::cell::Cell;
use std::time::Duration;

use super::condition::Condition;
use super::index::HookIx;
use super::name::HookName;
use super::step::Action;

/// A hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// Its name.
    pub name: HookName,
    /// At least one step.
    pub steps: Vec<Step>,
    /// How long all steps may take together, from the decision on; `None`: as long as they take.
    pub timeout: Option<Duration>,
    /// How it is seen that the hook helped. `None`: no critical rule holds any more.
    pub cure: Option<Cure>,
    /// The hook that is run when this one fails or its cure is not seen.
    pub on_failure: Option<HookIx>,
}

/// One step of a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is done.
    pub action: Action<Template>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often it is tried at most, at least 1.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles from there, up to [`MAX_BACKOFF`].
    pub backoff: Duration,
    /// Running it twice ends in the same state as running it once, so that it may be run again
    /// when its outcome is unknown.
    pub idempotent: bool,
}

/// The longest pause between two attempts. A rollback that waits longer is one that failed.
pub const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// The longest that a server may put off the next attempt with `Retry-After`. It asks for what
/// suits a service that is not in trouble; a rollback put off for longer is one that failed.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// How it is seen that a rollback helped.
#[derive(Clone, Debug, PartialEq)]
pub struct Cure {
    /// What must hold.
    pub when: Condition,
    /// For how long without interruption.
    pub hold: Duration,
    /// How long after the last step it must have been seen.
    pub within: Duration,
}

/// A text with placeholders, checked when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(String),
    /// Filled in when the step is run.
    Fill(Placeholder),
}

words! {
    /// What can be filled in. Nothing here is ever taken from something sampled.
    pub enum Placeholder {
        /// `{service}`
        Service = "service",
        /// `{version}`: the judged version.
        Version = "version",
        /// `{good}`: the version to go back to.
        Good = "good",
        /// `{deployment}`
        Deployment = "deployment",
        /// `{stage}`
        Stage = "stage",
        /// `{rule}`
        Rule = "rule",
        /// `{reason}`
        Reason = "reason",
        /// `{key}`: deployment, hook and step; the same for every attempt.
        Key = "key",
        /// `{attempt}`
        Attempt = "attempt",
    }
}

impl Template {
    /// Whether the text names the placeholder.
    pub fn names(&self, placeholder: Placeholder) -> bool {
        self.0.contains(&Piece::Fill(placeholder))
    }

    /// The text with every placeholder replaced by what `value` answers for it.
    pub fn fill<'a>(&self, value: impl Fn(Placeholder) -> &'a str) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Fill(placeholder) => text.push_str(value(*placeholder)),
            }
        }
        text
    }
}

impl Hook {
    /// Whether a step needs to know the placeholder's value.
    pub fn names(&self, placeholder: Placeholder) -> bool {
        self.steps.iter().any(|step| step.action.names(placeholder))
    }
}

impl Action<Template> {
    /// Whether a text of it needs to know the placeholder's value.
    pub fn names(&self, placeholder: Placeholder) -> bool {
        let names = Cell::new(false);
        self.map(&|text: &Template| names.set(names.get() || text.names(placeholder)));
        names.get()
    }
}
