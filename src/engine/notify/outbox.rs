//! Telling: hands each change of state to the channels that are configured, once it is on record.
//! What is wrong and what was said is the durable state's business; how each system is told is
//! `announce`'s. It never decides to act, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{Matter, News, Turn};
use crate::model::channel::Change;
use crate::model::entry::{Entry, Event};
use crate::model::name::{ChannelName, DeploymentId, SignalName};
use crate::model::signal::Unit;
use crate::model::time::Moment;

pub use super::alerts::Opened;
use crate::engine::effect::Effect;
use crate::engine::guard::Guard;
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

impl Guard {
    /// Asks for the newest record to be told, if it is news.
    pub(crate) fn tell_news(&mut self) {
        if let Some(news) = self.log.state().news.newest().filter(|_| self.has_channels()).cloned()
        {
            self.push_news(news, Occurrence::First);
        }
    }

    /// Tells again what is still wrong: the configuration may name channels that do not know.
    pub(crate) fn remind_of_open(&mut self) {
        self.remind(|_| false);
    }

    /// The same, and what may not have been told before the guard was restarted.
    pub(crate) fn remind_of_all(&mut self, now: Moment) {
        self.remind(|news| now.wall.since(news.at) < STALE);
    }

    fn remind(&mut self, too: impl Fn(&News) -> bool) {
        // Without a journal nobody knows what is on record.
        if !self.has_channels() || self.log.is_halted() {
            return;
        }
        for news in self.log.state().news.remembered() {
            if self.log.state().news.is_open(&news) || too(&news) {
                let told = self.log.state().news.told_of(&news);
                self.push_news(news, Occurrence::Again(told));
            }
        }
    }

    /// Tells that nothing can be recorded any more, which cannot be recorded.
    pub(crate) fn tell_journal_lost(&mut self, now: Moment) {
        let current = self.log.state().current.as_ref();
        let news = News {
            change: Change::JournalLost,
            seq: None,
            at: now.wall,
            service: self.plan().deployment.service.clone(),
            deployment: current.map(|current| current.id.clone()),
            version: current.map(|current| current.version.clone()),
            good: current.and_then(|current| current.good.clone()),
            stage: current.and_then(|current| current.stage.clone()),
            rule: None,
            reason: "the journal cannot be written".to_owned(),
            decided: None,
            turn: Turn::Opens(Matter::Journal),
        };
        if self.has_channels() {
            self.push_news(Arc::new(news), Occurrence::First);
        }
    }

    /// A channel was told of a change, or could not be.
    pub fn announced(&mut self, now: Moment, announced: Announced) -> Vec<Effect> {
        let Announced { channel, change, news, deployment, opened, reference, failure } = announced;
        // What is not on record itself needs no record that it was told.
        if let Some(news) = news {
            let event = Event::Told { channel, change, news, opened, reference, failure };
            self.record_entry(Entry { at: now.wall, deployment, event });
        }
        self.effects()
    }

    fn has_channels(&self) -> bool {
        !self.plan().channels.is_empty()
    }

    fn push_news(&mut self, news: Arc<News>, occurrence: Occurrence) {
        let log = &self.log.state().news;
        let (open, opened) = (log.open_beside(&news), log.opened_for(&news));
        let units = evidence::units(&self.evaluator);
        self.push(Effect::Tell(Box::new(Telling { news, occurrence, open, opened, units })));
    }
}
