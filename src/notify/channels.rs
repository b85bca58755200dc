//! The channels: for each a bounded queue and a worker of its own, so that one that hangs delays no
//! other. Putting something into a queue never waits; what does not fit is dropped, and reported.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::engine::effect::{Announced, Telling};
use crate::message::Sender;
use crate::model::channel::{Change, Channel};
use crate::net::client::Client;

use super::worker::Worker;

/// How many tellings may wait for one channel. A rollback makes a handful, a restart at most 56;
/// when 128 wait nobody has been reached for that many, and one more would not reach them either.
const MAX_WAITING: usize = 128;

/// How many places are kept for what matters more than warnings: a rollback must be told although
/// a hundred warnings fire at the same instant.
const RESERVED: usize = 32;

/// What became of tellings that may wait to be recorded: every channel has one at a time, and one
/// whose queue is full a few.
const MAX_ANNOUNCED: usize = 64;

/// The channels that are told.
#[derive(Debug)]
pub struct Channels {
    running: Vec<Running>,
    /// Workers of channels that a reload took away, which still send what they have.
    leaving: Vec<JoinHandle<()>>,
    client: Arc<Client>,
    sender: Arc<Sender>,
    clock: Clock,
    announced: mpsc::Sender<Announced>,
}

#[derive(Debug)]
struct Running {
    channel: Arc<Channel>,
    queue: mpsc::Sender<Arc<Telling>>,
    worker: JoinHandle<()>,
}

impl Channels {
    /// Starts the channels; what becomes of tellings comes out at the other end.
    pub fn start(clock: Clock, channels: &[Channel]) -> (Self, mpsc::Receiver<Announced>) {
        let (announced, receiver) = mpsc::channel(MAX_ANNOUNCED);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let sender = Sender { host, rollguard: env!("CARGO_PKG_VERSION").to_owned() };
        let (running, leaving) = (Vec::new(), Vec::new());
        let (client, sender) = (Arc::default(), Arc::new(sender));
        let mut all = Self { running, leaving, client, sender, clock, announced };
        all.replace(channels);
        (all, receiver)
    }

    /// Starts what is new and lets go of what is not there any more. A channel that stayed the same
    /// goes on with what it has.
    pub fn replace(&mut self, channels: &[Channel]) {
        self.leaving.retain(|worker| !worker.is_finished());
        let mut before = std::mem::take(&mut self.running);
        for channel in channels {
            let same = before.iter().position(|running| *running.channel == *channel);
            let running = match same {
                Some(place) => before.swap_remove(place),
                None => self.start_one(channel),
            };
            self.running.push(running);
        }
        // Its queue is dropped here, so it ends when that is empty.
        self.leaving.extend(before.into_iter().map(|running| running.worker));
    }

    fn start_one(&self, channel: &Channel) -> Running {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let channel = Arc::new(channel.clone());
        let worker = Worker::new(
            channel.clone(),
            self.client.clone(),
            self.sender.clone(),
            self.clock,
            self.announced.clone(),
        );
        Running { channel, queue, worker: tokio::spawn(worker.work(waiting)) }
    }

    /// Queues a telling on every channel. What does not fit is reported like what fails.
    pub fn tell(&self, telling: Telling) {
        let telling = Arc::new(telling);
        for running in &self.running {
            let full = running.queue.capacity() <= RESERVED && is_lesser(telling.news.change);
            if full || running.queue.try_send(telling.clone()).is_err() {
                self.drop_one(&running.channel, &telling);
            }
        }
    }

    fn drop_one(&self, channel: &Channel, telling: &Telling) {
        let failure = "dropped, too many messages are waiting already".to_owned();
        tracing::error!(channel = %channel.name, change = telling.news.change.word(), "{failure}");
        let announced = Announced {
            channel: channel.name.clone(),
            change: telling.news.change,
            news: telling.news.seq,
            deployment: telling.news.deployment.clone(),
            opened: false,
            reference: None,
            failure: Some(failure),
        };
        // Where even this does not fit the log has it.
        drop(self.announced.try_send(announced));
    }

    /// Waits until everything in the queues is done. Dropping the channels instead lets the workers
    /// go on for as long as the runtime lives.
    pub async fn finish(self) {
        let workers = self.running.into_iter().map(|running| running.worker);
        for worker in workers.chain(self.leaving).collect::<Vec<_>>() {
            // It fails only if the worker panicked or the runtime shuts down.
            let _ = worker.await;
        }
    }
}

/// Whether news may give way to others: there may be as many of them as there are rules.
const fn is_lesser(change: Change) -> bool {
    match change {
        Change::Observed | Change::Firing | Change::Cleared => true,
        Change::Begun
        | Change::Stage
        | Change::StagePassed
        | Change::StageStuck
        | Change::Refused
        | Change::AwaitingApproval
        | Change::Denied
        | Change::Decided
        | Change::RolledBack
        | Change::Failed
        | Change::Baked
        | Change::Ended
        | Change::Superseded
        | Change::Paused
        | Change::Resumed
        | Change::TelemetryLost
        | Change::TelemetryBack
        | Change::JournalLost
        | Change::ReloadRefused
        | Change::Reloaded => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::effect::Occurrence;
    use crate::model::alert::{AlertAction, News};
    use crate::model::channel::System;
    use crate::model::name::{ChannelName, ServiceName};
    use crate::model::target::Secret;
    use crate::model::time::Timestamp;

    fn telling(change: Change, seq: u64) -> Telling {
        let news = News {
            change,
            seq: Some(seq),
            at: Timestamp::from_millis(0),
            service: ServiceName::new("api").unwrap(),
            deployment: None,
            version: None,
            good: None,
            stage: None,
            rule: None,
            reason: String::new(),
            decided: None,
            action: AlertAction::Inform,
        };
        let (news, occurrence) = (Arc::new(news), Occurrence::First);
        Telling { news, occurrence, open: Vec::new(), opened: Vec::new(), units: Vec::new() }
    }

    #[tokio::test]
    async fn a_flood_of_warnings_leaves_room_for_a_rollback() {
        // Nobody takes anything from the queue: no worker runs before this test waits.
        let url = Secret::Literal("http://127.0.0.1:9/".to_owned());
        let system = System::Webhook { url, headers: Vec::new() };
        let name = ChannelName::new("x").unwrap();
        let channel = Channel { name, on: system.default_changes().to_vec(), system };
        let (channels, mut announced) = Channels::start(Clock::start(), &[channel]);
        (0..500).for_each(|seq| channels.tell(telling(Change::Firing, seq)));
        assert_eq!(channels.running[0].queue.capacity(), RESERVED);
        channels.tell(telling(Change::Decided, 500));
        assert_eq!(channels.running[0].queue.capacity(), RESERVED - 1);
        let dropped = announced.try_recv().unwrap();
        assert_eq!(
            dropped.failure.as_deref(),
            Some("dropped, too many messages are waiting already")
        );
    }
}
