//! Why the demo did not do what it promises.

use std::fmt::Display;

/// What failed and why, in a line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct DemoError(pub(super) String);

/// Puts what failed before its reason, for `map_err`.
pub(super) fn failed<E: Display>(what: &'static str) -> impl Fn(E) -> DemoError {
    move |why| DemoError(format!("{what}: {why}"))
}
