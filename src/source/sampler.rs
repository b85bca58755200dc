//! One sample of one target, of whatever kind: its time limit, and what came of it.

use std::sync::Arc;

use super::failure::failure;
use super::kind::Source;
use super::resources::Resources;
use crate::clock::Clock;
use crate::exposition::NameSet;
use crate::model::index::TargetIx;
use crate::model::scrape::Scrape;
use crate::model::target::Target;
use crate::model::time::Moment;

/// Samples a target once, on a connection of its own; `names` are the metrics that are wanted,
/// `None` for all. The target's index in the result is 0.
pub async fn scrape_once(target: &Target, names: Option<&NameSet>, clock: Clock) -> Scrape {
    let resources = Resources { clock, authorities: Arc::default() };
    Sampler::new(target.clone(), &resources).sample(TargetIx(0), names).await
}

/// Samples one target.
#[derive(Debug)]
pub(super) struct Sampler {
    target: Target,
    clock: Clock,
    source: Source,
}

impl Sampler {
    pub(super) fn new(target: Target, resources: &Resources) -> Self {
        let source = Source::new(&target, resources);
        Self { target, clock: resources.clock, source }
    }

    /// Samples the target; takes no longer than its timeout.
    pub(super) async fn sample(&mut self, target: TargetIx, names: Option<&NameSet>) -> Scrape {
        let mut asked = self.clock.moment();
        let (began, timeout) = (asked.at, self.target.timeout);
        // Boxed, so that the state of a scrape, ten times that of its target, is there only while
        // one is under way.
        let reading = Box::pin(self.source.read(names, &mut asked));
        let read = self.clock.before(began.after(timeout), reading).await;
        let result = read.unwrap_or_else(|| {
            let (class, what) = self.source.overdue();
            Err(failure(class, format_args!("{what} within {timeout:?}")))
        });
        let Moment { at, wall } = asked;
        Scrape { target, at, wall, took: self.clock.now().since(began), result }
    }
}
