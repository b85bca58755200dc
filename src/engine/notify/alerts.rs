//! News from the journal: which records change a state that people may be told of, what of it is
//! still open, and who was told. Part of the durable state, so live and on replay alike. It knows
//! no channels of the configuration and sends nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::alert::{Matter, News, Turn};
use crate::model::channel::Change;
use crate::model::deployment::Unanswered;
use crate::model::entry::{Answer, Decision, Entry, Event, Refusal, RuleEvidence, Trigger};
use crate::model::name::{ChannelName, DeploymentId, RuleName};
use crate::model::rule::Severity;
use crate::model::time::Timestamp;

use crate::engine::durable::state::Deployment;

/// How many news are remembered for those who were not told before a restart. A rollback makes a
/// handful; what is older than this many changes is told by what followed.
const MAX_RECENT: usize = 32;

/// How many open matters are remembered. Telling of more warnings than this tells nobody anything.
const MAX_OPEN: usize = 24;

/// How many tellings are remembered: of every recent news to as many channels as there may be.
const MAX_TOLD: usize = 512;

/// The most readings of a rule that are told: those of its condition come first.
const MAX_READINGS: usize = 8;

/// The most groups of a rule that are told: the worst.
const MAX_GROUPS: usize = 4;

/// What was and is to be told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewsLog {
    /// How many records there are; the newest one's `seq`.
    records: u64,
    recent: VecDeque<Arc<News>>,
    /// What is wrong now, in the order in which that was told last.
    open: Vec<Arc<News>>,
    told: VecDeque<Telling>,
}

/// A channel told of something.
#[derive(Clone, Debug, PartialEq)]
struct Telling {
    channel: ChannelName,
    news: u64,
    deployment: Option<DeploymentId>,
    /// It stands open there.
    opened: bool,
    reference: Option<String>,
}

/// A matter that a channel was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The channel.
    pub channel: ChannelName,
    /// What the other system calls it.
    pub reference: Option<String>,
}

impl NewsLog {
    /// Takes in a record after the deployment that it concerns, if that is the current one.
    pub(crate) fn apply(&mut self, entry: &Entry, current: Option<&Deployment>) {
        self.records += 1;
        if let Event::Begun { .. } = entry.event {
            self.open.retain(|news| news.deployment.is_none());
        }
        if let Event::Told { channel, news, opened, reference, failure: None, .. } = &entry.event {
            let (channel, reference) = (channel.clone(), reference.clone());
            let deployment = entry.deployment.clone();
            let told = Telling { channel, news: *news, deployment, opened: *opened, reference };
            push(&mut self.told, told, MAX_TOLD);
        }
        let Some(news) = self.read(entry, current).map(Arc::new) else { return };
        self.close(&news.turn);
        if let Turn::Opens(_) = news.turn
            && self.open.len() < MAX_OPEN
        {
            self.open.push(news.clone());
        }
        push(&mut self.recent, news, MAX_RECENT);
    }

    fn close(&mut self, turn: &Turn) {
        self.open.retain(|open| match (turn, &open.turn) {
            (Turn::Opens(matter) | Turn::Closes(matter), Turn::Opens(known)) => matter != known,
            (Turn::ClosesAll, _) => open.deployment.is_none(),
            (Turn::Passes | Turn::Opens(_) | Turn::Closes(_), _) => true,
        });
    }

    /// What the newest record tells, if anything.
    pub(crate) fn newest(&self) -> Option<&Arc<News>> {
        self.recent.back().filter(|news| news.seq == Some(self.records))
    }

    /// What was told lately or is still wrong, in order.
    pub(crate) fn remembered(&self) -> Vec<Arc<News>> {
        let mut all: Vec<Arc<News>> = self.open.iter().chain(&self.recent).cloned().collect();
        all.sort_by_key(|news| news.seq);
        all.dedup_by_key(|news| news.seq);
        all
    }

    /// Whether news stand open.
    pub(crate) fn is_open(&self, news: &News) -> bool {
        self.open.iter().any(|open| open.seq == news.seq)
    }

    /// By which changes something under the same key is wrong now.
    pub(crate) fn open_beside(&self, news: &News) -> Vec<Change> {
        let open = self.open.iter().filter(|open| open.deployment == news.deployment);
        open.map(|open| open.change).collect()
    }

    /// The channels that were told of news.
    pub(crate) fn told_of(&self, news: &News) -> Vec<ChannelName> {
        let told = self.told.iter().filter(|told| Some(told.news) == news.seq);
        told.map(|told| told.channel.clone()).collect()
    }

