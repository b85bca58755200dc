//! Gathers the facts about programs: where they are, who may change them, what runs them, and what
//! this process may do.

#![expect(clippy::disallowed_methods, reason = "programs are looked up in this environment")]

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat, getxattr};

use crate::hook::unit;
use crate::preflight::{
    Finding, Interpreter, ProcessContext, ProgramFacts, Sandbox, arguments, judge, script,
};

/// How much of a program is read for its first line. The system reads 256 bytes.
const HEAD: u64 = 256;

/// What a program of the system begins with.
const ELF: &[u8] = b"\x7fELF";

/// What this process may do.
pub(super) fn context() -> ProcessContext {
    let read = |path: &str| fs::read_to_string(path).ok();
    let sandbox = read("/proc/self/status").zip(read("/proc/self/mountinfo"));
    let home = std::env::var_os("HOME").map(PathBuf::from);
    ProcessContext {
        sandbox: sandbox.map(|(status, mounts)| Sandbox::read(&status, &mounts)),
        uid: rustix::process::geteuid().as_raw(),
        home: home.is_some_and(|home| may(&home, Access::READ_OK | Access::EXEC_OK)),
    }
}

fn may(path: &Path, access: Access) -> bool {
    accessat(CWD, path, access, AtFlags::EACCESS).is_ok()
}

/// Whether somebody restarts the daemon when it dies or hangs.
pub(super) fn supervisor() -> Vec<Finding> {
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let mut all = Vec::new();
    all.push(match (is_set("NOTIFY_SOCKET"), is_set("WATCHDOG_USEC")) {
        (true, true) => Finding::ok("the service manager restarts it when it dies or hangs"),
        (true, false) => {
            let what = "no watchdog: nobody notices when the daemon hangs";
            Finding::warn(what, "WatchdogSec=30 in the unit")
        }
        (false, _) => Finding::warn(
            "no service manager listens: nobody may restart a daemon that dies or hangs",
            "run it as Type=notify with Restart=always; elsewhere ask /healthz",
        ),
    });
    if !is_set("PATH") {
        let what = "PATH is not set: hooks find programs by their whole path only";
        all.push(Finding::warn(what, "Environment=PATH=/usr/local/bin:/usr/bin:/bin in the unit"));
    }
    all
}

/// Whether programs can be started in units of their own.
pub(super) async fn systemd_run(uid: u32) -> Vec<Finding> {
    let mut all = Vec::new();
    let remedy = "run the daemon where systemd runs, or take `via` from the step";
    match found("systemd-run") {
        Some(path) => all.push(Finding::ok(format!("{} is there", path.display()))),
        None => all.push(Finding::fail("systemd-run is not in PATH", remedy)),
    }
    match unit::manager_version().await {
        Some(version) => all.push(Finding::ok(format!("systemd {version} answers"))),
        None => all.push(Finding::fail("systemd does not answer on the bus", remedy)),
    }
    if uid != 0 {
        let what = format!("whether user {uid} may start units is not seen from here");
        all.push(Finding::warn(what, "a polkit rule, see docs/hooks.md; try it: rollguard drill"));
    }
    all
}

/// A program and the paths among its arguments.
pub(super) fn program(program: &str, paths: &[PathBuf], context: &ProcessContext) -> Vec<Finding> {
    let Some(path) = found(program) else {
        let remedy = "install it, or name its whole path; PATH is that of the daemon";
        return vec![Finding::fail(format!("{program} is not there for the daemon"), remedy)];
    };
    let facts = match facts(path.clone()) {
        Ok(facts) => facts,
        Err(why) => {
            let remedy = "name a program that the daemon's user may read and run";
            return vec![Finding::fail(format!("{}: {why}", path.display()), remedy)];
        }
    };
    let mut all = judge(&facts, context);
    if let Some(sandbox) = &context.sandbox {
        all.extend(arguments(paths.iter().map(PathBuf::as_path), sandbox, Path::exists));
    }
    all
}

/// Where a program is that is named so.
fn found(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        // Hooks are started in the root directory.
        let path = Path::new("/").join(program);
        return path.exists().then_some(path);
    }
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).map(|place| place.join(program));
    let mut files = places.filter(|file| file.is_file());
    files.find(|file| may(file, Access::EXEC_OK))
}

fn facts(path: PathBuf) -> Result<ProgramFacts, String> {
    const STICKY: u32 = 0o1000;
    const WORLD: u32 = 0o002;
    let metadata = fs::metadata(&path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let real = fs::canonicalize(&path).map_err(|error| error.to_string())?;
    let parent = real.parent().and_then(|parent| fs::metadata(parent).ok());
    let replaceable = parent.is_some_and(|p| p.mode() & WORLD != 0 && p.mode() & STICKY == 0);
    Ok(ProgramFacts {
        mode: metadata.mode() & 0o7777,
        owner: metadata.uid(),
        group: metadata.gid(),
        replaceable,
        executable: may(&path, Access::EXEC_OK),
        capable: getxattr(&path, "security.capability", &mut [0_u8; 64][..]).is_ok(),
        interpreter: interpreter(&path),
        path,
    })
}

/// A program that cannot be read may still be run, and then it is no script.
fn interpreter(path: &Path) -> Interpreter {
    let mut head = Vec::new();
    let Ok(file) = File::open(path) else { return Interpreter::None };
    if file.take(HEAD).read_to_end(&mut head).is_err() || head.starts_with(ELF) {
        return Interpreter::None;
    }
    let Some((by, wanted)) = script(&String::from_utf8_lossy(&head)) else {
        return Interpreter::Unknown;
    };
    let runs = |name: &str| found(name).filter(|path| may(path, Access::EXEC_OK));
    let Some(by_path) = runs(&by) else { return Interpreter::Missing(by) };
    match wanted {
        None => Interpreter::Found(by_path),
        Some(wanted) => runs(&wanted).map_or(Interpreter::Missing(wanted), Interpreter::Found),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::preflight::FindingLevel;

    #[test]
    fn a_program_is_looked_at_as_it_would_be_run() {
        let dir = tempfile::tempdir().unwrap();
        let context = context();
        let check = |name: &str, text: &str, mode: u32, level: FindingLevel, part: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = program(path.to_str().unwrap(), &[], &context);
            let worst = found.iter().max_by_key(|finding| finding.level).unwrap();
            assert!(worst.level == level && worst.what.contains(part), "{name}: {found:?}");
        };
        check("fine", "#!/bin/sh\n", 0o755, FindingLevel::Ok, "");
        check("by-env", "#!/usr/bin/env sh\n", 0o755, FindingLevel::Ok, "");
        check("windows", "#!/bin/sh\r\n", 0o755, FindingLevel::Fail, "first line");
        check(
            "absent",
            "#!/usr/bin/env no-such-thing\n",
            0o755,
            FindingLevel::Fail,
            "no-such-thing",
        );
        check("bare", "echo\n", 0o755, FindingLevel::Warn, "neither");
        check("open", "#!/bin/sh\n", 0o757, FindingLevel::Fail, "everybody can write");
        check("plain", "#!/bin/sh\n", 0o644, FindingLevel::Fail, "may not be run");
        let of = |name: &str| program(name, &[], &context).remove(0);
        assert_eq!(of("sh").level, FindingLevel::Ok);
        assert!(of("no-such-program").what.contains("not there"));
        assert!(of(dir.path().to_str().unwrap()).what.contains("not a regular file"));
    }
}
