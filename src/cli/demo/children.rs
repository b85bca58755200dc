//! The demo's processes: the app and the daemon. Neither outlives the demo: dropping one kills
//! it.

#![expect(clippy::disallowed_methods, reason = "starts and ends the demo's processes")]

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::directory::DemoDirectory;
use crate::clock::Clock;

/// How long the daemon may take to end once it was asked to.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// The app.
pub(super) fn start_app(directory: &DemoDirectory) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("demo-app").arg("--root").arg(&directory.root);
    command.arg("--port-file").arg(directory.at("port"));
    // The pipe tells it when the demo is gone, even if that was killed.
    command.stdin(Stdio::piped());
    start(command, directory, "app")
}

/// The daemon.
pub(super) fn start_daemon(directory: &DemoDirectory) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("run").arg("--config").arg(directory.config());
    // A service manager that runs the demo must not be told about this daemon.
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    start(command, directory, "daemon")
}

fn start(mut command: Command, directory: &DemoDirectory, name: &str) -> io::Result<Child> {
    let mut options = std::fs::OpenOptions::new();
    let log =
        options.create(true).append(true).mode(0o600).open(directory.at(&format!("{name}.log")))?;
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
