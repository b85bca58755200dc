//! L2: what the daemon answers: commands on the control socket, and a read-only page for scrapers
//! and load balancers. Requests are parsed here and answered by the daemon's loop.

mod control;
mod open;
mod people;

pub use control::{
    Answer, Asked, Control, DrillRequest, Problem, Question, ReasonRequest, ServeError,
    StageRequest, Status,
};
pub use open::Open;
pub use people::{ApproveRequest, BeginRequest, PauseRequest, ResumeRequest, RollbackRequest};
