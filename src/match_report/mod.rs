//! L1: reports how rules match what is really sampled: which series each selector finds on each
//! page, why one finds nothing and what was probably meant, and what a reading lacks. Pages and
//! readings come in, plain values for people and programs come out. Nothing here judges, which only
//! `engine` does.

mod explain;
mod lints;
mod nearest;
mod page;
mod report;
mod wanted;

pub use explain::{ProblemKind, SelectorProblem};
pub use page::PageContents;
pub use report::{
    GroupMatch, LimitUse, MatchReport, RuleMatch, SelectorMatch, SeriesCount, SignalMatch,
    TargetMatch, match_report,
};
pub use wanted::wanted;
