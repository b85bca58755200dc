//! Runs a program as one attempt at a step. It must never use a shell, never block on what a
//! program does or does not do with its streams, and never start an attempt twice.
//!
//! - **Start**: through the guard's own binary, which claims the attempt's marker and then becomes
//!   the program; see [`marker`]. The program leads a process group of its own.
//! - **Input**: the order's document, written by a task of its own, as many hooks never read it.
//! - **Output**: both streams through one pipe, so that their order is kept, always drained, never
//!   kept beyond a fixed size.
//! - **Environment**: the daemon's own, as operators expect of a unit, with the order's variables,
//!   without what would let a hook speak to systemd as if it were the daemon. The working
//!   directory is `/`.
//! - **End**: exit status 0, or one that the step names, is success. What a successful hook left
//!   running is left alone, as it may have started a service; its output is not waited for. After a
//!   failure all of it is ended as well, as the next attempt must not overlap with it.
//! - **Time-out**: TERM to the group and to what left it, a grace period, KILL.
//! - A guard that dies leaves the program running, and `inspect` finds it.

#![expect(clippy::disallowed_methods, reason = "starts programs and waits for their end")]

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::group::Group;
use super::marker::{self, Marker, Process};
use super::output::Output;
use super::strays::Strays;
use crate::engine::effect::Order;
use crate::model::entry::StepResult;
use crate::net::redact::neutral;

/// The hidden subcommand that claims a marker and becomes the program.
pub const SUBCOMMAND: &str = "exec-step";

/// How long output is waited for once the program has ended: what it printed is in the pipe by
/// then, and only something that it left running keeps the pipe open.
const LAST_OUTPUT: Duration = Duration::from_secs(1);
/// How long the system may take to end a killed process. One that hangs in a defective disk or
/// network file system takes for ever, and a rollback cannot wait for that.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(5);
/// How often it is asked whether a group has ended; nothing tells us when it does.
pub(super) const GROUP_POLL: Duration = Duration::from_millis(20);
/// One read from a pipe, which is the most that Linux keeps in one.
const CHUNK: usize = 64 * 1024;

/// What lets a process speak to systemd in the daemon's name, or take over its sockets.
pub(crate) const NOT_INHERITED: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// A program to be run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program<'a> {
    pub(super) rollguard: &'a Path,
    pub(super) marker: &'a Path,
    pub(super) order: &'a Order,
    pub(super) argv: &'a [String],
    pub(super) grace: Duration,
    /// The exit statuses that mean success.
    pub(super) ok_exit: &'a [u8],
    /// Told when it is called off.
    pub(super) off: &'a Notify,
}

/// Runs a program to its end: what became of it, and what it printed.
pub(super) async fn run(program: Program<'_>) -> (StepResult, String) {
    let deadline = Instant::now() + program.order.timeout;
    let mut running = match Running::start(program) {
        Ok(running) => running,
        Err(error) => return (could_not_start(program.argv, &error.to_string()), String::new()),
    };
    let ended = tokio::select! {
        ended = running.exit_by(deadline) => ended.map(|status| (status, StepResult::TimedOut)),
        () = program.off.notified() => Ok((None, StepResult::CalledOff)),
    };
    let result = match ended {
        Ok((Some(status), _)) => running.result(program, status).await,
        Ok((None, why)) => {
            running.end_all(program.grace).await;
            if why == StepResult::CalledOff { running.called_off().await } else { why }
        }
        // Cannot happen short of a defect of the system: nobody knows what became of it.
        Err(_) => StepResult::Unknown,
    };
    (result, running.said())
}

/// The result of an attempt whose program was not started.
pub(super) fn could_not_start(argv: &[String], why: &str) -> StepResult {
    let name = argv.first().map_or("", String::as_str);
    StepResult::Failed(neutral(&format!("could not start `{name}`: {why}")))
}

fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

