//! Alertmanager's API v2. It is told of what stands, not of what happened: an alert is sent again
//! before it lapses for as long as it is active, and for a while after it has ended, to every peer.
//! Labels hold no values, so that an alert stays the same while its readings change.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::alert::{Matter, News, Turn};
use crate::model::channel::{Change, Channel};
use crate::model::target::Secret;
use crate::model::time::Timestamp;

use super::request::Request;
use super::text::{headline, lines, severity, short};

/// After how long alerts are sent again.
const AGAIN: Duration = Duration::from_secs(60);

/// How far ahead an active alert ends: a few sendings may be lost.
const LAPSE: Duration = Duration::from_secs(300);

/// For how long an ended alert is sent again: a peer that was away hears of it.
const AFTER: Duration = Duration::from_secs(300);

/// The most alerts at a time, ended ones included.
const MAX_ALERTS: usize = 128;

/// The most characters of an annotation.
const MAX_TEXT: usize = 1_000;

/// The alerts of one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts(Vec<Alert>);

#[derive(Clone, Debug, PartialEq)]
struct Alert {
    key: String,
    matter: Matter,
    labels: Value,
    annotations: Value,
    since: Timestamp,
    ended: Option<Timestamp>,
}

impl Alerts {
    /// Takes in news; answers whether there is something to send.
    pub fn take(&mut self, channel: &Channel, telling: &Telling) -> bool {
        let news = &*telling.news;
        let before = self.0.clone();
        match &news.turn {
            Turn::Opens(matter) => {
                self.end(news.at, |alert| alert.key == news.key() && alert.matter == *matter);
                if channel.wants(news.change) {
                    self.open(alert(telling, matter));
                }
            }
            Turn::Closes(matter) => {
                self.end(news.at, |alert| alert.key == news.key() && alert.matter == *matter);
            }
            Turn::ClosesAll => self.end(news.at, |alert| alert.key == news.key()),
            // Whatever an earlier deployment left open is over.
            Turn::Passes if news.change == Change::Begun => {
                let of_guard = |alert: &Alert| alert.matter == Matter::Reload;
                self.end(news.at, |alert| alert.key != news.key() && !of_guard(alert));
            }
            Turn::Passes => {}
        }
        self.0 != before
    }

    fn end(&mut self, at: Timestamp, which: impl Fn(&Alert) -> bool) {
        for alert in self.0.iter_mut().filter(|alert| alert.ended.is_none() && which(alert)) {
            alert.ended = Some(at);
        }
    }

    fn open(&mut self, new: Alert) {
        self.0.retain(|alert| alert.labels != new.labels);
        if self.0.len() >= MAX_ALERTS {
            self.0.remove(0);
        }
        self.0.push(new);
    }

    /// After how long everything is to be sent again; `None`: there is nothing.
    #[must_use]
    pub fn again(&self) -> Option<Duration> {
        (!self.0.is_empty()).then_some(AGAIN)
    }

    /// Forgets what has been over for long enough.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|alert| alert.ended.is_none_or(|ended| now.since(ended) < AFTER));
    }

    /// One request to each peer with all alerts as they are now.
    #[must_use]
    pub fn requests(
        &self,
        urls: &[String],
        headers: &[(String, Secret)],
        now: Timestamp,
    ) -> Vec<Request> {
        let body: Vec<Value> = self.0.iter().map(|alert| alert.body(now)).collect();
        let request = |url: &String| {
            let base = Secret::Literal(url.trim_end_matches('/').to_owned());
            Request::post(base, "/api/v2/alerts", body.clone().into()).with_headers(headers)
        };
        urls.iter().map(request).collect()
    }
}

impl Alert {
    fn body(&self, now: Timestamp) -> Value {
        let end = self.ended.unwrap_or_else(|| now.after(LAPSE));
        json!({
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": self.since.to_string(),
            "endsAt": end.to_string(),
        })
    }
}

fn alert(telling: &Telling, matter: &Matter) -> Alert {
    let news = &*telling.news;
    let mut labels = json!({
        "alertname": name(news),
        "service": news.service,
        "severity": severity(news),
    });
    let mut set = |key: &str, value: &str| labels[key] = value.into();
    if let Some(deployment) = &news.deployment {
        set("deployment", deployment.as_str());
    }
    if let Matter::Rule(rule) = matter {
        set("rule", rule.as_str());
    }
    let mut annotations = json!({ "summary": short(&headline(news), MAX_TEXT) });
    for line in lines(telling) {
        let label = if line.label == "runbook" { "runbook_url" } else { line.label };
        annotations[label] = short(&line.text, MAX_TEXT).into();
    }
    let (key, matter, since) = (news.key(), matter.clone(), news.at);
    Alert { key, matter, labels, annotations, since, ended: None }
}

const fn name(news: &News) -> &'static str {
    match news.change {
        Change::AwaitingApproval => "RollguardAwaitingApproval",
        Change::Paused => "RollguardPaused",
        Change::Decided => "RollguardRollback",
        Change::Failed => "RollguardRollbackFailed",
        Change::Refused => "RollguardRefused",
        Change::Firing => "RollguardWarning",
        Change::TelemetryLost => "RollguardBlind",
        Change::JournalLost => "RollguardJournalLost",
        Change::ReloadRefused => "RollguardReloadRefused",
        // These open nothing.
        Change::Begun
        | Change::Stage
        | Change::StagePassed
        | Change::StageStuck
        | Change::Observed
        | Change::Cleared
        | Change::Denied
        | Change::Resumed
        | Change::RolledBack
        | Change::Baked
        | Change::Ended
        | Change::Superseded
        | Change::TelemetryBack
        | Change::Reloaded => "Rollguard",
    }
}
