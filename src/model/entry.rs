//! What the journal records. The guard's durable state changes only by these entries, live and on
//! replay alike, so replaying the journal gives the same guard.
//!
//! # A new kind of event
//!
//! Add a variant to the enum of its group in `model/event/`, which also says what is asked of any
//! event, a line to `KINDS`, its line of text in `render/`, a record to the journal's test, and a
//! row to `docs/journal.md`. What acts on it matches it; nothing else mentions it.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::name::DeploymentId;
use super::time::Timestamp;

pub use super::attempt::{Attempt, Entering, StepResult};
pub use super::event::approval::ApprovalEvent;
pub use super::event::attempt::AttemptEvent;
pub use super::event::caller::{Answer, Caller};
pub use super::event::daemon::DaemonEvent;
pub use super::event::deployment::{DeploymentBegun, DeploymentEvent, Frozen};
pub use super::event::drill::DrillEvent;
pub use super::event::live::LiveEvent;
pub use super::event::meaning::{Level, Meaning};
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

/// Declares the groups of events, each with its type.
macro_rules! groups {
    ($($(#[$doc:meta])* $group:ident($event:ty),)*) => {
        /// What happened, by group. The journal writes the kind within the group as `kind` and its
        /// fields as `data`.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Event {
            $($(#[$doc])* $group($event),)*
        }

        $(impl From<$event> for Event {
            fn from(event: $event) -> Self {
                Self::$group(event)
            }
        })*
    };
}

groups! {
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
const KINDS: [(&[&str], ReadEvent); 17] = [
    (&["started", "stopped", "reloaded", "reload_refused"], read::<DaemonEvent>),
    (&["begun"], read::<DeploymentEvent>),
    (
        &["staged", "stage_entered", "stage_not_entered", "stage_passed", "stage_overdue"],
        read::<StageEvent>,
    ),
    (&["hook_begun"], read::<NoticeEvent>),
    (&["telemetry_lost", "telemetry_back"], read::<RuleEvent>),
    (&["ended", "superseded", "baked"], read::<DeploymentEvent>),
    (&["set_aside", "refused"], read::<RuleEvent>),
    (&["awaiting_approval", "denied", "denial_lifted", "lapsed"], read::<ApprovalEvent>),
    (&["paused", "resumed"], read::<PauseEvent>),
    (&["live_checked", "live_seen"], read::<LiveEvent>),
    (&["decided"], read::<RollbackEvent>),
    (&["intent", "outcome"], read::<AttemptEvent>),
    (&["cured", "failed"], read::<RollbackEvent>),
    (&["notified"], read::<NoticeEvent>),
    (&["cleared"], read::<RuleEvent>),
    (&["told"], read::<NoticeEvent>),
    (&["drill_begun", "drill_done"], read::<DrillEvent>),
];

fn read<G: DeserializeOwned + Into<Event>>(record: Value) -> serde_json::Result<Event> {
    serde_json::from_value::<G>(record).map(Into::into)
}

impl Entry {
    /// What anybody may ask of its event.
    pub fn meaning(&self) -> Meaning {
        match &self.event {
            Event::Daemon(event) => event.meaning(),
            Event::Deployment(event) => event.meaning(),
            Event::Stage(event) => event.meaning(),
            Event::Rule(event) => event.meaning(),
            Event::Approval(event) => event.meaning(self.deployment.as_ref()),
            Event::Pause(event) => event.meaning(),
            Event::Live(event) => event.meaning(),
            Event::Rollback(event) => event.meaning(),
            Event::Attempt(event) => event.meaning(),
            Event::Drill(event) => event.meaning(),
            Event::Notice(event) => event.meaning(),
        }
    }
}

impl Event {
    /// The names of all kinds, as the journal writes them.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        KINDS.iter().flat_map(|(kinds, _)| kinds.iter().copied())
    }

    /// Whether it is about the guard itself. Its entry may name a deployment, which was guarded at
    /// that time.
    pub const fn is_of_guard(&self) -> bool {
        matches!(self, Self::Daemon(_) | Self::Pause(_))
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let record = Value::deserialize(deserializer)?;
        let kind = record.get("kind").and_then(Value::as_str);
        let kind = kind.ok_or_else(|| D::Error::missing_field("kind"))?;
        let known = KINDS.iter().find(|(known, _)| known.contains(&kind));
        let (_, read) = known.ok_or_else(|| D::Error::custom(unknown(kind)))?;
        read(record).map_err(D::Error::custom)
    }
}

/// Says of an unknown kind what serde says of an unknown variant.
fn unknown(kind: &str) -> String {
    let known: Vec<String> = Event::kinds().map(|known| format!("`{known}`")).collect();
    format!("unknown variant `{kind}`, expected one of {}", known.join(", "))
}

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
        for (kind, read) in
            KINDS.iter().flat_map(|(kinds, read)| kinds.iter().map(move |k| (k, read)))
        {
            let why = read(serde_json::json!({"kind": kind, "data": {}}));
            let why = why.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(!why.contains("unknown variant"), "{kind}: {why}");
        }
    }
}
