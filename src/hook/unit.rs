//! Runs a program as a transient unit of systemd, so that it outlives the guard: the end of the
//! guard's own unit does not end it, and a restarted guard finds it again and learns how it ended.
//! It must never start an attempt twice, and never take the end of `systemd-run` for the end of the
//! unit.
//!
//! - **Plan**: what is to be run is written to a private file beside the attempt's marker. Nothing
//!   of it is on a command line, where systemd would expand it and everybody could read it.
//! - **Start**: the unit runs our own binary, which reads the plan, claims the marker and then
//!   becomes the program; see [`marker`]. Where the directory of a deployment's markers was
//!   removed, the plan is gone as well, so that a unit that starts too late does nothing.
//! - **End**: `ExecStopPost=` notes how the program ended, durably, beside the marker. So a guard
//!   that was away learns it, even when systemd has forgotten the unit.
//! - **Limits**: systemd itself holds the time limit and the grace period, guard or no guard.
//! - **Output**: goes to the system's journal, which is bounded; its end is read from there.

#![expect(
    clippy::disallowed_methods,
    reason = "starts units, waits for their end, writes their plans"
)]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::exec::{KILL_WAIT, Program, could_not_start};
use super::marker::{self, Marker, Process};
use super::output::Output;
use crate::model::entry::StepResult;
use crate::net::redact::neutral;

/// The hidden subcommand that becomes a unit's program.
pub const START: &str = "exec-unit";
/// The hidden subcommand that notes how a unit's program ended.
pub const END: &str = "end-unit";

/// How often it is asked whether a unit has ended.
const POLL: Duration = Duration::from_millis(100);
/// How long the note of a program's end may take once the program has ended: a process is started.
const NOTE_WAIT: Duration = Duration::from_secs(10);
/// How long systemd may take to answer a question. It is slow only where the host is in trouble.
const ASK_WAIT: Duration = Duration::from_secs(10);
/// What the name of a plan's file ends in, beside its marker.
const PLAN: &str = "plan";
/// What that of a note's file does.
const NOTE: &str = "end";
/// The longest plan that is read: the journal's longest line and the longest environment.
const MAX_PLAN: u64 = 16 << 20;
/// The longest note that is read. Three words.
const MAX_NOTE: u64 = 4096;
/// The longest name that systemd gives a unit, in bytes.
const MAX_UNIT_NAME: usize = 255;

/// What a unit is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The unit.
    pub unit: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables, in addition to those that systemd gives.
    pub env: Vec<(String, String)>,
    /// What is on its standard input.
    pub document: String,
    /// The exit statuses that mean success.
    pub ok_exit: Vec<u8>,
    /// Between TERM and KILL, in milliseconds.
    pub grace_ms: u64,
}

