//! The journal's line codec: entries to hash-chained lines and back. It exists so that a damaged
//! or edited journal is noticed before anything is decided on it. It must never guess: what does
//! not verify is refused, and only what a torn append can leave behind is dropped.
//!
//! # The line
//!
//! One JSON object and a line feed, its fields in this order, without white space between them:
//!
//! ```text
//! {"seq":1,"at":"…","kind":"…","deployment":…,"data":{…},"prev":"<64 hex>","hash":"<64 hex>"}
//! ```
//!
//! `seq` counts from 1. `prev` is the `hash` of the line before, 64 zeros in the first line. `hash`
//! is the lower-case hexadecimal SHA-256 of the line's own bytes from its `{` up to, and without,
//! `,"hash":"`: every other field as it is written, `prev` included. What follows those bytes has
//! a fixed length, so nothing needs to be parsed to verify a line:
//!
//! ```text
//! sed -n 7p journal.jsonl | head -c -76 | sha256sum
//! ```
//!
//! # What is dropped and what is refused
//!
//! An append counts only once its line feed is on the disk. So the end of the file is *torn*, and
//! dropped, in two cases:
//!
//! - it has no line feed, and does not begin with a whole record that something other than a line
//!   feed follows (no interrupted append can leave that behind);
//! - its last line does not verify and whole 512-byte sectors of it are zeros: the file had grown
//!   when the power failed, its data had not arrived.
//!
//! Everything else that does not verify is *broken*: nobody knows what was there.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::entry::{Entry, Event};
use crate::model::name::DeploymentId;
use crate::model::time::Timestamp;

/// The longest line with its line feed, in bytes. A decision names every rule and every signal,
/// about 1 KiB for each rule, and must fit whatever the configuration holds; what hooks print is
/// cut down to a few KiB long before.
pub const MAX_LINE: usize = 1024 * 1024;

/// The `seq` of the first line.
pub const FIRST_SEQ: u64 = 1;

/// Between the hashed bytes and the hash.
const HASH_KEY: &[u8] = b",\"hash\":\"";
/// After the hash.
const LINE_END: &[u8] = b"\"}";
/// A hash in hexadecimal.
const HASH_HEX: usize = 64;
/// What follows the hashed bytes, without the line feed.
const SEAL: usize = HASH_KEY.len() + HASH_HEX + LINE_END.len();
/// What a disk loses, it loses in whole sectors; this is the smallest there is.
const SECTOR: usize = 512;

/// A line's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands before the first line.
    pub const GENESIS: Self = Self([0; 32]);

    fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Of 64 hexadecimal digits; `None` of anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; HASH_HEX / 2];
        if text.len() != HASH_HEX || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Hash {
    /// 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An entry that makes a line longer than [`MAX_LINE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes is longer than the {MAX_LINE} that a line may have")]
pub struct TooLong {
    /// How long the line would be.
    pub bytes: usize,
}

/// Why a line is not the record that must stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Over [`MAX_LINE`].
    #[error("it is longer than {MAX_LINE} bytes")]
    TooLong,
    /// It does not end in a hash.
    #[error("it does not end in its hash")]
    Unsealed,
    /// Something was changed.
    #[error("its hash does not fit its text")]
    Hash,
    /// Its hash fits, its fields are not those of a record.
    #[error("it is not a record: {0}")]
    Fields(String),
    /// Lines are missing, repeated or out of order.
    #[error("its seq is {found} where {expected} must stand")]
    Seq {
        /// What stands there.
        found: u64,
        /// What must stand there.
        expected: u64,
    },
    /// It does not follow the line before it.
    #[error("its prev is not the hash of the line before")]
    Prev,
    /// A record that this version does not know.
    #[error("this version of rollguard cannot read its `{kind}` record, a newer one may: {why}")]
    Event {
        /// The record's kind.
        kind: String,
        /// What is not understood.
        why: String,
    },
    /// A whole record, but something else where its line feed must stand.
    #[error("its line feed was overwritten")]
    LineFeed,
}

impl Serialize for LineError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The last line was not completely written; it never counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line} at byte {offset} was not completely written, {length} bytes of it")]
pub struct Torn {
    /// Which line, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How much of it there is, in bytes.
    pub length: u64,
}

/// The journal cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("line {line} at byte {offset} is damaged: {why}")]
pub struct Broken {
    /// Which line, from 1.
    pub line: u64,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub why: LineError,
}

