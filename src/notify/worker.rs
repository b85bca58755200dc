//! The worker of one channel: takes tellings in order, sends what they come to, tries again with
//! growing pauses for some minutes, and reports what became of each. It knows what it has told
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
use crate::model::target::Secret;
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

/// How many news are remembered as told. More than are ever told again.
const MAX_SEEN: usize = 256;

/// How many deployments are remembered to have something open. The last one matters.
const MAX_MEMORIES: usize = 8;

/// One channel's worker.
#[derive(Debug)]
pub(super) struct Worker {
    channel: Arc<Channel>,
    client: Arc<Client>,
    sender: Arc<Sender>,
    clock: Clock,
    announced: mpsc::Sender<Announced>,
    alerts: Alerts,
    /// When alerts are to be sent again.
    resend: Option<Instant>,
    /// What stands open, by key.
    memories: VecDeque<(String, Memory)>,
    seen: VecDeque<String>,
    /// When the last message was sent.
    last: Option<Instant>,
}

/// What became of a telling.
#[derive(Debug)]
enum Result {
    /// There was nothing to send.
    Nothing,
    Told,
    Failed(String),
}

impl Worker {
    pub(super) fn new(
        channel: Arc<Channel>,
        client: Arc<Client>,
        sender: Arc<Sender>,
        clock: Clock,
        announced: mpsc::Sender<Announced>,
    ) -> Self {
        Self {
            channel,
            client,
            sender,
            clock,
            announced,
            alerts: Alerts::default(),
            resend: None,
            memories: VecDeque::new(),
            seen: VecDeque::new(),
            last: None,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn work(mut self, mut waiting: mpsc::Receiver<Arc<Telling>>) {
        loop {
            let next = match self.resend {
                Some(at) => self.clock.before(at, waiting.recv()).await,
                None => Some(waiting.recv().await),
            };
            match next {
                Some(Some(telling)) => self.take(&telling).await,
                Some(None) => return,
                None => self.send_again().await,
            }
        }
    }

    async fn take(&mut self, telling: &Telling) {
        let news = &telling.news;
        let id = news.id();
        if self.seen.contains(&id) {
            return;
        }
        push(&mut self.seen, id, MAX_SEEN);
        self.remember_from(telling);
        let result = match &self.channel.system {
            System::Alertmanager { .. } => self.stand(telling).await,
            System::Slack { .. }
            | System::PagerDuty { .. }
            | System::Opsgenie { .. }
            | System::Grafana { .. }
            | System::Statuspage { .. }
            | System::Webhook { .. }
            | System::CloudEvent { .. } => self.say(telling).await,
        };
        let failure = match result {
            Result::Nothing => return,
            Result::Told => None,
            Result::Failed(why) => {
                let (channel, change) = (&self.channel.name, news.change.word());
                tracing::error!(%channel, change, "nobody could be told: {why}");
                Some(why)
            }
        };
        let memory = self.memory(&news.key());
        let announced = Announced {
            channel: self.channel.name.clone(),
            change: news.change,
            news: news.seq,
            deployment: news.deployment.clone(),
            opened: memory.opened,
            reference: memory.reference,
            failure,
        };
        // Without a listener nothing is recorded, but people are still told.
        let _ = self.announced.send(announced).await;
    }

    /// What the record says stands open, unless it is known better.
    fn remember_from(&mut self, telling: &Telling) {
        let key = telling.news.key();
        if self.memories.iter().any(|(known, _)| *known == key) {
            return;
        }
        let on_record = telling.opened.iter().find(|opened| opened.channel == self.channel.name);
        if let Some(opened) = on_record {
            let memory = Memory { opened: true, reference: opened.reference.clone() };
            push(&mut self.memories, (key, memory), MAX_MEMORIES);
        }
    }

    fn memory(&self, key: &str) -> Memory {
        let known = self.memories.iter().find(|(known, _)| known == key);
        known.map(|(_, memory)| memory.clone()).unwrap_or_default()
    }

    fn remember(&mut self, key: String, memory: Memory) {
        match self.memories.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = memory,
            None => push(&mut self.memories, (key, memory), MAX_MEMORIES),
        }
    }

    /// Sends what news come to. What may have been sent before a restart is sent again only where
    /// that does no harm.
    async fn say(&mut self, telling: &Telling) -> Result {
        let key = telling.news.key();
        let mut result = Result::Nothing;
        for outgoing in compose(&self.channel, telling, &self.memory(&key), &self.sender) {
            let again = match &telling.occurrence {
                Occurrence::First => false,
                Occurrence::Again(told) => {
                    told.contains(&self.channel.name) || outgoing.repeat == Repeat::Seen
                }
            };
            if again {
                continue;
            }
            result = match self.deliver(&outgoing).await {
                Ok(body) => {
                    self.taken(key.clone(), outgoing.then, &body);
                    match result {
                        Result::Nothing | Result::Told => Result::Told,
                        failed @ Result::Failed(_) => failed,
                    }
                }
                Err(why) => Result::Failed(why),
            };
        }
        result
    }

    fn taken(&mut self, key: String, then: OnAccepted, body: &[u8]) {
        let known = self.memory(&key);
        match then {
            OnAccepted::Nothing => {}
            OnAccepted::Opened => {
                let reference = reference(&self.channel.system, body).or(known.reference);
                self.remember(key, Memory { opened: true, reference });
            }
            OnAccepted::Closed => self.remember(key, Memory::default()),
        }
    }

    async fn deliver(&mut self, outgoing: &Outgoing) -> std::result::Result<Vec<u8>, String> {
        let mut attempt = 1;
        loop {
            self.keep_apart().await;
            let sent = send(&self.client, &outgoing.request, outgoing.repeat).await;
            self.last = Some(self.clock.now());
            match sent {
                Sent::Taken(body) => return Ok(body),
                Sent::Failed(why) => return Err(why),
                Sent::Again(_, why) if attempt >= MAX_ATTEMPTS => {
                    return Err(format!("{why}, tried {attempt} times"));
                }
                Sent::Again(after, _) => {
                    let pause = pause(attempt);
                    sleep(after.map_or(pause, |after| after.max(pause))).await;
                }
            }
            attempt += 1;
        }
    }

    async fn keep_apart(&self) {
        let slow = match self.channel.system {
            System::Slack { .. } | System::Statuspage { .. } => true,
            System::PagerDuty { .. }
            | System::Opsgenie { .. }
            | System::Alertmanager { .. }
            | System::Grafana { .. }
            | System::Webhook { .. }
            | System::CloudEvent { .. } => false,
        };
        if let Some(last) = self.last.filter(|_| slow) {
            self.clock.sleep_until(last.after(APART)).await;
        }
    }

    /// Takes news into the alerts that stand, and sends these.
    async fn stand(&mut self, telling: &Telling) -> Result {
        if !self.alerts.take(&self.channel, telling) {
            return Result::Nothing;
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
            return Result::Nothing;
        }
        let mut attempt = 1;
        loop {
            match self.send_alerts().await {
                Ok(()) if told => return Result::Nothing,
                Ok(()) => return Result::Told,
                Err(why) if attempt >= MAX_ATTEMPTS => {
                    return Result::Failed(format!("{why}, tried {attempt} times"));
                }
                Err(_) => sleep(pause(attempt)).await,
            }
            attempt += 1;
        }
    }

    /// The alerts are sent again before they lapse; a failure is met by the next time.
    async fn send_again(&mut self) {
        if let Err(why) = self.send_alerts().await {
            tracing::warn!(channel = %self.channel.name, "alerts could not be sent again: {why}");
        }
    }

    /// Sends all alerts to all peers at once.
    ///
    /// # Errors
    /// No peer took them.
    async fn send_alerts(&mut self) -> std::result::Result<(), String> {
        let System::Alertmanager { urls, headers } = &self.channel.system else { return Ok(()) };
        let (urls, headers): (&[String], &[(String, Secret)]) = (urls, headers);
        let wall = self.clock.wall();
        self.alerts.forget(wall);
        let mut sending = JoinSet::new();
        for request in self.alerts.requests(urls, headers, wall) {
            let client = self.client.clone();
            sending.spawn(async move { send(&client, &request, Repeat::Harmless).await });
        }
        self.resend = self.alerts.again().map(|again| self.clock.now().after(again));
        let mut outcome = Err("no peer took them".to_owned());
        while let Some(sent) = sending.join_next().await {
            match sent {
                Ok(Sent::Taken(_)) => outcome = Ok(()),
                Ok(Sent::Again(_, why) | Sent::Failed(why)) => {
                    tracing::warn!(channel = %self.channel.name, "a peer was not told: {why}");
                    outcome = outcome.map_err(|_| why);
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
