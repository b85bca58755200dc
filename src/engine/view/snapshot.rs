//! What status, page and metrics may see: the whole guard at one moment, as plain values. The
//! field names are documented and stable.

use serde::{Deserialize, Serialize};

use crate::model::deployment::{Mode, Unanswered};
use crate::model::entry::{Comparison, Decision, Refusal, RuleEvidence, SignalEvidence};
use crate::model::index::{RuleIx, SignalIx};
use crate::model::name::{DeploymentId, HookName, RuleName, StageName, Version};
use crate::model::time::{Moment, Timestamp};
use crate::model::{
    condition::Cond, group::Group, reading::Verdict, scrape::Failure, signal::Unit,
};

use super::evidence;
use super::stage::StageStatus;
pub use super::state::GuardState;
use super::state::Health;
use crate::engine::{
    durable::drills::DrillStatus, durable::quarantine::Quarantined, durable::state::Pause,
    effect::Pace, rules::evaluator::Evaluator,
};

/// The guard at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// The guarded service.
    pub service: String,
    /// How much rollguard may do.
    pub mode: Mode,
    /// The guard's state in one word.
    pub state: GuardState,
    /// The deployment's colour: `green`, `unknown`, `yellow` or `red`.
    pub colour: Health,
    /// The newest deployment.
    pub deployment: Option<DeploymentStatus>,
    /// The last version that finished its bake.
    pub good: Option<Version>,
    /// Nothing is rolled back automatically, and until when.
    #[serde(default)]
    pub paused: Option<Pause>,
    /// How often rollguard may still roll back by itself.
    #[serde(default)]
    pub budget: BudgetStatus,
    /// The versions that were rolled back, the latest last.
    #[serde(default)]
    pub quarantine: Vec<Quarantined>,
    /// The live version, where it is read.
    pub live: Option<LiveStatus>,
    /// Every target.
    pub targets: Vec<TargetStatus>,
    /// Every signal.
    pub signals: Vec<SignalStatus>,
    /// Every rule.
    pub rules: Vec<RuleStatus>,
    /// The journal can be written. Where it cannot, nothing is done any more.
    pub journal_ok: bool,
    /// The newest drill.
    #[serde(default)]
    pub drill: Option<DrillStatus>,
}

/// The live version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveStatus {
    /// The version; `None`: unknown.
    pub version: Option<Version>,
    /// Why it is unknown.
    pub unknown: Option<String>,
    /// Seconds since it was read.
    pub age_s: Option<f64>,
    /// A rollback waits for it to be read.
    pub comparing: bool,
}

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeploymentStatus {
    /// Its id.
    pub id: DeploymentId,
    /// The version that is judged.
    pub version: Version,
    /// The version to go back to.
    pub good: Option<Version>,
    /// The stage that it is in, where it has stages.
    pub stage: Option<StageName>,
    /// The stages of the configuration, in order, while it is guarded.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
    /// The rules that have had no reading for too long.
    pub lost: Vec<RuleName>,
    /// When it began.
    pub begun: Timestamp,
    /// When its bake will be over; `None`: never, or it is not guarded any more.
    pub bakes_at: Option<Timestamp>,
    /// Why its bake is withheld although its time is over.
    pub withheld: Option<String>,
    /// No rule can fire before this.
    pub warm_at: Option<Timestamp>,
    /// What was decided.
    pub decision: Option<Decision>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// It is not rolled back automatically.
    #[serde(default)]
    pub irreversible: bool,
    /// It was begun although its version had been rolled back.
    #[serde(default)]
    pub forced: bool,
    /// What people are asked.
    #[serde(default)]
    pub approval: Option<ApprovalStatus>,
    /// Which step is being run, from 1, and how many there are.
    pub step: Option<(u32, u32)>,
    /// Why it ended or failed.
    pub why: Option<String>,
}

/// What people are asked: whether to roll back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalStatus {
    /// The rule that asks.
    pub rule: RuleName,
    /// Whether it holds now; `None` where that cannot be told.
    pub holds: Option<bool>,
    /// What would be run.
    pub hook: HookName,
    /// When it was asked.
    pub asked: Timestamp,
    /// When it is too late to answer.
    pub until: Timestamp,
    /// What is done then.
    pub default: Unanswered,
}

/// How often rollguard may roll back by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetStatus {
    /// How often at most within the time.
    pub rollbacks: u32,
    /// The time, in milliseconds.
    pub per_ms: u64,
    /// How many rollbacks there were within it, people's included.
    pub spent: u32,
}

/// Where a deployment stands, for those who wait for its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentProgress {
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its state.
    pub state: GuardState,
    /// Whether it will not change any more by itself.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Why it ended or failed.
    pub why: Option<String>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether the last scrape succeeded; `None` before the first.
    pub up: Option<bool>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Seconds since the last scrape began.
    pub age_s: Option<f64>,
    /// How long it took, in seconds.
    pub took_s: f64,
    /// Samples that signals wanted, of the last successful scrape.
    pub samples: u64,
    /// Malformed lines among them.
    pub malformed: u64,
    /// The page's size in bytes.
    pub bytes: u64,
    /// The time between two scrapes now, in milliseconds.
    pub interval_ms: u64,
    /// Whether that is less than its configured interval.
    pub sharpened: bool,
    /// Why it is that: `plain`, `sharpened`, `slow` or `failing`.
    pub pace: Pace,
}

/// A signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalStatus {
    /// Its reading.
    #[serde(flatten)]
    pub reading: SignalEvidence,
    /// What it measures: `ratio`, `seconds`, `bytes`, `per_second` or `count`.
    pub unit: Option<Unit>,
    /// For people.
    pub description: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleStatus {
    /// The rule with its readings.
    #[serde(flatten)]
    pub evidence: RuleEvidence,
    /// `holds`, `fails` or `no_data`.
    pub verdict: String,
    /// Why there is no verdict.
    pub no_data: Option<String>,
    /// Why nothing would be done if it fired now; `None` if it would roll back.
    pub refusal: Option<Refusal>,
}

impl Evaluator {
    /// A signal as it may be seen now: one status for each of its groups.
    pub fn signal_status(&self, ix: SignalIx) -> Vec<SignalStatus> {
        let signal = self.plan().signal(ix);
        let status = |reading| SignalStatus {
            reading,
            unit: signal.unit,
            description: signal.description.clone(),
        };
        evidence::of_signal(self, ix).into_iter().map(status).collect()
    }

    /// Both sides of each comparison of a condition in a group, in the order in which it is
    /// written.
    pub fn comparisons(&self, cond: &Cond, group: &Group) -> Vec<Comparison> {
        evidence::comparisons(self, cond, group)
    }

    /// A rule as it may be seen now, without what a guard would make of it.
    pub fn rule_status(&self, ix: RuleIx, now: Moment) -> RuleStatus {
        let verdict = self.rule(ix).verdict;
        let (word, no_data) = match verdict {
            Verdict::Holds => ("holds", None),
            Verdict::Fails => ("fails", None),
            Verdict::NoData(why) => ("no_data", Some(why.to_string())),
        };
        RuleStatus {
            evidence: evidence::of_rule(self, ix, now),
            verdict: word.to_owned(),
            no_data,
            refusal: None,
        }
    }
}
