//! Whoever tells people and other systems, each with a queue and workers of its own: one that hangs
//! must not keep the others from being told, and none of them a rollback from its way.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::engine::effect::Notice;
use crate::engine::telling::{Announced, Telling};
use crate::hook::Executor;
use crate::model::channel::Channel;
use crate::notify::{Channels, Notifier, Told};

/// All of them.
#[derive(Debug)]
pub(super) struct Tellers {
    /// The hooks that tell people.
    people: Notifier,
    /// The hooks that go along.
    along: Notifier,
    channels: Channels,
}

impl Tellers {
    /// Starts them. What became of hooks goes to `told`, of channels to what comes back.
    pub(super) fn start(
        executor: &Arc<Executor>,
        told: mpsc::Sender<Told>,
        clock: Clock,
        channels: &[Channel],
    ) -> (Self, mpsc::Receiver<Announced>) {
        let people = Notifier::start(executor.clone(), told.clone());
        let along = Notifier::start(executor.clone(), told);
        let (channels, announced) = Channels::start(clock, channels);
        (Self { people, along, channels }, announced)
    }

    pub(super) fn notify(&self, notice: Notice) {
        push(&self.people, notice);
    }

    pub(super) fn go_along(&self, notice: Notice) {
        push(&self.along, notice);
    }

    pub(super) fn tell(&mut self, telling: Telling) {
        self.channels.tell(telling);
    }

    /// Tells the channels of a new configuration from here on.
    pub(super) fn replace(&mut self, channels: &[Channel]) {
        self.channels.replace(channels);
    }

    /// Waits until everybody was told.
    pub(super) async fn finish(self) {
        let Self { people, along, channels } = self;
        tokio::join!(people.finish(), along.finish(), channels.finish());
    }
}

fn push(notifier: &Notifier, notice: Notice) {
    let hook = notice.hook.clone();
    if let Err(error) = notifier.push(notice) {
        tracing::error!(%error, %hook, "nobody could be told");
    }
}
