//! Pages in protobuf: messages `io.prometheus.client.MetricFamily`, each preceded by its length.
//!
//! Read as the text is: chunk by chunk, with no more in memory than one metric. A family that
//! nobody asked for is passed over by its length, without a look inside. What cannot be read is
//! reported for every name that it may concern; where the next message begins is never guessed.
//! As encoders write fields by ascending number, a family's name and type come before its metrics;
//! another order, which protobuf allows, is reported as well rather than kept in memory.

use super::emit::{Emitter, FamilyMessage, MetricStop};
use super::metric::MetricType;
use super::wire::{self, MetricFault, Varint, Wire};
use super::{Limits, NameSet, PageError, Reason, Sink, Tally, Whole};

/// How many times as large as a line a metric may be: a histogram is as many lines as it has
/// buckets, but these say their labels only once.
const METRIC_LINES: usize = 16;

/// Reads one page of messages.
#[derive(Debug)]
pub(super) struct ProtobufReader<'n> {
    names: Option<&'n NameSet>,
    limits: Limits,
    emitter: Emitter,
    bytes: u64,
    /// The item that the last chunk ended in, and how long it is at least.
    carry: Vec<u8>,
    need: usize,
    /// How much of what follows nobody asked for.
    skip: u64,
    /// How much of the family is still to come; `None` between two.
    left: Option<u64>,
    family: FamilyMessage,
    kind: Option<MetricType>,
    has_metrics: bool,
}

/// What became of the item at hand.
enum ItemRead {
    /// So many bytes are read.
    Took(usize),
    /// Nothing is read: there must be more bytes, see `need`.
    Lacks,
}

impl<'n> ProtobufReader<'n> {
    pub(super) fn new(limits: Limits, names: Option<&'n NameSet>) -> Self {
        Self {
            names,
            limits,
            emitter: Emitter::new(limits.labels, limits.samples),
            bytes: 0,
            carry: Vec::new(),
            need: 0,
            skip: 0,
            left: None,
            family: FamilyMessage::default(),
            kind: None,
            has_metrics: false,
        }
    }

