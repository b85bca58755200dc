//! L2: performs what the core orders: runs programs, sends requests, asks endpoints, and finds out
//! what became of an attempt that a dead guard left behind. Nothing here decides whether to act.

mod exec;
mod executor;
mod expect;
mod group;
mod inspect;
pub mod marker;
mod output;
pub(crate) mod strays;
pub mod unit;

pub(crate) use exec::NOT_INHERITED;
pub use exec::SUBCOMMAND;
pub use executor::Executor;
pub(crate) use group::Group;
