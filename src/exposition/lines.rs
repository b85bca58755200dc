//! Chunks to lines.
//!
//! A newline is always the end of a line: within quotes it is written `\n`. So nothing but the
//! piece of the line that a chunk ends in has to be carried to the next chunk.

use super::labels::LineSlice;
use super::{Limits, PageError};

/// Splits a stream of chunks at newlines, within the limits on body and line.
#[derive(Debug)]
pub(super) struct Lines {
    carry: Vec<u8>,
    bytes: u64,
    lines: u64,
    max_bytes: u64,
    max_line: usize,
}

impl Lines {
    /// A splitter at the start of a page.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            carry: Vec::new(),
            bytes: 0,
            lines: 0,
            max_bytes: limits.body_bytes,
            max_line: limits.line_bytes.min(LineSlice::LINE_END),
        }
    }

    /// Bytes seen.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Calls `each` with every line that ends in this chunk, and its number from 1.
    #[inline]
    pub(super) fn split(
        &mut self,
        chunk: &[u8],
        each: &mut impl FnMut(&[u8], u64) -> Result<(), PageError>,
    ) -> Result<(), PageError> {
        self.bytes = self.bytes.saturating_add(chunk.len() as u64);
        if self.bytes > self.max_bytes {
            return Err(PageError::BodyTooLarge { limit: self.max_bytes });
        }
        let mut rest = chunk;
        if !self.carry.is_empty() {
            let Some(end) = memchr::memchr(b'\n', rest) else { return self.keep(rest) };
            self.keep(&rest[..end])?;
            rest = &rest[end + 1..];
            self.lines += 1;
            each(&self.carry, self.lines)?;
            self.carry.clear();
        }
        while let Some(end) = memchr::memchr(b'\n', rest) {
            if end > self.max_line {
                return Err(self.too_long());
            }
            self.lines += 1;
            each(&rest[..end], self.lines)?;
            rest = &rest[end + 1..];
        }
        self.keep(rest)
    }

    /// The last line, if it has no newline, and its number.
    pub(super) fn rest(&self) -> Option<(&[u8], u64)> {
        (!self.carry.is_empty()).then_some((self.carry.as_slice(), self.lines + 1))
    }

    /// How many lines there were, counting the last even without a newline.
    pub(super) fn count(&self) -> u64 {
        self.lines + u64::from(!self.carry.is_empty())
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), PageError> {
        if self.carry.len() + piece.len() > self.max_line {
            return Err(self.too_long());
        }
        self.carry.extend_from_slice(piece);
        Ok(())
    }

    fn too_long(&self) -> PageError {
        PageError::LineTooLong { line: self.lines + 1, limit: self.max_line }
    }
}
