//! What the journal records. The guard's durable state changes only by these entries, live and on
//! replay alike, so replaying the journal gives the same guard.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::channel::Change;
use super::deployment::Mode;
use super::name::{
    ChannelName, DeploymentId, HookName, RuleName, ServiceName, SignalName, StageName, Version,
};
use super::rule::{About, Severity};
use super::time::Timestamp;

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was decided, on the wall clock.
    pub at: Timestamp,
    /// The deployment that it concerns.
    pub deployment: Option<DeploymentId>,
    /// What happened.
    pub event: Event,
}

/// What happened. The journal writes the variant as `kind` and its fields as `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Event {
    /// The daemon started.
    Started {
        /// rollguard's own version.
        rollguard: String,
        /// The daemon's process id.
        pid: u32,
    },
    /// The daemon was told to stop.
    Stopped {
        /// Who asked.
        by: Caller,
    },
    /// New rules are in force.
    Reloaded {
        /// Who asked.
        by: Caller,
        /// How many rules there are now.
        rules: usize,
    },
    /// New rules were refused; the old ones stay.
    ReloadRefused {
        /// Who asked.
        by: Caller,
        /// How many errors there are.
        errors: usize,
        /// The first of them.
        first: String,
    },
    /// A deployment is guarded from here on.
    Begun {
        /// The service.
        service: ServiceName,
        /// The version that is judged.
        version: Version,
        /// The version to go back to, pinned here.
        good: Option<Version>,
        /// The mode at this moment.
        mode: Mode,
        /// The readings at this moment: what was normal before.
        signals: Vec<SignalEvidence>,
        /// The rules that held at this moment and therefore may not speak against it.
        #[serde(default)]
        holding: Vec<RuleName>,
        /// The baselines that it is judged by.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        baselines: Vec<Frozen>,
        /// Who asked.
        by: Caller,
    },
    /// The deployment is in another stage.
    Staged {
        /// Which one.
        stage: StageName,
        /// Who asked.
        by: Caller,
    },
    /// None of the readings of these rules has been there for too long.
    TelemetryLost {
        /// The rules.
        rules: Vec<RuleName>,
        /// Why, in a line for people.
        why: String,
    },
    /// Readings of rules that had none are there again.
    TelemetryBack {
        /// The rules.
        rules: Vec<RuleName>,
    },
    /// Guarding ended without a verdict.
    Ended {
        /// Why.
        reason: String,
        /// Who asked.
        by: Caller,
    },
    /// A newer deployment took its place.
    Superseded {
        /// The newer one.
        by: DeploymentId,
    },
    /// The version survived its bake and counts as good.
    Baked {
        /// The version.
        version: Version,
    },
    /// A rule that held before the deployment began cannot speak against it.
    SetAside {
        /// The rule with its readings.
        evidence: RuleEvidence,
    },
    /// Nothing is done although a rule fires, and why.
    Refused {
        /// The one reason.
        refusal: Refusal,
        /// The rule with its readings.
        evidence: RuleEvidence,
    },
    /// The latch: this deployment is rolled back, once.
    Decided(Decision),
    /// An attempt at a step is about to start.
    Intent {
        /// Which one.
        attempt: Attempt,
        /// What is about to be done, for people.
        what: String,
    },
    /// What became of an attempt.
    Outcome {
        /// Which one.
        attempt: Attempt,
        /// What became of it.
        result: StepResult,
        /// The end of what it printed.
        output: String,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// The cure was seen.
    Cured {
        /// The readings at that moment.
        signals: Vec<SignalEvidence>,
        /// Milliseconds from the decision.
        took_ms: u64,
    },
    /// The rollback did not help or could not be done. A person is needed.
    Failed {
        /// Why.
        why: String,
        /// The readings at that moment.
        signals: Vec<SignalEvidence>,
    },
    /// People were told, or could not be.
    Notified {
        /// The hook that told them.
        hook: HookName,
        /// Why it failed, where it did.
        failure: Option<String>,
    },
    /// A rule that people were told of does not fire any more.
    Cleared {
        /// The rule.
        rule: RuleName,
    },
    /// A channel was told of a change, or could not be.
    Told {
        /// The channel.
        channel: ChannelName,
        /// What changed.
        change: Change,
        /// The `seq` of the record that it was about.
        news: u64,
        /// Whether something stands open there since.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        opened: bool,
        /// What the other system calls what it made of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reference: Option<String>,
        /// Why it failed, where it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<String>,
    },
    /// A drill begins; its attempts and its end concern the id that it has here.
    DrillBegun(super::drill::DrillStart),
    /// A drill is over.
    DrillDone(super::drill::DrillEnd),
}

/// A signal's baseline, frozen when a deployment was armed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frozen {
    /// The signal.
    pub signal: SignalName,
    /// The group, where it is read by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The baseline; `None` where there were too few readings.
    pub value: Option<f64>,
    /// How many readings there were.
    pub readings: u32,
    /// How many it takes.
    pub needed: u32,
    /// Tells whether the signal is still defined as it was then.
    pub definition: String,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// The guard itself.
    Guard,
    /// A process of this host.
    Process {
        /// Its id, where the system tells it.
        pid: Option<i32>,
        /// Its user.
        uid: u32,
    },
}

/// One attempt at one step of one hook for one deployment. It never exists twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The hook.
    pub hook: HookName,
    /// The step, from 0.
    pub step: u32,
    /// The attempt, from 1.
    pub number: u32,
}