struct Running {
    child: Child,
    /// `None` where the system did not tell, being short of something.
    process: Option<Process>,
    group: Option<Group>,
    strays: Option<Strays>,
    /// What is still there although it was killed.
    left: usize,
    has_ended: bool,
    feeder: Option<AbortHandle>,
    pipe: Option<pipe::Receiver>,
    output: Output,
    chunk: Vec<u8>,
}

impl Running {
    /// An error means that nothing was started.
    fn start(program: Program<'_>) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let pipe = pipe::Receiver::from_owned_fd(reader.into())?;
        let mut child = command(program, writer)?.spawn()?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let feeder = child.stdin.take().map(|mut stdin| {
            let document = program.order.document.clone();
            let feed = async move {
                // A closed pipe only means that the program does not want it.
                let _ = stdin.write_all(document.as_bytes()).await;
            };
            tokio::spawn(feed).abort_handle()
        });
        // Not yet waited for, so that the id is still its own even if it has ended.
        let process = pid.and_then(|pid| Process::with_id(pid).ok());
        Ok(Self {
            child,
            strays: process.as_ref().map(Strays::of),
            left: 0,
            process,
            group: pid.and_then(Group::led_by),
            has_ended: false,
            feeder,
            pipe: Some(pipe),
            output: Output::default(),
            chunk: vec![0; CHUNK],
        })
    }

    /// Waits for the program's end, keeping its output flowing; `None`: not by then.
    async fn exit_by(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            tokio::select! {
                status = self.child.wait() => {
                    self.has_ended = true;
                    return status.map(Some);
                }
                () = read(&mut self.pipe, &mut self.chunk, &mut self.output) => {}
                () = sleep_until(deadline) => return Ok(None),
            }
        }
    }

    /// Reads what is printed until then, or until nobody can print any more.
    async fn drain_until(&mut self, deadline: Instant) {
        while self.pipe.is_some() {
            let read = read(&mut self.pipe, &mut self.chunk, &mut self.output);
            if timeout_at(deadline, read).await.is_err() {
                return;
            }
        }
    }

    async fn result(&mut self, program: Program<'_>, status: ExitStatus) -> StepResult {
        self.drain_until(Instant::now() + LAST_OUTPUT).await;
        let (process, failure) = match marker::read(program.marker) {
            Ok(Some(Marker::Started { process, failure })) => (process, failure),
            Ok(Some(Marker::Abandoned)) => return StepResult::NotStarted,
            Ok(None) => return could_not_start(program.argv, &self.last_words(status)),
            // Another attempt must not overlap with what may have been started.
            Err(_) => return StepResult::Unknown,
        };
        let is_ours = self.process.is_some() && process == self.process;
        match failure {
            Some(why) if is_ours => return could_not_start(program.argv, &why),
            // Another order used this attempt up without starting its program.
            Some(_) => return StepResult::NotStarted,
            // It was started, but not, or not provably, by this order.
            None if !is_ours => return StepResult::Unknown,
            None => {}
        }
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        if code.is_some_and(|code| program.ok_exit.contains(&code)) {
            return StepResult::Done;
        }
        if self.has_left_any().await {
            self.end_all(program.grace).await;
        }
        StepResult::Failed(ended(status))
    }

    /// What our own binary said before it ended without having claimed the marker.
    fn last_words(&self, status: ExitStatus) -> String {
        let text = self.output.text();
        text.trim().lines().last().map_or_else(|| ended(status), str::to_owned)
    }

    /// Whether anything is there of what an ended program started.
    async fn has_left_any(&mut self) -> bool {
        if let Some(group) = self.group {
            group.reap();
            if group.exists() {
                return true;
            }
        }
        match &mut self.strays {
            Some(strays) => !strays.are_gone().await,
            None => false,
        }
    }

    /// TERM to the group and to what left it, the grace period, KILL.
    async fn end_all(&mut self, grace: Duration) {
        let Some(group) = self.group else { return };
        match &mut self.strays {
            Some(strays) => strays.terminate(|| group.terminate()).await,
            None => group.terminate(),
        }
        if !self.all_end_by(group, Instant::now() + grace).await {
            group.kill();
            let deadline = Instant::now() + KILL_WAIT;
            if !self.has_ended {
                let _ = self.exit_by(deadline).await;
            }
            if let Some(strays) = &mut self.strays {
                self.left = strays.kill_by(deadline).await;
            }
        }
        self.drain_until(Instant::now() + GROUP_POLL).await;
    }

    /// What became of a group that was ended: whoever goes on must know that nobody of it is left.
    async fn called_off(&mut self) -> StepResult {
        let Some(group) = self.group else { return StepResult::Unknown };
        let is_gone = self.all_end_by(group, Instant::now() + KILL_WAIT).await;
        if is_gone { StepResult::CalledOff } else { StepResult::Unknown }
    }

    async fn all_end_by(&mut self, group: Group, deadline: Instant) -> bool {
        loop {
            let pause = deadline.min(Instant::now() + GROUP_POLL);
            if !self.has_ended {
                // Waiting for it also reaps it: a zombie still counts as a member.
                let _ = self.exit_by(pause).await;
            }
            let any = if self.has_ended { self.has_left_any().await } else { group.exists() };
            if !any {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.drain_until(pause).await;
            sleep_until(pause).await;
        }
    }

    /// What it printed, and what people must know beside that.
    fn said(&self) -> String {
        let mut text = self.output.text();
        if self.left > 0 {
            let line = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            text.push_str(&format!("{line}[{} of its processes cannot be ended]\n", self.left));
        }
        text
    }
}

