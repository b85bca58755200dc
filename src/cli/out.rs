//! What commands print. `println!` panics where nobody reads or the disk is full; a command that
//! has already told the daemon something must not die of that, so its exit code stays true.

use std::io::{self, Write};

use super::client::ClientError;

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
