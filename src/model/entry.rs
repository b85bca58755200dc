//! What the journal records. The guard's durable state changes only by these entries, live and on
//! replay alike, so replaying the journal gives the same guard.

use serde::{Deserialize, Serialize};

use super::channel::Change;
use super::deployment::{Milestone, Mode, Unanswered};
use super::live::Live;
use super::name::{
    ChannelName, DeploymentId, HookName, RuleName, ServiceName, SignalName, StageName, Version,
};
use super::time::Timestamp;

pub use super::attempt::{Attempt, Entering, StepResult};
pub use super::evidence::{Comparison, GroupEvidence, RuleEvidence, RuleStanding, SignalEvidence};
pub use super::refusal::Refusal;

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
        /// There is no way back from it that is safe without a person.
        #[serde(default, skip_serializing_if = "is_false")]
        irreversible: bool,
        /// It was begun although its version had been rolled back.
        #[serde(default, skip_serializing_if = "is_false")]
        forced: bool,
        /// Who asked.
        by: Caller,
    },
    /// The deployment is in another stage, or its hook is run again.
    Staged {
        /// Which one.
        stage: StageName,
        /// The hook that enters it; it must have done its work before the stage's time begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enter: Option<HookName>,
        /// A person insisted, although a stage before it had not passed.
        #[serde(default, skip_serializing_if = "is_false")]
        forced: bool,
        /// Who asked.
        by: Caller,
    },
    /// The hook that enters the stage has done its work: the stage's time begins.
    StageEntered {
        /// Which one.
        stage: StageName,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// The hook that enters the stage failed; asking for the stage again tries it again.
    StageNotEntered {
        /// Which one.
        stage: StageName,
        /// Why.
        why: String,
    },
    /// The stage was clean for its time.
    StagePassed {
        /// Which one.
        stage: StageName,
        /// Milliseconds from its beginning.
        took_ms: u64,
    },
    /// The stage has not passed in the time in which it should have.
    StageOverdue {
        /// Which one.
        stage: StageName,
        /// What keeps it.
        why: String,
    },
    /// A hook that only goes along is about to be run, once.
    HookBegun {
        /// Which one.
        hook: HookName,
        /// At what.
        on: Milestone,
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
    /// A rule fires, and people are asked whether to roll back.
    AwaitingApproval {
        /// What would be done, with the whole evidence.
        decision: Decision,
        /// When it is too late to answer.
        until: Timestamp,
        /// What is done then.
        default: Unanswered,
    },
    /// The answer is no: this rule does not roll this deployment back.
    Denied {
        /// The rule that asked.
        rule: RuleName,
        /// Who said so.
        answer: Answer,
    },
    /// A rule that was denied does not hold any more: it may ask anew.
    DenialLifted {
        /// The rule.
        rule: RuleName,
    },
    /// The time to answer is over, but its default cannot be done.
    Lapsed {
        /// The rule that asked.
        rule: RuleName,
        /// Why not.
        why: String,
    },
    /// Nothing is rolled back automatically for a while.
    Paused {
        /// The end of it.
        until: Timestamp,
        /// Why.
        reason: String,
        /// Who asked.
        by: Caller,
    },
    /// Automatic rollbacks are on again.
    Resumed {
        /// Why, where a person said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Who asked; the guard itself where the time was over.
        by: Caller,
    },
    /// The live version was compared before something was done.
    LiveChecked {
        /// What was read.
        live: Live,
        /// The version that is judged.
        judged: Version,
        /// The version to go back to.
        good: Option<Version>,
        /// Why nothing was done; `None`: it was done.
        refusal: Option<Refusal>,
    },
    /// Another version is live than was known before.
    LiveSeen {
        /// Which one.
        version: Version,
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

/// Whether a mark need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(mark: &bool) -> bool {
    !*mark
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
    /// Who agreed, where people were asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
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

impl Trigger {
    /// Why, in a line.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Rule(rule) => &rule.when,
            Self::Person { reason, .. } => reason,
        }
    }

    /// The rule, where one decided.
    #[must_use]
    pub fn rule(&self) -> Option<&RuleEvidence> {
        match self {
            Self::Rule(rule) => Some(rule),
            Self::Person { .. } => None,
        }
    }
}

/// The answer to a rule that asked for a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A person gave it.
    Person {
        /// Who.
        by: Caller,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nobody did in time, so the default is done.
    TimeLimit,
}

/// A yes to a rule that asked for a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who said so.
    pub answer: Answer,
    /// When it was asked for.
    pub asked: Timestamp,
    /// Whether the rule still held; `None` where that could not be told.
    pub holds: Option<bool>,
}
