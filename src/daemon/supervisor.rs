//! What systemd is told: readiness, a line of status, and that the judging loop still turns. Where
//! no supervisor listens, all of this does nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::model::time::{Instant, Moment, Timestamp};

/// How often the loop turns where nothing else happens and no watchdog asks for more.
const IDLE: Duration = Duration::from_secs(5);

/// The service manager.
#[derive(Debug)]
pub(super) struct Supervisor {
    watchdog: Option<Duration>,
    fed: Instant,
    status: String,
    /// When the daemon started.
    pub(super) started: Timestamp,
    /// When the loop last finished a turn.
    pub(super) turned: Timestamp,
}

impl Supervisor {
    /// Asks the environment whether there is one.
    pub(super) fn new(started: Timestamp) -> Self {
        let (watchdog, fed) = (sd_notify::watchdog_enabled(), Instant::ZERO);
        Self { watchdog, fed, status: String::new(), started, turned: started }
    }

    /// A line for `systemctl status`; said only when it changes.
    pub(super) fn status(&mut self, status: String) {
        if self.status != status {
            self.say(NotifyState::Status(&status));
            self.status = status;
        }
    }

    /// A turn of the judging loop is finished: it, and nothing else, feeds the watchdog.
    pub(super) fn turned(&mut self, now: Moment) {
        self.turned = now.wall;
        if self.watchdog.is_some_and(|patience| now.at.since(self.fed) >= patience / 4) {
            self.say(NotifyState::Watchdog);
            self.fed = now.at;
        }
    }

    /// When the loop must turn again at the latest.
    pub(super) fn deadline(&self, now: Instant) -> Instant {
        now.after(self.watchdog.map_or(IDLE, |patience| (patience / 4).min(IDLE)))
    }

    /// Tells the service manager something.
    pub(super) fn say(&self, state: NotifyState<'_>) {
        if let Err(error) = sd_notify::notify(&[state]) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}
