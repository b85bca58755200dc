//! L1: how rules fit what is really sampled: which series each selector finds on each page, why
//! one finds nothing and what was probably meant, and what a reading lacks. Pure: pages and
//! readings come in, plain values for people and scripts come out. It never judges: that is
//! `engine`'s business alone.

mod asked;
mod doubt;
mod explain;
mod near;
mod page;
mod trial;

pub use asked::wanted;
pub use explain::{Problem, ProblemKind};
pub use page::Survey;
pub use trial::{
    GroupTrial, Limit, RuleTrial, SelectorTrial, SeriesCount, SignalTrial, TargetTrial, Trial,
    trial,
};
