//! How well deployments went: counts, the change failure rate, and how long it took to notice, to
//! roll back and to recover. It must never count what is not known as good or as bad, or a time
//! that was not measured as zero.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::model::entry::Refusal;
use crate::model::name::{DeploymentId, ServiceName, Version};

use super::period::By;
use super::span::Spread;
use super::summary::{Cause, DeploymentOutcome, Summary};

/// Figures of all deployments, and of each period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// All of them together.
    pub all: Figures,
    /// By week or month, oldest first; a period without a deployment is not listed.
    pub periods: Vec<Period>,
}

/// Figures of one period.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Period {
    /// Its first day, or its month.
    pub period: String,
    /// Of the deployments that began in it.
    pub figures: Figures,
}

/// Figures of some deployments.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How they ended.
    pub counts: Counts,
    /// The share of deployments with a verdict that failed: (rolled back + rollback failed) /
    /// (baked + rolled back + rollback failed), from 0 to 1; `None` where none has a verdict.
    ///
    /// DORA defines the change fail rate as the ratio of deployments that need immediate
    /// intervention, likely a rollback or a hotfix (<https://dora.dev/guides/dora-metrics/>). Here a
    /// rollback is that intervention, whoever decided it. What was ended, superseded or is still
    /// guarded has no verdict: it is in neither number, because unknown is neither good nor bad. A
    /// hotfix that rollguard never heard of is not counted.
    pub change_failure_rate: Option<f64>,
    /// How long things took.
    pub times: Times,
    /// What was refused, the most frequent first.
    pub refusals: Vec<RefusalCount>,
    /// What may have been a false alarm, or none where one was due.
    pub hints: Hints,
}

/// How deployments ended. They add up to `deployments`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub deployments: usize,
    /// Survived their bake.
    pub baked: usize,
    /// Rolled back, the cure seen.
    pub rolled_back: usize,
    /// The rollback did not help or could not be done.
    pub rollback_failed: usize,
    /// Ended without a verdict.
    pub ended: usize,
    /// A newer one took their place without a verdict.
    pub superseded: usize,
    /// Still guarded or being rolled back.
    pub under_way: usize,
}

/// How long things took. Each counts the deployments of which it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Times {
    /// To detect: from when the deciding rule began to hold to the decision.
    pub holding_to_decision: Spread,
    /// From the beginning of the deployment to the decision, a person's too.
    pub begun_to_decision: Spread,
    /// To roll back: from the decision to the outcome of the last step, where the cure was seen.
    pub decision_to_last_step: Spread,
    /// To recover: from the decision to the sight of the cure.
    pub decision_to_cure: Spread,
    /// The trouble as a whole: from when the deciding rule began to hold to the sight of the cure.
    /// DORA's failed deployment recovery time, as far as rules can see the failure.
    pub holding_to_cure: Spread,
}

/// Refusals for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalCount {
    /// The reason.
    pub reason: Refusal,
    /// How many rules, counted once in each deployment.
    pub count: u64,
    /// In how many deployments.
    pub deployments: usize,
}

/// What may have been judged wrongly. Hints, not verdicts: a person has to look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hints {
    /// Rolled back by a person: a rule may be missing or too slow.
    pub rolled_back_by_person: Vec<DeploymentId>,
    /// Ended without a verdict although a rule had fired: the rule may be wrong.
    pub ended_while_refused: Vec<DeploymentId>,
    /// Rolled back by a rule, and the same version baked in a later deployment: that rollback may
    /// have been a false alarm.
    pub baked_later: Vec<DeploymentId>,
}

/// Figures of deployments, oldest first.
pub fn stats(deployments: &[&Summary], by: Option<By>) -> Stats {
    let last_baked = last_baked(deployments);
    let mut periods: BTreeMap<String, Vec<&Summary>> = BTreeMap::new();
    for summary in deployments {
        if let Some(by) = by {
            periods.entry(by.name(summary.begun)).or_default().push(summary);
        }
    }
    let figures = |summaries: &[&Summary]| figures(summaries, &last_baked);
    let period = |(period, summaries): (String, Vec<&Summary>)| Period {
        period,
        figures: figures(&summaries),
    };
    Stats { all: figures(deployments), periods: periods.into_iter().map(period).collect() }
}

