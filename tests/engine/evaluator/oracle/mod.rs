//! The judge again, slow and obvious: every page is kept, and each reading is worked out anew from
//! all of them by the words of the rule language. Nothing is shared with the engine but the
//! vocabulary of the model.

mod arithmetic;
mod clocks;
mod page;
mod readings;
mod twin;

pub(crate) use page::{Attempt, Line, Sample};
pub(crate) use twin::{Measured, Oracle};
