//! What the kinds of channels have in common: the alert, what it means for the alert that is open
//! under the same dedup key, and who sends it.

use crate::engine::effect::Telling;
use crate::model::alert::News;

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The host's name.
    pub host: String,
    /// rollguard's version.
    pub rollguard: String,
}

impl Sender {
    /// The sender, as people read it.
    pub(super) fn name(&self) -> String {
        format!("rollguard on {}", self.host)
    }
}

/// What a channel has to do with an alert that it wants, or with one that it has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EventAction {
    /// It tells of an event that changes nothing about an open alert.
    Inform,
    /// It opens an alert, or updates the one that is open.
    Trigger,
    /// It closes the alert that is open on it.
    Resolve,
    /// It tells of an end, although nothing is open on it, or another alert still is.
    InformOfEnd,
}

/// What a channel composes its requests from.
pub(super) struct Context<'a> {
    pub(super) telling: &'a Telling,
    pub(super) news: &'a News,
    pub(super) action: EventAction,
    /// The identifier that the other system gave to the open alert.
    pub(super) reference: Option<&'a str>,
    pub(super) sender: &'a Sender,
}