    /// Reads the next chunk.
    pub(super) fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > self.limits.body_bytes {
            return Err(PageError::BodyTooLarge { limit: self.limits.body_bytes });
        }
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.skip > 0 {
                let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rest.len());
                self.skip -= skipped as u64;
                rest = &rest[skipped..];
            } else if self.carry.is_empty() {
                match self.step(rest, self.bytes - rest.len() as u64, sink)? {
                    ItemRead::Took(read) => rest = &rest[read..],
                    ItemRead::Lacks => {
                        self.carry.extend_from_slice(rest);
                        return Ok(());
                    }
                }
            } else {
                rest = self.carried(rest, sink)?;
            }
        }
        Ok(())
    }

    /// Adds to the kept item what it lacks, and no more.
    fn carried<'c>(&mut self, rest: &'c [u8], sink: &mut impl Sink) -> Result<&'c [u8], PageError> {
        let missing = self.need.saturating_sub(self.carry.len()).min(rest.len());
        let (added, rest) = rest.split_at(missing);
        self.carry.extend_from_slice(added);
        if self.carry.len() >= self.need {
            let mut item = std::mem::take(&mut self.carry);
            let at = self.bytes - (rest.len() + item.len()) as u64;
            if let ItemRead::Took(read) = self.step(&item, at, sink)? {
                debug_assert_eq!(read, item.len(), "it was given what it needs");
                item.clear();
            }
            self.carry = item;
        }
        Ok(rest)
    }

    /// Ends the page. Lengths say where it may end: within a message it is cut, whatever the
    /// transport says.
    pub(super) fn finish(self, whole: Whole) -> Result<Tally, PageError> {
        let (bytes, lines) = (self.bytes, self.family.number);
        let within = self.left.is_some() || !self.carry.is_empty() || self.skip > 0;
        if within || whole == Whole::No {
            return Err(PageError::Truncated { bytes });
        }
        Ok(Tally { bytes, lines, whole: whole == Whole::Yes, ..self.emitter.tally })
    }

    /// Reads what begins here, at byte `at` of the page: a family's length or one of its fields.
    fn step(&mut self, bytes: &[u8], at: u64, sink: &mut impl Sink) -> Result<ItemRead, PageError> {
        if let Some(left) = self.left {
            let within = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            return self.field(&bytes[..within], left, sink);
        }
        match wire::varint(bytes) {
            Varint::More => Ok(self.lacks(bytes.len() + 1)),
            Varint::Bad => Err(PageError::NotDelimited { at }),
            Varint::Done(length, taken) => {
                self.family.next();
                (self.kind, self.has_metrics) = (None, false);
                Ok(self.took(taken, 0, length, sink))
            }
        }
    }

    /// Reads a field of the family from as much of its bytes as is there.
    fn field(
        &mut self,
        bytes: &[u8],
        left: u64,
        sink: &mut impl Sink,
    ) -> Result<ItemRead, PageError> {
        let (key, start) = match self.number(bytes, 0, left, sink) {
            Ok(read) => read,
            Err(item) => return Ok(item),
        };
        let Some((field, wire)) = wire::key(key) else {
            return Ok(self.spoil(start, left, sink));
        };
        let (number, start) = match wire {
            Wire::Fixed64 => (8, start),
            Wire::Fixed32 => (4, start),
            Wire::Varint | Wire::Bytes => match self.number(bytes, start, left, sink) {
                Ok(read) => read,
                Err(item) => return Ok(item),
            },
        };
        let length = if wire == Wire::Varint { 0 } else { number };
        let Some(behind) = (left - start as u64).checked_sub(length) else {
            return Ok(self.spoil(start, left, sink));
        };
        match (field, wire) {
            (1 | 4, Wire::Bytes) => {}
            (3, Wire::Varint) => {
                self.kind(number, sink);
                return Ok(self.took(start, 0, behind, sink));
            }
            (1 | 3 | 4, _) => return Ok(self.spoil(start, left, sink)),
            (_, _) => return Ok(self.took(start, length, behind, sink)),
        }
        let limit = self.limits.line_bytes.saturating_mul(METRIC_LINES);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            return Err(PageError::LineTooLong { line: self.family.number, limit });
        }
        let end = start + length;
        let Some(payload) = bytes.get(start..end) else { return Ok(self.lacks(end)) };
        match field {
            1 => self.name(payload, sink),
            _ => self.metric(payload, sink)?,
        }
        let unwanted = !self.family.name.is_empty() && !self.family.is_wanted();
        let (skip, behind) = if unwanted { (behind, 0) } else { (0, behind) };
        Ok(self.took(end, skip, behind, sink))
    }

    /// A number of the family and where it ends, or what became of the item if there is none.
    fn number(
        &mut self,
        bytes: &[u8],
        start: usize,
        left: u64,
        sink: &mut impl Sink,
    ) -> Result<(u64, usize), ItemRead> {
        match wire::varint(&bytes[start..]) {
            Varint::Done(number, length) => Ok((number, start + length)),
            Varint::More if (bytes.len() as u64) < left => Err(self.lacks(bytes.len() + 1)),
            Varint::More | Varint::Bad => Err(self.spoil(bytes.len(), left, sink)),
        }
    }

    /// So many bytes there must be, at least.
    fn lacks(&mut self, need: usize) -> ItemRead {
        self.need = need;
        ItemRead::Lacks
    }

    /// Marks so many bytes as read and so many as not wanted, and ends the family if that leaves
    /// nothing of it. One without a name may be any.
    fn took(&mut self, bytes: usize, skip: u64, left: u64, sink: &mut impl Sink) -> ItemRead {
        self.skip = skip;
        self.left = Some(left).filter(|left| *left > 0);
        if self.left.is_none() && self.family.name.is_empty() {
            self.report((0, Reason::MissingName), sink);
        }
        ItemRead::Took(bytes)
    }

    fn name(&mut self, payload: &[u8], sink: &mut impl Sink) {
        let name = std::str::from_utf8(payload).ok().filter(|name| !name.is_empty());
        // As nobody can want another, it is no loss; but then a name may be cut.
        let Some(name) = name else { return self.report((0, Reason::BadName), sink) };
        if !self.family.name.is_empty() || self.has_metrics {
            self.report((0, Reason::SecondName), sink);
        }
        self.family.rename(name, self.names);
        if self.has_metrics {
            self.report((0, Reason::BadFamily), sink);
        }
    }

    fn kind(&mut self, number: u64, sink: &mut impl Sink) {
        let kind = MetricType::of(number);
        let late = self.has_metrics && kind != Some(self.kind.unwrap_or(MetricType::COUNTER));
        if kind.is_none() || late {
            self.report((0, Reason::BadFamily), sink);
        }
        // An unknown type has been reported; no metric can be of it.
        self.kind = kind.or(self.kind);
    }

    fn metric(&mut self, payload: &[u8], sink: &mut impl Sink) -> Result<(), PageError> {
        self.has_metrics = true;
        if self.family.name.is_empty() {
            self.report((0, Reason::MissingName), sink);
            return Ok(());
        }
        let kind = self.kind.unwrap_or(MetricType::COUNTER);
        match self.emitter.metric((&self.family, kind), payload, sink) {
            Ok(()) => {}
            Err(MetricStop::Page(error)) => return Err(error),
            Err(MetricStop::Fault(fault)) => self.report(fault, sink),
        }
        Ok(())
    }

    /// The rest of the family cannot be read; the next is where its length says.
    fn spoil(&mut self, bytes: usize, left: u64, sink: &mut impl Sink) -> ItemRead {
        self.report((bytes, Reason::BadMessage), sink);
        (self.left, self.skip) = (None, left - bytes as u64);
        ItemRead::Took(bytes)
    }

    fn report(&mut self, fault: MetricFault, sink: &mut impl Sink) {
        self.emitter.report(&self.family, fault, sink);
    }
}