    /// The channels on which something under the same key was opened, and as what; the newest
    /// telling of each says so.
    pub(crate) fn opened_for(&self, news: &News) -> Vec<Opened> {
        let mut opened: Vec<Opened> = Vec::new();
        for told in self.told.iter().filter(|told| told.deployment == news.deployment) {
            opened.retain(|known| known.channel != told.channel);
            if told.opened {
                let (channel, reference) = (told.channel.clone(), told.reference.clone());
                opened.push(Opened { channel, reference });
            }
        }
        opened
    }

    fn read(&self, entry: &Entry, current: Option<&Deployment>) -> Option<News> {
        let current = current?;
        let (change, turn, reason) = self.meaning(&entry.event, current)?;
        let mut news = News {
            change,
            seq: Some(self.records),
            at: entry.at,
            service: current.service.clone(),
            deployment: None,
            version: None,
            good: None,
            stage: None,
            rule: None,
            reason,
            decided: None,
            turn,
        };
        if !is_about_guard(change) {
            describe(&mut news, &entry.event, current);
        }
        Some(news)
    }

    /// What an event changes, what that means, and why.
    fn meaning(&self, event: &Event, current: &Deployment) -> Option<(Change, Turn, String)> {
        let quiet = |change, turn| (change, turn, String::new());
        Some(match event {
            Event::Begun { .. } => quiet(Change::Begun, Turn::Passes),
            Event::Staged { .. } => quiet(Change::Stage, Turn::Passes),
            Event::StagePassed { .. } => quiet(Change::StagePassed, Turn::Passes),
            Event::StageNotEntered { why, .. } | Event::StageOverdue { why, .. } => stuck(why),
            Event::Refused { refusal, evidence } => refused(*refusal, evidence),
            Event::Cleared { rule } => {
                (Change::Cleared, Turn::Closes(Matter::Rule(rule.clone())), format!("rule {rule}"))
            }
            Event::AwaitingApproval { decision, until, default } => {
                let asked = question(decision.trigger.reason(), current, *until, *default);
                (Change::AwaitingApproval, Turn::Opens(Matter::Rollback), asked)
            }
            Event::Denied { answer, .. } => {
                (Change::Denied, Turn::Closes(Matter::Rollback), denied(answer))
            }
            Event::Lapsed { why, .. } => lapsed(why),
            Event::Paused { until, reason, .. } => {
                (Change::Paused, Turn::Opens(Matter::Pause), format!("until {until}: {reason}"))
            }
            Event::Resumed { reason, .. } => resumed(reason.as_deref()),
            Event::Decided(decision) => decided(decision),
            Event::Cured { .. } => quiet(Change::RolledBack, Turn::ClosesAll),
            Event::Failed { why, .. } => {
                (Change::Failed, Turn::Opens(Matter::Rollback), why.clone())
            }
            Event::Baked { .. } => quiet(Change::Baked, Turn::ClosesAll),
            Event::Ended { reason, .. } => (Change::Ended, Turn::ClosesAll, reason.clone()),
            Event::Superseded { by } => superseded(by),
            Event::TelemetryLost { why, .. } => {
                (Change::TelemetryLost, Turn::Opens(Matter::Telemetry), why.clone())
            }
            Event::TelemetryBack { rules } => telemetry_back(rules, current),
            Event::ReloadRefused { errors, first, .. } => reload_refused(*errors, first),
            // Only after one that was refused it changes anything that was told.
            Event::Reloaded { .. } if self.is_reload_refused() => {
                quiet(Change::Reloaded, Turn::Closes(Matter::Reload))
            }
            Event::Started { .. }
            | Event::Stopped { .. }
            | Event::Reloaded { .. }
            | Event::StageEntered { .. }
            | Event::HookBegun { .. }
            | Event::LiveChecked { .. }
            | Event::LiveSeen { .. }
            | Event::SetAside { .. }
            | Event::DenialLifted { .. }
            | Event::Intent { .. }
            | Event::Outcome { .. }
            | Event::Told { .. }
            | Event::DrillBegun(_)
            | Event::DrillDone(_)
            | Event::Notified { .. } => return None,
        })
    }

    fn is_reload_refused(&self) -> bool {
        self.open.iter().any(|news| news.turn == Turn::Opens(Matter::Reload))
    }
}

fn push<T>(list: &mut VecDeque<T>, new: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(new);
}

fn reload_refused(errors: usize, first: &str) -> (Change, Turn, String) {
    let reason = format!("errors: {errors}, the first: {first}");
    (Change::ReloadRefused, Turn::Opens(Matter::Reload), reason)
}

fn superseded(by: &DeploymentId) -> (Change, Turn, String) {
    (Change::Superseded, Turn::ClosesAll, format!("superseded by deployment {by}"))
}

fn stuck(why: &str) -> (Change, Turn, String) {
    (Change::StageStuck, Turn::Passes, why.to_owned())
}

