//! The text of an alert, which is the same on every channel: a headline and a few lines. Text from
//! elsewhere loses its control characters and is bounded here; each kind of channel escapes it for
//! its own markup.

use std::time::Duration;

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::channel::Change;
use crate::model::rule::{About, Severity};
use crate::model::time::format_duration;
use crate::render::{self, plain};

/// The most characters of a text from elsewhere: a sentence or two.
const MAX_TEXT: usize = 400;

/// The alert in a sentence.
pub(super) fn headline(news: &News) -> String {
    let service = news.service.as_str();
    let version = news.version.as_ref().map_or("the deployment", |version| version.as_str());
    let good = news.good.as_ref();
    let to = good.map(|good| format!(" to {good}")).unwrap_or_default();
    let rule = news.rule.as_ref().map_or("a rule", |rule| rule.rule.as_str());
    let stage = news.stage.as_ref().map_or("another", |stage| stage.as_str());
    let why = short(&news.reason, MAX_TEXT);
    let said = match news.change {
        Change::Begun => match good {
            Some(good) => format!("guarding {version}, the good version is {good}"),
            None => format!("guarding {version}, no good version is known"),
        },
        Change::Stage => format!("{version} is in stage {stage}"),
        Change::StagePassed => format!("{version} has passed stage {stage}"),
        Change::StageStuck => format!("{version} does not get through stage {stage}: {why}"),
        Change::Observed => format!("rule {rule} fires for {version}, only observing"),
        Change::Firing => format!("warning, rule {rule} fires for {version}"),
        Change::Refused => format!("rule {rule} fires for {version}, nothing is done: {why}"),
        Change::Cleared => format!("{why} has cleared for {version}"),
        Change::AwaitingApproval => {
            format!("{version} waits for a yes to be rolled back{to}: {why}")
        }
        Change::Denied => format!("{version} is not rolled back: {why}"),
        Change::Decided => format!("rolling back {version}{to}: {why}"),
        Change::RolledBack => format!("rolled back {version}{to}, and it helped"),
        Change::Failed => format!("the rollback of {version}{to} failed: {why}"),
        Change::Baked => format!("{version} has baked and counts as good"),
        Change::Ended | Change::Superseded => format!("{version} is not guarded any more: {why}"),
        Change::Paused => format!("automatic rollbacks are paused {why}"),
        Change::Resumed => format!("automatic rollbacks are on again: {why}"),
        Change::TelemetryLost => format!("blind to {version}, {why}"),
        Change::TelemetryBack => format!("{version} is {why}"),
        Change::JournalLost => format!("{why}, no rollback will run"),
        Change::ReloadRefused => format!("the new configuration is refused, {why}"),
        Change::Reloaded => "the new configuration is in force".to_owned(),
    };
    format!("{service}: {said}")
}

/// What the headline does not say, each line with its label.
pub(super) fn lines(telling: &Telling) -> Vec<(&'static str, String)> {
    let news = &*telling.news;
    let rule = news.rule.as_ref();
    let about =
        |text: fn(&About) -> &Option<String>| Some(short(text(&rule?.about).as_ref()?, MAX_TEXT));
    let took = news
        .decided
        .filter(|_| news.change == Change::RolledBack)
        .map(|decided| format_duration(Duration::from_secs(news.at.since(decided).as_secs())));
    let lines = [
        ("rule", rule.map(|rule| format!("{}: {}", rule.rule, short(&rule.when, MAX_TEXT)))),
        ("readings", Some(readings(telling)).filter(|readings| !readings.is_empty())),
        ("description", about(|about| &about.description)),
        ("runbook", about(|about| &about.runbook)),
        ("owner", about(|about| &about.owner)),
        ("took", took),
        ("deployment", news.deployment.as_ref().map(ToString::to_string)),
    ];
    lines.into_iter().filter_map(|(label, text)| Some((label, text?))).collect()
}

/// The readings that the rule compared: `error_rate 19.8% > 5%`.
pub(super) fn readings(telling: &Telling) -> String {
    let Some(rule) = &telling.news.rule else { return String::new() };
    short(&render::readings(rule, &telling.units), MAX_TEXT)
}

/// The severity, in the words that PagerDuty, Alertmanager and others use, and the name under which
/// Alertmanager knows an alert that such a change opens.
pub(super) fn severity(news: &News) -> (&'static str, &'static str) {
    match news.change {
        Change::AwaitingApproval => ("critical", "RollguardAwaitingApproval"),
        Change::Decided => ("critical", "RollguardRollback"),
        Change::Failed => ("critical", "RollguardRollbackFailed"),
        Change::JournalLost => ("critical", "RollguardJournalLost"),
        Change::Refused => ("error", "RollguardRefused"),
        Change::Firing => ("warning", "RollguardWarning"),
        Change::Paused => ("warning", "RollguardPaused"),
        Change::TelemetryLost => ("warning", "RollguardBlind"),
        Change::ReloadRefused => ("warning", "RollguardReloadRefused"),
        // These open nothing.
        Change::StageStuck => ("warning", "Rollguard"),
        Change::Observed => match news.rule.as_ref().map(|rule| rule.severity) {
            Some(Severity::Critical) => ("warning", "Rollguard"),
            Some(Severity::Warning) | None => ("info", "Rollguard"),
        },
        Change::Begun
        | Change::Stage
        | Change::StagePassed
        | Change::Cleared
        | Change::Denied
        | Change::Resumed
        | Change::RolledBack
        | Change::Baked
        | Change::Ended
        | Change::Superseded
        | Change::TelemetryBack
        | Change::Reloaded => ("info", "Rollguard"),
    }
}

/// The text without control characters, cut to `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
