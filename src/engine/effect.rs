//! What the core asks of the world, as values. The shell performs them in order and tells the
//! core what came of them with `settle`; an entry is durable before anything after it starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::entry::{
    Attempt, AttemptEvent, Decision, Entry, NoticeEvent, SignalEvidence, StepResult,
};
use crate::model::name::{ChannelName, DeploymentId, HookName, SignalName};
use crate::model::time::{Timestamp, millis};
use crate::model::words::words;
use crate::model::{
    alert::News, channel::Change, index::TargetIx, live::LiveSettings, signal::Unit, step::Action,
};

/// Why a target is sampled as often as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At its interval: nothing that it feeds is about to be decided.
    #[default]
    Plain,
    /// At its `sharpen`.
    Sharpened,
    /// Less often than at its `sharpen`, because its scrapes take too long for that.
    Slow,
    /// At its interval, because it fails, or failed when it was sampled more often.
    Failing,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "nothing that it feeds is about to be decided",
            Self::Sharpened => "something that it feeds is about to be decided",
            Self::Slow => "its scrapes take too long",
            Self::Failing => "it failed a short while ago",
        })
    }
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Append to the journal; durable before the next effect is performed.
    Append(Box<Entry>),
    /// Run one attempt at a step and settle its outcome.
    Run(Box<Order>),
    /// Find out what became of an attempt whose outcome was not recorded, make sure that it can
    /// never start any more, and settle it: as `NotStarted`, as `Unknown`, or, where it outlived
    /// the guard in a unit of its own, as what became of it.
    Inspect {
        /// The deployment.
        deployment: DeploymentId,
        /// The attempt.
        attempt: Attempt,
        /// How long it may still take if it is found running.
        timeout: Duration,
    },
    /// End an attempt that nobody needs any more, or make sure that it can never start, and
    /// settle it.
    CallOff {
        /// The deployment.
        deployment: DeploymentId,
        /// The attempt.
        attempt: Attempt,
    },
    /// Read the live version and settle it with this number.
    ReadLive {
        /// Which question it is.
        number: u64,
        /// How it is read.
        settings: Arc<LiveSettings>,
    },
    /// Tell people, beside the critical path; settled with `Notified`.
    Notify(Box<Notice>),
    /// Run a hook that goes along, beside the critical path and beside those that tell people.
    GoAlong(Box<Notice>),
    /// Tell channels, beside the critical path; what became of it comes back with `announced`.
    Tell(Box<Telling>),
    /// Write the incident report.
    Report(Box<Incident>),
    /// Do something for a drill.
    Drill(DrillEffect),
    /// Sample a target at another interval from now on. A target of a new plan starts at its own.
    Pace {
        /// The target.
        target: TargetIx,
        /// The time between two scrapes.
        interval: Duration,
        /// Why.
        pace: Pace,
    },
}

/// What a drill asks of the world. It is kept apart from what a rollback asks: it may be ended at
/// any time.
#[derive(Clone, Debug, PartialEq)]
pub enum DrillEffect {
    /// Run one attempt at a step and settle its outcome.
    Run(Box<Order>),
    /// End the attempt that runs, with `run::drill::CALL_OFF_GRACE` between TERM and KILL, and
    /// settle it.
    CallOff,
}

/// One attempt at a step, everything filled in: performing it takes no more choices.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The attempt.
    pub attempt: Attempt,
    /// What is done.
    pub action: Action<String>,
    /// Whether it may be done again when nobody knows what became of it.
    pub rerun: Rerun,
    /// How long it may take.
    pub timeout: Duration,
    /// `ROLLGUARD_*` variables.
    pub env: Vec<(String, String)>,
    /// The JSON document for standard input.
    pub document: String,
}

/// Whether a step of unknown outcome may be run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// It says that it is `idempotent`.
    Safe,
    /// Then a person is needed.
    Never,
}

