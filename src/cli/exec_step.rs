//! `rollguard exec-step`: hidden; what the guard starts instead of a hook's program. It claims the
//! attempt's marker and becomes the program. It must do nothing else: everything that happens here
//! happens between the decision to act and the act. See [`marker`] for the reasoning.

#![expect(clippy::disallowed_methods, reason = "becomes the hook's program")]

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, getppid};

use super::out::{CommandError, Ended};
use crate::hook::marker::{self, Claim, Process};
use crate::hook::strays::VARIABLE;

/// Exit status: this attempt was started before.
pub(super) const ALREADY_STARTED: u8 = 119;
/// Exit status: it could not be made sure that the attempt starts only once, so it was not started.
pub(super) const NOT_CLAIMED: u8 = 118;
/// Exit status: the program could not be started; what shells use too.
pub(super) const NOT_EXECUTED: u8 = 127;

/// Becomes the program `argv` if the marker can be claimed and process `parent`, the guard, is
/// still the parent. Returns only where the program was not started.
///
/// What is printed here is taken for the hook's output.
pub(super) fn run(marker: &Path, parent: i32, argv: &[OsString]) -> Ended {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(refuse(NOT_CLAIMED, "no program is named"));
    };
    let claim = claim(marker)?;
    // After the claim, not before: another guard may have given this attempt up in between.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return give_up(claim, NOT_CLAIMED, "the guard that ordered this is gone");
    }
    // Here and not in the guard, as starting a process in another directory can take the system's
    // slow way, a copy of the guard.
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    if let Ok(this) = Process::this() {
        // What it starts is known by this, should it have to be ended.
        command.env(VARIABLE, this.mark());
    }
    let error = command.exec();
    give_up(claim, NOT_EXECUTED, &reason(&error))
}

/// Claims the marker, or says why the program must not be started.
pub(super) fn claim(marker: &Path) -> Result<Claim, CommandError> {
    match marker::claim(marker) {
        Ok(Some(claim)) => Ok(claim),
        Ok(None) => Err(refuse(ALREADY_STARTED, "this attempt was already started")),
        Err(error) => {
            let why = format!("could not create the marker `{}`: {error}", marker.display());
            Err(refuse(NOT_CLAIMED, &why))
        }
    }
}

pub(super) fn give_up(claim: Claim, status: u8, why: &str) -> Ended {
    // Where this fails, the attempt counts as started: the safe side.
    let _ = claim.note_failure(why);
    Err(refuse(status, why))
}

pub(super) fn refuse(code: u8, why: &str) -> CommandError {
    CommandError { code, text: format!("rollguard: {why}") }
}

/// The system's reason, with what usually helps.
pub(super) fn reason(error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(2) => ", is it installed, and so is what its first line names?",
        Some(8) => ", does a script lack its #! line?",
        Some(13) => ", is it executable, and may this user run it?",
        Some(_) | None => "",
    };
    format!("{error}{hint}")
}
