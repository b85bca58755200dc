//! The text of an alert, which is the same on every channel: a headline and a few lines. Text from
//! elsewhere loses its control characters and is bounded here; each kind of channel escapes it for
//! its own markup.

use std::fmt;
use std::time::Duration;

use crate::engine::effect::Telling;
use crate::model::alert::News;
use crate::model::channel::Change;
use crate::model::name::SignalName;
use crate::model::rule::Severity;
use crate::model::signal::Unit;
use crate::model::time::format_duration;
use crate::render::{self, plain};

/// The most characters of a text from elsewhere: a sentence or two.
const MAX_TEXT: usize = 400;

/// A line below the headline.
pub(super) struct LabelledText {
    pub(super) label: &'static str,
    pub(super) text: String,
}

impl fmt::Display for LabelledText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.text)
    }
}

/// The alert in a sentence.
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
pub(super) fn lines(telling: &Telling) -> Vec<LabelledText> {
    let news = &*telling.news;
    let mut lines = Vec::new();
    let mut line = |label, text: String| lines.push(LabelledText { label, text });
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
        let seconds = Duration::from_secs(news.at.since(decided).as_secs());
        line("took", format_duration(seconds));
    }
    if let Some(deployment) = &news.deployment {
        line("deployment", deployment.to_string());
    }
    lines
}

/// The readings that the rule compared: `error_rate 19.8% > 5%`.
pub(super) fn readings(telling: &Telling) -> String {
    let Some(rule) = &telling.news.rule else { return String::new() };
    let unit = |name: &SignalName| -> Option<Unit> {
        telling.units.iter().find(|(known, _)| known == name).map(|(_, unit)| *unit)
    };
    short(&render::readings(rule, unit), MAX_TEXT)
}

/// The severity, in the words that PagerDuty, Alertmanager and others use.
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

/// The text without control characters, cut to `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