/// What became of an [`Effect::Run`] or [`Effect::Inspect`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The attempt.
    pub attempt: Attempt,
    /// What became of it.
    pub result: StepResult,
    /// The end of what it printed, bounded.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// The event that records it.
    pub fn event(&self) -> AttemptEvent {
        AttemptEvent::Outcome {
            attempt: self.attempt.clone(),
            result: self.result.clone(),
            output: self.output.clone(),
            took_ms: millis(self.took),
        }
    }
}

/// A hook that tells people: its steps in order, each as an [`Order`], tried as often as it says.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// The hook.
    pub hook: HookName,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its steps.
    pub steps: Vec<NoticeStep>,
    /// How long they may take together; `None`: as long as they take.
    pub timeout: Option<Duration>,
}

/// One step of a [`Notice`].
#[derive(Clone, Debug, PartialEq)]
pub struct NoticeStep {
    /// The first attempt; later ones differ in their number only.
    pub order: Order,
    /// How often it is tried at most.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles from there.
    pub backoff: Duration,
}

/// Everything that an incident report tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Incident {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The service.
    pub service: String,
    /// When it began.
    pub begun: Timestamp,
    /// When the report was made.
    pub at: Timestamp,
    /// How it ended.
    pub ended: Conclusion,
    /// Why it failed, where it did.
    pub why: Option<String>,
    /// What was decided and on what evidence.
    pub decision: Decision,
    /// The readings when the deployment began, or soon after.
    pub before: Vec<SignalEvidence>,
    /// The readings now.
    pub after: Vec<SignalEvidence>,
    /// What the signals measure, where that is known.
    pub units: Vec<(SignalName, Unit)>,
    /// What the journal says of this deployment, in order.
    pub entries: Vec<Entry>,
}

words! {
    /// What an incident came to.
    pub enum Conclusion {
        /// It was rolled back, and the cure was seen.
        RolledBack = "rolled back",
        /// The rollback failed.
        Failed = "rollback failed",
        /// The rollback is under way, as far as the journal tells.
        Underway = "rolling back",
        /// Nothing was done.
        NotDone = "not rolled back",
        /// People are asked.
        Asked = "awaiting approval",
    }
}

/// An alert for the channels, everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// What changed.
    pub news: Arc<News>,
    /// Whether it may have been told before.
    pub occurrence: Occurrence,
    /// The changes by which something under the same key is wrong after it.
    pub open: Vec<Change>,
    /// On which channels something under the same key was opened, as far as that is on record.
    pub opened: Vec<OpenedAlert>,
    /// What the signals measure, where that is known.
    pub units: Vec<(SignalName, Unit)>,
}

/// Whether an alert may have been sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// It has not: it happened just now.
    First,
    /// The guard was restarted, or has a new configuration. The alert was sent on these channels
    /// for certain, and perhaps on others.
    Again(Vec<ChannelName>),
}

/// What became of an alert on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The channel.
    pub channel: ChannelName,
    /// What changed.
    pub change: Change,
    /// The `seq` of the record that it was about; `None`: there is none.
    pub news: Option<u64>,
    /// The deployment.
    pub deployment: Option<DeploymentId>,
    /// Whether something stands open there since.
    pub opened: bool,
    /// What the other system calls what it made of it.
    pub reference: Option<String>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

impl Announced {
    /// What an event of a deployment, or of none, says of a channel that was told.
    pub(crate) fn of(deployment: Option<DeploymentId>, event: &NoticeEvent) -> Option<Self> {
        let NoticeEvent::Told { channel, change, news, opened, reference, failure: None } =
            event.clone()
        else {
            return None;
        };
        let (news, failure) = (Some(news), None);
        Some(Self { channel, change, news, deployment, opened, reference, failure })
    }

    /// The event that puts it on record; `None` where what was sent is not on record itself.
    pub(crate) fn event(self) -> Option<(Option<DeploymentId>, NoticeEvent)> {
        let Self { channel, change, news, deployment, opened, reference, failure } = self;
        let told = |news| NoticeEvent::Told { channel, change, news, opened, reference, failure };
        Some((deployment, told(news?)))
    }
}

/// An alert that stands open on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedAlert {
    /// The channel.
    pub channel: ChannelName,
    /// What the other system calls it.
    pub reference: Option<String>,
}