/// The newest deployment in which each version baked and was not rolled back after all, by its
/// place. A later one may fall into another period than the rollback.
type LastBaked<'a> = HashMap<(&'a ServiceName, &'a Version), &'a Summary>;

fn last_baked<'a>(deployments: &[&'a Summary]) -> LastBaked<'a> {
    let baked = deployments.iter().filter(|summary| summary.ending == DeploymentOutcome::Baked);
    baked.map(|summary| ((&summary.service, &summary.version), *summary)).collect()
}

fn figures(summaries: &[&Summary], last_baked: &LastBaked<'_>) -> Figures {
    let counts = counts(summaries);
    Figures {
        counts,
        change_failure_rate: counts.change_failure_rate(),
        times: times(summaries),
        refusals: refusals(summaries),
        hints: hints(summaries, last_baked),
    }
}

fn counts(summaries: &[&Summary]) -> Counts {
    let mut counts = Counts { deployments: summaries.len(), ..Counts::default() };
    for summary in summaries {
        *match summary.ending {
            DeploymentOutcome::Guarding | DeploymentOutcome::RollingBack => &mut counts.under_way,
            DeploymentOutcome::RolledBack => &mut counts.rolled_back,
            DeploymentOutcome::RollbackFailed => &mut counts.rollback_failed,
            DeploymentOutcome::Baked => &mut counts.baked,
            DeploymentOutcome::Ended => &mut counts.ended,
            DeploymentOutcome::Superseded => &mut counts.superseded,
        } += 1;
    }
    counts
}

impl Counts {
    /// How many have a verdict.
    pub const fn judged(&self) -> usize {
        self.baked + self.failures()
    }

    /// How many were bad.
    pub const fn failures(&self) -> usize {
        self.rolled_back + self.rollback_failed
    }

    /// See [`Figures::change_failure_rate`].
    fn change_failure_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts of deployments are far below 2^52")]
        (self.judged() > 0).then(|| self.failures() as f64 / self.judged() as f64)
    }
}

fn times(summaries: &[&Summary]) -> Times {
    let spread = |time: fn(&Summary) -> Option<u64>| {
        Spread::of(summaries.iter().filter_map(|summary| time(summary)).collect())
    };
    Times {
        holding_to_decision: spread(Summary::detected_ms),
        begun_to_decision: spread(Summary::decided_ms),
        decision_to_last_step: spread(Summary::rolled_back_ms),
        decision_to_cure: spread(Summary::cured_ms),
        holding_to_cure: spread(Summary::recovered_ms),
    }
}

fn refusals(summaries: &[&Summary]) -> Vec<RefusalCount> {
    let mut reasons: Vec<RefusalCount> = Vec::new();
    for refused in summaries.iter().flat_map(|summary| &summary.refusals) {
        let count = u64::from(refused.count);
        match reasons.iter_mut().find(|reason| reason.reason == refused.reason) {
            Some(reason) => {
                reason.count += count;
                reason.deployments += 1;
            }
            None => reasons.push(RefusalCount { reason: refused.reason, count, deployments: 1 }),
        }
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

fn hints(summaries: &[&Summary], last_baked: &LastBaked<'_>) -> Hints {
    let by_person = |summary: &Summary| matches!(summary.cause, Some(Cause::Person { .. }));
    let by_rule = |summary: &Summary| matches!(summary.cause, Some(Cause::Rule { .. }));
    let baked_later = |summary: &Summary| {
        let baked = last_baked.get(&(&summary.service, &summary.version));
        by_rule(summary) && baked.is_some_and(|baked| baked.begun > summary.begun)
    };
    let ids = |is: &dyn Fn(&Summary) -> bool| {
        summaries.iter().filter(|summary| is(summary)).map(|summary| summary.id.clone()).collect()
    };
    Hints {
        rolled_back_by_person: ids(&by_person),
        ended_while_refused: ids(&|summary| {
            summary.ending == DeploymentOutcome::Ended && !summary.refusals.is_empty()
        }),
        baked_later: ids(&baked_later),
    }
}