/// An entry as a line with its line feed, and the line's hash.
///
/// # Errors
/// The line would be longer than [`MAX_LINE`].
pub fn encode(seq: u64, prev: &Hash, entry: &Entry) -> Result<(String, Hash), TooLong> {
    let mut event = serde_json::to_value(&entry.event).expect("an event is plain data");
    let unsealed = Record {
        seq,
        at: entry.at,
        kind: event["kind"].as_str().expect("an event has a kind").to_owned(),
        deployment: entry.deployment.clone(),
        data: event["data"].take(),
        prev: prev.to_string(),
        hash: String::new(),
    };
    let mut line = serde_json::to_string(&unsealed).expect("a record is plain data");
    line.pop();
    let hash = Hash::of(line.as_bytes());
    line.push_str(&format!(",\"hash\":\"{hash}\"}}\n"));
    if line.len() > MAX_LINE { Err(TooLong { bytes: line.len() }) } else { Ok((line, hash)) }
}

/// A line. Its fields are written in this order; whoever reads one has verified it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    seq: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened, in a word; this version may not know it.
    pub kind: String,
    /// The deployment that it concerns.
    pub deployment: Option<DeploymentId>,
    /// The fields of its kind.
    pub data: Value,
    prev: String,
    /// The line's hash.
    #[serde(skip_serializing)]
    pub hash: String,
}

impl Record {
    /// What it says.
    ///
    /// # Errors
    /// This version does not know such a record.
    pub fn entry(self) -> Result<Entry, LineError> {
        let tagged = serde_json::json!({ "kind": self.kind, "data": self.data });
        let event = Event::deserialize(tagged)
            .map_err(|error| LineError::Event { kind: self.kind, why: error.to_string() })?;
        Ok(Entry { at: self.at, deployment: self.deployment, event })
    }
}

/// The record of a line without its line feed.
///
/// # Errors
/// The line is not the unchanged record number `expected` that follows `prev`.
pub fn decode(line: &[u8], expected: u64, prev: &Hash) -> Result<(Record, Hash), LineError> {
    let hash = verify(line)?;
    let record: Record =
        serde_json::from_slice(line).map_err(|error| LineError::Fields(error.to_string()))?;
    if record.seq != expected {
        return Err(LineError::Seq { found: record.seq, expected });
    }
    if record.prev != prev.to_string() {
        return Err(LineError::Prev);
    }
    Ok((record, hash))
}

fn verify(line: &[u8]) -> Result<Hash, LineError> {
    if line.len() >= MAX_LINE {
        return Err(LineError::TooLong);
    }
    let split = line.len().checked_sub(SEAL).ok_or(LineError::Unsealed)?;
    let (text, seal) = line.split_at(split);
    let hex = seal.strip_prefix(HASH_KEY).and_then(|seal| seal.strip_suffix(LINE_END));
    let hash = Hash::of(text);
    match hex {
        None => Err(LineError::Unsealed),
        Some(hex) if hex == hash.to_string().as_bytes() => Ok(hash),
        Some(_) => Err(LineError::Hash),
    }
}

/// Reads a whole journal. Memory use is a small multiple of its size.
///
/// # Errors
/// Something other than a torn end does not verify.
pub fn read(bytes: &[u8]) -> Result<(Vec<Entry>, Verified), Broken> {
    let mut scanner = Scanner::default();
    let mut entries = Vec::new();
    scanner.push(bytes, &mut |record| {
        entries.push(record.entry()?);
        Ok(())
    })?;
    Ok((entries, scanner.finish()?))
}

/// What is known of a journal that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The `seq` of the next line.
    pub next_seq: u64,
    /// The hash of the last line: the chain's head.
    pub last_hash: Hash,
    /// Where the next line begins, in bytes: what follows is torn.
    pub valid_bytes: u64,
    /// What was dropped.
    pub torn: Option<Torn>,
}

impl Verified {
    /// How many lines there are.
    pub const fn lines(&self) -> u64 {
        self.next_seq - FIRST_SEQ
    }
}

/// Reads a journal piece by piece, in whatever pieces it comes. It holds one line at a time.
#[derive(Clone, Debug)]
pub struct Scanner {
    so_far: Verified,
    /// The line at hand, as far as it has come.
    line: Vec<u8>,
    /// A whole line that does not verify: torn if it is the last, damaged if anything follows.
    suspect: Option<LineError>,
}

