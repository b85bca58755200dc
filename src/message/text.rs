//! What people read of news, whatever they read it in: a headline and a few lines. Text that comes
//! from elsewhere is made harmless and is bounded here; each system escapes for itself.

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::channel::Change;
use crate::model::name::SignalName;
use crate::model::rule::Severity;
use crate::model::signal::Unit;
use crate::render::{Compared, comparisons, plain};

/// The most characters of a text from elsewhere: a sentence or two.
const MAX_TEXT: usize = 400;

/// A line beside the headline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) label: &'static str,
    pub(super) text: String,
}

/// The news in a sentence.
pub(super) fn headline(news: &News) -> String {
    let service = news.service.as_str();
    let version = news.version.as_ref().map_or("the deployment", |version| version.as_str());
    let to = news.good.as_ref().map(|good| format!(" to {good}")).unwrap_or_default();
    let rule = news.rule.as_ref().map_or("a rule", |rule| rule.rule.as_str());
    let stage = news.stage.as_ref().map_or("another", |stage| stage.as_str());
    let why = short(&news.reason, MAX_TEXT);
    let said = match news.change {
        Change::Begun => {
            let good = news.good.as_ref();
            let good = good.map_or("no good version is known".to_owned(), |good| {
                format!("the good version is {good}")
            });
            format!("guarding {version}, {good}")
        }
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

/// What the headline does not say.
pub(super) fn lines(telling: &Telling) -> Vec<Line> {
    let news = &*telling.news;
    let mut lines = Vec::new();
    let mut line = |label, text: String| lines.push(Line { label, text });
    if let Some(rule) = &news.rule {
        line("rule", format!("{}: {}", rule.rule, short(&rule.when, MAX_TEXT)));
        let readings = readings(telling);
        if !readings.is_empty() {
            line("readings", readings);
        }
        let about = [
            ("description", &rule.about.description),
            ("runbook", &rule.about.runbook),
            ("owner", &rule.about.owner),
        ];
        for (label, text) in about {
            if let Some(text) = text {
                line(label, short(text, MAX_TEXT));
            }
        }
    }
    if news.change == Change::RolledBack
        && let Some(decided) = news.decided
    {
        let took = crate::model::time::format_duration(whole(news.at.since(decided)));
        line("took", took);
    }
    if let Some(deployment) = &news.deployment {
        line("deployment", deployment.to_string());
    }
    lines
}

const fn whole(span: std::time::Duration) -> std::time::Duration {
    std::time::Duration::from_secs(span.as_secs())
}

/// What the rule's comparisons said: `error_rate 19.8% > 5%`.
pub(super) fn readings(telling: &Telling) -> String {
    let Some(rule) = &telling.news.rule else { return String::new() };
    let unit = |name: &SignalName| -> Option<Unit> {
        telling.units.iter().find(|(known, _)| known == name).map(|(_, unit)| *unit)
    };
    let all: Vec<String> = comparisons(rule, unit).iter().map(Compared::named).collect();
    short(&all.join(", "), MAX_TEXT)
}

/// How bad it is, as systems with severities say it.
pub(super) fn severity(news: &News) -> &'static str {
    match news.change {
        Change::AwaitingApproval | Change::Decided | Change::Failed | Change::JournalLost => {
            "critical"
        }
        Change::Refused => "error",
        Change::Firing
        | Change::StageStuck
        | Change::Paused
        | Change::TelemetryLost
        | Change::ReloadRefused => "warning",
        Change::Observed => match news.rule.as_ref().map(|rule| rule.severity) {
            Some(Severity::Critical) => "warning",
            Some(Severity::Warning) | None => "info",
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
        | Change::Reloaded => "info",
    }
}

/// The text without control characters, cut to so many characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
