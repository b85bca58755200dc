//! L1: what the journal says of past deployments: how each ended, statistics of many, and whether
//! the journal is whole. Entries are applied one after another, and little is kept of each. A time
//! that was not recorded is `None`; it must never become zero.

mod detail;
mod index;
mod period;
mod span;
mod stats;
mod summary;
mod verification;

#[cfg(test)]
mod tests;

pub use detail::{Detail, Which};
pub use index::{Filter, Index, MAX_KEPT};
pub use period::{By, Since, SinceError, parse_since};
pub use span::Spread;
pub use stats::{Counts, Figures, Hints, Period, RefusalCount, Stats, Times, stats};
pub use summary::{Cause, DeploymentOutcome, Refused, Summary};
pub use verification::{Integrity, Noted, Verification};
