//! What is found when a journal's chain is checked: what there is, whether it is whole, and what
//! can still be trusted where it is not. It must never call a journal whole that says less than it
//! did when its head was noted.

use serde::Serialize;

use crate::model::time::Timestamp;
use crate::record::{Broken, FIRST_SEQ, Hash, Record, Verified};

/// What is known of a journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// Whether it can be trusted.
    pub verdict: Verdict,
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
    pub torn: Option<Rest>,
    /// The first line that is damaged.
    pub damage: Option<Damage>,
    /// The head that was noted elsewhere.
    pub noted: Option<Noted>,
}

/// Whether a journal can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every line is as it was written.
    Whole,
    /// A line is not.
    Damaged,
    /// Every line verifies, but the noted head is not among them: it was cut short or written anew.
    HeadMissing,
}

/// A part of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rest {
    /// Which line, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
}

/// Where the journal is damaged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Which line, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub why: String,
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
    /// Nothing is known yet; `head` was noted elsewhere.
    #[must_use]
    pub fn new(head: Option<Hash>) -> Self {
        let noted = head.map(|head| Noted {
            head: head.to_string(),
            line: (head == Hash::GENESIS).then_some(0),
        });
        Self {
            verdict: Verdict::Damaged,
            entries: 0,
            bytes: 0,
            first: None,
            last: None,
            head: Hash::GENESIS.to_string(),
            unknown: 0,
            torn: None,
            damage: None,
            noted,
        }
    }

    /// Takes the next record into account.
    pub fn take(&mut self, record: Record) {
        self.entries += 1;
        self.first = self.first.or(Some(record.at));
        self.last = Some(record.at);
        if let Some(noted) = &mut self.noted
            && noted.head == record.hash.to_string()
        {
            noted.line = Some(self.entries);
        }
        self.unknown += u64::from(record.entry().is_err());
    }

    /// The chain is whole.
    pub fn whole(&mut self, verified: &Verified) {
        self.so_far(verified);
        let torn = verified.torn;
        self.torn = torn.map(|t| Rest { line: t.line, offset: t.offset, length: t.length });
        let missing = self.noted.as_ref().is_some_and(|noted| noted.line.is_none());
        self.verdict = if missing { Verdict::HeadMissing } else { Verdict::Whole };
    }

    /// The chain is broken; `before` stands before the damage.
    pub fn damaged(&mut self, broken: &Broken, before: &Verified) {
        self.so_far(before);
        let Broken { line, offset, why } = broken;
        self.damage = Some(Damage { line: *line, offset: *offset, why: why.to_string() });
        self.verdict = Verdict::Damaged;
    }

    fn so_far(&mut self, verified: &Verified) {
        self.entries = verified.next_seq - FIRST_SEQ;
        self.bytes = verified.valid_bytes;
        self.head = verified.last_hash.to_string();
    }
}
