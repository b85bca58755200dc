//! What commands print. `println!` panics where nobody reads or the disk is full; a command that
//! has already told the daemon something must not die of that, so its exit code stays true.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::exit;
use crate::config::Color;
use crate::load::LoadError;
use crate::render::Style;

/// Why a command ends without its result.
#[derive(Debug)]
pub(super) struct CommandError {
    /// The exit code.
    pub(super) code: u8,
    /// What a person is told.
    pub(super) text: String,
}

impl CommandError {
    /// The reason stands after "error: ".
    pub(super) fn new(code: u8, why: impl Display) -> Self {
        Self { code, text: format!("error: {why}") }
    }

    /// The same with [`exit::FAILED`].
    pub(super) fn failed(why: impl Display) -> Self {
        Self::new(exit::FAILED, why)
    }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        let LoadError::Wrong(wrong) = error else {
            return Self::new(exit::BAD_CONFIG, format_args!("failed to {error}"));
        };
        let color = if may_colour(&io::stderr()) { Color::Ansi } else { Color::Plain };
        Self { code: exit::BAD_CONFIG, text: wrong.render(color).trim_end().to_owned() }
    }
}

/// What a command comes to: its exit code, or why it has none.
pub(super) type Ended = Result<u8, CommandError>;

/// Prints a result. A reader that went away has seen what it wanted.
///
/// # Errors
/// The text could not be written for another reason.
pub(super) fn print(text: &str) -> Ended {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed(format_args!("the result cannot be printed: {error}")))
        }
        Ok(()) | Err(_) => Ok(exit::OK),
    }
}

/// A value as JSON on one line, with the line's end.
pub(super) fn json_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys always serializes") + "\n"
}

/// A value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("plain data with string keys always serializes") + "\n"
}

/// How a result for people looks on standard output.
pub(super) fn style() -> Style {
    if may_colour(&io::stdout()) { Style::Health } else { Style::Plain }
}

/// Tells a person something beside the result; where it cannot be written there is nobody to tell.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Tells a person how far it is, in the place of what was told so before.
pub(super) fn progress(text: &str) {
    let mut err = io::stderr().lock();
    drop(write!(err, "\r\x1b[K{text}").and_then(|()| err.flush()));
}

/// Whether standard output or error may carry colour: it is a terminal, and `NO_COLOR` is not set.
#[expect(clippy::disallowed_methods, reason = "whether to colour is asked of the environment")]
pub(super) fn may_colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
