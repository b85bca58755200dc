//! What a hook has started and what has left its process group since, by `setsid` or as a daemon
//! does. It is known by a variable of its environment that names the hook's own process: whatever
//! is started inherits it. The children of what is known are known as well.
//!
//! What has both lost its parents and dropped its environment is not found; only a control group
//! holds that, which is what `via = "systemd-run"` is for. It must never signal a process that is
//! not provably the attempt's, and never one that a program of a successful attempt left behind.

#![expect(clippy::disallowed_methods, reason = "finds processes and ends them")]

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::time::{Instant, sleep_until};

use super::marker::{Process, read_bounded, stat};

/// The variable that names the process of a hook, in the environment of all that it starts.
pub(crate) const VARIABLE: &str = "ROLLGUARD_PROCESS";

/// The longest environment that is read, in bytes: more than Linux gives a program by default.
const MAX_ENVIRONMENT: u64 = 4 << 20;

/// How often it is asked whether they have ended: each time all processes are looked at.
const POLL: Duration = Duration::from_millis(50);

/// The processes of an attempt, but for the one that leads it.
#[derive(Debug)]
pub(super) struct Strays {
    leader: Process,
    mark: Vec<u8>,
    /// Those that were found. One whose parents are gone would not be found again by them.
    known: Vec<Process>,
}

impl Strays {
    /// Those of the attempt that this process leads, or led.
    pub(super) fn of(leader: &Process) -> Self {
        let mark = format!("{VARIABLE}={}", leader.mark()).into_bytes();
        Self { leader: leader.clone(), mark, known: Vec::new() }
    }

    /// Asks those that have left the group to end, where `group` asks those that are in it: being
    /// asked twice means "at once" to many programs. Those are looked for first, as long as their
    /// parents are there.
    pub(super) async fn terminate(&mut self, group: impl FnOnce()) {
        let mut found = self.find().await;
        found.retain(|stray| stray.has_left);
        group();
        signal(&found, Signal::TERM);
    }

    /// Whether none is left.
    pub(super) async fn are_gone(&mut self) -> bool {
        self.find().await.is_empty()
    }

    /// Waits until nothing is left of them; false: something is, at the deadline.
    pub(super) async fn gone_by(&mut self, deadline: Instant) -> bool {
        while !self.are_gone().await {
            if !pause_before(deadline).await {
                return false;
            }
        }
        true
    }

    /// Ends them, and what they start meanwhile; how many are still there at the deadline.
    pub(super) async fn kill_by(&mut self, deadline: Instant) -> usize {
        loop {
            let found = self.find().await;
            signal(&found, Signal::KILL);
            if found.is_empty() || !pause_before(deadline).await {
                return found.len();
            }
        }
    }

    /// All that are there now. Looking at every process takes some milliseconds, so it is done
    /// aside.
    async fn find(&mut self) -> Vec<Stray> {
        self.reap();
        let (leader, mark, known) = (self.leader.clone(), self.mark.clone(), self.known.clone());
        let found = tokio::task::spawn_blocking(move || find(&leader, &mark, &known)).await;
        let found = found.unwrap_or_default();
        for Stray { process, .. } in &found {
            if !self.known.contains(process) {
                self.known.push(process.clone());
            }
        }
        found
    }

    /// Reaps those that have ended and become our children, as their parents have ended too: so
    /// it is where the guard is the first process of a container.
    fn reap(&mut self) {
        let is_there =
            |process: &Process| Process::with_id(process.pid).ok().as_ref() == Some(process);
        self.known.retain(|process| {
            if !is_there(process) {
                return false;
            }
            let reaped = waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
            !matches!(reaped, Ok(Some(_)))
        });
    }
}

/// Waits a moment before something is looked at again; false: the deadline is over.
pub(super) async fn pause_before(deadline: Instant) -> bool {
    let now = Instant::now();
    if now < deadline {
        sleep_until(deadline.min(now + POLL)).await;
    }
    now < deadline
}

fn signal(strays: &[Stray], signal: Signal) {
    for Stray { process, .. } in strays {
        // Looked at once more: its id could be another's by now.
        if let Some(pid) = Pid::from_raw(process.pid).filter(|_| process.is_alive()) {
            // It may be gone by now, which is what is wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

/// A process of an attempt.
#[derive(Debug)]
struct Stray {
    process: Process,
    /// Whether it is in another process group than its leader.
    has_left: bool,
}

/// The processes that carry the mark or are known, and their children, but for the leader and
/// ourselves.
fn find(leader: &Process, mark: &[u8], known: &[Process]) -> Vec<Stray> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let mut groups: HashMap<i32, i32> = HashMap::new();
    // Once it has ended, its id may be another's, whose children are none of ours.
    let alive = known.iter().chain([leader]).filter(|process| process.is_alive());
    let mut known: Vec<i32> = alive.map(|process| process.pid).collect();
    for pid in processes().filter(|pid| *pid != own && *pid != leader.pid) {
        let Some(stat) = stat(pid).ok().filter(|stat| !stat.has_ended()) else { continue };
        children.entry(stat.parent).or_default().push(pid);
        groups.insert(pid, stat.group);
        if carries(pid, mark) {
            known.push(pid);
        }
    }
    let mut found = Vec::new();
    while let Some(pid) = known.pop() {
        // Each is taken away once, so this ends.
        if let Some(group) = groups.remove(&pid)
            && let Ok(process) = Process::with_id(pid)
        {
            found.push(Stray { process, has_left: group != leader.pid });
        }
        known.extend(children.remove(&pid).unwrap_or_default());
    }
    found
}

fn processes() -> impl Iterator<Item = i32> {
    let listed = fs::read_dir("/proc").into_iter().flatten().flatten();
    listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether the variable is in a process's environment, which only its user and root may read.
fn carries(pid: i32, mark: &[u8]) -> bool {
    let environment = read_bounded(format!("/proc/{pid}/environ"), MAX_ENVIRONMENT);
    environment.is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|entry| entry == mark))
}
