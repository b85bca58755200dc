//! The result of checking a journal's hash chain: how many entries there are, whether they are
//! whole, and what can still be trusted where they are not. A journal that lost entries since its
//! head was noted must never be called whole.

use serde::Serialize;

use crate::model::time::Timestamp;
use crate::record::{Broken, Hash, Record, Torn, Verified};

/// What is known of a journal.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Whether it can be trusted.
    pub verdict: Integrity,
    /// How many entries verify, from the first without a gap.
    pub entries: u64,
    /// How many bytes they are.
    pub bytes: u64,
    /// When the first of them was written.
    pub first: Option<Timestamp>,
    /// When the last of them was written.
    pub last: Option<Timestamp>,
    /// The hash of the last of them, in hexadecimal; zeros where there is none.
    pub head: String,
    /// Entries that verify and that this version cannot read.
    pub unknown: u64,
    /// A last line that was not written whole; it never counted.
    pub torn: Option<Torn>,
    /// The first line that is damaged.
    pub damage: Option<Broken>,
    /// The head that was noted elsewhere.
    pub noted: Option<Noted>,
}

/// Whether a journal can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Every line is as it was written.
    Whole,
    /// A line is not, or the check is not finished.
    #[default]
    Damaged,
    /// Every line verifies, but the noted head is not among them: it was cut short or written anew.
    HeadMissing,
}

/// A head that was noted elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Noted {
    /// The hash, in hexadecimal.
    pub head: String,
    /// The line that has it, from 1; 0 for the head of an empty journal.
    pub line: Option<u64>,
}

impl Verification {
    /// A check that has not read anything yet; `head` was noted elsewhere.
    pub fn new(head: Option<Hash>) -> Self {
        let noted = head.map(|head| Noted {
            head: head.to_string(),
            line: (head == Hash::GENESIS).then_some(0),
        });
        Self { head: Hash::GENESIS.to_string(), noted, ..Self::default() }
    }

    /// Counts the next record that verifies.
    pub fn take(&mut self, record: Record) {
        self.entries += 1;
        self.first = self.first.or(Some(record.at));
        self.last = Some(record.at);
        if let Some(noted) = &mut self.noted
            && noted.head == record.hash
        {
            noted.line = Some(self.entries);
        }
        self.unknown += u64::from(record.entry().is_err());
    }

    /// Ends the check: the whole chain verifies.
    pub fn whole(&mut self, verified: &Verified) {
        self.so_far(verified);
        self.torn = verified.torn;
        let missing = self.noted.as_ref().is_some_and(|noted| noted.line.is_none());
        self.verdict = if missing { Integrity::HeadMissing } else { Integrity::Whole };
    }

    /// Ends the check: the chain is broken after the records of `before`.
    pub fn damaged(&mut self, broken: &Broken, before: &Verified) {
        self.so_far(before);
        self.damage = Some(broken.clone());
        self.verdict = Integrity::Damaged;
    }

    fn so_far(&mut self, verified: &Verified) {
        self.entries = verified.lines();
        self.bytes = verified.valid_bytes;
        self.head = verified.last_hash.to_string();
    }
}
