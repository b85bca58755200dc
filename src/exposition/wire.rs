//! The protobuf wire format: numbers, and the fields of a message that is at hand as a whole.
//!
//! Groups are of a protobuf before the one that has exposition formats and count as malformed.
//! Never: an allocation, or a length that is believed before its bytes are there.

use super::Reason;

/// A number of variable length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Varint {
    /// It, and how many bytes it takes.
    Done(u64, usize),
    /// The bytes end within it.
    More,
    /// No number goes on for so long.
    Bad,
}

/// Reads the number at the beginning.
#[inline]
pub(super) fn varint(bytes: &[u8]) -> Varint {
    /// 64 bits at 7 a byte.
    const MAX_BYTES: usize = 10;
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().take(MAX_BYTES).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == MAX_BYTES - 1 && bits > 1 {
            return Varint::Bad;
        }
        number |= bits << (7 * index);
        if byte & 0x80 == 0 {
            return Varint::Done(number, index + 1);
        }
    }
    if bytes.len() < MAX_BYTES { Varint::More } else { Varint::Bad }
}

/// The signed number that a zigzag number stands for.
#[inline]
pub(super) const fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// How a field is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// A [`varint`].
    Varint,
    /// Eight bytes.
    Fixed64,
    /// A length and so many bytes.
    Bytes,
    /// Four bytes.
    Fixed32,
}

/// Takes a field's key apart: its number and encoding.
#[inline]
pub(super) fn key(number: u64) -> Option<(u32, Wire)> {
    let wire = match number & 7 {
        0 => Wire::Varint,
        1 => Wire::Fixed64,
        2 => Wire::Bytes,
        5 => Wire::Fixed32,
        _ => return None,
    };
    u32::try_from(number >> 3).ok().filter(|field| *field > 0).map(|field| (field, wire))
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum FieldValue<'a> {
    /// A number of any kind but a float.
    Number(u64),
    /// A float.
    Float(f64),
    /// Text, a message, or numbers packed.
    Bytes(&'a [u8]),
    /// What no message here has.
    Other,
}

/// At which byte a message cannot be read, and why.
pub(super) type MetricFault = (usize, Reason);

impl<'a> FieldValue<'a> {
    /// The float, into its place.
    pub(super) fn float(self, into: &mut f64) -> Result<(), MetricFault> {
        let Self::Float(number) = self else { return Err((0, Reason::BadMessage)) };
        *into = number;
        Ok(())
    }

    /// The number, into its place.
    pub(super) fn number(self, into: &mut u64) -> Result<(), MetricFault> {
        let Self::Number(number) = self else { return Err((0, Reason::BadMessage)) };
        *into = number;
        Ok(())
    }

    /// The bytes.
    pub(super) fn bytes(self) -> Result<&'a [u8], MetricFault> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err((0, Reason::BadMessage)) }
    }
}

/// The fields of a message, in its order.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next field; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u32, FieldValue<'a>)>, MetricFault> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let bad = (self.at, Reason::BadMessage);
        let (field, wire) = key(self.number()?).ok_or(bad)?;
        let value = match wire {
            Wire::Varint => FieldValue::Number(self.number()?),
            Wire::Fixed64 => FieldValue::Float(self.float()?),
            Wire::Bytes => {
                let length = usize::try_from(self.number()?).map_err(|_| bad)?;
                FieldValue::Bytes(self.take(length)?)
            }
            Wire::Fixed32 => {
                self.take(4)?;
                FieldValue::Other
            }
        };
        Ok(Some((field, value)))
    }

    /// The next of numbers that stand one behind the other.
    pub(super) fn number(&mut self) -> Result<u64, MetricFault> {
        match varint(&self.bytes[self.at..]) {
            Varint::Done(number, length) => {
                self.at += length;
                Ok(number)
            }
            Varint::More | Varint::Bad => Err((self.at, Reason::BadMessage)),
        }
    }

    /// The next of floats that stand one behind the other.
    pub(super) fn float(&mut self) -> Result<f64, MetricFault> {
        let bytes = self.take(8)?.first_chunk().expect("eight bytes were taken");
        Ok(f64::from_le_bytes(*bytes))
    }

    /// Whether all is read.
    pub(super) const fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], MetricFault> {
        let taken = self.bytes[self.at..].get(..length).ok_or((self.at, Reason::BadMessage))?;
        self.at += length;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_are_read_and_longer_ones_refused() {
        for shift in 0..64 {
            let number = u64::MAX >> shift;
            let (mut bytes, mut rest) = (Vec::new(), number);
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            assert_eq!(varint(&bytes), Varint::Done(number, bytes.len()));
            assert_eq!(varint(&bytes[..bytes.len() - 1]), Varint::More);
        }
        assert_eq!(varint(&[0xff; 9]), Varint::More);
        assert_eq!(varint(&[0xff; 10]), Varint::Bad);
        assert_eq!(varint(&[[0x80; 9].as_slice(), &[2]].concat()), Varint::Bad);
        assert_eq!(varint(&[0x80, 0]), Varint::Done(0, 2));
    }

    #[test]
    fn signs_alternate() {
        for (number, expected) in
            [(0, 0), (1, -1), (2, 1), (3, -2), (u64::MAX, i64::MIN), (u64::MAX - 1, i64::MAX)]
        {
            assert_eq!(zigzag(number), expected);
        }
    }

    #[test]
    fn a_length_beyond_the_message_or_a_group_is_refused_where_it_stands() {
        let last = |bytes: &[u8]| {
            let mut fields = Fields::new(bytes);
            loop {
                match fields.next() {
                    Ok(Some(_)) => {}
                    other => return other.map(|_| ()),
                }
            }
        };
        assert_eq!(last(&[0x0a, 1, b'x', 0x10, 5, 0x1d, 0, 0, 0, 0]), Ok(()));
        assert_eq!(last(&[0x10, 5, 0x0a, 2, b'x']), Err((4, Reason::BadMessage)));
        assert_eq!(last(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Err((6, Reason::BadMessage)));
        assert_eq!(last(&[0x0b]), Err((0, Reason::BadMessage)));
        assert_eq!(last(&[0x02, 0]), Err((0, Reason::BadMessage)));
        assert_eq!(last(&[0x11, 0]), Err((1, Reason::BadMessage)));
    }
}
