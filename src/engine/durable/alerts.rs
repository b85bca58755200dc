//! News from the journal: which records change a state that people may be told of, what of it is
//! still open, and who was told. Part of the durable state, so live and on replay alike. It knows
//! no channels of the configuration and sends nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::alert::{AlertAction, AlertKey, News, StateChange};
use crate::model::channel::Change;
use crate::model::entry::{ApprovalEvent, DeploymentEvent, Entry, Event, RuleEvent, RuleEvidence};
use crate::model::name::ChannelName;

use crate::engine::durable::deployment::Deployment;
use crate::engine::effect::{Announced, OpenedAlert};

/// How many news are remembered for those who were not told before a restart. A rollback makes a
/// handful; what is older than this many changes is told by what followed.
const MAX_RECENT: usize = 32;

/// How many open alerts are remembered. Nobody learns anything from more warnings than this.
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
    /// Which channels were told of what.
    told: VecDeque<Announced>,
}

impl NewsLog {
    /// Takes in a record after the deployment that it concerns, if that is the current one.
    pub(crate) fn apply(&mut self, entry: &Entry, current: Option<&Deployment>) {
        self.records += 1;
        if let Event::Deployment(DeploymentEvent::Begun(_)) = entry.event {
            self.open.retain(|news| news.deployment.is_none());
        }
        if let Event::Notice(event) = &entry.event
            && let Some(told) = Announced::of(entry.deployment.clone(), event)
        {
            push(&mut self.told, told, MAX_TOLD);
        }
        let Some(news) = self.read(entry, current).map(Arc::new) else { return };
        self.open.retain(|open| match &news.action {
            AlertAction::Trigger(key) | AlertAction::Resolve(key) => {
                !matches!(&open.action, AlertAction::Trigger(known) if known == key)
            }
            AlertAction::ResolveAll => open.deployment.is_none(),
            AlertAction::Inform => true,
        });
        if let AlertAction::Trigger(_) = news.action
            && self.open.len() < MAX_OPEN
        {
            self.open.push(news.clone());
        }
        push(&mut self.recent, news, MAX_RECENT);
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
        let told = self.told.iter().filter(|told| told.news == news.seq);
        told.map(|told| told.channel.clone()).collect()
    }

    /// The channels on which something under the same key was opened, and as what; the newest
    /// telling of each says so.
    pub(crate) fn opened_for(&self, news: &News) -> Vec<OpenedAlert> {
        let mut opened: Vec<OpenedAlert> = Vec::new();
        for told in self.told.iter().filter(|told| told.deployment == news.deployment) {
            opened.retain(|known| known.channel != told.channel);
            if told.opened {
                let (channel, reference) = (told.channel.clone(), told.reference.clone());
                opened.push(OpenedAlert { channel, reference });
            }
        }
        opened
    }

    fn read(&self, entry: &Entry, current: Option<&Deployment>) -> Option<News> {
        let current = current?;
        let StateChange { change, mut action, reason } = entry.meaning().alert?;
        // Only after one that was refused it changes anything that was told.
        if change == Change::Reloaded && !self.is_reload_refused() {
            return None;
        }
        if change == Change::TelemetryBack && !current.lost.is_empty() {
            action = AlertAction::Inform;
        }
        let of = (!entry.event.is_of_guard()).then_some(current);
        Some(News {
            change,
            seq: Some(self.records),
            at: entry.at,
            service: current.service.clone(),
            deployment: of.map(|of| of.id.clone()),
            version: of.map(|of| of.version.clone()),
            good: of.and_then(|of| of.good.clone()),
            stage: of.and_then(|of| of.stage.clone()),
            rule: of.and_then(|of| rule(&entry.event, of)).map(shortened),
            reason,
            decided: of.and_then(|of| of.decision.as_ref()).map(|(at, _)| *at),
            action,
        })
    }

    fn is_reload_refused(&self) -> bool {
        self.open.iter().any(|news| news.action == AlertAction::Trigger(AlertKey::Reload))
    }
}

fn push<T>(list: &mut VecDeque<T>, new: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(new);
}

/// The rule that an event of a deployment is about.
fn rule<'a>(event: &'a Event, of: &'a Deployment) -> Option<&'a RuleEvidence> {
    if let Event::Rule(RuleEvent::Refused { evidence, .. }) = event {
        Some(evidence)
    } else if let Event::Approval(ApprovalEvent::Asked { decision, .. }) = event {
        decision.trigger.rule()
    } else {
        let decision = of.decision.as_ref().filter(|_| matches!(event, Event::Rollback(_)));
        decision.and_then(|(_, decision)| decision.trigger.rule())
    }
}

/// A rule without more readings than anybody reads in a message.
fn shortened(evidence: &RuleEvidence) -> RuleEvidence {
    let mut rule = evidence.clone();
    rule.signals.truncate(MAX_READINGS);
    rule.comparisons.truncate(MAX_READINGS);
    rule.groups.truncate(MAX_GROUPS);
    rule
}
