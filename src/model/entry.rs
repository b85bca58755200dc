//! What the journal records. The guard's durable state changes only by these entries, live and on
//! replay alike, so replaying the journal gives the same guard.
//!
//! # A new kind of event
//!
//! Add a variant to the enum of its group in `model/event/`, which also says what is asked of any
//! event, a line to `KINDS`, its line of text in `render/`, a record to the journal's test, and a
//! row to `docs/journal.md`. What acts on it matches it; nothing else mentions it.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::alert::StateChange;
use super::name::DeploymentId;
use super::time::Timestamp;

pub use super::attempt::{Attempt, Entering, StepResult};
pub use super::event::approval::{Answer, ApprovalEvent};
pub use super::event::attempt::AttemptEvent;
pub use super::event::caller::Caller;
pub use super::event::daemon::DaemonEvent;
pub use super::event::deployment::{DeploymentBegun, DeploymentEvent, Frozen};
pub use super::event::drill::DrillEvent;
pub use super::event::group::{EventGroup, Level, Scope};
pub use super::event::live::LiveEvent;
pub use super::event::notice::NoticeEvent;
pub use super::event::pause::PauseEvent;
pub use super::event::rollback::{Approval, Decision, RollbackEvent, Trigger};
pub use super::event::rule::RuleEvent;
pub use super::event::stage::StageEvent;
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

/// What happened, by group. The journal writes the kind within the group as `kind` and its fields
/// as `data`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The daemon's own life.
    Daemon(DaemonEvent),
    /// The beginning or the end of a deployment.
    Deployment(DeploymentEvent),
    /// A stage of a deployment.
    Stage(StageEvent),
    /// A rule that does not lead to a rollback.
    Rule(RuleEvent),
    /// A rule that asks people for a rollback.
    Approval(ApprovalEvent),
    /// A pause.
    Pause(PauseEvent),
    /// The live version.
    Live(LiveEvent),
    /// A rollback.
    Rollback(RollbackEvent),
    /// An attempt at a step.
    Attempt(AttemptEvent),
    /// A drill.
    Drill(DrillEvent),
    /// People and systems that are told.
    Notice(NoticeEvent),
}

/// Reads an object with `kind` and `data`.
type ReadEvent = fn(Value) -> serde_json::Result<Event>;

/// Every kind that the journal knows, and the group that reads it.
const KINDS: [(&str, ReadEvent); 36] = [
    ("started", read::<DaemonEvent>),
    ("stopped", read::<DaemonEvent>),
    ("reloaded", read::<DaemonEvent>),
    ("reload_refused", read::<DaemonEvent>),
    ("begun", read::<DeploymentEvent>),
    ("staged", read::<StageEvent>),
    ("stage_entered", read::<StageEvent>),
    ("stage_not_entered", read::<StageEvent>),
    ("stage_passed", read::<StageEvent>),
    ("stage_overdue", read::<StageEvent>),
    ("hook_begun", read::<NoticeEvent>),
    ("telemetry_lost", read::<RuleEvent>),
    ("telemetry_back", read::<RuleEvent>),
    ("ended", read::<DeploymentEvent>),
    ("superseded", read::<DeploymentEvent>),
    ("baked", read::<DeploymentEvent>),
    ("set_aside", read::<RuleEvent>),
    ("refused", read::<RuleEvent>),
    ("awaiting_approval", read::<ApprovalEvent>),
    ("denied", read::<ApprovalEvent>),
    ("denial_lifted", read::<ApprovalEvent>),
    ("lapsed", read::<ApprovalEvent>),
    ("paused", read::<PauseEvent>),
    ("resumed", read::<PauseEvent>),
    ("live_checked", read::<LiveEvent>),
    ("live_seen", read::<LiveEvent>),
    ("decided", read::<RollbackEvent>),
    ("intent", read::<AttemptEvent>),
    ("outcome", read::<AttemptEvent>),
    ("cured", read::<RollbackEvent>),
    ("failed", read::<RollbackEvent>),
    ("notified", read::<NoticeEvent>),
    ("cleared", read::<RuleEvent>),
    ("told", read::<NoticeEvent>),
    ("drill_begun", read::<DrillEvent>),
    ("drill_done", read::<DrillEvent>),
];

