//! Telling: hands each change of state to the channels that are configured, once it is on record.
//! What is wrong and what was said is the durable state's business; how each system is told is
//! `announce`'s. It never decides to act, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{Matter, News, Turn};
use crate::model::channel::Change;
use crate::model::entry::NoticeEvent;
use crate::model::name::{ChannelName, DeploymentId, SignalName};
use crate::model::signal::Unit;
use crate::model::time::Moment;

pub use super::alerts::Opened;
use crate::engine::durable::log::Log;
use crate::engine::effect::Effect;
use crate::engine::rules::evaluator::Evaluator;
use crate::engine::view::evidence;

/// What happened longer ago is no news: who was not told of it by then can see it in the status.
/// Longer than a restart takes and a message is tried.
const STALE: Duration = Duration::from_secs(3600);

/// News to be told, everything filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// What changed.
    pub news: Arc<News>,
    /// Whether it may have been told before.
    pub occurrence: Occurrence,
    /// The changes by which something under the same key is wrong after it.
    pub open: Vec<Change>,
    /// On which channels something under the same key was opened, as far as that is on record.
    pub opened: Vec<Opened>,
    /// What the signals measure, where that is known.
    pub units: Vec<(SignalName, Unit)>,
}

/// Whether news may have been told before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occurrence {
    /// They happened just now.
    First,
    /// The guard was restarted, or has a new configuration. They were told on these channels for
    /// certain, and perhaps on others.
    Again(Vec<ChannelName>),
}

/// What became of a telling on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The channel.
    pub channel: ChannelName,
    /// What changed.
    pub change: Change,
    /// The `seq` of the record that it was about; `None`: there is none.
    pub news: Option<u64>,
    /// The deployment.
    pub deployment: Option<DeploymentId>,
    /// Whether something stands open there since.
    pub opened: bool,
    /// What the other system calls what it made of it.
    pub reference: Option<String>,
    /// Why it failed, where it did.
    pub failure: Option<String>,
}

/// Asks for the newest entry to be sent to the channels, where it is an alert.
pub(crate) fn send_newest(log: &mut Log, evaluator: &Evaluator) {
    if has_channels(evaluator)
        && let Some(news) = log.state().news.newest().cloned()
    {
        send(log, evaluator, news, Occurrence::First);
    }
}

/// Sends again what is still wrong: the configuration may name channels that do not know of it.
pub(crate) fn send_open(log: &mut Log, evaluator: &Evaluator) {
    send_again(log, evaluator, |_| false);
}

/// Sends again what is still wrong, and what may not have been sent before the guard was restarted.
pub(crate) fn send_remembered(log: &mut Log, evaluator: &Evaluator, now: Moment) {
    send_again(log, evaluator, |news| now.wall.since(news.at) < STALE);
}

fn send_again(log: &mut Log, evaluator: &Evaluator, too: impl Fn(&News) -> bool) {
    // Without a journal nobody knows what was sent.
    if !has_channels(evaluator) || log.is_halted() {
        return;
    }
    for news in log.state().news.remembered() {
        if log.state().news.is_open(&news) || too(&news) {
            let told = log.state().news.told_of(&news);
            send(log, evaluator, news, Occurrence::Again(told));
        }
    }
}

/// Sends that nothing can be recorded any more, which cannot be recorded.
pub(crate) fn send_journal_lost(log: &mut Log, evaluator: &Evaluator, now: Moment) {
    let current = log.state().current.as_ref();
    let news = News {
        change: Change::JournalLost,
        seq: None,
        at: now.wall,
        service: evaluator.plan().deployment.service.clone(),
        deployment: current.map(|current| current.id.clone()),
        version: current.map(|current| current.version.clone()),
        good: current.and_then(|current| current.good.clone()),
        stage: current.and_then(|current| current.stage.clone()),
        rule: None,
        reason: "the journal cannot be written".to_owned(),
        decided: None,
        turn: Turn::Opens(Matter::Journal),
    };
    if has_channels(evaluator) {
        send(log, evaluator, Arc::new(news), Occurrence::First);
    }
}

fn has_channels(evaluator: &Evaluator) -> bool {
    !evaluator.plan().channels.is_empty()
}

fn send(log: &mut Log, evaluator: &Evaluator, news: Arc<News>, occurrence: Occurrence) {
    let alerts = &log.state().news;
    let (open, opened) = (alerts.open_beside(&news), alerts.opened_for(&news));
    let units = evidence::units(evaluator);
    log.push(Effect::Tell(Box::new(Telling { news, occurrence, open, opened, units })));
}

impl Announced {
    /// The event that puts it on record; `None` where what was sent is not on record itself.
    pub(crate) fn event(self) -> Option<(Option<DeploymentId>, NoticeEvent)> {
        let Self { channel, change, news, deployment, opened, reference, failure } = self;
        let news = news?;
        let told = NoticeEvent::Told { channel, change, news, opened, reference, failure };
        Some((deployment, told))
    }
}
