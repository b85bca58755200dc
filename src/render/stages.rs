//! Stages as people read them, in a line of the log or the journal.

use crate::model::entry::StageEvent;

use super::entry::{caller, text, took};

/// What an entry says of a stage.
pub(super) fn told(event: &StageEvent) -> String {
    match event {
        StageEvent::Staged { stage, enter, forced, by } => {
            let forced = if *forced { ", insisting" } else { "" };
            let hook = enter.as_ref().map(|hook| format!(", entered by hook {hook}"));
            let hook = hook.unwrap_or_default();
            format!("in stage {stage}, said {}{forced}{hook}", caller(by))
        }
        StageEvent::Entered { stage, took_ms } => {
            format!("stage {stage} was entered in {}", took(*took_ms))
        }
        StageEvent::NotEntered { stage, why } => {
            format!("stage {stage} was not entered: {}", text(why))
        }
        StageEvent::Passed { stage, took_ms } => {
            format!("stage {stage} passed, {} after it was asked for", took(*took_ms))
        }
        StageEvent::Overdue { stage, why } => {
            format!("stage {stage} has not passed in time: {}", text(why))
        }
    }
}
