//! Alertmanager's API v2. It takes active alerts, not events: each alert is sent to every peer
//! again before its `endsAt` for as long as it is active, and for a while after it has ended.
//! Labels hold no values, so that an alert stays the same while its readings change.

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::effect::Telling;
use crate::model::alert::{AlertAction, AlertKey};
use crate::model::channel::{Change, Channel};
use crate::model::target::Secret;
use crate::model::time::Timestamp;

use super::request::{ApiRequest, base};
use super::text::{headline, lines, severity, short};

/// The time between two sendings of all alerts; Prometheus calls it the resend delay.
const RESEND_DELAY: Duration = Duration::from_secs(60);

/// How far ahead of a sending the `endsAt` of an active alert is: a few sendings may be lost.
const ACTIVE_FOR: Duration = Duration::from_secs(300);

/// How long an ended alert is still sent, so that a peer that was away receives its end.
const RESOLVED_RETENTION: Duration = Duration::from_secs(300);

/// The most alerts at a time, ended ones included.
const MAX_ALERTS: usize = 128;

/// The most characters of an annotation.
const MAX_TEXT: usize = 1_000;

/// The alerts of one channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts(Vec<Alert>);

#[derive(Clone, Debug, PartialEq)]
struct Alert {
    dedup_key: String,
    key: AlertKey,
    labels: Value,
    annotations: Value,
    starts_at: Timestamp,
    ends_at: Option<Timestamp>,
}

impl Alerts {
    /// Takes an alert into account and returns whether the alerts to send have changed.
    pub fn take(&mut self, channel: &Channel, telling: &Telling) -> bool {
        let news = &*telling.news;
        let before = self.0.clone();
        let is_same = |alert: &Alert| alert.dedup_key == news.key();
        match &news.action {
            AlertAction::Trigger(key) | AlertAction::Resolve(key) => {
                self.end(news.at, |alert| is_same(alert) && alert.key == *key);
            }
            AlertAction::ResolveAll => self.end(news.at, is_same),
            // A new deployment ends the alerts of earlier ones.
            AlertAction::Inform if news.change == Change::Begun => {
                self.end(news.at, |alert| !is_same(alert) && alert.key != AlertKey::Reload);
            }
            AlertAction::Inform => {}
        }
        if let AlertAction::Trigger(key) = &news.action
            && channel.wants(news.change)
        {
            let new = alert(telling, key);
            self.0.retain(|alert| alert.labels != new.labels);
            if self.0.len() >= MAX_ALERTS {
                self.0.remove(0);
            }
            self.0.push(new);
        }
        self.0 != before
    }

    fn end(&mut self, at: Timestamp, which: impl Fn(&Alert) -> bool) {
        for alert in self.0.iter_mut().filter(|alert| alert.ends_at.is_none() && which(alert)) {
            alert.ends_at = Some(at);
        }
    }

    /// After how long all alerts are to be sent again; `None`: there are none.
    pub fn again(&self) -> Option<Duration> {
        (!self.0.is_empty()).then_some(RESEND_DELAY)
    }

    /// Removes alerts that ended long enough ago.
    pub fn forget(&mut self, now: Timestamp) {
        self.0.retain(|alert| {
            alert.ends_at.is_none_or(|ends_at| now.since(ends_at) < RESOLVED_RETENTION)
        });
    }

    /// One request to each peer with all alerts as they are now.
    pub fn requests(
        &self,
        urls: &[String],
        headers: &[(String, Secret)],
        now: Timestamp,
    ) -> Vec<ApiRequest> {
        let body = self.0.iter().map(|alert| {
            let end = alert.ends_at.unwrap_or_else(|| now.after(ACTIVE_FOR));
            json!({
                "labels": alert.labels,
                "annotations": alert.annotations,
                "startsAt": alert.starts_at.to_string(),
                "endsAt": end.to_string(),
            })
        });
        let body: Value = body.collect();
        let request = |url: &String| {
            ApiRequest::post(base(url), "/api/v2/alerts", body.clone()).with_headers(headers)
        };
        urls.iter().map(request).collect()
    }
}

fn alert(telling: &Telling, key: &AlertKey) -> Alert {
    let news = &*telling.news;
    let (severity, name) = severity(news);
    let mut labels = json!({ "alertname": name, "service": news.service, "severity": severity });
    if let Some(deployment) = &news.deployment {
        labels["deployment"] = deployment.as_str().into();
    }
    if let AlertKey::Rule(rule) = key {
        labels["rule"] = rule.as_str().into();
    }
    let mut annotations = json!({ "summary": short(&headline(news), MAX_TEXT) });
    for (label, text) in lines(telling) {
        let label = if label == "runbook" { "runbook_url" } else { label };
        annotations[label] = short(&text, MAX_TEXT).into();
    }
    let (dedup_key, key, starts_at) = (news.key(), key.clone(), news.at);
    Alert { dedup_key, key, labels, annotations, starts_at, ends_at: None }
}
