//! The demo's processes: the app, the daemon, and the commands that switch releases. None of them
//! outlives the demo: dropping one kills it.

#![expect(clippy::disallowed_methods, reason = "starts and ends the demo's processes")]

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::directory::{DemoDirectory, Programs};
use crate::clock::Clock;

/// How long the daemon may take to end once it was asked to.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The app.
pub(super) fn start_app(directory: &DemoDirectory) -> io::Result<Child> {
    let mut command = this_program()?;
    command.arg("demo-app").arg("--root").arg(directory.root());
    command.arg("--port-file").arg(directory.port_file());
    // The pipe tells it when the demo is gone, even if that was killed.
    command.stdin(Stdio::piped());
    start(command, directory, "app")
}

/// The daemon.
pub(super) fn start_daemon(directory: &DemoDirectory) -> io::Result<Child> {
    let mut command = this_program()?;
    command.arg("run").arg("--config").arg(directory.config());
    // A service manager that runs the demo must not be told about this daemon.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    start(command, directory, "daemon")
}

fn this_program() -> io::Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}

fn start(mut command: Command, directory: &DemoDirectory, name: &str) -> io::Result<Child> {
    let mut options = std::fs::OpenOptions::new();
    let log = options.create(true).append(true).mode(0o600).open(directory.log(name))?;
    command.stdout(log.try_clone()?).stderr(log);
    // A process group of its own: Ctrl-C reaches the demo only, which then ends its children.
    command.process_group(0).kill_on_drop(true).spawn()
}

/// Asks a daemon to end, and ends it where it does not.
pub(super) async fn stop(mut child: Child, clock: Clock) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        // It may be gone by now, which is what is wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let end = clock.now().after(STOP_WITHIN);
    if clock.before(end, child.wait()).await.is_none() {
        drop(child.kill().await);
    }
}

/// What a pipeline does to switch to a release: a link made aside and moved into its directory.
pub(super) async fn switch_to(
    version: &str,
    directory: &DemoDirectory,
    programs: &Programs,
) -> io::Result<()> {
    let release = Path::new("releases").join(version);
    let mut ln = Command::new(&programs.ln);
    succeed(ln.arg("-sfn").arg(release).arg(directory.next())).await?;
    let mut mv = Command::new(&programs.mv);
    succeed(mv.arg("-T").arg(directory.next()).arg(directory.current())).await
}

async fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{}: {}", output.status, said.trim())))
}
