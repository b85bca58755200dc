//! Keys of other systems, which are shorter than ours may be.

use sha2::{Digest, Sha256};

/// Hexadecimal digits of a hash that keep two long keys apart.
const DIGITS: usize = 16;

/// The key, or where it is too long its beginning and a hash of the whole: no two keys become one.
pub(super) fn bounded(key: &str, most: usize) -> String {
    if key.len() <= most {
        return key.to_owned();
    }
    let hash = Sha256::digest(key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut end = most.saturating_sub(DIGITS + 1);
    while !key.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{}", &key[..end], &hash[..DIGITS])
}

/// A text as a segment of a URL's path.
pub(super) fn segment(text: &str) -> String {
    let mut segment = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            segment.push_str(&format!("%{byte:02X}"));
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_too_long_stays_apart_from_its_neighbours() {
        assert_eq!(bounded("guard/api/d1", 255), "guard/api/d1");
        let (one, two) = ("x".repeat(260) + "1", "x".repeat(260) + "2");
        assert_eq!(bounded(&one, 255).len(), 255);
        assert_ne!(bounded(&one, 255), bounded(&two, 255));
        assert!(bounded(&"é".repeat(200), 255).len() <= 255);
    }

    #[test]
    fn a_segment_holds_no_slash() {
        assert_eq!(segment("guard/api/v1+2"), "guard%2Fapi%2Fv1%2B2");
    }
}