impl Attempt {
    /// Deployment, hook and step: what a hook gets as `{key}`, stable across attempts.
    #[must_use]
    pub fn key(&self, deployment: &DeploymentId) -> String {
        format!("{deployment}/{}/{}", self.hook, self.step)
    }
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepResult {
    /// It did what it should.
    Done,
    /// It did not, and why.
    Failed(String),
    /// It did not, and never will, however often it is tried.
    Final(String),
    /// It did not, and asks not to be tried again before some time.
    PutOff {
        /// Why it did not.
        why: String,
        /// For how long, in milliseconds.
        after_ms: u64,
    },
    /// It did not end in time and was ended.
    TimedOut,
    /// It certainly never started, so it may be started.
    NotStarted,
    /// The guard died while it ran, or no answer came: nobody knows.
    Unknown,
}

impl fmt::Display for StepResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Failed(why) | Self::Final(why) | Self::PutOff { why, .. } => {
                write!(f, "failed: {why}")
            }
            Self::TimedOut => f.write_str("timed out"),
            Self::NotStarted => f.write_str("never started"),
            Self::Unknown => f.write_str("unknown, nobody saw its end"),
        }
    }
}

/// To act, with the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Who or what decided.
    pub trigger: Trigger,
    /// What is run.
    pub hook: HookName,
    /// The version that is rolled back.
    pub version: Version,
    /// The version to go back to.
    pub good: Option<Version>,
    /// What is to be seen afterwards, in a line for people.
    #[serde(default)]
    pub cure: String,
    /// Every rule's standing at that moment.
    pub rules: Vec<RuleEvidence>,
    /// Every signal's reading at that moment.
    pub signals: Vec<SignalEvidence>,
}

/// Who or what decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A rule fired.
    Rule(Box<RuleEvidence>),
    /// A person said so.
    Person {
        /// Their reason.
        reason: String,
        /// Who asked.
        by: Caller,
    },
}

/// A rule and what it rests on, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleEvidence {
    /// The rule.
    pub rule: RuleName,
    /// Its condition as written.
    pub when: String,
    /// Its evidence floor as written.
    pub given: Option<String>,
    /// Its state.
    pub state: RuleStanding,
    /// How long it must hold, in milliseconds.
    pub for_ms: u64,
    /// How long it was observed to hold, in milliseconds.
    pub held_ms: u64,
    /// When it began to hold.
    pub since: Option<Timestamp>,
    /// Its severity.
    pub severity: Severity,
    /// Its signals.
    pub signals: Vec<SignalEvidence>,
    /// Left and right side of its comparisons, for display.
    pub comparisons: Vec<Comparison>,
    /// For how much of its `for` it must hold, from 0 to 1; `None`: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Where its signals are read by labels: in how many groups it must hold, and those in which it
    /// holds or held, the worst first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<String>,
    /// See `quorum`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupEvidence>,
    /// For people.
    pub about: About,
}

/// A rule in one of its groups, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupEvidence {
    /// The group, as in `instance="a:1"`.
    pub group: String,
    /// The rule's state there.
    pub state: RuleStanding,
    /// How long it was observed to hold there, in milliseconds.
    pub held_ms: u64,
    /// Left and right side of its comparisons there, for display.
    pub comparisons: Vec<Comparison>,
}

/// A rule's state and verdict, as plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleStanding {
    /// The condition does not hold.
    Inactive,
    /// It holds, not yet for long enough.
    Pending,
    /// It holds, or held, for long enough.
    Firing,
}

impl fmt::Display for RuleStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        })
    }
}

/// A signal's reading at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalEvidence {
    /// The signal.
    pub signal: SignalName,
    /// The group, where it is read by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its value; `None` where there is none.
    pub value: Option<f64>,
    /// The value is a lower bound.
    #[serde(default)]
    pub at_least: bool,
    /// Why there is no value.
    pub no_data: Option<String>,
}

impl SignalEvidence {
    /// The signal, with the group where it is read by labels: `errors{route="/pay"}`.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.group {
            Some(group) => format!("{}{{{group}}}", self.signal),
            None => self.signal.to_string(),
        }
    }
}

/// The two sides of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The left side; `None` where there is no data.
    pub left: Option<f64>,
    /// The operator.
    pub op: String,
    /// The right side; `None` where there is no data.
    pub right: Option<f64>,
}

/// Why nothing is done: the one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No deployment is guarded.
    NotArmed,
    /// Mode `observe`, or a rule that only reports.
    Observing,
    /// Mode `notify`, a rule that only notifies, or a warning.
    NotifyOnly,
    /// The deployment began too recently.
    WarmingUp,
    /// It held already when the deployment began.
    SetAside,
    /// The rule's `given` does not hold.
    EvidenceTooThin,
    /// The readings that it needs are not there.
    NoData,
    /// The hook names the good version and none is known.
    NoGoodVersion,
    /// The judged version is the good version: there is nothing to go back to.
    AlreadyAtGood,
    /// The rule is not for the stage that the deployment is in.
    OtherStage,
    /// This deployment has had its rollback.
    AlreadyRolledBack,
    /// The journal cannot be written, so that nothing could keep a rollback from running twice.
    JournalUnusable,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::NotArmed,
        Self::Observing,
        Self::NotifyOnly,
        Self::WarmingUp,
        Self::SetAside,
        Self::EvidenceTooThin,
        Self::NoData,
        Self::NoGoodVersion,
        Self::AlreadyAtGood,
        Self::OtherStage,
        Self::AlreadyRolledBack,
        Self::JournalUnusable,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotArmed => "guard not armed",
            Self::Observing => "observing",
            Self::NotifyOnly => "notify only",
            Self::WarmingUp => "warming up",
            Self::SetAside => "set aside",
            Self::EvidenceTooThin => "evidence too thin",
            Self::NoData => "no data",
            Self::NoGoodVersion => "no good version",
            Self::AlreadyAtGood => "already at the good version",
            Self::OtherStage => "not in this stage",
            Self::AlreadyRolledBack => "already rolled back",
            Self::JournalUnusable => "journal unusable",
        })
    }
}