fn read<G: DeserializeOwned + Into<Event>>(record: Value) -> serde_json::Result<Event> {
    serde_json::from_value::<G>(record).map(Into::into)
}

impl Event {
    /// The names of all kinds, as the journal writes them.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    /// What the event is about.
    pub fn scope(&self) -> Scope {
        self.group().scope()
    }

    /// How much attention it deserves in the log.
    pub fn level(&self) -> Level {
        self.group().level()
    }

    /// Whether it belongs to the story of its deployment.
    pub fn is_story(&self) -> bool {
        self.group().is_story()
    }

    /// The change of state that people may be told of, where the entry names this deployment.
    pub fn alert(&self, deployment: &DeploymentId) -> Option<StateChange> {
        self.group().alert(deployment)
    }

    fn group(&self) -> &dyn EventGroup {
        match self {
            Self::Daemon(event) => event,
            Self::Deployment(event) => event,
            Self::Stage(event) => event,
            Self::Rule(event) => event,
            Self::Approval(event) => event,
            Self::Pause(event) => event,
            Self::Live(event) => event,
            Self::Rollback(event) => event,
            Self::Attempt(event) => event,
            Self::Drill(event) => event,
            Self::Notice(event) => event,
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Daemon(event) => event.serialize(serializer),
            Self::Deployment(event) => event.serialize(serializer),
            Self::Stage(event) => event.serialize(serializer),
            Self::Rule(event) => event.serialize(serializer),
            Self::Approval(event) => event.serialize(serializer),
            Self::Pause(event) => event.serialize(serializer),
            Self::Live(event) => event.serialize(serializer),
            Self::Rollback(event) => event.serialize(serializer),
            Self::Attempt(event) => event.serialize(serializer),
            Self::Drill(event) => event.serialize(serializer),
            Self::Notice(event) => event.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = Value::deserialize(deserializer)?;
        let kind = record.get("kind").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| D::Error::missing_field("kind"))?;
        let known = KINDS.iter().find(|(known, _)| *known == kind);
        let (_, read) = known.ok_or_else(|| D::Error::custom(unknown(kind)))?;
        read(record).map_err(D::Error::custom)
    }
}

/// Says of an unknown kind what serde says of an unknown variant.
fn unknown(kind: &str) -> String {
    let known: Vec<String> = Event::kinds().map(|known| format!("`{known}`")).collect();
    format!("unknown variant `{kind}`, expected one of {}", known.join(", "))
}

macro_rules! from_group {
    ($($group:ident($event:ty)),* $(,)?) => {
        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$group(event)
            }
        })*
    };
}

from_group!(
    Daemon(DaemonEvent),
    Deployment(DeploymentEvent),
    Stage(StageEvent),
    Rule(RuleEvent),
    Approval(ApprovalEvent),
    Pause(PauseEvent),
    Live(LiveEvent),
    Rollback(RollbackEvent),
    Attempt(AttemptEvent),
    Drill(DrillEvent),
    Notice(NoticeEvent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_kind_is_answered_with_all_that_are_known() {
        let read = |kind: &str| {
            let record = serde_json::json!({"kind": kind, "data": {}});
            serde_json::from_value::<Event>(record).unwrap_err().to_string()
        };
        let why = read("teleported");
        let first = "unknown variant `teleported`, expected one of `started`, `stopped`, ";
        assert!(why.starts_with(first) && why.ends_with(", `drill_begun`, `drill_done`"), "{why}");
        assert_eq!(read("stopped"), "missing field `by`");
    }

    #[test]
    fn every_kind_is_one_that_its_group_knows() {
        for (kind, read) in KINDS {
            let why = read(serde_json::json!({"kind": kind, "data": {}}));
            let why = why.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(!why.contains("unknown variant"), "{kind}: {why}");
        }
    }
}
