//! What each system is told, to the letter.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::engine::effect::{Occurrence, Telling};
use crate::model::alert::{AlertAction, AlertKey, News};
use crate::model::channel::{Change, Channel, Sends, System};
use crate::model::entry::{Comparison, RuleEvidence, RuleStanding, SignalEvidence};
use crate::model::name::{
    ChannelName, DeploymentId, RuleName, ServiceName, SignalName, StageName, Version,
};
use crate::model::rule::{About, Severity};
use crate::model::signal::Unit;
use crate::model::step::Method;
use crate::model::target::Secret;
use crate::model::time::Timestamp;

const AT: Timestamp = Timestamp::from_millis(1_793_000_000_123);

fn secret(name: &str) -> Secret {
    Secret::Env(name.to_owned())
}

fn sender() -> Sender {
    Sender { host: "web-1".to_owned(), rollguard: "1.2.3".to_owned() }
}

fn rule() -> RuleEvidence {
    let signal = SignalEvidence {
        signal: SignalName::new("error_rate").unwrap(),
        group: None,
        value: Some(0.198),
        at_least: false,
        no_data: None,
    };
    RuleEvidence {
        rule: RuleName::new("error-rate").unwrap(),
        when: "error_rate > 5%".to_owned(),
        given: None,
        state: RuleStanding::Firing,
        for_ms: 2_000,
        held_ms: 2_000,
        since: None,
        severity: Severity::Critical,
        signals: vec![signal],
        comparisons: vec![Comparison { left: Some(0.198), op: ">".to_owned(), right: Some(0.05) }],
        share: None,
        quorum: None,
        groups: Vec::new(),
        about: About {
            description: Some("too many 5xx".to_owned()),
            runbook: Some("https://wiki/runbook".to_owned()),
            owner: None,
        },
    }
}

fn news(change: Change) -> News {
    let (reason, action) = match change {
        Change::Decided => ("error_rate > 5%", AlertAction::Trigger(AlertKey::Rollback)),
        Change::AwaitingApproval => ("error_rate > 5%", AlertAction::Trigger(AlertKey::Rollback)),
        Change::Denied => ("a reason", AlertAction::Resolve(AlertKey::Rollback)),
        Change::Paused => ("until noon: maintenance", AlertAction::Trigger(AlertKey::Pause)),
        Change::Resumed => ("done", AlertAction::Resolve(AlertKey::Pause)),
        Change::Failed => ("step 1 failed", AlertAction::Trigger(AlertKey::Rollback)),
        Change::Refused => {
            let rule = RuleName::new("error-rate").unwrap();
            ("no good version", AlertAction::Trigger(AlertKey::Rule(rule)))
        }
        Change::Firing => {
            let rule = RuleName::new("error-rate").unwrap();
            ("notify only", AlertAction::Trigger(AlertKey::Rule(rule)))
        }
        Change::Cleared => {
            let rule = RuleName::new("error-rate").unwrap();
            ("rule error-rate", AlertAction::Resolve(AlertKey::Rule(rule)))
        }
        Change::TelemetryLost => ("nothing seen", AlertAction::Trigger(AlertKey::Telemetry)),
        Change::TelemetryBack => ("seen again", AlertAction::Resolve(AlertKey::Telemetry)),
        Change::JournalLost => {
            ("the journal cannot be written", AlertAction::Trigger(AlertKey::Journal))
        }
        Change::ReloadRefused => ("errors: 1", AlertAction::Trigger(AlertKey::Reload)),
        Change::Reloaded => ("", AlertAction::Resolve(AlertKey::Reload)),
        Change::RolledBack | Change::Baked => ("", AlertAction::ResolveAll),
        Change::Ended | Change::Superseded => ("a reason", AlertAction::ResolveAll),
        Change::StageStuck => ("`error_rate < 1%` is not met", AlertAction::Inform),
        Change::Begun | Change::Stage | Change::StagePassed | Change::Observed => {
            ("", AlertAction::Inform)
        }
    };
    let staged = [Change::Stage, Change::StagePassed, Change::StageStuck].contains(&change);
    let ruled = matches!(change, Change::Decided | Change::RolledBack | Change::Failed);
    News {
        change,
        seq: Some(17),
        at: AT,
        service: ServiceName::new("api").unwrap(),
        deployment: Some(DeploymentId::new("d1").unwrap()),
        version: Some(Version::new("v2").unwrap()),
        good: Some(Version::new("v1").unwrap()),
        stage: staged.then(|| StageName::new("canary").unwrap()),
        rule: ruled.then(rule),
        reason: reason.to_owned(),
        decided: ruled.then_some(Timestamp::from_millis(1_792_999_988_000)),
        action,
    }
}