impl Default for Scanner {
    /// At the beginning of a journal.
    fn default() -> Self {
        let (last_hash, valid_bytes) = (Hash::GENESIS, 0);
        let so_far = Verified { next_seq: FIRST_SEQ, last_hash, valid_bytes, torn: None };
        Self { so_far, line: Vec::new(), suspect: None }
    }
}

impl Scanner {
    /// Takes the next piece; `visit` gets each record that it completes, and may refuse it.
    ///
    /// # Errors
    /// Something does not verify, or was refused. Nothing more can be read then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(Record) -> Result<(), LineError>,
    ) -> Result<(), Broken> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(why) = self.suspect.take() {
                return Err(self.broken(why));
            }
            let end = memchr::memchr(b'\n', rest).map(|end| end + 1);
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            if self.line.len() + piece.len() > MAX_LINE {
                return Err(self.broken(LineError::TooLong));
            }
            self.line.extend_from_slice(piece);
            if end.is_some() {
                self.end_line(visit);
            }
            rest = after;
        }
        Ok(())
    }

    fn end_line(&mut self, visit: &mut dyn FnMut(Record) -> Result<(), LineError>) {
        let text = &self.line[..self.line.len() - 1];
        let record = decode(text, self.so_far.next_seq, &self.so_far.last_hash);
        let visited = record.and_then(|(record, hash)| visit(record).map(|()| hash));
        match visited {
            Ok(hash) => {
                self.so_far.next_seq += 1;
                self.so_far.last_hash = hash;
                self.so_far.valid_bytes += self.line.len() as u64;
                self.line.clear();
            }
            Err(why) => self.suspect = Some(why),
        }
    }

    /// What is known so far: of a journal that proves broken, what stands before the damage.
    pub const fn so_far(&self) -> Verified {
        self.so_far
    }

    /// The journal ends here.
    ///
    /// # Errors
    /// Its end is damaged rather than torn.
    pub fn finish(mut self) -> Result<Verified, Broken> {
        if let Some(why) = self.suspect.take() {
            if !has_lost_sectors(&self.line, self.so_far.valid_bytes) {
                return Err(self.broken(why));
            }
        } else if self.is_followed_by_damage() {
            return Err(self.broken(LineError::LineFeed));
        }
        if !self.line.is_empty() {
            let (line, offset) = (self.at_line(), self.so_far.valid_bytes);
            self.so_far.torn = Some(Torn { line, offset, length: self.line.len() as u64 });
        }
        Ok(self.so_far)
    }

    /// Whether the tail is a whole record that something other than a line feed follows.
    fn is_followed_by_damage(&self) -> bool {
        let tail = &self.line[..];
        let seal = memchr::memmem::find(tail, HASH_KEY).map(|at| at + SEAL);
        let Verified { next_seq, last_hash, .. } = &self.so_far;
        seal.filter(|&end| end < tail.len() && tail[end] != b'\n')
            .is_some_and(|end| decode(&tail[..end], *next_seq, last_hash).is_ok())
    }

    fn broken(&self, why: LineError) -> Broken {
        Broken { line: self.at_line(), offset: self.so_far.valid_bytes, why }
    }

    /// The line after those that were read, from 1.
    const fn at_line(&self) -> u64 {
        self.so_far.lines() + 1
    }
}

