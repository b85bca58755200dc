//! L2: what the daemon answers: commands on the control socket, and a read-only page for scrapers
//! and load balancers. Requests are parsed here and answered by the daemon's loop.

pub(crate) mod accept;
pub mod api;
mod control;
mod read_only;

pub use control::{Answerer, Control, ControlRequest, ServeError};
pub use read_only::ReadOnly;
