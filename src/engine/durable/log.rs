//! The log: the durable state together with the entries that the shell has still to write.
//!
//! An entry is applied when it is asked for, so that what is decided next already rests on it. If
//! it cannot be written it did not happen, and the state goes back to what the journal says. For
//! that a second copy lags behind by one batch of entries: taking an append back then costs
//! nothing as long as none has to be, however much history the state holds.

use crate::engine::{durable::bounds, durable::state::Durable, effect::Effect};
use crate::model::entry::Entry;

/// Why nothing is done any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The journal cannot be written: nothing could keep a rollback from running twice.
    JournalLost,
    /// The daemon is ending and left the next attempt to the next start.
    HandedOver,
}

/// The durable state, and the effects that were asked for since they were last handed out.
#[derive(Debug)]
pub(crate) struct Log {
    state: Durable,
    /// The state as of the entries before `batch`.
    written: Durable,
    /// The entries that were asked for together last.
    batch: Vec<Entry>,
    effects: Vec<Effect>,
    halt: Option<Halt>,
}

impl Log {
    /// The log of a journal that holds these entries.
    pub(crate) fn replay(entries: &[Entry]) -> Self {
        let state = Durable::replay(entries);
        let (written, batch, effects) = (state.clone(), Vec::new(), Vec::new());
        Self { state, written, batch, effects, halt: None }
    }

    /// The durable state, with every entry that was asked for so far.
    pub(crate) const fn state(&self) -> &Durable {
        &self.state
    }

    /// Applies an entry and asks for it to be written; whether it did. After a halt nothing is
    /// recorded any more.
    pub(crate) fn record(&mut self, mut entry: Entry) -> bool {
        if self.is_halted() {
            return false;
        }
        bounds::bound(&mut entry.event);
        if !self.effects.iter().any(|effect| matches!(effect, Effect::Append(_))) {
            // The batch before was written: nobody took it back.
            self.batch.drain(..).for_each(|entry| self.written.apply(&entry));
        }
        self.state.apply(&entry);
        self.batch.push(entry.clone());
        self.effects.push(Effect::Append(Box::new(entry)));
        true
    }

    /// Of the entries that were asked for last only `written` were made durable. The others did
    /// not happen: nobody may be told that a version has baked, or was rolled back, that will not
    /// have after a restart.
    pub(crate) fn unrecord(&mut self, written: &[Entry]) {
        self.batch.clear();
        written.iter().for_each(|entry| self.written.apply(entry));
        self.state.clone_from(&self.written);
    }

    /// Asks the shell for something.
    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Hands out what was asked for, in order.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Stops everything, for good. Returns what had stopped it before.
    pub(crate) const fn halt(&mut self, why: Halt) -> Option<Halt> {
        self.halt.replace(why)
    }

    /// Whether nothing is done any more.
    pub(crate) const fn is_halted(&self) -> bool {
        self.halt.is_some()
    }

    /// Why nothing is done any more.
    pub(crate) const fn halted(&self) -> Option<Halt> {
        self.halt
    }
}
