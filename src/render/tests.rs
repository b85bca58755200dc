//! Values that the tests of this layer share.

use crate::engine::effect::Pace;
use crate::engine::view::health::Health;
use crate::engine::view::snapshot::{
    BudgetStatus, DeploymentStatus, GuardState, RuleStatus, SignalStatus, Snapshot, TargetStatus,
};
use crate::model::deployment::Mode;
use crate::model::entry::{Comparison, RuleEvidence, RuleStanding, SignalEvidence};
use crate::model::name::{DeploymentId, RuleName, SignalName, Version};
use crate::model::rule::{About, Severity};
use crate::model::signal::Unit;
use crate::model::time::Timestamp;

/// 2026-10-26T07:33:20Z.
pub(super) const BEGUN: Timestamp = Timestamp::from_millis(1_793_000_000_000);

pub(super) fn signal(name: &str, value: f64) -> SignalEvidence {
    let signal = SignalName::new(name).unwrap();
    SignalEvidence { signal, group: None, value: Some(value), at_least: false, no_data: None }
}

pub(super) fn rule(
    when: &str,
    signals: &[SignalEvidence],
    compared: &[(f64, &str, f64)],
) -> RuleEvidence {
    let comparison = |(left, op, right): &(f64, &str, f64)| Comparison {
        left: Some(*left),
        op: (*op).to_owned(),
        right: Some(*right),
    };
    RuleEvidence {
        share: None,
        quorum: None,
        groups: Vec::new(),
        rule: RuleName::new("error-rate").unwrap(),
        when: when.to_owned(),
        given: Some("requests > 1".to_owned()),
        state: RuleStanding::Inactive,
        for_ms: 3_000,
        held_ms: 0,
        since: None,
        severity: Severity::Critical,
        signals: signals.to_vec(),
        comparisons: compared.iter().map(comparison).collect(),
        about: About::default(),
    }
}

pub(super) fn rule_status() -> RuleStatus {
    let evidence = rule("error_rate > 5%", &[signal("error_rate", 0.002)], &[(0.002, ">", 0.05)]);
    RuleStatus { evidence, verdict: "fails".to_owned(), no_data: None, refusal: None }
}

pub(super) fn snapshot() -> Snapshot {
    let deployment = DeploymentStatus {
        stage: None,
        stages: Vec::new(),
        lost: Vec::new(),
        id: DeploymentId::new("v2-20261026T073320.000Z").unwrap(),
        version: Version::new("v2").unwrap(),
        good: Some(Version::new("v1").unwrap()),
        begun: BEGUN,
        bakes_at: Some(Timestamp::from_millis(1_793_000_600_000)),
        withheld: None,
        warm_at: None,
        decision: None,
        decided_at: None,
        irreversible: false,
        forced: false,
        approval: None,
        step: None,
        why: None,
    };
    let target = TargetStatus {
        name: "api".to_owned(),
        url: "http://127.0.0.1:9000/metrics".to_owned(),
        up: Some(true),
        failure: None,
        age_s: Some(0.2),
        took_s: 0.003,
        samples: 12,
        malformed: 0,
        bytes: 2_048,
        interval_ms: 1_000,
        sharpened: false,
        pace: Pace::Plain,
    };
    let reading = |reading, unit| SignalStatus { reading, unit: Some(unit), description: None };
    Snapshot {
        at: Timestamp::from_millis(1_793_000_012_000),
        service: "api".to_owned(),
        mode: Mode::Auto,
        state: GuardState::Guarding,
        colour: Health::Green,
        deployment: Some(deployment),
        good: Some(Version::new("v1").unwrap()),
        paused: None,
        budget: BudgetStatus { rollbacks: 2, per_ms: 24 * 3_600_000, spent: 0 },
        quarantine: Vec::new(),
        live: None,
        targets: vec![target],
        signals: vec![
            reading(signal("error_rate", 0.002), Unit::Ratio),
            reading(signal("p95", 0.312), Unit::Seconds),
        ],
        rules: vec![rule_status()],
        journal_ok: true,
        drill: None,
    }
}
