//! Looking for the cure: what must be seen, freshly, after the steps are done.

use std::time::Duration;

use crate::model::hook::Hook;
use crate::model::reading::Verdict;
use crate::model::rule::{OnNoData, Share};
use crate::model::time::{Instant, format_duration};

use crate::engine::effect::Rerun;
use crate::engine::rules::state::{FiringTerms, Judgement, RuleState};

/// How long a cure is looked for where the hook does not say, unless the rules need longer to
/// notice: a rollback as a whole should take less than this.
pub(crate) const DEFAULT_WITHIN: Duration = Duration::from_secs(300);

/// How long a cure is looked for beyond its own `for` after an interrupted step that may be run
/// again. Running it again is safe and is what heals, so the look is only long enough to see that
/// it is not needed.
const BRIEFLY: Duration = Duration::from_secs(10);

/// A cure that is being looked for.
#[derive(Clone, Debug)]
pub(crate) struct CureWatch {
    /// Only what was sampled after this counts.
    since: Instant,
    /// When it must have been seen.
    until: Instant,
    /// What depends on it.
    pub(crate) purpose: Purpose,
    terms: FiringTerms,
    state: RuleState,
}

/// What depends on a cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Every step is done; now it must help.
    Verify,
    /// The guard was restarted between two steps and the good version is live: perhaps all is
    /// done. Otherwise this attempt at the next step starts.
    AfterRestart {
        /// The attempt's number.
        number: u32,
    },
    /// A step of unknown outcome: if the cure is there, it took effect.
    AfterUnknown(Rerun),
}

/// What must be seen after a hook's steps, in a line for people.
pub(crate) fn describe(hook: &Hook) -> String {
    hook.cure.as_ref().map_or_else(
        || "no critical rule holds any more".to_owned(),
        |cure| {
            let (hold, within) = (format_duration(cure.hold), format_duration(cure.within));
            format!("{} for {hold}, within {within} of the last step", cure.when.text)
        },
    )
}

impl CureWatch {
    /// Looks for the hook's cure from `now` on; `reach` is how long the rules need, `filling` how
    /// long until their windows are full: without a cure of its own what the rules say must stay so
    /// for as long.
    pub(crate) fn new(
        hook: &Hook,
        purpose: Purpose,
        now: Instant,
        reach: Duration,
        filling: Duration,
    ) -> Self {
        let (hold, within) = match &hook.cure {
            Some(cure) => (cure.hold, cure.within),
            None => (filling, DEFAULT_WITHIN.max(reach * 2)),
        };
        let briefly = hook.cure.as_ref().map_or(Duration::ZERO, |cure| cure.hold) + BRIEFLY;
        let within = match purpose {
            Purpose::AfterUnknown(Rerun::Safe) | Purpose::AfterRestart { .. } => {
                within.min(briefly)
            }
            Purpose::AfterUnknown(Rerun::Never) | Purpose::Verify => within,
        };
        let (keep_firing_for, on_no_data) = (Duration::ZERO, OnNoData::Hold);
        let terms = FiringTerms { hold, share: Share::ALL, keep_firing_for, on_no_data };
        Self { since: now, until: now.after(within), purpose, terms, state: RuleState::Inactive }
    }

    /// Takes in what a scrape sampled at `at` says.
    pub(crate) fn judge(&mut self, at: Instant, verdict: Verdict) {
        if at >= self.since {
            self.state.judge(&self.terms, at, Judgement::Fresh(verdict));
        }
    }

    /// Since when it is looked for.
    pub(crate) const fn since(&self) -> Instant {
        self.since
    }

    /// Whether the cure was seen.
    pub(crate) const fn is_seen(&self) -> bool {
        matches!(self.state, RuleState::Firing(_))
    }

    /// Whether its time is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// When its time will be over.
    pub(crate) const fn deadline(&self) -> Instant {
        self.until
    }

    /// For how long it is looked for.
    pub(crate) fn within(&self) -> Duration {
        self.until.since(self.since)
    }
}
