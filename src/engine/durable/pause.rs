//! A pause of automatic rollbacks, as the journal knows it.

use crate::model::entry::{Caller, PauseEvent};
use crate::model::time::Timestamp;

/// A pause of automatic rollbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) by: Caller,
    pub(crate) reason: String,
}

impl Pause {
    /// The pause that an event leaves.
    pub(crate) fn after(at: Timestamp, event: &PauseEvent) -> Option<Self> {
        match event {
            PauseEvent::Paused { until, reason, by } => {
                let (reason, by) = (reason.clone(), by.clone());
                Some(Self { since: at, until: *until, by, reason })
            }
            PauseEvent::Resumed { .. } => None,
        }
    }
}
