//! L2: tells people and other systems, beside the critical path: queues that never make anybody
//! wait, and workers. Nothing here decides what is told.

mod channels;
mod delivery;
mod hooks;
mod worker;

pub use channels::Channels;
pub use hooks::{MAX_WAITING, Notifier, NotifyError, Told, perform_notice};
