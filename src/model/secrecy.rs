//! The secrets that a configuration names, so that they can be kept out of whatever is shown. They
//! are registered where they are parsed. Where they are kept is known here; what they are is not.

use super::target::Secret;

/// A secret, by how it may come back in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisteredSecret {
    /// A token, a key, a whole body.
    Text(Secret),
    /// A URL, parts of which are secrets on their own.
    Url(Secret),
}
