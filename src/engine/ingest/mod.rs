//! One target's page into gains: which series are selected, what each of them gained since the
//! page before, and the running totals of what was selected.

pub(crate) mod accumulator;
pub(crate) mod selection;
pub(crate) mod target;
