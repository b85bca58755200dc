//! News from the journal: which records change a state that people may be told of, what of it is
//! still open, and who was told. Part of the durable state, so live and on replay alike. It knows
//! no channels of the configuration and sends nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::alert::{AlertAction, AlertKey, News, StateChange};
use crate::model::channel::Change;
use crate::model::entry::{
    ApprovalEvent, DeploymentEvent, Entry, Event, NoticeEvent, RuleEvent, RuleEvidence,
};
use crate::model::name::{ChannelName, DeploymentId};

use crate::engine::durable::state::Deployment;
use crate::engine::effect::OpenedAlert;

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
    told: VecDeque<SentAlert>,
}

/// A channel told of something.
#[derive(Clone, Debug, PartialEq)]
struct SentAlert {
    channel: ChannelName,
    news: u64,
    deployment: Option<DeploymentId>,
    /// It stands open there.
    opened: bool,
    reference: Option<String>,
}

impl NewsLog {
    /// Takes in a record after the deployment that it concerns, if that is the current one.
    pub(crate) fn apply(&mut self, entry: &Entry, current: Option<&Deployment>) {
        self.records += 1;
        if let Event::Deployment(DeploymentEvent::Begun(_)) = entry.event {
            self.open.retain(|news| news.deployment.is_none());
        }
        if let Event::Notice(NoticeEvent::Told {
            channel,
            news,
            opened,
            reference,
            failure: None,
            ..
        }) = &entry.event
        {
            let (channel, reference) = (channel.clone(), reference.clone());
            let deployment = entry.deployment.clone();
            let told = SentAlert { channel, news: *news, deployment, opened: *opened, reference };
            push(&mut self.told, told, MAX_TOLD);
        }
        let Some(news) = self.read(entry, current).map(Arc::new) else { return };
        self.close(&news.action);
        if let AlertAction::Trigger(_) = news.action
            && self.open.len() < MAX_OPEN
        {
            self.open.push(news.clone());
        }
        push(&mut self.recent, news, MAX_RECENT);
    }

    fn close(&mut self, action: &AlertAction) {
        self.open.retain(|open| match (action, &open.action) {
            (
                AlertAction::Trigger(key) | AlertAction::Resolve(key),
                AlertAction::Trigger(known),
            ) => key != known,
            (AlertAction::ResolveAll, _) => open.deployment.is_none(),
            (AlertAction::Inform | AlertAction::Trigger(_) | AlertAction::Resolve(_), _) => true,
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
            action,
        };
        if !entry.event.is_of_guard() {
            describe(&mut news, &entry.event, current);
        }
        Some(news)
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

/// Fills in what is known of the deployment.
fn describe(news: &mut News, event: &Event, current: &Deployment) {
    news.deployment = Some(current.id.clone());
    news.version = Some(current.version.clone());
    news.good.clone_from(&current.good);
    news.stage.clone_from(&current.stage);
    let decision = current.decision.as_ref();
    let rule = match event {
        Event::Rule(RuleEvent::Refused { evidence, .. }) => Some(evidence),
        Event::Approval(ApprovalEvent::Asked { decision, .. }) => decision.trigger.rule(),
        Event::Rollback(_) => decision.and_then(|(_, decision)| decision.trigger.rule()),
        Event::Daemon(_)
        | Event::Deployment(_)
        | Event::Stage(_)
        | Event::Rule(_)
        | Event::Approval(_)
        | Event::Pause(_)
        | Event::Live(_)
        | Event::Attempt(_)
        | Event::Drill(_)
        | Event::Notice(_) => None,
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
