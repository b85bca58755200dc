//! L1: the deterministic core. It owns all mutable state of judging and guarding and reads no
//! clock: time comes in as an argument, what to do comes out as [`effect::Effect`] values.

mod arming;
mod bake;
mod baseline;
mod bounds;
pub mod colour;
pub mod command;
mod compare;
mod condition;
mod cure;
mod detect;
pub mod effect;
mod evidence;
mod feed;
mod groups;
mod guard;
mod histogram;
mod history;
mod judge;
mod ledger;
mod live;
mod native;
mod native_window;
mod near;
mod order;
mod over;
mod pace;
mod procedure;
mod readings;
mod rollback;
mod rule;
mod same;
mod series;
mod share;
mod signals;
pub mod snapshot;
mod telemetry;
mod track;
mod tracks;
mod uses;
mod window;

pub use guard::Guard;
pub use judge::Judge;
pub use ledger::Ledger;
pub use uses::{wanted_names, wanted_natives};