impl Plan {
    fn of(program: Program<'_>) -> Self {
        let order = program.order;
        Self {
            unit: unit_name(&order.attempt.key(&order.deployment), order.attempt.number),
            argv: program.argv.to_vec(),
            env: order.env.clone(),
            document: order.document.clone(),
            ok_exit: program.ok_exit.to_vec(),
            grace_ms: u64::try_from(program.grace.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// Reads the plan beside a marker; `None`: there is none, so the attempt has no unit.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(marker: &Path) -> Result<Option<Self>, String> {
        let path = marker::beside(marker, PLAN);
        let told = |why: &str| format!("its plan `{}` is not readable: {why}", path.display());
        match marker::read_bounded(&path, MAX_PLAN) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| told(&e.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(told(&error.to_string())),
        }
    }
}

/// Notes how a program ended, in the words that systemd gives to `ExecStopPost=`.
///
/// # Errors
/// The system said no.
pub fn note_end(marker: &Path, result: &str, code: &str, status: &str) -> std::io::Result<()> {
    let words = [result, code, status].map(|word| if word.is_empty() { "-" } else { word });
    marker::create(&marker::beside(marker, NOTE), &format!("{}\n", words.join(" "))).map(drop)
}

/// The unit of an attempt: its key, escaped as systemd escapes paths, and its number. Where that is
/// too long for systemd, a hash of the key.
fn unit_name(key: &str, number: u32) -> String {
    let escape = |byte: u8| match byte {
        b'/' => "-".to_owned(),
        b'.' | b'_' | b':' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    };
    let escaped: String = key.bytes().map(escape).collect();
    let name = format!("rollguard-{escaped}-{number}.service");
    if name.len() <= MAX_UNIT_NAME {
        return name;
    }
    let hash: String = Sha256::digest(key)[..16].iter().map(|b| format!("{b:02x}")).collect();
    format!("rollguard-{hash}-{number}.service")
}

/// Runs a program in a unit of its own to its end, or until it is called off: what became of it,
/// and what it printed.
pub(super) async fn run(program: Program<'_>) -> (StepResult, String) {
    let plan = Plan::of(program);
    tokio::select! {
        ended = run_to_its_end(program, &plan) => ended,
        () = program.off.notified() => {
            match inspect(program.marker, &plan, Duration::ZERO).await {
                (StepResult::TimedOut, said) => (StepResult::CalledOff, said),
                ended => ended,
            }
        }
    }
}

async fn run_to_its_end(program: Program<'_>, plan: &Plan) -> (StepResult, String) {
    let text = serde_json::to_string(plan).expect("plain data always serializes");
    match marker::create(&marker::beside(program.marker, PLAN), &text) {
        Ok(Some(_)) => {}
        // Another order has used this attempt up.
        Ok(None) => return inspect(program.marker, plan, program.order.timeout).await,
        Err(error) => return (could_not_start(&plan.argv, &error.to_string()), String::new()),
    }
    let limit = program.order.timeout + program.grace + KILL_WAIT;
    let (said, is_over) = match start(program, plan, limit).await {
        Ok(ended) => ended,
        Err(error) => {
            let why = format!("systemd-run: {error}, is systemd installed?");
            return (could_not_start(&plan.argv, &why), String::new());
        }
    };
    if is_over && let Some(never) = never_started(program.marker, plan, &said) {
        return never;
    }
    follow(program.marker, plan, Instant::now(), Seen::Live).await
}

/// Starts the unit and waits for its end, or until it is certain that something is wrong: what
/// `systemd-run` said, and whether it has ended.
async fn start(
    program: Program<'_>,
    plan: &Plan,
    limit: Duration,
) -> std::io::Result<(String, bool)> {
    let mut command = Command::new("systemd-run");
    command.args(arguments(program, plan)).process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut output = Output::default();
    let ended = timeout(limit, async {
        if let Some(errors) = child.stderr.take() {
            output.read(errors).await;
        }
        child.wait().await
    });
    let is_over = ended.await.is_ok();
    Ok((output.text(), is_over))
}

/// What `systemd-run` is given. Only our own paths are on it.
fn arguments(program: Program<'_>, plan: &Plan) -> Vec<String> {
    let rollguard = program.rollguard.to_string_lossy();
    let exe = fs::read_link(program.rollguard).unwrap_or_else(|_| program.rollguard.into());
    // A binary that was replaced while it runs is found where its successor is.
    let exe = exe.to_string_lossy();
    let exe = if rollguard.starts_with("/proc/") {
        exe.strip_suffix(" (deleted)").unwrap_or(&exe).to_owned()
    } else {
        rollguard.into_owned()
    };
    let marker = program.marker.to_string_lossy();
    let seconds = |span: Duration| format!("{}ms", span.as_millis().max(1));
    let mut arguments: Vec<String> =
        ["--quiet", "--no-ask-password", "--wait", "--collect"].map(str::to_owned).into();
    arguments.push(format!("--unit={}", plan.unit));
    // The guard reads what the unit writes, and a hook has no more rights in it than beside it.
    arguments.push(format!("--uid={}", rustix::process::getuid().as_raw()));
    arguments.push(format!("--gid={}", rustix::process::getgid().as_raw()));
    arguments.push("--description=rollguard step".to_owned());
    let post = format!("{} {END} {}", quoted(&exe), quoted(&marker));
    for property in [
        format!("RuntimeMaxSec={}", seconds(program.order.timeout)),
        format!("TimeoutStopSec={}", seconds(program.grace)),
        "StandardOutput=journal".to_owned(),
        "StandardError=journal".to_owned(),
        "WorkingDirectory=/".to_owned(),
        format!("ExecStopPost={post}"),
    ] {
        arguments.push(format!("--property={property}"));
    }
    let word = |text: &str| text.replace('$', "$$");
    arguments.extend(["--".to_owned(), word(&exe), START.to_owned(), word(&marker)]);
    arguments
}

/// A word of a command line in a unit: nothing in it is expanded.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// The attempt, where it has not started by now: it never will.
fn never_started(marker: &Path, plan: &Plan, said: &str) -> Option<(StepResult, String)> {
    match marker::abandon(marker) {
        Ok(true) => {
            let why = said.trim().lines().last().unwrap_or("systemd-run did not start the unit");
            Some((could_not_start(&plan.argv, why), said.to_owned()))
        }
        Ok(false) => None,
        Err(error) => Some((StepResult::Unknown, format!("its marker is not readable: {error}"))),
    }
}

/// Who asks how an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// The guard that started it.
    Live,
    /// A later one.
    Found,
}

/// What became of the unit of an attempt that an earlier guard may have started. The marker's
/// directory must be there.
pub(super) async fn inspect(marker: &Path, plan: &Plan, limit: Duration) -> (StepResult, String) {
    match marker::abandon(marker) {
        Ok(true) => Marker::Abandoned.meaning(),
        Ok(false) => follow(marker, plan, Instant::now() + limit, Seen::Found).await,
        Err(error) => (StepResult::Unknown, format!("its marker is not readable: {error}")),
    }
}

/// Waits for the end of a unit that has started, and ends it where that takes too long.
async fn follow(marker: &Path, plan: &Plan, deadline: Instant, seen: Seen) -> (StepResult, String) {
    match marker::read(marker) {
        Ok(Some(Marker::Started { failure: Some(why), .. })) if seen == Seen::Live => {
            return (could_not_start(&plan.argv, &why), String::new());
        }
        Ok(Some(Marker::Started { failure: None, .. })) => {}
        Ok(Some(marker)) => return marker.meaning(),
        Ok(None) | Err(_) => return (StepResult::Unknown, "its marker is not readable".to_owned()),
    }
    let mut deadline = deadline;
    let mut was_stopped = false;
    // The note may come a moment after the end.
    let mut note_deadline = None;
    loop {
        if let Some(note) = read_note(marker) {
            let result = if was_stopped { StepResult::TimedOut } else { meaning(&note, plan) };
            return (result, output(plan).await);
        }
        if note_deadline.is_none() && !is_running(marker, plan).await {
            note_deadline = Some(Instant::now() + NOTE_WAIT);
            continue;
        }
        let until = note_deadline.unwrap_or(deadline);
        if Instant::now() < until {
            sleep(POLL.min(until.saturating_duration_since(Instant::now()))).await;
        } else if note_deadline.is_some() {
            let text = format!("{} has ended, and nobody knows how", plan.unit);
            return (StepResult::Unknown, text);
        } else if was_stopped {
            let text = format!("{} is still running, although it was stopped", plan.unit);
            return (StepResult::Unknown, text);
        } else {
            was_stopped = true;
            // It may have ended by now, which is what is wanted.
            let _ = ask("systemctl", &["stop", "--no-block", &plan.unit]).await;
            deadline = Instant::now() + Duration::from_millis(plan.grace_ms) + KILL_WAIT;
        }
    }
}

fn read_note(marker: &Path) -> Option<String> {
    let note = marker::read_bounded(marker::beside(marker, NOTE), MAX_NOTE).ok()?;
    String::from_utf8(note).ok().filter(|note| note.ends_with('\n'))
}

/// What systemd says of an end; see `$SERVICE_RESULT` in systemd.exec(5).
fn meaning(note: &str, plan: &Plan) -> StepResult {
    let mut words = note.split_whitespace();
    let mut word = || words.next().unwrap_or("-");
    let (result, code, status) = (word(), word(), word());
    match (result, code) {
        ("timeout", _) => StepResult::TimedOut,
        (_, "exited") => match status.parse::<u8>() {
            Ok(status) if plan.ok_exit.contains(&status) => StepResult::Done,
            _ => StepResult::Failed(format!("exit status {}", neutral(status))),
        },
        (_, "killed" | "dumped") => {
            StepResult::Failed(format!("killed by signal {}", neutral(status)))
        }
        (result, _) => StepResult::Failed(format!("systemd says {}", neutral(result))),
    }
}

/// Whether the unit's program runs, as far as the system or systemd knows.
async fn is_running(marker: &Path, plan: &Plan) -> bool {
    let process = match marker::read(marker) {
        Ok(Some(Marker::Started { process, .. })) => process,
        Ok(Some(Marker::Abandoned) | None) | Err(_) => None,
    };
    if process.as_ref().is_some_and(Process::is_alive) {
        return true;
    }
    let asked = ["show", "--property=ActiveState", "--value", &plan.unit];
    let state = ask("systemctl", &asked).await.unwrap_or_default();
    ["active", "activating", "deactivating", "reloading"].contains(&state.trim())
}

/// The end of what the unit printed, from the system's journal.
async fn output(plan: &Plan) -> String {
    let unit = format!("--unit={}", plan.unit);
    let asked = ["--quiet", "--no-pager", "--output=cat", "--lines=200", &unit];
    let said = ask("journalctl", &asked).await.unwrap_or_default();
    if said.trim().is_empty() { format!("unit {}", plan.unit) } else { said }
}

/// The version of the systemd that answers; `None`: none does.
pub async fn manager_version() -> Option<String> {
    let version = ask("systemctl", &["show", "--property=Version", "--value"]).await?;
    Some(neutral(version.trim())).filter(|version| !version.is_empty())
}

/// Asks a program of systemd; `None`: it has no answer.
async fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().ok()?;
    let pipe = child.stdout.take()?;
    let mut output = Output::default();
    let read = async {
        output.read(pipe).await;
        child.wait().await.is_ok_and(|status| status.success())
    };
    timeout(ASK_WAIT, read).await.ok().filter(|is_answer| *is_answer)?;
    Some(output.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_named_after_the_key_of_its_attempt() {
        let name = unit_name("v2-20261121T070000Z/rollback/0", 3);
        assert_eq!(name, "rollguard-v2\\x2d20261121T070000Z-rollback-0-3.service");
        let other = unit_name("v2/20261121T070000Z-rollback/0", 3);
        assert_ne!(name, other);
        let long = unit_name(&format!("{}/hook/0", "a-".repeat(64)), 1);
        assert!(long.len() <= MAX_UNIT_NAME && long.starts_with("rollguard-"), "{long}");
        assert_ne!(long, unit_name(&format!("{}b/hook/0", "a-".repeat(63)), 1));
    }

    #[test]
    fn how_systemd_says_that_a_program_ended_is_understood() {
        let plan = Plan {
            unit: String::new(),
            argv: Vec::new(),
            env: Vec::new(),
            document: String::new(),
            ok_exit: vec![0, 3],
            grace_ms: 0,
        };
        let check = |note: &str, result: StepResult| assert_eq!(meaning(note, &plan), result);
        check("success exited 0\n", StepResult::Done);
        check("exit-code exited 3\n", StepResult::Done);
        check("exit-code exited 75\n", StepResult::Failed("exit status 75".into()));
        check("signal killed KILL\n", StepResult::Failed("killed by signal KILL".into()));
        check("timeout killed TERM\n", StepResult::TimedOut);
        check("resources - -\n", StepResult::Failed("systemd says resources".into()));
    }
}
