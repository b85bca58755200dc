//! The clocks. Everything that needs the time asks here, so that the rest can be driven by a
//! virtual one: under a paused runtime this clock stands still until the runtime moves it. The
//! wall clock is for people and files only; nothing may be judged or scheduled by it.

#![expect(clippy::disallowed_methods, reason = "the owner of clocks and waiting")]

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant as Tick;

use crate::model::time::{Instant, Moment, Timestamp};

/// How far ahead a timer is set at most: a year, as [`MAX_DURATION`](crate::model::time). An
/// instant beyond what the system can represent becomes this, and nobody waits for either.
const FAR: Duration = crate::model::time::MAX_DURATION;

/// The guard's monotonic clock and the wall clock. Copies share one origin.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Tick,
}

impl Clock {
    /// A clock whose origin is now.
    pub fn start() -> Self {
        Self { origin: Tick::now() }
    }

    /// The time since the origin.
    pub fn now(&self) -> Instant {
        Instant::ZERO.after(self.origin.elapsed())
    }

    /// The wall clock. It may step in either direction between two calls.
    pub fn wall(&self) -> Timestamp {
        let signed = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => signed(since),
            Err(before) => -signed(before.duration()),
        })
    }

    /// Both at once.
    pub fn moment(&self) -> Moment {
        Moment { at: self.now(), wall: self.wall() }
    }

    /// Waits until `at`; not at all if that has passed. Wakes up to a millisecond late.
    pub async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(self.tick(at)).await;
    }

    /// What `work` comes to if that is before `at`, else `None`, and `work` is dropped.
    pub async fn before<F: Future>(&self, at: Instant, work: F) -> Option<F::Output> {
        tokio::time::timeout_at(self.tick(at), work).await.ok()
    }

    fn tick(&self, at: Instant) -> Tick {
        let since = at.since(Instant::ZERO);
        self.origin.checked_add(since).unwrap_or_else(|| Tick::now() + FAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_starts_at_the_origin_and_sleeping_ends_at_the_instant() {
        let clock = Clock::start();
        assert_eq!(clock.now(), Instant::ZERO);
        clock.sleep_until(Instant::from_millis(1_500)).await;
        assert_eq!(clock.now(), Instant::from_millis(1_500));
        clock.sleep_until(Instant::from_millis(20)).await;
        assert_eq!(clock.now(), Instant::from_millis(1_500));
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_not_done_in_time_gives_nothing() {
        let clock = Clock::start();
        assert_eq!(clock.before(Instant::from_millis(10), async { 1 }).await, Some(1));
        let never = std::future::pending::<()>();
        assert_eq!(clock.before(Instant::from_millis(10), never).await, None);
        assert_eq!(clock.now(), Instant::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_beyond_the_system_s_range_is_only_far_away() {
        let clock = Clock::start();
        let sleep = clock.sleep_until(Instant::from_nanos(u64::MAX));
        assert_eq!(clock.before(Instant::from_millis(5), sleep).await, None);
    }

    #[test]
    fn the_wall_clock_is_in_this_age() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let wall = runtime.block_on(async { Clock::start().wall() });
        assert!(wall > Timestamp::from_millis(1_700_000_000_000), "{wall}");
    }
}
