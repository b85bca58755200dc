//! What commands print. `println!` panics where nobody reads or the disk is full; a command that
//! has already told the daemon something must not die of that, so its exit code stays true.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::client::ClientError;
use super::exit;
use crate::config::Color;
use crate::engine::command::Accepted;
use crate::load::LoadError;
use crate::render::Style;

/// Prints a result. A reader that went away has seen what it wanted.
///
/// # Errors
/// The text could not be written for another reason.
pub(super) fn print(text: &str) -> Result<(), ClientError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(ClientError::Failed(format!("the result cannot be printed: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A value as JSON on one line, with the line's end.
pub(super) fn json_line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data with string keys always serializes") + "\n"
}

/// Prints a value as indented JSON.
///
/// # Errors
/// As [`print()`].
pub(super) fn print_json(value: &impl Serialize) -> Result<(), ClientError> {
    let text = serde_json::to_string_pretty(value);
    print(&(text.expect("plain data with string keys always serializes") + "\n"))
}

/// Ends a command that the daemon has accepted.
pub(super) fn accepted(accepted: &Accepted) -> Result<u8, ClientError> {
    note(&accepted.message);
    Ok(exit::OK)
}

/// Tells a person why a command failed.
pub(super) fn error(why: &impl Display) {
    note(&format!("error: {why}"));
}

/// Shows what is wrong with a configuration.
pub(super) fn load_error(error: &LoadError) {
    if let LoadError::Wrong(wrong) = error {
        let colour = may_colour(&io::stderr());
        let text = wrong.render(if colour { Color::Ansi } else { Color::Plain });
        note(text.trim_end());
    } else {
        note(&format!("error: failed to {error}"));
    }
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
