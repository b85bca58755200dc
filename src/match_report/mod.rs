//! L1: how rules fit what is really sampled: which series each selector finds on each page, why
//! one finds nothing and what was probably meant, and what a reading lacks. Pure: pages and
//! readings come in, plain values for people and scripts come out. It never judges: that is
//! `engine`'s business alone.

mod doubt;
mod explain;
mod nearest;
mod page;
mod report;
mod wanted;

pub use explain::{Problem, ProblemKind};
pub use page::Survey;
pub use report::{
    GroupTrial, Limit, RuleTrial, SelectorTrial, SeriesCount, SignalTrial, TargetTrial, Trial,
    trial,
};
pub use wanted::wanted;