fn telemetry_back(rules: &[RuleName], current: &Deployment) -> (Change, Turn, String) {
    let names: Vec<&str> = rules.iter().map(RuleName::as_str).collect();
    let reason = format!("seen again by {}", names.join(", "));
    let all = current.lost.is_empty();
    let turn = if all { Turn::Closes(Matter::Telemetry) } else { Turn::Passes };
    (Change::TelemetryBack, turn, reason)
}

fn refused(refusal: Refusal, evidence: &RuleEvidence) -> (Change, Turn, String) {
    let opens = Turn::Opens(Matter::Rule(evidence.rule.clone()));
    match (refusal, evidence.severity) {
        (Refusal::Observing, _) => (Change::Observed, Turn::Passes, refusal.to_string()),
        (_, Severity::Warning) => (Change::Firing, opens, refusal.to_string()),
        (_, Severity::Critical) => (Change::Refused, opens, refusal.to_string()),
    }
}

/// Whether it is nothing that one deployment has to do with.
fn is_about_guard(change: Change) -> bool {
    let all = [Change::ReloadRefused, Change::Reloaded, Change::Paused, Change::Resumed];
    all.contains(&change)
}

/// What people are asked, until when, and what is done without their answer.
fn question(when: &str, current: &Deployment, until: Timestamp, default: Unanswered) -> String {
    let id = &current.id;
    let otherwise = match default {
        Unanswered::Rollback => "it is rolled back",
        Unanswered::Deny => "it stays",
    };
    format!("{when}; `rollguard approve --deployment {id}` until {until}, else {otherwise}")
}

fn decided(decision: &Decision) -> (Change, Turn, String) {
    let reason = decision.trigger.reason().to_owned();
    (Change::Decided, Turn::Opens(Matter::Rollback), reason)
}

fn denied(answer: &Answer) -> String {
    match answer {
        Answer::Person { reason: Some(reason), .. } => reason.clone(),
        Answer::Person { reason: None, .. } => "a person said no".to_owned(),
        Answer::TimeLimit => "nobody answered in time".to_owned(),
    }
}

fn lapsed(why: &str) -> (Change, Turn, String) {
    let why = format!("nobody answered in time, and it cannot be rolled back: {why}");
    (Change::Denied, Turn::Closes(Matter::Rollback), why)
}

fn resumed(reason: Option<&str>) -> (Change, Turn, String) {
    let why = reason.unwrap_or("the pause is over").to_owned();
    (Change::Resumed, Turn::Closes(Matter::Pause), why)
}

/// Fills in what is known of the deployment.
fn describe(news: &mut News, event: &Event, current: &Deployment) {
    news.deployment = Some(current.id.clone());
    news.version = Some(current.version.clone());
    news.good.clone_from(&current.good);
    news.stage.clone_from(&current.stage);
    let decision = current.decision.as_ref();
    let cause = decision.and_then(|(_, decision)| decision.trigger.rule());
    let asked = current.ask.as_ref().map(|ask| &ask.decision.trigger);
    let rule = match event {
        Event::Refused { evidence, .. } => Some(evidence),
        Event::AwaitingApproval { .. } => asked.and_then(Trigger::rule),
        Event::Decided(_) | Event::Cured { .. } | Event::Failed { .. } => cause,
        Event::Started { .. }
        | Event::Stopped { .. }
        | Event::Reloaded { .. }
        | Event::ReloadRefused { .. }
        | Event::Begun { .. }
        | Event::Staged { .. }
        | Event::TelemetryLost { .. }
        | Event::TelemetryBack { .. }
        | Event::Ended { .. }
        | Event::Superseded { .. }
        | Event::Baked { .. }
        | Event::LiveChecked { .. }
        | Event::LiveSeen { .. }
        | Event::SetAside { .. }
        | Event::Cleared { .. }
        | Event::Denied { .. }
        | Event::DenialLifted { .. }
        | Event::Lapsed { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::StageEntered { .. }
        | Event::StageNotEntered { .. }
        | Event::StagePassed { .. }
        | Event::StageOverdue { .. }
        | Event::HookBegun { .. }
        | Event::Intent { .. }
        | Event::Outcome { .. }
        | Event::Told { .. }
        | Event::DrillBegun(_)
        | Event::DrillDone(_)
        | Event::Notified { .. } => None,
    };
    news.rule = rule.map(shortened);
    news.decided = decision.map(|(at, _)| *at);
}

/// A rule without more readings than anybody reads in a message.
fn shortened(evidence: &RuleEvidence) -> RuleEvidence {
    let mut rule = evidence.clone();
    rule.signals.truncate(MAX_READINGS);
    rule.comparisons.truncate(MAX_READINGS);
    rule.groups.truncate(MAX_GROUPS);
    rule
}
