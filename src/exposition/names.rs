//! The set of metric names that somebody asked for, and the filter in front of the parser.
//!
//! Every line of every page meets the filter, wanted or not, so its cost must not grow with the
//! number of names: one scan of the name and one look-up, or only a comparison when the name is
//! that of the line before, as it mostly is.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::scan;

/// Wanted metric names, built once per configuration and asked once per line.
#[derive(Debug, Clone, Default)]
pub struct NameSet {
    names: NameTable,
    natives: NameTable,
}

type NameTable = HashSet<Box<[u8]>, BuildHasherDefault<NameHasher>>;

impl NameSet {
    /// A set of these names, unescaped, exactly as in [`Sample::name`](super::Sample::name).
    pub fn new(names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self { names: set(names), natives: NameTable::default() }
    }

    /// The same, and of histograms of these names the native ones. What is to be found only in a
    /// page in protobuf makes it worth asking for one.
    #[must_use]
    pub fn with_natives(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.natives = set(names);
        self
    }

    /// Whether the native histogram of that name, unescaped, is wanted.
    pub fn contains_native(&self, name: &[u8]) -> bool {
        self.natives.contains(name)
    }

    /// Whether any native histogram is wanted.
    pub fn has_natives(&self) -> bool {
        !self.natives.is_empty()
    }

    /// Whether the name, unescaped, is in the set.
    #[inline]
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }
}

fn set(names: impl IntoIterator<Item = impl AsRef<str>>) -> NameTable {
    names.into_iter().map(|name| name.as_ref().as_bytes().into()).collect()
}

/// Multiplies and folds eight bytes at a time, covering every byte: names differ in the middle.
/// Unkeyed, because only the operator's own names are in the table; a page can look up what it
/// likes and never make a chain longer.
#[derive(Debug, Clone, Default)]
struct NameHasher {
    state: u64,
}

impl NameHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        // An odd constant without pattern: the fraction of the golden ratio.
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.state.rotate_left(23) ^ word) * FACTOR;
        self.state = (product as u64) ^ (product >> 64) as u64;
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((eight, tail)) = rest.split_first_chunk::<8>() {
            self.mix(u64::from_le_bytes(*eight));
            rest = tail;
        }
        let tail = rest.iter().fold(1, |word, &byte| word << 8 | u64::from(byte));
        self.mix(tail);
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

/// How a line begins, and whether it has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// It begins with a metric name that nobody asked for.
    Unwanted,
    /// It is read, with the name (possibly empty) at these bytes.
    Named {
        /// The first byte of the name.
        from: usize,
        /// The byte after it.
        to: usize,
    },
    /// It is read; only its braces can tell the name.
    Braces {
        /// The brace.
        at: usize,
    },
    /// A comment, also `# EOF`.
    Comment,
    /// Nothing but spaces.
    Blank,
}

/// Decides by its beginning whether a line is read.
#[derive(Debug)]
pub(super) struct NameFilter<'n> {
    names: Option<&'n NameSet>,
    last: Vec<u8>,
    last_wanted: bool,
}

impl<'n> NameFilter<'n> {
    /// A filter that lets these names through, or all.
    pub(super) fn new(names: Option<&'n NameSet>) -> Self {
        Self { names, last: Vec::new(), last_wanted: false }
    }

    /// Whether a metric of that name is wanted.
    pub(super) fn wants(&self, name: &[u8]) -> bool {
        self.names.is_none_or(|names| names.contains(name))
    }

    /// Whether every metric is.
    pub(super) const fn wants_all(&self) -> bool {
        self.names.is_none()
    }

    /// How the line begins. A line whose first byte can begin no name is read, so that it is
    /// reported, unless that byte is a digit: no wanted name is meant by `5xx 1`.
    #[inline]
    pub(super) fn head(&mut self, line: &[u8]) -> Head {
        let length = self.last.len();
        let repeated = length > 0
            && line.starts_with(&self.last)
            && !line.get(length).is_some_and(|&byte| scan::is_name_byte(byte));
        if repeated {
            return if self.last_wanted {
                Head::Named { from: 0, to: length }
            } else {
                Head::Unwanted
            };
        }
        self.fresh(line)
    }

    fn fresh(&mut self, line: &[u8]) -> Head {
        let from = scan::space_end(line, 0);
        match line.get(from) {
            None => return Head::Blank,
            Some(b'\r') if scan::trim_end(line).is_empty() => return Head::Blank,
            Some(b'#') => return Head::Comment,
            Some(b'{') => return Head::Braces { at: from },
            Some(_) => {}
        }
        let to = scan::name_end(line, from);
        let name = &line[from..to];
        if name.is_empty() {
            let skipped = self.names.is_some() && line[from].is_ascii_digit();
            return if skipped { Head::Unwanted } else { Head::Named { from, to } };
        }
        let wanted = self.wants(name);
        if from == 0 {
            self.last.clear();
            self.last.extend_from_slice(name);
            self.last_wanted = wanted;
        }
        if wanted { Head::Named { from, to } } else { Head::Unwanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_its_names_and_no_others() {
        let names: Vec<String> =
            (0..4000).map(|i| format!("app_svc{i:04}_requests_total")).collect();
        let set = NameSet::new(&names);
        for name in &names {
            assert!(set.contains(name.as_bytes()), "{name}");
            assert!(!set.contains(&name.as_bytes()[1..]), "{name}");
            assert!(!set.contains(format!("{name}x").as_bytes()), "{name}");
        }
        assert!(!set.contains(b""));
    }

    #[test]
    fn the_hash_tells_names_apart_that_differ_in_any_one_byte() {
        let base = b"app_svc0001_http_request_duration_seconds_bucket".to_vec();
        let hash = |name: &[u8]| {
            let mut hasher = NameHasher::default();
            hasher.write(name);
            hasher.finish()
        };
        for at in 0..base.len() {
            let mut other = base.clone();
            other[at] ^= 1;
            assert_ne!(hash(&base), hash(&other), "byte {at}");
            assert_ne!(hash(&base), hash(&base[..at]), "length {at}");
        }
    }

    #[test]
    fn the_line_before_never_decides_for_a_longer_or_shorter_name() {
        let set = NameSet::new(["m", "m_total"]);
        let mut filter = NameFilter::new(Some(&set));
        for (line, to) in [("m 1", 1), ("m_total 1", 7), ("m{} 1", 1), ("m", 1), ("m_total", 7)] {
            assert_eq!(filter.head(line.as_bytes()), Head::Named { from: 0, to }, "{line}");
        }
        for line in ["m_tota 1", "mm 1", "m_total_ 1", "m1 1", "m:a 1", "5m 1"] {
            assert_eq!(filter.head(line.as_bytes()), Head::Unwanted, "{line}");
            assert_eq!(filter.head(line.as_bytes()), Head::Unwanted, "again {line}");
        }
    }

    #[test]
    fn lines_without_a_name_are_told_apart() {
        let set = NameSet::new(["m"]);
        let mut filter = NameFilter::new(Some(&set));
        for (line, head) in [
            ("", Head::Blank),
            (" \t", Head::Blank),
            ("\r", Head::Blank),
            ("# EOF", Head::Comment),
            (" #x", Head::Comment),
            (" {\"m\"} 1", Head::Braces { at: 1 }),
            (" m 1", Head::Named { from: 1, to: 2 }),
            ("\u{feff}m 1", Head::Named { from: 0, to: 0 }),
        ] {
            assert_eq!(filter.head(line.as_bytes()), head, "{line:?}");
        }
    }
}
