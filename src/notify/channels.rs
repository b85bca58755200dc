//! The channels: for each a bounded queue and a worker of its own, so that one that hangs delays no
//! other. Putting something into a queue never waits; what does not fit is dropped, and reported.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::engine::effect::{Announced, Telling};
use crate::message::{Memory, Sender};
use crate::model::channel::{Change, Channel};

use super::worker::{Shared, Worker, announced};

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
    shared: Shared,
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
        let shared = Shared { client: Arc::default(), sender: Arc::new(sender), clock, announced };
        let mut all = Self { running: Vec::new(), leaving: Vec::new(), shared };
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
            self.running.push(same.map_or_else(
                || {
                    let (queue, waiting) = mpsc::channel(MAX_WAITING);
                    let channel = Arc::new(channel.clone());
                    let worker = Worker::new(channel.clone(), self.shared.clone());
                    Running { channel, queue, worker: tokio::spawn(worker.work(waiting)) }
                },
                |place| before.swap_remove(place),
            ));
        }
        // Its queue is dropped here, so it ends when that is empty.
        self.leaving.extend(before.into_iter().map(|running| running.worker));
    }

    /// Queues a telling on every channel. What does not fit is reported like what fails.
    pub fn tell(&self, telling: Telling) {
        let telling = Arc::new(telling);
        for running in &self.running {
            let full = running.queue.capacity() <= RESERVED && is_lesser(telling.news.change);
            if !full && running.queue.try_send(telling.clone()).is_ok() {
                continue;
            }
            let (channel, change) = (&running.channel, telling.news.change.word());
            let failure = "dropped, too many messages are waiting already".to_owned();
            tracing::error!(channel = %channel.name, change, "{failure}");
            let announced = announced(channel, &telling, Memory::default(), Some(failure));
            // Where even this does not fit the log has it.
            drop(self.shared.announced.try_send(announced));
        }
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

/// Whether an alert may give way to others: there may be as many of them as there are rules.
const fn is_lesser(change: Change) -> bool {
    matches!(change, Change::Observed | Change::Firing | Change::Cleared)
}
