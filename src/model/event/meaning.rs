//! What can be asked of every event, whatever its kind.

use crate::model::alert::{AlertAction, StateChange};
use crate::model::channel::Change;

/// How much attention an event deserves in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything goes as it should.
    Info,
    /// Somebody should look at it.
    Warning,
    /// A person is needed.
    Error,
}

/// What anybody may ask of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// How much attention it deserves.
    pub level: Level,
    /// Whether it belongs to the story of its deployment. A report keeps what does, and drops the
    /// others first where there are too many entries.
    pub is_story: bool,
    /// The change of state that people may be told of.
    pub alert: Option<StateChange>,
}

impl Meaning {
    /// That of a part of its deployment's story, of which people are not told.
    pub const fn of(level: Level) -> Self {
        Self { level, is_story: true, alert: None }
    }

    /// The same, but no part of the story.
    #[must_use]
    pub fn aside(self) -> Self {
        Self { is_story: false, ..self }
    }

    /// The same, and people are told of it.
    #[must_use]
    pub fn alert(self, change: Change, action: AlertAction, reason: impl Into<String>) -> Self {
        let alert = Some(StateChange { change, action, reason: reason.into() });
        Self { alert, ..self }
    }
}
