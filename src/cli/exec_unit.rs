//! `rollguard exec-unit` and `rollguard end-unit`: hidden; what systemd runs as a hook's unit and
//! after its end. The first claims the attempt's marker and becomes the program, the second notes
//! how that ended. They must do nothing else. See [`crate::hook::unit`] for the reasoning.

#![expect(clippy::disallowed_methods, reason = "becomes the hook's program; systemd tells its end")]

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

use super::exec_step::{NOT_CLAIMED, NOT_EXECUTED, claim, give_up, reason, refuse};
use super::exit;
use super::out::Ended;
use crate::hook::unit::{self, Plan};

/// Becomes the program of the plan beside the marker, if the marker can be claimed. Returns only
/// where the program was not started.
pub(super) fn run(marker: &Path) -> Ended {
    let plan = Plan::read(marker).map_err(|why| refuse(NOT_CLAIMED, &why))?;
    let plan = plan.ok_or_else(|| refuse(NOT_CLAIMED, "this attempt was given up"))?;
    let Some((program, arguments)) = plan.argv.split_first() else {
        return Err(refuse(NOT_CLAIMED, "no program is named"));
    };
    let claim = claim(marker)?;
    let input = match document(&plan.document) {
        Ok(input) => input,
        Err(error) => return give_up(claim, NOT_EXECUTED, &format!("no input: {error}")),
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(plan.env).stdin(Stdio::from(input)).current_dir("/");
    let error = command.exec();
    give_up(claim, NOT_EXECUTED, &reason(&error))
}

/// A file in memory: a pipe would need somebody to write it.
fn document(text: &str) -> io::Result<File> {
    let mut file = File::from(memfd_create("document", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// Notes how the program ended, as systemd says it in the environment.
pub(super) fn end(marker: &Path) -> Ended {
    let [result, code, status] = ["SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS"]
        .map(|name| std::env::var(name).unwrap_or_default());
    let noted = unit::note_end(marker, &result, &code, &status).map(|()| exit::OK);
    noted.map_err(|error| refuse(NOT_CLAIMED, &format!("could not note the end: {error}")))
}
