//! Fail points: the daemon kills itself at one exact place between two effects, where no test from
//! outside could hit it. `ROLLGUARD_CRASH_AT` names the place, and which time it is reached:
//!
//! - `before:EFFECT:N`, `after:EFFECT:N`: an effect is about to be, or was, performed: `run`,
//!   `inspect`, `call_off`, `read_live`, `notify`, `go_along`, `tell`, `report`, `drill`, `pace`,
//!   or for an entry of the journal its kind;
//! - `torn:KIND:N`: half of the entry's line is in the file;
//! - `written:KIND:N`: the whole line is, and was not synced yet.
//!
//! Without `:N` it is the first time. `ROLLGUARD_CRASH_LOG` names a file that every place is noted
//! in as it is reached, so that a test can visit each of them.
//!
//! `ROLLGUARD_HANG_AT` names a place without its number: there the loop hangs for ever.
//!
//! Debug builds only: every use stands below `#[cfg(debug_assertions)]`, so that nothing in the
//! environment can make a released guard end itself. It must never do anything but note, kill and
//! hang, and never clean up first: that is what it is for.

#![expect(clippy::disallowed_methods, reason = "reads its own variables and ends its own process")]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Signal, getpid, kill_process};

use crate::engine::effect::Effect;
use crate::model::entry::Entry;

const CRASH_AT: &str = "ROLLGUARD_CRASH_AT";
const HANG_AT: &str = "ROLLGUARD_HANG_AT";
const CRASH_LOG: &str = "ROLLGUARD_CRASH_LOG";

/// How often each place was reached.
static REACHED: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

/// An effect is about to be performed. Gives its name, for [`after`].
pub(crate) fn before(effect: &Effect) -> String {
    let name = match effect {
        Effect::Append(entry) => kind(entry),
        Effect::Run(_) => "run".to_owned(),
        Effect::Inspect { .. } => "inspect".to_owned(),
        Effect::ReadLive { .. } => "read_live".to_owned(),
        Effect::Notify(_) => "notify".to_owned(),
        Effect::Tell(_) => "tell".to_owned(),
        Effect::Report(_) => "report".to_owned(),
        Effect::CallOff { .. } => "call_off".to_owned(),
        Effect::GoAlong(_) => "go_along".to_owned(),
        Effect::Drill(_) => "drill".to_owned(),
        Effect::Pace { .. } => "pace".to_owned(),
    };
    reach(&format!("before:{name}"));
    name
}

/// An effect was performed, and nothing after it.
pub(crate) fn after(name: &str) {
    reach(&format!("after:{name}"));
}

/// A line is about to be written.
pub(crate) fn torn(entry: &Entry, file: &mut File, line: &str) {
    if is_wanted(&format!("torn:{}", kind(entry))) {
        // As a kernel does that dies while it writes.
        let _ = file.write_all(&line.as_bytes()[..line.len() / 2]);
        die();
    }
}

/// A line was written and not synced.
pub(crate) fn written(entry: &Entry) {
    reach(&format!("written:{}", kind(entry)));
}

fn kind(entry: &Entry) -> String {
    let event = serde_json::to_value(&entry.event).ok();
    let kind = event.as_ref().and_then(|event| event["kind"].as_str());
    kind.unwrap_or_default().to_owned()
}

fn reach(place: &str) {
    if is_wanted(place) {
        die();
    }
}

/// Notes that a place is reached; whether it is the one to end at.
fn is_wanted(place: &str) -> bool {
    while std::env::var(HANG_AT).is_ok_and(|wanted| wanted == place) {
        std::thread::park();
    }
    let (wanted, log) = (std::env::var(CRASH_AT).ok(), std::env::var_os(CRASH_LOG));
    if wanted.is_none() && log.is_none() {
        return false;
    }
    let mut reached = REACHED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = reached.entry(place.to_owned()).or_default();
    *count += 1;
    let here = format!("{place}:{count}");
    if let Some(log) = log
        && let Ok(mut log) = OpenOptions::new().create(true).append(true).open(log)
    {
        let _ = writeln!(log, "{here}");
    }
    wanted.is_some_and(|wanted| wanted == here || (*count == 1 && wanted == place))
}

fn die() {
    // As the kernel's out-of-memory killer would: nothing is flushed, nobody is told.
    let _ = kill_process(getpid(), Signal::KILL);
}
