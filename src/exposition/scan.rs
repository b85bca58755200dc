//! Byte classes and the search for the end of a quoted string.

/// First bytes of an unquoted label name.
const LABEL_START: u8 = 1;
/// Further bytes of an unquoted label name.
const LABEL: u8 = 2;
/// First bytes of an unquoted metric name.
const NAME_START: u8 = 4;
/// Further bytes of an unquoted metric name.
const NAME: u8 = 8;

/// The classes of every byte.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => LABEL_START | LABEL | NAME_START | NAME,
            b'0'..=b'9' => LABEL | NAME,
            b':' => NAME_START | NAME,
            _ => 0,
        };
        byte += 1;
    }
    table
}

#[inline]
fn has(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

/// Whether the byte may stand within an unquoted metric name.
#[inline]
pub(super) fn is_name_byte(byte: u8) -> bool {
    has(byte, NAME)
}

/// Where the unquoted metric name that begins at `from` ends; `from` if none does.
#[inline]
pub(super) fn name_end(bytes: &[u8], from: usize) -> usize {
    word_end(bytes, from, NAME_START, NAME)
}

/// Where the unquoted label name that begins at `from` ends; `from` if none does.
#[inline]
pub(super) fn label_name_end(bytes: &[u8], from: usize) -> usize {
    word_end(bytes, from, LABEL_START, LABEL)
}

#[inline]
fn word_end(bytes: &[u8], from: usize, start: u8, rest: u8) -> usize {
    let word = &bytes[from..];
    if !word.first().is_some_and(|&byte| has(byte, start)) {
        return from;
    }
    from + word.iter().position(|&byte| !has(byte, rest)).unwrap_or(word.len())
}

/// Whether the byte separates the parts of a line.
#[inline]
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The first byte from `from` on that is neither a space nor a tab.
#[inline]
pub(super) fn space_end(bytes: &[u8], from: usize) -> usize {
    let rest = &bytes[from..];
    from + rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len())
}

/// The line without the spaces, tabs and carriage returns at its end.
#[inline]
pub(super) fn trim_end(line: &[u8]) -> &[u8] {
    let blank = |&byte: &u8| is_space(byte) || byte == b'\r';
    if !line.last().is_some_and(blank) {
        return line;
    }
    let kept = line.iter().rposition(|byte| !blank(byte)).map_or(0, |last| last + 1);
    &line[..kept]
}

/// The first `"` or `\` from `from` on, or the end. Eight bytes at a time: label values are too
/// short for a vectorised search to pay for its call.
#[inline]
pub(super) fn quote_or_backslash(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let found = zero_bytes(word ^ repeat(b'"')) | zero_bytes(word ^ repeat(b'\\'));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
}

/// How many bytes both begin with.
#[inline]
pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<8>(), b[at..].first_chunk::<8>()) {
        let differ = u64::from_le_bytes(*x) ^ u64::from_le_bytes(*y);
        if differ != 0 {
            return at + differ.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// A high bit in every byte that is zero, and possibly in bytes above the lowest such one: the
/// lowest is exact, and only that is used.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(repeat(0x01)) & !word & repeat(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_in_quotes_finds_what_a_plain_loop_finds() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            let bytes: Vec<u8> = (0..state % 37)
                .map(|i| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i | 1);
                    [b'"', b'\\', 0x00, 0x01, 0x21, 0x23, 0x5b, 0x5d, 0xa2, 0xdc, 0x80, 0xff]
                        [(state >> 40) as usize % 12]
                })
                .collect();
            for from in 0..=bytes.len() {
                let plain = bytes[from..].iter().position(|b| matches!(b, b'"' | b'\\'));
                let expected = plain.map_or(bytes.len(), |i| from + i);
                assert_eq!(quote_or_backslash(&bytes, from), expected, "{bytes:?} {from}");
            }
            state = state.wrapping_add(1);
        }
    }

    #[test]
    fn a_common_prefix_ends_at_the_first_difference() {
        let base = b"m{a=\"0123456789\",b=\"9876543210\"".to_vec();
        for at in 0..base.len() {
            let mut other = base.clone();
            other[at] ^= 0x80;
            assert_eq!(common_prefix(&base, &other), at);
            assert_eq!(common_prefix(&base, &base[..at]), at);
        }
        assert_eq!(common_prefix(&base, &base), base.len());
    }

    #[test]
    fn names_may_hold_colons_and_label_names_may_not() {
        assert_eq!(name_end(b"job:err5{", 0), 8);
        assert_eq!(label_name_end(b"a:b", 0), 1);
        assert_eq!(name_end(b"5xx", 0), 0);
        assert_eq!(name_end(b"\xc3\xa9", 0), 0);
        assert_eq!(name_end(b"", 0), 0);
    }

    #[test]
    fn only_the_end_of_a_line_is_trimmed() {
        assert_eq!(trim_end(b" m 1 \t\r"), b" m 1");
        assert_eq!(trim_end(b"\r"), b"");
        assert_eq!(trim_end(b""), b"");
    }
}