fn telling_of(news: News) -> Telling {
    let units = vec![(SignalName::new("error_rate").unwrap(), Unit::Ratio)];
    let (news, occurrence) = (Arc::new(news), Occurrence::First);
    Telling { news, occurrence, open: Vec::new(), opened: Vec::new(), units }
}

fn telling(change: Change) -> Telling {
    telling_of(news(change))
}

fn channel(system: System) -> Channel {
    let on = Change::ALL.iter().map(|(_, change)| *change).collect();
    Channel { name: ChannelName::new("x").unwrap(), on, system }
}

fn default_channel(system: System) -> Channel {
    Channel { on: system.default_changes().to_vec(), ..channel(system) }
}

fn opened(reference: Option<&str>) -> Memory {
    Memory { opened: true, reference: reference.map(str::to_owned) }
}

/// The only thing that is sent.
#[track_caller]
fn only(channel: &Channel, telling: &Telling, memory: &Memory) -> Outgoing {
    let mut all = compose(channel, telling, memory, &sender());
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn slack() -> System {
    System::Slack { url: secret("SLACK") }
}

fn pagerduty(changes: Sends) -> System {
    let url = "https://events.pagerduty.com/v2/enqueue".to_owned();
    System::PagerDuty { url, routing_key: secret("PD"), changes }
}

fn opsgenie() -> System {
    System::Opsgenie { url: "https://api.opsgenie.com/v2/alerts".to_owned(), key: secret("OG") }
}

fn grafana() -> System {
    System::Grafana {
        url: "https://grafana/".to_owned(),
        token: secret("GRAFANA"),
        dashboard: Some("abc".to_owned()),
        tags: vec!["team".to_owned()],
    }
}

fn statuspage() -> System {
    System::Statuspage {
        url: "https://api.statuspage.io".to_owned(),
        key: secret("SP"),
        page: "p1".to_owned(),
        components: vec!["c1".to_owned()],
        subscribers: Sends::No,
    }
}

fn webhook() -> System {
    System::Webhook { url: Secret::Literal("http://h/x".to_owned()), headers: Vec::new() }
}

fn cloudevent() -> System {
    let headers = vec![("Authorization".to_owned(), secret("CE"))];
    let url = Secret::Literal("http://h/ce".to_owned());
    System::CloudEvent { url, source: "/hosts/web-1".to_owned(), headers }
}

#[test]
fn slack_gets_a_headline_and_two_small_blocks() {
    let sent = only(&channel(slack()), &telling(Change::Decided), &Memory::default());
    let expected = json!({
        "text": "api: rolling back v2 to v1: error_rate &gt; 5%",
        "blocks": [
            { "type": "section", "text": {
                "type": "mrkdwn", "text": "*api: rolling back v2 to v1: error_rate &gt; 5%*" } },
            { "type": "section", "text": { "type": "mrkdwn", "text":
                "rule: error-rate: error_rate &gt; 5%\nreadings: error_rate 19.8% &gt; 5%\n\
                 description: too many 5xx\nrunbook: https://wiki/runbook\ndeployment: d1" } },
            { "type": "context", "elements": [
                { "type": "mrkdwn", "text": "rollguard on web-1, 2026-10-26T07:33:20.123Z" }] },
        ],
    });
    assert_eq!(sent.request.body, expected);
    assert_eq!(sent.request.address, Address { base: secret("SLACK"), rest: String::new() });
    assert_eq!((sent.repeat, sent.request.headers.len()), (Repeat::Seen, 0));
}

#[test]
fn nothing_that_is_said_in_slack_calls_anybody() {
    let mut news = news(Change::Ended);
    news.reason = "<!channel> & <https://evil|x> \u{202e}".to_owned() + &"<".repeat(5_000);
    let sent = only(&channel(slack()), &telling_of(news), &Memory::default());
    let text = sent.request.body.to_string();
    assert!(!text.contains('<') && text.contains("&lt;!channel&gt; &amp; "), "{text}");
    for block in sent.request.body["blocks"].as_array().unwrap() {
        let text = block.pointer("/text/text").and_then(Value::as_str).unwrap_or_default();
        assert!(text.chars().count() <= 3_000);
    }
}

#[test]
fn pagerduty_triggers_under_the_key_of_the_deployment() {
    let sent =
        only(&default_channel(pagerduty(Sends::No)), &telling(Change::Decided), &Memory::default());
    let expected = json!({
        "event_action": "trigger",
        "dedup_key": "guard/api/d1",
        "client": "rollguard",
        "payload": {
            "summary": "api: rolling back v2 to v1: error_rate > 5%",
            "source": "web-1",
            "severity": "critical",
            "timestamp": "2026-10-26T07:33:20.123Z",
            "component": "api",
            "group": "api",
            "class": "decided",
            "custom_details": {
                "rule": "error-rate: error_rate > 5%",
                "readings": "error_rate 19.8% > 5%",
                "description": "too many 5xx",
                "runbook": "https://wiki/runbook",
                "deployment": "d1",
                "version": "v2",
                "good": "v1",
                "reason": "error_rate > 5%",
            },
        },
    });
    assert_eq!(sent.request.body, expected);
    assert_eq!(sent.request.secret_field, Some(("routing_key", secret("PD"))));
    let base = Secret::Literal("https://events.pagerduty.com".to_owned());
    assert_eq!(sent.request.address, Address { base, rest: "/v2/enqueue".to_owned() });
    assert_eq!((sent.repeat, sent.then), (Repeat::Harmless, OnAccepted::Opened));
}

#[test]
fn pagerduty_resolves_what_it_triggered_and_nothing_else() {
    let channel = default_channel(pagerduty(Sends::No));
    for change in [Change::RolledBack, Change::Baked, Change::Ended, Change::Superseded] {
        let none = compose(&channel, &telling(change), &Memory::default(), &sender());
        assert_eq!(none, [], "{change:?}");
        let sent = only(&channel, &telling(change), &opened(None));
        let expected = json!({ "event_action": "resolve", "dedup_key": "guard/api/d1" });
        assert_eq!((sent.request.body, sent.then), (expected, OnAccepted::Closed));
    }
}

#[test]
fn what_clears_while_something_else_is_wrong_resolves_nothing() {
    let channel = default_channel(pagerduty(Sends::No));
    let mut telling = telling(Change::Cleared);
    telling.open = vec![Change::Refused];
    assert_eq!(compose(&channel, &telling, &opened(None), &sender()), []);
    // What it never tells of does not hold it open.
    telling.open = vec![Change::Firing];
    assert_eq!(only(&channel, &telling, &opened(None)).then, OnAccepted::Closed);
}

#[test]
fn a_closing_that_was_asked_for_opens_no_incident() {
    let all = channel(pagerduty(Sends::No));
    assert_eq!(compose(&all, &telling(Change::RolledBack), &Memory::default(), &sender()), []);
    let all = channel(opsgenie());
    assert_eq!(compose(&all, &telling(Change::RolledBack), &Memory::default(), &sender()), []);
}

#[test]
fn pagerduty_gets_change_events_where_it_was_asked_for_them() {
    let channel = default_channel(pagerduty(Sends::Yes));
    let sent = only(&channel, &telling(Change::Begun), &Memory::default());
    let expected = json!({ "payload": {
        "summary": "api: guarding v2, the good version is v1",
        "source": "web-1",
        "timestamp": "2026-10-26T07:33:20.123Z",
        "custom_details": { "deployment": "d1", "version": "v2", "good": "v1" },
    } });
    assert_eq!(sent.request.body, expected);
    assert_eq!(sent.request.address.rest, "/v2/change/enqueue");
    assert_eq!((sent.repeat, sent.then), (Repeat::Seen, OnAccepted::Nothing));
    let baked = compose(&channel, &telling(Change::Baked), &opened(None), &sender());
    assert_eq!(baked.len(), 2);
}

#[test]
fn opsgenie_creates_and_closes_by_the_alias() {
    let channel = default_channel(opsgenie());
    let sent = only(&channel, &telling(Change::Failed), &Memory::default());
    let body = &sent.request.body;
    assert_eq!(body["message"], "api: the rollback of v2 to v1 failed: step 1 failed");
    assert_eq!((&body["alias"], &body["priority"]), (&json!("guard/api/d1"), &json!("P1")));
    let header = &sent.request.headers[0];
    let expected = ("Authorization", "GenieKey ", secret("OG"));
    assert_eq!((header.name.as_str(), header.prefix, header.value.clone()), expected);
    let closed = only(&channel, &telling(Change::RolledBack), &opened(None)).request;
    assert_eq!(closed.address.rest, "/guard%2Fapi%2Fd1/close?identifierType=alias");
    assert_eq!(closed.body["note"], "api: rolled back v2 to v1, and it helped");
}

#[test]
fn the_limits_of_pagers_are_kept() {
    let mut long = news(Change::Failed);
    long.reason = "é".repeat(100_000);
    let name = "x".repeat(128);
    (long.service, long.deployment) =
        (ServiceName::new(&name).unwrap(), Some(DeploymentId::new(&name).unwrap()));
    let telling = telling_of(long);
    let sent = only(&channel(pagerduty(Sends::No)), &telling, &Memory::default());
    let body = &sent.request.body;
    assert!(body["payload"]["summary"].as_str().unwrap().chars().count() <= 1024);
    assert!(body["dedup_key"].as_str().unwrap().len() <= 255);
    assert!(body.to_string().len() < 512_000);
    let sent = only(&channel(opsgenie()), &telling, &Memory::default());
    assert!(sent.request.body["message"].as_str().unwrap().chars().count() <= 130);
}

#[test]
fn grafana_gets_a_region_from_the_decision_to_its_end() {
    let channel = default_channel(grafana());
    let sent = only(&channel, &telling(Change::Decided), &Memory::default());
    let expected = json!({
        "time": 1_793_000_000_123_i64,
        "tags": ["rollguard", "svc:api", "decided", "team"],
        "text": "api: rolling back v2 to v1: error_rate > 5%",
        "dashboardUID": "abc",
    });
    assert_eq!(sent.request.body, expected);
    assert_eq!(sent.request.address.rest, "/api/annotations");
    assert_eq!((sent.repeat, sent.then), (Repeat::Seen, OnAccepted::Opened));
    let end = only(&channel, &telling(Change::RolledBack), &opened(Some("42")));
    assert_eq!((end.request.method, end.request.address.rest.as_str()), {
        (Method::Patch, "/api/annotations/42")
    });
    let text = "api: rolled back v2 to v1, and it helped";
    assert_eq!(end.request.body, json!({ "timeEnd": 1_793_000_000_123_i64, "text": text }));
    // Nobody knows the id: the region is made whole at its end.
    let whole = only(&channel, &telling(Change::RolledBack), &Memory::default());
    assert_eq!(whole.request.body["time"], 1_792_999_988_000_i64);
    assert_eq!(whole.request.body["timeEnd"], 1_793_000_000_123_i64);
}

#[test]
fn a_status_page_says_nothing_of_the_inside() {
    let channel = default_channel(statuspage());
    let sent = only(&channel, &telling(Change::Decided), &Memory::default());
    let expected = json!({ "incident": {
        "name": "Problems with api",
        "status": "investigating",
        "body": "A recent change seems to cause problems. We are taking it back.",
        "component_ids": ["c1"],
        "components": { "c1": "partial_outage" },
        "impact_override": "minor",
        "deliver_notifications": false,
    } });
    assert_eq!(sent.request.body, expected);
    assert_eq!(sent.request.address.rest, "/v1/pages/p1/incidents");
    assert_eq!(sent.request.headers[0].prefix, "OAuth ");
    let end = only(&channel, &telling(Change::RolledBack), &opened(Some("i9")));
    let expected = json!({ "incident": {
        "status": "resolved",
        "body": "A recent change caused this problem and was taken back.",
        "components": { "c1": "operational" },
        "deliver_notifications": false,
    } });
    assert_eq!(end.request.body, expected);
    assert_eq!((end.request.method, end.request.address.rest.as_str()), {
        (Method::Patch, "/v1/pages/p1/incidents/i9")
    });
    // Nothing was made that could be ended.
    let unknown = compose(&channel, &telling(Change::RolledBack), &opened(None), &sender());
    assert_eq!(unknown, []);
}

#[test]
fn a_webhook_and_a_cloud_event_carry_everything_and_an_id() {
    let sent = only(&default_channel(webhook()), &telling(Change::Decided), &Memory::default());
    let document = json!({
        "id": "guard/api/d1/17",
        "key": "guard/api/d1",
        "change": "decided",
        "severity": "critical",
        "at": "2026-10-26T07:33:20.123Z",
        "summary": "api: rolling back v2 to v1: error_rate > 5%",
        "service": "api",
        "deployment": "d1",
        "version": "v2",
        "good": "v1",
        "stage": null,
        "reason": "error_rate > 5%",
        "rule": {
            "name": "error-rate",
            "when": "error_rate > 5%",
            "severity": "critical",
            "held_ms": 2000,
            "for_ms": 2000,
            "readings": "error_rate 19.8% > 5%",
            "description": "too many 5xx",
            "runbook": "https://wiki/runbook",
            "owner": null,
        },
        "decided_at": "2026-10-26T07:33:08.000Z",
        "host": "web-1",
        "rollguard": "1.2.3",
    });
    assert_eq!(sent.request.body, document);
    assert_eq!(sent.request.headers[0].name, "Idempotency-Key");
    let sent = only(&default_channel(cloudevent()), &telling(Change::Decided), &Memory::default());
    let expected = json!({
        "specversion": "1.0",
        "id": "guard/api/d1/17",
        "source": "/hosts/web-1",
        "type": "dev.rollguard.decided",
        "subject": "guard/api/d1",
        "time": "2026-10-26T07:33:20.123Z",
        "datacontenttype": "application/json",
        "data": document,
    });
    assert_eq!(sent.request.body, expected);
    assert!(sent.request.content_type.starts_with("application/cloudevents+json"));
    assert_eq!(sent.request.headers[0].value, secret("CE"));
}

fn alertmanager() -> System {
    let urls = ["http://a:9093", "http://b:9093/am/"].map(str::to_owned).to_vec();
    System::Alertmanager { urls, headers: Vec::new() }
}

fn bodies(alerts: &Alerts, now: Timestamp) -> Vec<Value> {
    let urls = ["http://a:9093".to_owned()];
    alerts.requests(&urls, &[], now)[0].body.as_array().unwrap().clone()
}

#[test]
fn alertmanager_hears_of_what_stands_until_it_does_not() {
    let channel = default_channel(alertmanager());
    let mut alerts = Alerts::default();
    assert_eq!(alerts.again(), None);
    assert!(alerts.take(&channel, &telling(Change::Decided)));
    let expected = json!({
        "labels": {
            "alertname": "RollguardRollback",
            "service": "api",
            "severity": "critical",
            "deployment": "d1",
        },
        "annotations": {
            "summary": "api: rolling back v2 to v1: error_rate > 5%",
            "rule": "error-rate: error_rate > 5%",
            "readings": "error_rate 19.8% > 5%",
            "description": "too many 5xx",
            "runbook_url": "https://wiki/runbook",
            "deployment": "d1",
        },
        "startsAt": "2026-10-26T07:33:20.123Z",
        "endsAt": "2026-10-26T07:48:20.123Z",
    });
    let later = AT.after(std::time::Duration::from_secs(600));
    assert_eq!(bodies(&alerts, later), [expected]);
    assert!(alerts.take(&channel, &telling(Change::RolledBack)));
    assert_eq!(bodies(&alerts, later)[0]["endsAt"], "2026-10-26T07:33:20.123Z");
    // Said again for five minutes, then forgotten.
    alerts.forget(AT.after(std::time::Duration::from_secs(299)));
    assert!(alerts.again().is_some());
    alerts.forget(AT.after(std::time::Duration::from_secs(300)));
    assert_eq!(alerts.again(), None);
}

#[test]
fn an_alert_lapses_later_than_it_is_sent_again() {
    let mut alerts = Alerts::default();
    alerts.take(&default_channel(alertmanager()), &telling(Change::Decided));
    let next = AT.after(alerts.again().unwrap() * 4);
    let end = bodies(&alerts, AT)[0]["endsAt"].as_str().unwrap().to_owned();
    assert!(end > next.to_string(), "{end} {next}");
}

#[test]
fn a_failed_rollback_takes_the_place_of_the_one_that_ran() {
    let channel = default_channel(alertmanager());
    let mut alerts = Alerts::default();
    alerts.take(&channel, &telling(Change::Decided));
    alerts.take(&channel, &telling(Change::Failed));
    let all = bodies(&alerts, AT.after(std::time::Duration::from_secs(60)));
    let shown: Vec<_> =
        all.iter().map(|alert| (&alert["labels"]["alertname"], &alert["endsAt"])).collect();
    let (over, stands) = (json!("2026-10-26T07:33:20.123Z"), json!("2026-10-26T07:39:20.123Z"));
    let names = [json!("RollguardRollback"), json!("RollguardRollbackFailed")];
    assert_eq!(shown, [(&names[0], &over), (&names[1], &stands)]);
    // The next deployment means that somebody has seen to it.
    let mut next = news(Change::Begun);
    next.deployment = Some(DeploymentId::new("d2").unwrap());
    assert!(alerts.take(&channel, &telling_of(next)));
    let all = bodies(&alerts, AT.after(std::time::Duration::from_secs(60)));
    assert!(all.iter().all(|alert| alert["endsAt"] == over), "{all:?}");
}

#[test]
fn every_peer_gets_every_alert() {
    let mut alerts = Alerts::default();
    alerts.take(&default_channel(alertmanager()), &telling(Change::Decided));
    let System::Alertmanager { urls, headers } = alertmanager() else { return };
    let requests = alerts.requests(&urls, &headers, AT);
    let at = |request: &ApiRequest| match &request.address.base {
        Secret::Literal(base) => format!("{base}{}", request.address.rest),
        Secret::File(_) | Secret::Env(_) => String::new(),
    };
    let all: Vec<_> = requests.iter().map(at).collect();
    assert_eq!(all, ["http://a:9093/api/v2/alerts", "http://b:9093/am/api/v2/alerts"]);
}

#[test]
fn every_change_has_a_sentence_and_says_what_it_is_about() {
    for (word, change) in Change::ALL {
        let sent = only(&channel(webhook()), &telling(change), &Memory::default());
        let summary = sent.request.body["summary"].as_str().unwrap().to_owned();
        assert!(summary.starts_with("api: ") && !summary.ends_with(": "), "{word}: {summary}");
        assert_eq!(sent.request.body["change"], word);
    }
}

#[test]
fn answers_are_taken_tried_again_or_final() {
    use std::time::Duration;
    let after = Some(Duration::from_secs(7));
    for status in [200, 201, 202, 204] {
        assert_eq!(fate(status, None), Fate::Taken);
    }
    for status in [408, 420, 429, 500, 503] {
        assert_eq!(fate(status, after), Fate::Again(after));
    }
    for status in [301, 307, 400, 401, 403, 404, 410] {
        assert_eq!(fate(status, after), Fate::Refused);
    }
}

#[test]
fn an_identifier_is_kept_only_if_it_can_stand_in_a_path() {
    let check = |system: System, body: &str, expected: Option<&str>| {
        assert_eq!(reference(&system, body.as_bytes()).as_deref(), expected, "{body}");
    };
    check(grafana(), r#"{"id":42,"message":"x"}"#, Some("42"));
    check(statuspage(), r#"{"id":"p31zj"}"#, Some("p31zj"));
    check(statuspage(), r#"{"id":"../../x"}"#, None);
    check(statuspage(), r#"{"id":""}"#, None);
    check(grafana(), r#"{"id":1.5}"#, None);
    check(grafana(), "ok", None);
    check(slack(), r#"{"id":42}"#, None);
}
