//! Finds out what became of an attempt whose outcome was not recorded because the guard died. It
//! must never let the attempt start afterwards, never start it itself, and never signal a process
//! that is not provably the attempt's: where its leader has ended, the rest of a group is left
//! alone, as its id may be another's by now, and as it may be a service that the hook started.

#![expect(clippy::disallowed_methods, reason = "waits for what a dead guard left running")]

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::exec::KILL_WAIT;
use super::group::Group;
use super::marker::{self, Marker, Process};
use super::strays::{Strays, pause_before};
use crate::model::entry::StepResult;
use crate::model::time::format_duration;

/// Between TERM and KILL, for a hook whose own grace period is not known here.
pub(super) const GRACE: Duration = Duration::from_secs(10);
/// How often a marker may come and go under our eyes: its creator removes it on a full disk.
const TRIES: u32 = 3;

/// What became of the attempt, and what was found. Its marker's directory must be there. A process
/// that still runs may do so for `timeout`, and has `grace` between TERM and KILL.
pub(super) async fn inspect(
    marker: &Path,
    timeout: Duration,
    grace: Duration,
) -> (StepResult, String) {
    match find(marker) {
        Ok(Marker::Started { process: Some(process), failure: None }) => {
            let found = outlast(&process, timeout, grace).await;
            match marker::read(marker) {
                // It was about to start and saw that its guard was gone.
                Ok(Some(now @ Marker::Started { failure: Some(_), .. })) => now.meaning(),
                Ok(_) | Err(_) => (StepResult::Unknown, found),
            }
        }
        Ok(marker) => marker.meaning(),
        Err(error) => (StepResult::Unknown, format!("its marker is not readable: {error}")),
    }
}

/// The marker, which is an abandon marker of ours where there was none.
fn find(path: &Path) -> io::Result<Marker> {
    for _ in 0..TRIES {
        if marker::abandon(path)? {
            return Ok(Marker::Abandoned);
        }
        if let Some(marker) = marker::read(path)? {
            return Ok(marker);
        }
    }
    Err(io::Error::other("it comes and goes"))
}

async fn ended_by(process: &Process, deadline: Instant) -> bool {
    while process.is_alive() {
        if !pause_before(deadline).await {
            return false;
        }
    }
    true
}

/// Waits for the process to end, and ends it and its group where that takes too long.
async fn outlast(process: &Process, timeout: Duration, grace: Duration) -> String {
    let pid = process.pid;
    if !process.is_alive() {
        return format!("it was started as pid {pid}, which has ended");
    }
    let found = Instant::now();
    if ended_by(process, found + timeout).await {
        let took = format_duration(found.elapsed());
        return format!("it was still running as pid {pid} and ended after {took}");
    }
    let Some(group) = Group::led_by(pid) else {
        return format!("it is still running as pid {pid}, which cannot be signalled");
    };
    let after = format_duration(timeout);
    let mut strays = Strays::of(process);
    strays.terminate(|| group.terminate()).await;
    let deadline = Instant::now() + grace;
    let ended = ended_by(process, deadline).await;
    if ended && strays.gone_by(deadline).await {
        return format!("it was still running as pid {pid} after {after} and was ended");
    }
    if !ended {
        group.kill();
    }
    let deadline = Instant::now() + KILL_WAIT;
    let left = strays.kill_by(deadline).await;
    let ended = ended_by(process, deadline).await;
    if ended && left == 0 {
        return format!("it was still running as pid {pid} after {after} and was killed");
    }
    if ended {
        return format!("it was killed as pid {pid} after {after}, {left} of its processes remain");
    }
    format!("it is still running as pid {pid}, although it was killed after {after}")
}
