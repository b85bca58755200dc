//! Checks secrets and the directories where the daemon keeps things. Whether something may be
//! written is asked of the system, not tried.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};

use crate::journal::journal_file;
use crate::load::Places;
use crate::model::target::Secret;
use crate::net::credential;
use crate::preflight::Finding;

/// With less space than this evidence is soon lost: some thousand deployments.
const LITTLE_SPACE: u64 = 64 << 20;

/// With less than this the next deployments may not fit.
const NO_SPACE: u64 = 1 << 20;

/// A secret; its value goes nowhere.
pub(super) fn secret(what: &str, secret: &Secret) -> Finding {
    let place = match secret {
        Secret::Literal(_) => "in the configuration".to_owned(),
        Secret::File(path) => path.display().to_string(),
        Secret::Env(name) => format!("variable {name}"),
    };
    let value = match credential::value(secret) {
        Ok(value) => value,
        Err(why) => {
            let remedy = "let the daemon's user read it, or LoadCredential= in the unit";
            return Finding::fail(format!("no {what}: {why}"), remedy);
        }
    };
    if value.is_empty() {
        return Finding::fail(format!("{what} is empty: {place}"), "write the secret into it");
    }
    if value.chars().any(char::is_control) {
        let remedy = "one line and nothing else; a newline at its end is taken off";
        return Finding::fail(format!("{what} holds a newline or the like: {place}"), remedy);
    }
    if let Secret::File(path) = secret
        && fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
    {
        let remedy = format!("chmod o-r {place}");
        return Finding::fail(format!("everybody on this host can read {what}: {place}"), remedy);
    }
    if value.trim() != value {
        let remedy = "take the space away unless it is part of the secret";
        return Finding::warn(format!("{what} begins or ends with a space: {place}"), remedy);
    }
    Finding::ok(format!("{what} is there: {place}"))
}

/// Where the daemon keeps things.
pub(super) fn places(places: &Places) -> Vec<Finding> {
    let mut all = vec![directory("state directory", &places.state)];
    all.extend(space(&places.state));
    let journal = journal_file(&places.state);
    if journal.exists() {
        all.push(writable("journal", &journal, Access::READ_OK | Access::WRITE_OK));
    }
    if let Some(run) = places.control.parent() {
        all.push(directory("directory of the control socket", run));
    }
    all
}

fn directory(what: &str, path: &Path) -> Finding {
    if !path.is_dir() {
        let remedy = "StateDirectory= and RuntimeDirectory= in the unit, or create it";
        return Finding::fail(format!("no {what}: {}", path.display()), remedy);
    }
    writable(what, path, Access::WRITE_OK | Access::EXEC_OK)
}

fn writable(what: &str, path: &Path, access: Access) -> Finding {
    let shown = path.display();
    match accessat(CWD, path, access, AtFlags::EACCESS) {
        Ok(()) => Finding::ok(format!("{what} may be written: {shown}")),
        Err(error) => Finding::fail(
            format!("{what} may not be written: {shown}: {error}"),
            "its owner is the daemon's user; ReadWritePaths= where it is elsewhere",
        ),
    }
}

fn space(state: &Path) -> Option<Finding> {
    let space = statvfs(state).ok()?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let what = format!("{} MiB free for the journal", free >> 20);
    let remedy = "make room: a journal that cannot be written ends all rollbacks";
    Some(if free < NO_SPACE {
        Finding::fail(what, remedy)
    } else if free < LITTLE_SPACE {
        Finding::warn(what, remedy)
    } else {
        Finding::ok(what)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::preflight::FindingLevel;

    #[test]
    fn a_secret_that_would_not_work_is_found_and_never_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let check = |text: &str, mode: u32, level: FindingLevel, part: &str| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = secret("token", &Secret::File(path.clone()));
            assert!(found.level == level && found.what.contains(part), "{found:?}");
            assert!(!found.what.contains("hunter"), "{found:?}");
        };
        check("hunter2\n", 0o600, FindingLevel::Ok, "is there");
        check("hunter2", 0o640, FindingLevel::Ok, "is there");
        check("\n", 0o600, FindingLevel::Fail, "empty");
        check("hunter2\n\n", 0o600, FindingLevel::Fail, "newline");
        check("hunter2 \n", 0o600, FindingLevel::Warn, "space");
        check("hunter2\n", 0o644, FindingLevel::Fail, "everybody");
        let absent = secret("token", &Secret::Env("ROLLGUARD_TEST_NO_SUCH_VARIABLE".to_owned()));
        assert_eq!(absent.level, FindingLevel::Fail);
    }

    #[test]
    fn where_things_are_kept_is_looked_at_and_nothing_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (state, run) = (dir.path().join("state"), dir.path().join("run"));
        let listen = crate::config::Listen::Off;
        let at = Places { state: state.clone(), control: run.join("x.sock"), listen };
        let found = places(&at);
        assert!(found.iter().any(|f| f.level == FindingLevel::Fail && f.what.contains("no state")));
        assert!(!state.exists() && !run.exists());
        fs::create_dir(&state).unwrap();
        fs::create_dir(&run).unwrap();
        assert!(places(&at).iter().all(|finding| finding.level != FindingLevel::Fail));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    }
}