impl Drop for Running {
    /// What the program left running may keep its input open without ever reading it.
    fn drop(&mut self) {
        if let Some(feeder) = &self.feeder {
            feeder.abort();
        }
    }
}

fn command(program: Program<'_>, output: io::PipeWriter) -> io::Result<Command> {
    let mut command = Command::new(program.rollguard);
    command.arg(SUBCOMMAND).arg(program.marker).arg(std::process::id().to_string()).arg("--");
    command.args(program.argv);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(program.order.env.iter().map(|(name, value)| (name, value)));
    command.process_group(0).stdin(Stdio::piped());
    command.stdout(output.try_clone()?).stderr(output);
    Ok(command)
}

/// Reads once; never returns where there is nothing to read from any more.
async fn read(pipe: &mut Option<pipe::Receiver>, chunk: &mut [u8], output: &mut Output) {
    let Some(open) = pipe else { return std::future::pending().await };
    match open.read(chunk).await {
        Ok(0) | Err(_) => *pipe = None,
        Ok(length) => output.push(&chunk[..length]),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::engine::effect::Rerun;
    use crate::model::entry::Attempt;
    use crate::model::name::{DeploymentId, HookName};
    use crate::model::step::Action;

    #[test]
    fn a_hook_cannot_speak_to_systemd_in_the_daemons_name() {
        let order = Order {
            deployment: DeploymentId::new("v2").unwrap(),
            attempt: Attempt::of(HookName::new("rollback").unwrap(), 0, 1),
            action: Action::Sleep(Duration::ZERO),
            rerun: Rerun::Never,
            timeout: Duration::ZERO,
            env: vec![("ROLLGUARD_GOOD".to_owned(), "v1".to_owned())],
            document: String::new(),
        };
        let (rollguard, marker) = (Path::new("/rollguard"), Path::new("/marker"));
        let program = Program {
            rollguard,
            marker,
            order: &order,
            argv: &[],
            grace: Duration::ZERO,
            ok_exit: &[0],
            off: &Notify::new(),
        };
        let command = command(program, io::pipe().unwrap().1).unwrap();
        let changed: Vec<_> = command.as_std().get_envs().collect();
        for name in NOT_INHERITED {
            assert!(changed.contains(&(OsStr::new(name), None)), "{name}");
        }
        let given = (OsStr::new("ROLLGUARD_GOOD"), Some(OsStr::new("v1")));
        assert!(changed.contains(&given));
    }
}
