//! The journal's file: it fills up and is freed again, is torn in the middle of a line, keeps what
//! it said it had lost, and is read back byte by byte at every start.

use rollguard::model::entry::Entry;
use rollguard::record::{self, Hash};

use super::random::Random;

/// What is on the disk.
pub(crate) struct Disk {
    bytes: Vec<u8>,
    seq: u64,
    last: Hash,
    /// Until when nothing more fits on it.
    full_until: u64,
    /// Half a line is at its end.
    torn: bool,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), seq: 1, last: Hash::GENESIS, full_until: 0, torn: false }
    }

    fn line(&self, entry: &Entry) -> (String, Hash) {
        record::encode(self.seq, &self.last, entry).expect("an entry fits a line")
    }

    pub(crate) fn append(&mut self, entry: &Entry) {
        assert!(!self.torn, "appended to half a line");
        let (line, hash) = self.line(entry);
        self.bytes.extend_from_slice(line.as_bytes());
        (self.seq, self.last) = (self.seq + 1, hash);
    }

    /// Death comes in the middle of a line.
    pub(crate) fn tear(&mut self, entry: &Entry, random: &mut Random) {
        let (line, _) = self.line(entry);
        let part = usize::try_from(random.below(line.len() as u64)).unwrap();
        self.bytes.extend_from_slice(&line.as_bytes()[..part]);
        self.torn = part > 0;
    }

    pub(crate) fn fill(&mut self, until: u64) {
        self.full_until = until;
    }

    pub(crate) fn is_full(&self, now: u64) -> bool {
        now < self.full_until
    }

    /// What a guard reads that starts: every whole line, and what is torn is dropped and said.
    pub(crate) fn read(&mut self, durable: &[Entry]) {
        let read = record::read(&self.bytes).expect("a journal that was only torn is whole");
        assert_eq!(read.0, durable, "the journal is misread");
        assert_eq!(read.1.torn.is_some(), self.torn, "what is torn is dropped and said");
        assert_eq!((read.1.next_seq, &read.1.last_hash), (self.seq, &self.last));
        self.bytes.truncate(usize::try_from(read.1.valid_bytes).unwrap());
        self.torn = false;
    }
}
