//! Fail points: the daemon kills itself at one exact place between two effects, where no test from
//! outside could hit it. `ROLLGUARD_CRASH_AT` names the place:
//!
//! - `before:KIND`, `after:KIND`: an entry of that kind is about to be, or was, made durable;
//! - `ordered`: an attempt was ordered and nothing of it has happened yet;
//! - with `:N` behind it, not the first time but the Nth.
//!
//! `ROLLGUARD_HANG_AT` names a place in the same words: there the loop hangs for ever.
//!
//! Debug builds only: every use stands below `#[cfg(debug_assertions)]`, so that nothing in the
//! environment can make a released guard end itself. It must never do anything but kill or
//! hang, and never clean up first: that is what it is for.

#![expect(clippy::disallowed_methods, reason = "reads its own variable and ends its own process")]

use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::model::entry::Entry;

const VARIABLE: &str = "ROLLGUARD_CRASH_AT";

const HANG: &str = "ROLLGUARD_HANG_AT";

/// How often the named place was reached.
static REACHED: AtomicU32 = AtomicU32::new(0);

/// The entry is about to be made durable.
pub(super) fn before(entry: &Entry) {
    reach(&format!("before:{}", kind(entry)));
}

/// The entry was made durable, and nothing after it was done.
pub(super) fn after(entry: &Entry) {
    reach(&format!("after:{}", kind(entry)));
}

/// An attempt was ordered.
pub(super) fn ordered() {
    reach("ordered");
}

fn kind(entry: &Entry) -> String {
    let event = serde_json::to_value(&entry.event).ok();
    let kind = event.as_ref().and_then(|event| event["kind"].as_str());
    kind.unwrap_or_default().to_owned()
}

fn reach(place: &str) {
    while std::env::var(HANG).is_ok_and(|wanted| wanted == place) {
        std::thread::park();
    }
    let Ok(wanted) = std::env::var(VARIABLE) else { return };
    let Some(rest) = wanted.strip_prefix(place) else { return };
    let nth = match rest.strip_prefix(':') {
        Some(nth) => nth.parse().ok(),
        None => rest.is_empty().then_some(1),
    };
    if nth.is_some_and(|nth: u32| REACHED.fetch_add(1, Ordering::Relaxed) + 1 == nth) {
        // As the kernel's out-of-memory killer would: nothing is flushed, nobody is told.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
