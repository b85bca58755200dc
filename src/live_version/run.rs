//! The live version as the first line that a program prints. It ends with exit status 0, or it
//! tells nothing. It must never outlive its time: it leads a process group, which is ended with it.

#![expect(clippy::disallowed_methods, reason = "starts a program that tells the live version")]

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::hook::{Group, NOT_INHERITED};
use crate::model::live::Live;

/// How much of what it prints is read, in bytes: a version and what is said about it.
const MAX_OUTPUT: u64 = 64 << 10;

/// Runs it. Where this is dropped, because its time is over, so is the program.
pub(super) async fn read(argv: &[String]) -> Live {
    let Some((program, arguments)) = argv.split_first() else {
        return Live::unknown("there is no program");
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    let child = match command.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) => return Live::unknown(&format!("could not start `{program}`: {error}")),
    };
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let mut running = Running { group: pid.and_then(Group::led_by), child };
    match running.end().await {
        Ok((status, output)) if status.success() => {
            Live::of_text(&String::from_utf8_lossy(&output))
        }
        Ok((status, _)) => Live::unknown(&format!("`{program}` ended with {status}")),
        Err(error) => Live::unknown(&format!("`{program}`: {error}")),
    }
}

/// The beginning of a stream; what follows is read and forgotten, lest the program waits for it.
async fn head(mut stream: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut output = Vec::new();
    (&mut stream).take(MAX_OUTPUT).read_to_end(&mut output).await?;
    let mut rest = [0; 4096];
    while stream.read(&mut rest).await? > 0 {}
    Ok(output)
}

/// A program whose group is ended with the value, unless the program has ended by itself.
struct Running {
    /// Killed while the child is not yet waited for: until then the group's id is its own.
    group: Option<Group>,
    child: Child,
}

impl Running {
    /// Waits for the program's end: how it ended, and what it printed.
    async fn end(&mut self) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let output = match self.child.stdout.take() {
            Some(stdout) => head(stdout).await?,
            None => Vec::new(),
        };
        let status = self.child.wait().await?;
        self.group = None;
        Ok((status, output))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            group.kill();
        }
    }
}
