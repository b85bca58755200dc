//! L1: the past as the journal tells it: what became of each deployment, and how well that went.
//! It takes entries one after another and keeps little of each. It must never take what is not
//! known for nothing: a time that was not recorded is none, it is not zero.

mod detail;
mod index;
mod period;
mod span;
mod stats;
mod summary;
mod verification;

#[cfg(test)]
mod tests;

pub use detail::{Account, Which};
pub use index::{Book, Filter, MAX_KEPT};
pub use period::{By, Since, SinceError, parse_since};
pub use span::Spread;
pub use stats::{Counts, Figures, Hints, Period, Reason, Stats, Times, stats};
pub use summary::{Brief, Cause, Ending, Refused};
pub use verification::{Damage, Noted, Rest, Verdict, Verification};
