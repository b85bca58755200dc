//! What the core decided so far, read off the entries that it asks to have made durable.

use crate::model::entry::{Event, Refusal, Trigger};
use crate::model::name::RuleName;

use super::script::Acted;

/// What was decided so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions {
    /// The rule for which the deployment is rolled back.
    rolled_back: Option<RuleName>,
    /// The rules that asked people for a rollback.
    asked: Vec<RuleName>,
    /// The rules of which people were told instead.
    told: Vec<RuleName>,
}

impl Decisions {
    /// Takes note of an entry.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Decided(decision) => {
                if let Trigger::Rule(rule) = &decision.trigger {
                    self.rolled_back = Some(rule.rule.clone());
                }
            }
            Event::AwaitingApproval { decision, .. } => {
                if let Trigger::Rule(rule) = &decision.trigger {
                    self.asked.push(rule.rule.clone());
                }
            }
            // Who only observes tells nobody.
            Event::Refused { refusal, evidence } if *refusal != Refusal::Observing => {
                self.told.push(evidence.rule.clone());
            }
            Event::Refused { .. }
            | Event::Started { .. }
            | Event::Stopped { .. }
            | Event::Reloaded { .. }
            | Event::ReloadRefused { .. }
            | Event::Begun { .. }
            | Event::Staged { .. }
            | Event::TelemetryLost { .. }
            | Event::TelemetryBack { .. }
            | Event::Ended { .. }
            | Event::Superseded { .. }
            | Event::Baked { .. }
            | Event::SetAside { .. }
            | Event::Denied { .. }
            | Event::DenialLifted { .. }
            | Event::Lapsed { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::StageEntered { .. }
            | Event::StageNotEntered { .. }
            | Event::StagePassed { .. }
            | Event::StageOverdue { .. }
            | Event::HookBegun { .. }
            | Event::Intent { .. }
            | Event::Outcome { .. }
            | Event::Cured { .. }
            | Event::Failed { .. }
            | Event::Cleared { .. }
            | Event::Told { .. }
            | Event::LiveChecked { .. }
            | Event::LiveSeen { .. }
            | Event::DrillBegun(_)
            | Event::DrillDone(_)
            | Event::Notified { .. } => {}
        }
    }

    /// What was decided because of the rule, or of any.
    pub(crate) fn of(&self, rule: Option<&RuleName>) -> Acted {
        let concerns = |name: &RuleName| rule.is_none_or(|rule| rule == name);
        if self.rolled_back.as_ref().is_some_and(concerns) {
            Acted::Rollback
        } else if self.asked.iter().any(concerns) {
            Acted::Ask
        } else if self.told.iter().any(concerns) {
            Acted::Notify
        } else {
            Acted::None
        }
    }
}
