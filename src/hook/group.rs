//! Signals to a process group. A hook leads a group of its own, so that what it started can be
//! ended with it; what leaves the group by `setsid` is found by [`strays`](super::strays). It must
//! never be given a group that may not be ours.

#![expect(clippy::disallowed_methods, reason = "the owner of signals to hooks")]

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid,
};

/// A group, by the id of the process that led it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Group {
    /// The group of a process that leads one; `None` where that cannot be a process id.
    pub(crate) fn led_by(pid: i32) -> Option<Self> {
        // 1 as a group would mean every process there is.
        Pid::from_raw(pid).filter(|_| pid > 1).map(Self)
    }

    /// Asks it to end.
    pub(super) fn terminate(self) {
        // It may be gone by now, which is what is wanted.
        let _ = kill_process_group(self.0, Signal::TERM);
    }

    /// Ends it.
    pub(crate) fn kill(self) {
        let _ = kill_process_group(self.0, Signal::KILL);
    }

    /// Reaps what has ended of it and become our child because its parent has ended too: so it is
    /// where the guard is the first process of a container. To be called only after the leader was
    /// waited for, whose exit status would be lost.
    pub(super) fn reap(self) {
        while let Ok(Some(_)) = waitpgid(self.0, WaitOptions::NOHANG) {}
    }

    /// Whether anything is left of it, ended but not reaped included.
    pub(super) fn exists(self) -> bool {
        // Not being permitted to signal it means that it is there.
        test_kill_process_group(self.0) != Err(Errno::SRCH)
    }
}
