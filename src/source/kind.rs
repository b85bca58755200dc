//! The kinds of sources. A kind knows how to read its target once. When it does, how long that may
//! take and where the samples go is the business of [`sampler`](super::sampler) and
//! [`sources`](super::sources), which know no kind.

mod page;

use self::page::PageSource;
use super::resources::Resources;
use crate::exposition::NameSet;
use crate::model::scrape::{Failure, FailureClass, Page};
use crate::model::target::{Target, TargetKind};
use crate::model::time::Moment;

/// Reads one target.
#[derive(Debug)]
pub(super) enum Source {
    Page(PageSource),
}

impl Source {
    pub(super) fn new(target: &Target, resources: &Resources) -> Self {
        match &target.kind {
            TargetKind::Page(page) => {
                Self::Page(PageSource::new(page.clone(), target.timeout, resources))
            }
        }
    }

    /// Reads the target once: the samples whose metrics are in `names`, or all for `None`. Where
    /// they are older than the beginning, `asked` is moved to when they are from. The future may
    /// be dropped at any time, because the timeout has passed.
    ///
    /// # Errors
    /// There are no samples, and why.
    pub(super) async fn read(
        &mut self,
        names: Option<&NameSet>,
        asked: &mut Moment,
    ) -> Result<Page, Failure> {
        match self {
            Self::Page(page) => page.read(names, asked).await,
        }
    }

    /// What the last [`read`](Self::read) was waiting for when its time was over.
    pub(super) fn overdue(&self) -> (FailureClass, String) {
        match self {
            Self::Page(page) => page.overdue(),
        }
    }
}
