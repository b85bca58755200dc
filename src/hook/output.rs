//! What a hook prints, kept within a fixed size and made safe to show. The beginning tells what it
//! set out to do and the end tells why it failed; what lies between is counted and left out. It
//! must never grow with what is printed, and nothing that it gives can drive a terminal.

use std::collections::VecDeque;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

use crate::net::redact::{Secrets, neutral};

/// How much of the beginning is kept, in bytes: some twenty lines.
const HEAD: usize = 2 * 1024;
/// How much of the end is kept, in bytes: a stack trace with what led to it.
const TAIL: usize = 6 * 1024;

/// What follows the number of bytes that are left out.
const LEFT_OUT: &str = " bytes left out]\n";

/// Where a text says for the first time that something is left out.
fn cut(text: &str) -> Option<Range<usize>> {
    text.match_indices(LEFT_OUT).find_map(|(end, _)| {
        let start = text[..end].rfind("\n[")?;
        let number = &text[start + 2..end];
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(start..end + LEFT_OUT.len())
    })
}

/// The beginning and the end of a stream of bytes.
#[derive(Debug, Default)]
pub(super) struct Output {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Output {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        let rest = &rest[rest.len().saturating_sub(TAIL)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(TAIL);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// Reads a stream to its end.
    pub(super) async fn read(&mut self, mut stream: impl AsyncRead + Unpin) {
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            self.push(&chunk[..length]);
        }
    }

    /// What was kept, as text that is safe to show.
    pub(super) fn text(&self) -> String {
        let mut bytes = self.head.clone();
        let left_out = self.total - (self.head.len() + self.tail.len()) as u64;
        if left_out > 0 {
            bytes.extend_from_slice(format!("\n[{left_out}{LEFT_OUT}").as_bytes());
        }
        bytes.extend(&self.tail);
        neutral(&String::from_utf8_lossy(&bytes))
    }
}

/// What a program printed without any secret. Where the middle is left out, that may have gone
/// through a secret, so the parts of one beside it are taken out as well.
pub(super) fn hide_secrets(secrets: &Secrets, printed: &str) -> String {
    let text = secrets.hide(printed);
    let (mut shown, mut rest) = (String::new(), text.as_str());
    while let Some(cut) = cut(rest) {
        shown.push_str(secrets.without_end(&rest[..cut.start]));
        shown.push_str(&rest[cut.clone()]);
        rest = secrets.without_beginning(&rest[cut.end..]);
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(chunks: &[&[u8]]) -> String {
        let mut output = Output::default();
        chunks.iter().for_each(|chunk| output.push(chunk));
        output.text()
    }

    #[test]
    fn short_output_is_kept_as_it_is() {
        assert_eq!(text(&[]), "");
        assert_eq!(text(&[b"switching\r\n", b"done\t\xc3\xa9\n"]), "switching\ndone\té\n");
    }

    #[test]
    fn what_could_drive_a_terminal_or_is_not_text_is_replaced() {
        assert_eq!(text(&[b"\x1b[31mred\x07\xff\0"]), "\u{FFFD}[31mred\u{FFFD}\u{FFFD}\u{FFFD}");
        assert_eq!(text(&["a\u{202E}b\u{9b}".as_bytes()]), "a\u{FFFD}b\u{FFFD}");
    }

    #[test]
    fn of_long_output_the_beginning_and_the_end_are_kept() {
        let kept = text(&[b"begin ", &vec![b'x'; 1_000_000], b" end"]);
        assert!(kept.starts_with("begin x"), "{kept}");
        assert!(kept.ends_with("x end"), "{kept}");
        let told = format!("\n[{} bytes left out]\n", 1_000_010 - HEAD - TAIL);
        assert_eq!(cut(&kept).map(|cut| &kept[cut]), Some(told.as_str()));
        assert!(kept.len() < HEAD + TAIL + 40);
    }

    #[test]
    fn a_secret_that_was_cut_off_is_hidden_as_far_as_it_is_there() {
        let mut secrets = Secrets::default();
        secrets.add("hunter2-token");
        for cut in 0..="hunter2-token".len() {
            let (head, tail) = "hunter2-token".split_at(cut);
            let text = format!("begin {head}\n[7 bytes left out]\n{tail} end");
            let shown = hide_secrets(&secrets, &text);
            assert!(shown.starts_with("begin ") && shown.ends_with(" end"), "{shown}");
            assert!(shown.contains("\n[7 bytes left out]\n"), "{shown}");
            assert!(!shown.contains("hunt") && !shown.contains("oken"), "{shown}");
        }
        assert_eq!(hide_secrets(&secrets, "no [x bytes left out]\n"), "no [x bytes left out]\n");
        assert_eq!(hide_secrets(&secrets, "hunt"), "hunt");
    }

    proptest! {
        #[test]
        fn how_output_is_cut_into_chunks_makes_no_difference(
            bytes in proptest::collection::vec(any::<u8>(), 0..3 * (HEAD + TAIL)),
            chunk in 1..TAIL * 2,
        ) {
            let chunks: Vec<&[u8]> = bytes.chunks(chunk).collect();
            prop_assert_eq!(text(&chunks), text(&[&bytes]));
        }
    }
}
