//! The worker of one channel: takes alerts in order, sends what they come to, tries again with
//! growing pauses for some minutes, and reports what became of each. It knows what it has sent
//! since it was started, so that nothing is told twice.

#![expect(clippy::disallowed_methods, reason = "the owner of the pauses between attempts")]

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::engine::effect::{Announced, Occurrence, Telling};
use crate::message::{Alerts, Memory, OnAccepted, Outgoing, Repeat, Sender, compose, reference};
use crate::model::alert::AlertAction;
use crate::model::channel::{Channel, System};
use crate::model::time::Instant;
use crate::net::client::Client;

use super::delivery::{Sent, send};

/// How often a message is tried. With pauses of up to a minute between them that takes about four
/// minutes: long enough for a system that is being restarted, short enough for what waits behind.
const MAX_ATTEMPTS: u32 = 10;

/// The first pause between two attempts; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts, unless the system asks for a longer one.
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// How long after a message the next may follow on systems that take one a second.
const APART: Duration = Duration::from_secs(1);

/// How many alerts are remembered as told. More than are ever told again.
const MAX_SEEN: usize = 256;

/// How many deployments are remembered to have something open. The last one matters.
const MAX_MEMORIES: usize = 8;

/// What all workers use.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) client: Arc<Client>,
    pub(super) sender: Arc<Sender>,
    pub(super) clock: Clock,
    pub(super) announced: mpsc::Sender<Announced>,
}

/// One channel's worker.
#[derive(Debug)]
pub(super) struct Worker {
    channel: Arc<Channel>,
    shared: Shared,
    alerts: Alerts,
    /// When alerts are to be sent again.
    resend: Option<Instant>,
    /// What stands open, by key.
    memories: VecDeque<(String, Memory)>,
    seen: VecDeque<String>,
    /// When the last message was sent.
    last: Option<Instant>,
}

/// What became of an alert on a channel.
pub(super) fn announced(
    channel: &Channel,
    telling: &Telling,
    Memory { opened, reference }: Memory,
    failure: Option<String>,
) -> Announced {
    let (news, channel) = (&telling.news, channel.name.clone());
    let (change, deployment) = (news.change, news.deployment.clone());
    Announced { channel, change, news: news.seq, deployment, opened, reference, failure }
}

/// What became of an alert that was sent; `None`: there was nothing to send.
type Said = Option<Result<(), String>>;

impl Worker {
    pub(super) fn new(channel: Arc<Channel>, shared: Shared) -> Self {
        let (alerts, memories, seen) = (Alerts::default(), VecDeque::new(), VecDeque::new());
        Self { channel, shared, alerts, resend: None, memories, seen, last: None }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn work(mut self, mut waiting: mpsc::Receiver<Arc<Telling>>) {
        loop {
            let next = match self.resend {
                Some(at) => self.shared.clock.before(at, waiting.recv()).await,
                None => Some(waiting.recv().await),
            };
            match next {
                Some(Some(telling)) => self.take(&telling).await,
                Some(None) => return,
                // The alerts are sent again before they lapse; a failure is met by the next time.
                None => {
                    if let Sent::Again(_, why) = self.send_alerts().await {
                        let channel = &self.channel.name;
                        tracing::warn!(%channel, "alerts could not be sent again: {why}");
                    }
                }
            }
        }
    }

    async fn take(&mut self, telling: &Telling) {
        let id = telling.news.id();
        if self.seen.contains(&id) {
            return;
        }
        push(&mut self.seen, id, MAX_SEEN);
        let told = if matches!(self.channel.system, System::Alertmanager { .. }) {
            self.update_alerts(telling).await
        } else {
            self.send_message(telling).await
        };
        let Some(told) = told else { return };
        if let Err(why) = &told {
            let (channel, change) = (&self.channel.name, telling.news.change.word());
            tracing::error!(%channel, change, "nobody could be told: {why}");
        }
        let announced = announced(&self.channel, telling, self.memory(telling), told.err());
        // Without a listener nothing is recorded, but people are still told.
        let _ = self.shared.announced.send(announced).await;
    }

    /// What stands open under the key of an alert: what the record says, unless it is known better.
    fn memory(&self, telling: &Telling) -> Memory {
        let key = telling.news.key();
        if let Some((_, memory)) = self.memories.iter().find(|(known, _)| *known == key) {
            return memory.clone();
        }
        let on_record = telling.opened.iter().find(|opened| opened.channel == self.channel.name);
        let reference = on_record.and_then(|opened| opened.reference.clone());
        Memory { opened: on_record.is_some(), reference }
    }

    /// Sends the messages that an alert comes to. What may have been sent before a restart is sent
    /// again only where that does no harm.
    async fn send_message(&mut self, telling: &Telling) -> Said {
        let mut told = None;
        let memory = self.memory(telling);
        for outgoing in compose(&self.channel, telling, &memory, &self.shared.sender) {
            if let Occurrence::Again(channels) = &telling.occurrence
                && (channels.contains(&self.channel.name) || outgoing.repeat == Repeat::Seen)
            {
                continue;
            }
            let sent = self.deliver(Some(&outgoing)).await;
            let sent = sent.map(|body| self.accepted(telling, outgoing.then, &body));
            told = Some(sent.and(told.unwrap_or(Ok(()))));
        }
        told
    }

    fn accepted(&mut self, telling: &Telling, then: OnAccepted, body: &[u8]) {
        let memory = match then {
            OnAccepted::Nothing => return,
            OnAccepted::Opened => {
                let reference = reference(&self.channel.system, body);
                let reference = reference.or(self.memory(telling).reference);
                Memory { opened: true, reference }
            }
            OnAccepted::Closed => Memory::default(),
        };
        let key = telling.news.key();
        match self.memories.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = memory,
            None => push(&mut self.memories, (key, memory), MAX_MEMORIES),
        }
    }

