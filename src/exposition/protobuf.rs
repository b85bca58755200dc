//! Pages in protobuf: messages `io.prometheus.client.MetricFamily`, each preceded by its length.
//!
//! Read as the text is: chunk by chunk, with no more in memory than one metric. A family that
//! nobody asked for is passed over by its length, without a look inside. What cannot be read is
//! reported for every name that it may concern; where the next message begins is never guessed.
//! As encoders write fields by ascending number, a family's name and type come before its metrics;
//! another order, which protobuf allows, is reported as well rather than kept in memory.

use super::emit::{Emitter, FamilyMessage, MetricStop, WantedNames};
use super::metric::MetricType;
use super::wire::{self, Varint, Wire};
use super::{Limits, NameSet, PageError, Reason, Sink, Tally, Whole};

/// How many times as large as a line a metric may be: a histogram is as many lines as it has
/// buckets, but these say their labels only once.
const METRIC_LINES: usize = 16;

/// Reads one page of messages.
#[derive(Debug)]
pub(super) struct ProtobufReader<'n> {
    page: MessagePage<'n>,
    /// The item that the last chunk ended in, and how long it is at least.
    carry: Vec<u8>,
    need: usize,
    /// How much of what follows nobody asked for.
    skip: u64,
    bytes: u64,
    max_bytes: u64,
    failed: Option<PageError>,
}

/// A page in the course of being read.
#[derive(Debug)]
struct MessagePage<'n> {
    names: Option<&'n NameSet>,
    limits: Limits,
    emitter: Emitter,
    /// How much of the family is still to come; `None` between two.
    left: Option<u64>,
    number: u64,
    name: Option<String>,
    wanted: WantedNames,
    kind: Option<MetricType>,
    has_metrics: bool,
    scratch: Vec<u8>,
}

/// What became of the beginning of some bytes.
enum ItemRead {
    /// So many are read, and so many of what follows are not wanted.
    Took { bytes: usize, skip: u64 },
    /// So many there must be, at least.
    Need(usize),
}

impl<'n> ProtobufReader<'n> {
    pub(super) fn new(limits: Limits, names: Option<&'n NameSet>) -> Self {
        let page = MessagePage {
            names,
            limits,
            emitter: Emitter::new(limits.labels, limits.samples),
            left: None,
            number: 0,
            name: None,
            wanted: WantedNames::default(),
            kind: None,
            has_metrics: false,
            scratch: Vec::new(),
        };
        Self {
            page,
            carry: Vec::new(),
            need: 0,
            skip: 0,
            bytes: 0,
            max_bytes: limits.body_bytes,
            failed: None,
        }
    }

    /// Reads the next chunk. After an error the page is lost and every call returns that error.
    pub(super) fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let fed = self.read(chunk, sink);
        self.failed = fed.err();
        fed
    }

    fn read(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        let before = self.bytes;
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > self.max_bytes {
            return Err(PageError::BodyTooLarge { limit: self.max_bytes });
        }
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                self.skip -= skipped as u64;
                rest = &rest[skipped..];
                continue;
            }
            let at = before + (chunk.len() - rest.len()) as u64;
            if self.carry.is_empty() {
                rest = self.direct(rest, at, sink)?;
            } else {
                rest = self.carried(rest, at, sink)?;
            }
        }
        Ok(())
    }

    /// Reads one item from the chunk, or keeps what there is of it.
    fn direct<'c>(
        &mut self,
        rest: &'c [u8],
        at: u64,
        sink: &mut impl Sink,
    ) -> Result<&'c [u8], PageError> {
        match self.page.step(rest, at, sink)? {
            ItemRead::Took { bytes, skip } => {
                self.skip = skip;
                Ok(&rest[bytes..])
            }
            ItemRead::Need(need) => {
                self.need = need;
                self.carry.extend_from_slice(rest);
                Ok(&[])
            }
        }
    }

    /// Adds to the kept item what it lacks, and no more.
    fn carried<'c>(
        &mut self,
        rest: &'c [u8],
        at: u64,
        sink: &mut impl Sink,
    ) -> Result<&'c [u8], PageError> {
        let missing = self.need.saturating_sub(self.carry.len()).min(rest.len());
        let (added, rest) = rest.split_at(missing);
        self.carry.extend_from_slice(added);
        if self.carry.len() < self.need {
            return Ok(rest);
        }
        // The item begins where the first that was kept of it stood.
        let at = at + missing as u64 - self.carry.len() as u64;
        match self.page.step(&self.carry, at, sink)? {
            ItemRead::Took { bytes, skip } => {
                debug_assert_eq!(bytes, self.carry.len(), "it was given what it needs");
                self.carry.clear();
                self.skip = skip;
            }
            ItemRead::Need(need) => self.need = need,
        }
        Ok(rest)
    }

    /// Ends the page. Lengths say where it may end: within a message it is cut, whatever the
    /// transport says.
    pub(super) fn finish(self, whole: Whole) -> Result<Tally, PageError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let within = self.page.left.is_some() || !self.carry.is_empty() || self.skip > 0;
        if within || whole == Whole::No {
            return Err(PageError::Truncated { bytes: self.bytes });
        }
        let (bytes, lines, whole) = (self.bytes, self.page.number, whole == Whole::Yes);
        Ok(Tally { bytes, lines, whole, ..self.page.emitter.tally })
    }
}