/// Whether zeros in the file's last line, which begins at `start`, are whole sectors: each sector,
/// as far as the line reaches into it, is zeros throughout or has none, and there is one of zeros.
/// A line that was written has no zero byte, and damage to single bytes does not make such runs.
fn has_lost_sectors(line: &[u8], start: u64) -> bool {
    let mut lost = false;
    let mut rest = line;
    // Where the line begins within its first sector.
    let mut within = usize::try_from(start % SECTOR as u64).expect("less than a sector");
    while !rest.is_empty() {
        let (sector, after) = rest.split_at(rest.len().min(SECTOR - within));
        let zeros = sector.iter().filter(|byte| **byte == 0).count();
        if zeros != 0 && zeros != sector.len() {
            return false;
        }
        lost |= zeros != 0;
        (rest, within) = (after, 0);
    }
    lost
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::entry::{
        Attempt, AttemptEvent, Caller, DaemonEvent, DeploymentEvent, RollbackEvent, SignalEvidence,
        StepResult,
    };
    use crate::model::name::{HookName, SignalName, Version};

    fn entry(event: Event) -> Entry {
        let deployment = Some(DeploymentId::new("v2-20261121T070000Z").unwrap());
        Entry { at: Timestamp::from_millis(1_793_000_000_123), deployment, event }
    }

    fn sample() -> Vec<Entry> {
        let attempt = Attempt::of(HookName::new("rollback").unwrap(), 0, 1);
        let mut entries = vec![
            Entry {
                deployment: None,
                ..entry(Event::Daemon(DaemonEvent::Started {
                    rollguard: "0.1.0".into(),
                    pid: 4711,
                }))
            },
            entry(Event::Deployment(DeploymentEvent::Ended {
                reason: "\u{0} \n \"é,\"hash\":\"".into(),
                by: Caller::Guard,
            })),
        ];
        entries.push(entry(Event::Attempt(AttemptEvent::Outcome {
            attempt: attempt.clone(),
            result: StepResult::Failed("exit status 3".into()),
            output: "x ".repeat(400),
            took_ms: 17,
        })));
        entries.push(entry(Event::Attempt(AttemptEvent::Intent {
            attempt,
            what: "switch-release api v1".into(),
        })));
        entries
    }

    fn written(entries: &[Entry]) -> Vec<u8> {
        let mut prev = Hash::GENESIS;
        let mut bytes = Vec::new();
        for (seq, entry) in (FIRST_SEQ..).zip(entries) {
            let (line, hash) = encode(seq, &prev, entry).unwrap();
            bytes.extend_from_slice(line.as_bytes());
            prev = hash;
        }
        bytes
    }

    /// A line with a correct hash around any fields.
    fn sealed(fields: &str) -> Vec<u8> {
        format!("{fields},\"hash\":\"{}\"}}\n", Hash::of(fields.as_bytes())).into_bytes()
    }

    fn line_starts(bytes: &[u8]) -> Vec<usize> {
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
    }

    #[test]
    fn a_line_has_its_fields_in_order_and_verifies_with_sha256sum() {
        let bytes = written(&sample()[..1]);
        // The hash was made with `head -c -76 | sha256sum`.
        let expected = concat!(
            r#"{"seq":1,"at":"2026-10-26T07:33:20.123Z","kind":"started","deployment":null,"#,
            r#""data":{"pid":4711,"rollguard":"0.1.0"},"#,
            r#""prev":"0000000000000000000000000000000000000000000000000000000000000000","#,
            r#""hash":"e9a7310dd118b4427b803bad857357769e09d6c60022c05c3501fbdf5f2a11b3"}"#,
        );
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, format!("{expected}\n"));
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = written(&sample());
        let read = read(&bytes).unwrap();
        assert_eq!(read.0, sample());
        assert_eq!(read.1.next_seq, 5);
        assert_eq!(read.1.valid_bytes, bytes.len() as u64);
        assert_eq!(read.1.torn, None);
        let next = encode(read.1.next_seq, &read.1.last_hash, &sample()[0]).unwrap().0;
        assert_eq!(super::read(&[bytes, next.into_bytes()].concat()).unwrap().0.len(), 5);
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash = Hash::of(b"x");
        assert_eq!(Hash::from_hex(&hash.to_string()), Some(hash));
        assert_eq!(Hash::from_hex(&hash.to_string().to_uppercase()), Some(hash));
        for text in ["", "0", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32), &"0".repeat(65)]
        {
            assert_eq!(Hash::from_hex(text), None, "{text}");
        }
    }

    #[test]
    fn an_empty_journal_is_whole() {
        let read = read(b"").unwrap();
        assert_eq!((read.1.next_seq, read.1.last_hash, read.1.torn), (1, Hash::GENESIS, None));
    }

    #[test]
    fn a_cut_at_any_byte_leaves_the_lines_before_it() {
        let bytes = written(&sample());
        let starts = line_starts(&bytes);
        for cut in 0..bytes.len() {
            let whole = starts.iter().filter(|start| **start <= cut).count() - 1;
            let read = read(&bytes[..cut]).unwrap();
            assert_eq!(read.0, sample()[..whole], "cut at {cut}");
            assert_eq!(read.1.valid_bytes, starts[whole] as u64, "cut at {cut}");
            assert_eq!(read.1.torn.is_some(), cut != starts[whole], "cut at {cut}");
        }
    }

    #[test]
    fn a_flip_of_any_bit_is_refused() {
        let bytes = written(&sample());
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_flip_of_any_bit_before_a_torn_end_never_changes_what_is_read() {
        let whole = written(&sample());
        let starts = line_starts(&whole);
        let bytes = &whole[..whole.len() - 40];
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = read(&damaged) {
                assert!(bit / 8 >= starts[3], "bit {bit}");
                assert_eq!(read.0, sample()[..3], "bit {bit}");
            }
        }
    }

    #[test]
    fn sectors_of_zeros_in_the_last_line_are_torn_and_anywhere_else_are_broken() {
        let bytes = written(&sample()[..3]);
        let last = line_starts(&bytes)[2];
        let sector = (last / SECTOR + 1) * SECTOR;
        assert!(sector + SECTOR < bytes.len());
        let zeroed = |from: usize, to: usize| {
            let mut damaged = bytes.clone();
            damaged[from..to].fill(0);
            damaged
        };
        for (from, to) in [(last, sector), (sector, sector + SECTOR), (last, bytes.len())] {
            let read = read(&zeroed(from, to)).unwrap();
            assert_eq!(read.0, sample()[..2], "{from}..{to}");
            assert_eq!(read.1.torn.unwrap().offset, last as u64);
        }
        assert!(read(&zeroed(sector, sector + 1)).is_err());
        assert!(read(&zeroed(last + 10, sector)).is_err());
        assert!(read(&zeroed(0, last)).is_err());
        assert!(read(&[zeroed(sector, sector + SECTOR), b"x".to_vec()].concat()).is_err());
    }

    #[test]
    fn a_missing_repeated_or_swapped_line_is_refused() {
        let bytes = written(&sample());
        let starts = line_starts(&bytes);
        let line = |at: usize| &bytes[starts[at]..starts[at + 1]];
        let check = |lines: &[usize], at: u64| {
            let bytes: Vec<u8> = lines.iter().flat_map(|at| line(*at)).copied().collect();
            assert_eq!(read(&bytes).unwrap_err().line, at, "{lines:?}");
        };
        check(&[1, 2, 3], 1);
        check(&[0, 2, 3], 2);
        check(&[0, 1, 1, 2], 3);
        check(&[0, 2, 1, 3], 2);
    }

    #[test]
    fn a_line_of_another_chain_is_refused() {
        let first = encode(FIRST_SEQ, &Hash::GENESIS, &sample()[0]).unwrap().0;
        let second = encode(FIRST_SEQ + 1, &Hash::GENESIS, &sample()[1]).unwrap().0;
        let broken = read(format!("{first}{second}").as_bytes()).unwrap_err();
        assert_eq!(broken.why, LineError::Prev);
        assert_eq!((broken.line, broken.offset), (2, first.len() as u64));
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_by_name() {
        let check = |kind: &str, data: &str, says: &str| {
            let prev = Hash::GENESIS;
            let line = sealed(&format!(
                "{{\"seq\":1,\"at\":\"2026-10-26T07:33:20.123Z\",\"kind\":\"{kind}\",\
                 \"deployment\":null,\"data\":{data},\"prev\":\"{prev}\""
            ));
            let why = read(&line).unwrap_err().to_string();
            assert!(why.contains(&format!("`{kind}` record, a newer one may")), "{why}");
            assert!(why.contains(says), "{why}");
        };
        check("teleported", "{}", "unknown variant `teleported`");
        check("ended", "{\"reason\":\"x\",\"by\":\"martian\"}", "unknown variant `martian`");
        check("started", "{}", "missing field");
    }

    #[test]
    fn a_field_too_many_is_refused() {
        let fields = "{\"seq\":1,\"extra\":0";
        let why = read(&sealed(fields)).unwrap_err().why;
        assert!(matches!(why, LineError::Fields(_)), "{why}");
    }

    #[test]
    fn a_record_that_does_not_fit_a_line_is_refused_before_it_is_written() {
        let big = |length| {
            Event::Deployment(DeploymentEvent::Ended {
                reason: "x".repeat(length),
                by: Caller::Guard,
            })
        };
        assert!(encode(1, &Hash::GENESIS, &entry(big(MAX_LINE))).is_err());
        let fits = encode(1, &Hash::GENESIS, &entry(big(MAX_LINE - 400))).unwrap().0;
        assert_eq!(read(fits.as_bytes()).unwrap().0.len(), 1);
        let tail = vec![b'x'; MAX_LINE + 1];
        assert_eq!(read(&tail).unwrap_err().why, LineError::TooLong);
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let value = proptest::option::of(proptest::num::f64::NORMAL);
        let evidence = (value, any::<bool>(), proptest::option::of(".{0,20}")).prop_map(
            |(value, at_least, no_data)| SignalEvidence {
                group: None,
                signal: SignalName::new("error_rate").unwrap(),
                value,
                at_least,
                no_data,
            },
        );
        let signals = proptest::collection::vec(evidence, 0..4);
        let event = prop_oneof![
            (".{0,80}", any::<u32>()).prop_map(|(rollguard, pid)| Event::Daemon(
                DaemonEvent::Started { rollguard, pid }
            )),
            (".{0,200}", signals)
                .prop_map(|(why, signals)| Event::Rollback(RollbackEvent::Failed { why, signals })),
            "[!-~]{1,8}".prop_filter_map("a version", |version| {
                Some(Event::Deployment(DeploymentEvent::Baked {
                    version: Version::new(&version).ok()?,
                }))
            }),
        ];
        (0..253_402_300_799_999_i64, event)
            .prop_map(|(at, event)| Entry { at: Timestamp::from_millis(at), ..entry(event) })
    }

    proptest! {
        #[test]
        fn any_journal_is_read_as_written_and_damage_is_never_misread(
            entries in proptest::collection::vec(any_entry(), 1..6),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
            cut in any::<prop::sample::Index>(),
        ) {
            let bytes = written(&entries);
            prop_assert_eq!(&read(&bytes).unwrap().0, &entries);

            let mut damaged = bytes.clone();
            let at = at.index(bytes.len());
            damaged[at] = byte;
            damaged.truncate(cut.index(bytes.len() + 1));
            if let Ok(read) = read(&damaged) {
                prop_assert!(entries.starts_with(&read.0));
                let valid = usize::try_from(read.1.valid_bytes).unwrap();
                prop_assert_eq!(&damaged[..valid], &bytes[..valid]);
            }
        }

        #[test]
        fn a_journal_reads_the_same_in_whatever_pieces_it_comes(
            entries in proptest::collection::vec(any_entry(), 0..5),
            damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
            cut in any::<prop::sample::Index>(),
            pieces in proptest::collection::vec(1..700_usize, 1..20),
        ) {
            let mut bytes = written(&entries);
            if let Some((at, byte)) = damage.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            let whole = read(&bytes).map(|read| (read.0, read.1.valid_bytes, read.1.torn));

            let (mut scanner, mut entries, mut rest) = (Scanner::default(), Vec::new(), &bytes[..]);
            let mut pushed = Ok(());
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at(rest.len().min(*piece));
                pushed = scanner.push(now, &mut |record| {
                    entries.push(record.entry()?);
                    Ok(())
                });
                rest = later;
                if rest.is_empty() || pushed.is_err() {
                    break;
                }
            }
            let pieced = pushed.and_then(|()| scanner.finish());
            prop_assert_eq!(whole, pieced.map(|end| (entries, end.valid_bytes, end.torn)));
        }

        #[test]
        fn lines_that_are_moved_repeated_or_removed_are_refused_or_only_the_end_is_missing(
            entries in proptest::collection::vec(any_entry(), 1..6),
            order in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
            foreign in proptest::option::of(any_entry()),
        ) {
            let bytes = written(&entries);
            let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
            let order: Vec<usize> = order.iter().map(|at| at.index(lines.len())).collect();
            let mut changed: Vec<u8> = order.iter().flat_map(|at| lines[*at]).copied().collect();
            // A line of another journal, whose hash is right, and whose number may be.
            let seq = FIRST_SEQ + order.len() as u64;
            let other = foreign.map(|entry| encode(seq, &Hash::of(b"other"), &entry).unwrap().0);
            changed.extend(other.iter().flat_map(|line| line.bytes()));
            match read(&changed) {
                Ok(read) => {
                    let in_place = order.iter().enumerate().all(|(place, at)| place == *at);
                    prop_assert!(in_place && other.is_none());
                    prop_assert_eq!(&read.0[..], &entries[..order.len()]);
                }
                Err(broken) => {
                    let right = order.iter().enumerate().take_while(|(place, at)| place == *at);
                    prop_assert_eq!(broken.line, right.count() as u64 + 1);
                }
            }
        }

        #[test]
        fn noise_never_panics_and_is_never_a_record(bytes in any::<Vec<u8>>()) {
            if let Ok(read) = read(&bytes) {
                prop_assert!(read.0.is_empty());
            }
        }
    }
}
