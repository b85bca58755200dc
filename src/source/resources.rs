//! What every kind of source is given, and the time for which its samples count.

use std::sync::Arc;

use crate::clock::Clock;
use crate::model::time::{Instant, Timestamp};
use crate::net::tls::Authorities;

/// What a source has, whatever its kind.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) clock: Clock,
    pub(super) authorities: Arc<Authorities>,
}

/// When a target was asked, which is the time of its samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) wall: Timestamp,
}

impl Asked {
    pub(super) fn now(clock: Clock) -> Self {
        Self { at: clock.now(), wall: clock.wall() }
    }
}