impl MessagePage<'_> {
    /// Reads what begins here: a family's length or one of its fields.
    fn step(&mut self, bytes: &[u8], at: u64, sink: &mut impl Sink) -> Result<ItemRead, PageError> {
        match self.left {
            None => self.open(bytes, at, sink),
            Some(left) => self.field(bytes, left, sink),
        }
    }

    fn open(&mut self, bytes: &[u8], at: u64, sink: &mut impl Sink) -> Result<ItemRead, PageError> {
        match wire::varint(bytes) {
            Varint::More => Ok(ItemRead::Need(bytes.len() + 1)),
            Varint::Bad => Err(PageError::NotDelimited { at }),
            Varint::Done(length, taken) => {
                self.number += 1;
                (self.name, self.kind, self.has_metrics) = (None, None, false);
                self.wanted = WantedNames::default();
                self.left = Some(length);
                self.close_if_done(sink);
                Ok(ItemRead::Took { bytes: taken, skip: 0 })
            }
        }
    }

    /// Ends the family if nothing is left of it. One without a name may be any.
    fn close_if_done(&mut self, sink: &mut impl Sink) {
        if self.left == Some(0) {
            self.left = None;
            if self.name.is_none() {
                self.report((0, Reason::MissingName), sink);
            }
        }
    }

    fn field(
        &mut self,
        bytes: &[u8],
        left: u64,
        sink: &mut impl Sink,
    ) -> Result<ItemRead, PageError> {
        let (key, start) = match wire::varint(within(bytes, left)) {
            Varint::Done(key, start) => (key, start),
            Varint::More if (bytes.len() as u64) < left => {
                return Ok(ItemRead::Need(bytes.len() + 1));
            }
            Varint::More | Varint::Bad => return Ok(self.spoil(bytes.len(), left, sink)),
        };
        let Some((field, wire)) = wire::key(key) else {
            return Ok(self.spoil(start, left, sink));
        };
        let (number, start) = match wire {
            Wire::Fixed64 => (8, start),
            Wire::Fixed32 => (4, start),
            Wire::Varint | Wire::Bytes => match wire::varint(&within(bytes, left)[start..]) {
                Varint::Done(number, length) => (number, start + length),
                Varint::More if (bytes.len() as u64) < left => {
                    return Ok(ItemRead::Need(bytes.len() + 1));
                }
                Varint::More | Varint::Bad => return Ok(self.spoil(bytes.len(), left, sink)),
            },
        };
        let length = if wire == Wire::Varint { 0 } else { number };
        let rest = left - start as u64;
        if length > rest {
            return Ok(self.spoil(start, left, sink));
        }
        match (field, wire) {
            (1, Wire::Bytes) => self.payload(bytes, (start, length), left, Self::name, sink),
            (4, Wire::Bytes) => self.payload(bytes, (start, length), left, Self::metric, sink),
            (3, Wire::Varint) => {
                self.kind(number, sink);
                self.take(start, 0, left, sink)
            }
            (1 | 3 | 4, _) => Ok(self.spoil(start, left, sink)),
            (_, _) => self.take(start, length, left, sink),
        }
    }

    /// Marks so many bytes of the family as read and so many as not wanted.
    fn take(
        &mut self,
        bytes: usize,
        skip: u64,
        left: u64,
        sink: &mut impl Sink,
    ) -> Result<ItemRead, PageError> {
        self.left = Some(left - bytes as u64 - skip);
        self.close_if_done(sink);
        Ok(ItemRead::Took { bytes, skip })
    }

    /// Hands a field's bytes to `read` once they are all there.
    fn payload<S: Sink>(
        &mut self,
        bytes: &[u8],
        (start, length): (usize, u64),
        left: u64,
        read: impl Fn(&mut Self, &[u8], &mut S) -> Result<(), PageError>,
        sink: &mut S,
    ) -> Result<ItemRead, PageError> {
        let limit = self.limits.line_bytes.saturating_mul(METRIC_LINES);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            return Err(PageError::LineTooLong { line: self.number, limit });
        }
        let Some(payload) = bytes.get(start..start + length) else {
            return Ok(ItemRead::Need(start + length));
        };
        read(self, payload, sink)?;
        let left = left - (start + length) as u64;
        let unwanted = self.name.is_some() && !self.wanted.any();
        let skip = if unwanted { left } else { 0 };
        self.left = Some(left - skip);
        self.close_if_done(sink);
        Ok(ItemRead::Took { bytes: start + length, skip })
    }

    fn name<S: Sink>(&mut self, payload: &[u8], sink: &mut S) -> Result<(), PageError> {
        let name = std::str::from_utf8(payload).ok().filter(|name| !name.is_empty());
        let Some(name) = name else {
            // As nobody can want it, it is no loss; but then a name may be cut.
            self.report((0, Reason::BadName), sink);
            return Ok(());
        };
        if self.name.is_some() || self.has_metrics {
            self.report((0, Reason::SecondName), sink);
        }
        self.wanted = WantedNames::new(payload, self.names, &mut self.scratch);
        self.name = Some(name.to_owned());
        if self.has_metrics {
            self.report((0, Reason::BadFamily), sink);
        }
        Ok(())
    }

    fn kind(&mut self, number: u64, sink: &mut impl Sink) {
        let kind = MetricType::of(number);
        let late = self.has_metrics && kind != Some(self.kind.unwrap_or(MetricType::Counter));
        if kind.is_none() || late {
            self.report((0, Reason::BadFamily), sink);
        }
        // An unknown type has been reported; no metric can be of it.
        self.kind = kind.or(self.kind);
    }

    fn metric<S: Sink>(&mut self, payload: &[u8], sink: &mut S) -> Result<(), PageError> {
        self.has_metrics = true;
        let Some(name) = self.name.take() else {
            self.report((0, Reason::MissingName), sink);
            return Ok(());
        };
        let family = FamilyMessage { name: &name, wanted: self.wanted, number: self.number };
        // The first of an enumeration is what an absent field means.
        let kind = self.kind.unwrap_or(MetricType::Counter);
        let done = self.emitter.metric((family, kind), payload, sink);
        let done = match done {
            Ok(()) => Ok(()),
            Err(MetricStop::Page(error)) => Err(error),
            Err(MetricStop::Fault(fault)) => {
                self.emitter.report(family, fault, sink);
                Ok(())
            }
        };
        self.name = Some(name);
        done
    }

    /// The rest of the family cannot be read; the next is where its length says.
    fn spoil(&mut self, bytes: usize, left: u64, sink: &mut impl Sink) -> ItemRead {
        let bytes = within_length(bytes, left);
        self.report((bytes, Reason::BadMessage), sink);
        self.left = None;
        ItemRead::Took { bytes, skip: left - bytes as u64 }
    }

    fn report(&mut self, fault: (usize, Reason), sink: &mut impl Sink) {
        let name = self.name.take();
        let shown = name.as_deref().unwrap_or_default();
        let family = FamilyMessage { name: shown, wanted: self.wanted, number: self.number };
        self.emitter.report(family, fault, sink);
        self.name = name;
    }
}

/// As much of the bytes as belongs to the family.
fn within(bytes: &[u8], left: u64) -> &[u8] {
    &bytes[..within_length(bytes.len(), left)]
}

fn within_length(length: usize, left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(length)
}
