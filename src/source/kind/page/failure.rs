//! From what went wrong with a connection or a page to a [`Failure`]. Of what a server says, only
//! status and type enter the sentence.

use std::error::Error;
use std::fmt::Display;
use std::io;

use tokio_rustls::rustls;

use crate::exposition::PageError;
use crate::model::scrape::{Failure, FailureClass};
use crate::source::failure::failure;

/// A failure to connect.
pub(super) fn of_connect(peer: impl Display, error: &io::Error) -> Failure {
    let class = if error.kind() == io::ErrorKind::ConnectionRefused {
        FailureClass::Refused
    } else if error.kind() == io::ErrorKind::TimedOut {
        FailureClass::TimedOut
    } else {
        FailureClass::Broken
    };
    failure(class, format_args!("failed to connect to {peer}: {error}"))
}

/// A failure between the request and the end of the response's head.
pub(super) fn of_head(error: &hyper::Error) -> Failure {
    let class = if error.is_parse_too_large() {
        FailureClass::TooLarge
    } else if error.is_parse() {
        FailureClass::Malformed
    } else if io_below(error).is_some_and(is_tls) {
        FailureClass::Tls
    } else {
        FailureClass::Broken
    };
    failure(class, format_args!("failed to get an answer: {}", chain(error)))
}

/// A failure within the body: a cut one is malformed, a reset one broken.
pub(super) fn of_body(error: &hyper::Error) -> Failure {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    let class = match io_below(error) {
        Some(io) if is_tls(io) => FailureClass::Tls,
        Some(io) if matches!(io.kind(), UnexpectedEof | InvalidData | InvalidInput) => {
            FailureClass::Malformed
        }
        Some(_) => FailureClass::Broken,
        None if error.is_incomplete_message() => FailureClass::Malformed,
        None => FailureClass::Broken,
    };
    failure(class, format_args!("failed to read the page to its end: {}", chain(error)))
}

/// A page past a limit, or not all there.
pub(super) fn of_page(error: PageError) -> Failure {
    let class = match error {
        PageError::BodyTooLarge { .. }
        | PageError::TooManySamples { .. }
        | PageError::TooManyBuckets { .. } => FailureClass::TooLarge,
        PageError::LineTooLong { .. }
        | PageError::TooManyLabels { .. }
        | PageError::NotDelimited { .. }
        | PageError::Truncated { .. } => FailureClass::Malformed,
    };
    failure(class, format_args!("failed to {error}"))
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// What is below an error, from the top.
fn below(error: &hyper::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |&error| error.source())
}

fn io_below(error: &hyper::Error) -> Option<&io::Error> {
    below(error).find_map(|error| error.downcast_ref())
}

/// An error and what is below it.
fn chain(error: &hyper::Error) -> String {
    below(error).fold(error.to_string(), |text, error| format!("{text}: {error}"))
}
