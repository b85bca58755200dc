//! An incident as the report tells it: what its entries say of how it ended and when.

use crate::engine::effect::Incident;
use crate::model::entry::{AttemptEvent, Event, RollbackEvent, RuleEvidence};
use crate::model::name::SignalName;
use crate::model::signal::Unit;
use crate::model::time::Timestamp;

use super::compare::readings;

/// How the incident ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Conclusion {
    RolledBack,
    Failed,
    /// The journal tells of no end.
    Underway,
    NotDone,
    /// It is not over: people are asked.
    Asked,
}

/// An incident and what its entries say of it.
pub(super) struct Story<'a> {
    pub(super) incident: &'a Incident,
    pub(super) conclusion: Conclusion,
    pub(super) decided: Option<Timestamp>,
    pub(super) first_step: Option<Timestamp>,
    pub(super) cured: Option<Timestamp>,
}

impl<'a> Story<'a> {
    pub(super) fn new(incident: &'a Incident) -> Self {
        let at = |is: fn(&Event) -> bool| {
            incident.entries.iter().find(|entry| is(&entry.event)).map(|entry| entry.at)
        };
        Self {
            incident,
            conclusion: match incident.ended {
                "rolled back" => Conclusion::RolledBack,
                "rollback failed" => Conclusion::Failed,
                "awaiting approval" => Conclusion::Asked,
                "rolling back" => Conclusion::Underway,
                _ => Conclusion::NotDone,
            },
            decided: at(|event| matches!(event, Event::Rollback(RollbackEvent::Decided(_)))),
            first_step: at(|event| matches!(event, Event::Attempt(AttemptEvent::Intent { .. }))),
            cured: at(|event| matches!(event, Event::Rollback(RollbackEvent::Cured { .. }))),
        }
    }

    pub(super) fn unit(&self, signal: &SignalName) -> Option<Unit> {
        self.incident.units.iter().find(|(name, _)| name == signal).map(|(_, unit)| *unit)
    }

    /// A rule's comparisons in a row: `error_rate 19.8% > 5%`.
    pub(super) fn readings(&self, rule: &RuleEvidence) -> String {
        readings(rule, |signal| self.unit(signal))
    }

    pub(super) fn version(&self) -> &str {
        self.incident.decision.version.as_str()
    }

    pub(super) fn good(&self) -> &str {
        self.incident.decision.good.as_ref().map_or("(none known)", |good| good.as_str())
    }
}
