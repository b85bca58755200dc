//! Stages as people read them, in a line of the log or the journal.

use crate::model::entry::Event;

use super::entry::{caller, text, took};

/// What an entry says of a stage; nothing where it is of something else.
pub(super) fn told(event: &Event) -> String {
    if let Event::Staged { stage, enter, forced, by } = event {
        let forced = if *forced { ", insisting" } else { "" };
        let hook = enter.as_ref().map(|hook| format!(", entered by hook {hook}"));
        return format!(
            "in stage {stage}, said {}{forced}{}",
            caller(by),
            hook.unwrap_or_default()
        );
    }
    if let Event::StageEntered { stage, took_ms } = event {
        return format!("stage {stage} was entered in {}", took(*took_ms));
    }
    if let Event::StageNotEntered { stage, why } = event {
        return format!("stage {stage} was not entered: {}", text(why));
    }
    if let Event::StagePassed { stage, took_ms } = event {
        return format!("stage {stage} passed, {} after it was asked for", took(*took_ms));
    }
    if let Event::StageOverdue { stage, why } = event {
        return format!("stage {stage} has not passed in time: {}", text(why));
    }
    if let Event::HookBegun { hook, on } = event {
        return format!("hook {hook} goes along, {on}");
    }
    String::new()
}
