//! Telling: hands each change of state to the channels that are configured, once it is on record.
//! What is wrong and what was said is the durable state's business; how each system is told is
//! `announce`'s. It never decides to act, and nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::alert::{AlertAction, AlertKey, News};
use crate::model::channel::Change;
use crate::model::time::Moment;

use crate::engine::effect::{Effect, Occurrence, Telling};
use crate::engine::{durable::log::Log, rules::evaluator::Evaluator, view::evidence};

/// What happened longer ago is no news: who was not told of it by then can see it in the status.
/// Longer than a restart takes and a message is tried.
const STALE: Duration = Duration::from_secs(3600);

/// Asks for the newest entry to be sent to the channels, where it is an alert.
pub(crate) fn send_newest(log: &mut Log, evaluator: &Evaluator) {
    if let Some(news) = log.state().news.newest().cloned() {
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
    if log.is_halted() {
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
        action: AlertAction::Trigger(AlertKey::Journal),
    };
    send(log, evaluator, Arc::new(news), Occurrence::First);
}

fn send(log: &mut Log, evaluator: &Evaluator, news: Arc<News>, occurrence: Occurrence) {
    if evaluator.plan().channels.is_empty() {
        return;
    }
    let alerts = &log.state().news;
    let (open, opened) = (alerts.open_beside(&news), alerts.opened_for(&news));
    let units = evidence::units(evaluator);
    log.push(Effect::Tell(Box::new(Telling { news, occurrence, open, opened, units })));
}
