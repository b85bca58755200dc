//! Plans, pages and a judge in few words.

use std::sync::Arc;
use std::time::Duration;

use regex_lite::Regex;
use rollguard::engine::Evaluator;
use rollguard::model::condition::{Compare, Cond, Condition, Num};
use rollguard::model::deployment::{Along, Arm, Budget, DeploymentSettings, Mode};
use rollguard::model::entry::RuleStanding;
use rollguard::model::index::{RuleIx, SignalIx, TargetIx};
use rollguard::model::name::{RuleName, ServiceName, SignalName, TargetName};
use rollguard::model::plan::Plan;
use rollguard::model::reading::Reading;
use rollguard::model::rule::{About, OnNoData, Quorum, Rule, Severity, Share, Then};
use rollguard::model::scrape::{Failure, FailureClass, MalformedLine, Page, Scrape};
use rollguard::model::selector::{Matcher, Selector, Test};
use rollguard::model::signal::{Signal, SignalKind};
use rollguard::model::target::{HttpPage, Scheme, ScrapeUrl, Target, TargetKind};
use rollguard::model::time::{Instant, Timestamp};

/// The wall clock shows this at instant zero.
pub(crate) const EPOCH: i64 = 1_700_000_000_000;

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn wall(at: Instant) -> Timestamp {
    Timestamp::from_millis(EPOCH + i64::try_from(at.as_nanos() / 1_000_000).unwrap())
}

pub(crate) fn target(name: &str, interval: Duration) -> Target {
    Target {
        name: TargetName::new(name).unwrap(),
        kind: TargetKind::Page(HttpPage::new(ScrapeUrl {
            scheme: Scheme::Http,
            host: "localhost".to_owned(),
            port: 80,
            path: "/metrics".to_owned(),
        })),
        interval,
        sharpen: None,
        timeout: interval,
        labels: Vec::new(),
    }
}

/// Reads `metric{label="v", label!="v", label=~"re", label!~"re"}`.
pub(crate) fn selector(text: &str) -> Selector {
    let (metric, labels) = text.split_once('{').unwrap_or((text, "}"));
    let labels = labels.strip_suffix('}').unwrap();
    let matchers = labels.split(',').map(str::trim).filter(|each| !each.is_empty()).map(matcher);
    Selector { metric: metric.to_owned(), matchers: matchers.collect() }
}

fn matcher(text: &str) -> Matcher {
    let start = text.find(['=', '!']).unwrap();
    let value = text.find('"').unwrap();
    let own = text[value..].trim_matches('"').to_owned();
    let regex = || Regex::new(&format!("^(?:{own})$")).unwrap();
    let test = match &text[start..value] {
        "=" => Test::Equal(own),
        "!=" => Test::NotEqual(own),
        "=~" => Test::Matches(regex()),
        "!~" => Test::NotMatches(regex()),
        other => panic!("no operator {other}"),
    };
    Matcher { label: text[..start].to_owned(), test }
}

pub(crate) fn signal(name: &str, kind: SignalKind) -> Signal {
    let name = SignalName::new(name).unwrap();
    Signal { name, kind, unit: None, description: None, by: Vec::new(), stale: None }
}

pub(crate) fn above(signal: usize, limit: f64) -> Cond {
    Cond::Compare(Num::Signal(SignalIx(signal)), Compare::Greater, Num::Const(limit))
}

fn condition(cond: Cond) -> Condition {
    Condition { text: format!("{cond:?}"), cond }
}

pub(crate) fn rule(name: &str, when: Cond, hold: Duration) -> Rule {
    Rule {
        share: Share::ALL,
        quorum: Quorum::Any,
        stages: Vec::new(),
        telemetry_lost_after: secs(30),
        name: RuleName::new(name).unwrap(),
        when: condition(when),
        given: None,
        hold,
        keep_firing_for: Duration::ZERO,
        on_no_data: OnNoData::Hold,
        then: Then::Report,
        severity: Severity::Critical,
        relative: false,
        about: About::default(),
    }
}

pub(crate) fn given(rule: Rule, given: Cond) -> Rule {
    Rule { given: Some(condition(given)), ..rule }
}

pub(crate) fn plan(targets: Vec<Target>, signals: Vec<Signal>, rules: Vec<Rule>) -> Arc<Plan> {
    let deployment = DeploymentSettings {
        service: ServiceName::new("shop").unwrap(),
        arm: Arm::Always,
        bake: None,
        warmup: Duration::ZERO,
        then: None,
        good: None,
        version: None,
        notify: None,
        confirm: None,
        budget: Budget::default(),
        along: Along::default(),
        live: None,
    };
    let (mode, hooks) = (Mode::Observe, Vec::new());
    let (stages, channels, drill, secrets) = (Vec::new(), Vec::new(), None, Vec::new());
    Arc::new(Plan {
        mode,
        deployment,
        targets,
        signals,
        rules,
        hooks,
        stages,
        channels,
        drill,
        secrets,
    })
}

/// A page of lines `SERIES VALUE`, `SERIES VALUE @AGE_SECONDS` or `!METRIC` for one that cannot be
/// read, separated by semicolons.
pub(crate) fn page(text: &str, at: Instant) -> Page {
    let mut page = Page::default();
    for line in text.split(';').map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix('!') {
            let name = (!name.is_empty()).then(|| name.to_owned());
            page.push_malformed(MalformedLine { line: 7, name, reason: "bad value".to_owned() });
            continue;
        }
        let (line, age) = match line.rsplit_once(" @") {
            Some((line, age)) => (line, Some(secs(age.parse().unwrap()))),
            None => (line, None),
        };
        let (series, value) = line.rsplit_once(' ').unwrap();
        page.push(series, value.parse().unwrap(), age.map(|age| wall(at).before(age)));
    }
    page
}

/// A judge and what it is fed.
pub(crate) struct Bed {
    pub(crate) judge: Evaluator,
}

impl Bed {
    pub(crate) fn new(plan: &Arc<Plan>) -> Self {
        Self { judge: Evaluator::new(plan.clone()) }
    }

    /// Feeds a page to a target: `fail` is a failed scrape, `-` only lets time pass.
    pub(crate) fn feed(&mut self, target: usize, second: f64, text: &str) {
        let at = Instant::ZERO.after(Duration::from_secs_f64(second));
        if text == "-" {
            return self.judge.advance(at);
        }
        let failure = Failure { class: FailureClass::TimedOut, detail: String::new() };
        let result = if text == "fail" { Err(failure) } else { Ok(page(text, at)) };
        let (target, took) = (TargetIx(target), Duration::ZERO);
        self.judge.observe(&Scrape { target, at, wall: wall(at), took, result });
    }

    pub(crate) fn reading(&self, signal: usize) -> Reading {
        self.judge.reading(SignalIx(signal))
    }

    pub(crate) fn standing(&self, rule: usize) -> RuleStanding {
        self.judge.standing(RuleIx(rule))
    }
}