    /// Sends a message, or all alerts, until it is accepted or will not be.
    async fn deliver(&mut self, message: Option<&Outgoing>) -> Result<Vec<u8>, String> {
        let mut attempt = 1;
        loop {
            let sent = match message {
                Some(outgoing) => self.send_apart(outgoing).await,
                None => self.send_alerts().await,
            };
            match sent {
                Sent::Taken(body) => return Ok(body),
                Sent::Failed(why) => return Err(why),
                Sent::Again(_, why) if attempt >= MAX_ATTEMPTS => {
                    return Err(format!("{why}, tried {attempt} times"));
                }
                Sent::Again(after, _) => sleep(pause(attempt).max(after.unwrap_or_default())).await,
            }
            attempt += 1;
        }
    }

    /// Sends a message once, some time after the last where the system wants that.
    async fn send_apart(&mut self, outgoing: &Outgoing) -> Sent {
        let slow = matches!(self.channel.system, System::Slack { .. } | System::Statuspage { .. });
        if let Some(last) = self.last.filter(|_| slow) {
            self.shared.clock.sleep_until(last.after(APART)).await;
        }
        let sent = send(&self.shared.client, &outgoing.request, outgoing.repeat).await;
        self.last = Some(self.shared.clock.now());
        sent
    }

    /// Takes an alert into those that are open, and sends these.
    async fn update_alerts(&mut self, telling: &Telling) -> Said {
        if !self.alerts.take(&self.channel, telling) {
            return None;
        }
        let (told, stands) = match &telling.occurrence {
            Occurrence::First => (false, true),
            Occurrence::Again(told) => {
                (told.contains(&self.channel.name), telling.open.contains(&telling.news.change))
            }
        };
        let opens = matches!(telling.news.action, AlertAction::Trigger(_));
        // What has ended since is only told of as ended, and that once.
        if (opens && !stands) || (told && !opens) {
            return None;
        }
        let sent = self.deliver(None).await.map(drop);
        Some(sent).filter(|sent| !told || sent.is_err())
    }

    /// Sends all alerts to all peers at once; they are taken where one peer takes them.
    async fn send_alerts(&mut self) -> Sent {
        let System::Alertmanager { urls, headers } = &self.channel.system else {
            return Sent::Failed("the system takes no alerts".to_owned());
        };
        let Shared { client, clock, .. } = &self.shared;
        let wall = clock.wall();
        self.alerts.forget(wall);
        let mut sending = JoinSet::new();
        for request in self.alerts.requests(urls, headers, wall) {
            let client = client.clone();
            sending.spawn(async move { send(&client, &request, Repeat::Harmless).await });
        }
        self.resend = self.alerts.again().map(|again| clock.now().after(again));
        let mut outcome = Sent::Again(None, "no peer took them".to_owned());
        while let Some(sent) = sending.join_next().await {
            match sent {
                Ok(taken @ Sent::Taken(_)) => outcome = taken,
                Ok(Sent::Again(_, why) | Sent::Failed(why)) => {
                    tracing::warn!(channel = %self.channel.name, "a peer was not told: {why}");
                    if let Sent::Again(_, outcome) = &mut outcome {
                        *outcome = why;
                    }
                }
                // The runtime shuts down.
                Err(_) => {}
            }
        }
        outcome
    }
}

fn push<T>(list: &mut VecDeque<T>, new: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(new);
}

/// The pause after so many attempts: twice as long each time, less a random part of up to a half,
/// so that guards of many hosts do not come back at the same time.
fn pause(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let whole = FIRST_PAUSE.saturating_mul(doubled).min(LAST_PAUSE);
    // Every state of a hasher has other keys.
    let random = u32::try_from(RandomState::new().hash_one(attempts) % 1024).unwrap_or(0);
    whole - (whole / 2) * random / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_vary_by_a_half() {
        for (attempts, whole) in [(1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (40, 60_000)] {
            for _ in 0..50 {
                let millis = pause(attempts).as_millis();
                assert!((whole / 2..=whole).contains(&millis), "{attempts}: {millis}");
            }
        }
    }
}
