//! TOML with places, and the texts inside it that have a syntax of their own: selectors and
//! templates. Diagnostics say what is wrong, where, and what to write instead.

pub(crate) mod diagnostic;
pub(crate) mod errors;
pub(crate) mod json;
pub(crate) mod selector;
pub(crate) mod template;
pub(crate) mod tree;
