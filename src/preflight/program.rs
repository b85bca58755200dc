//! Says what the facts about a program mean for a step that runs it. `facts` gathers them.

use std::path::{Path, PathBuf};

use super::report::Finding;
use super::sandbox::Sandbox;

/// Programs that make code while they run, and die where memory may not be written and executed.
const COMPILING: [&str; 12] = [
    "node", "nodejs", "deno", "bun", "java", "dotnet", "luajit", "pypy", "pypy3", "php", "julia",
    "wasmtime",
];

/// Programs that look for their settings at home.
const AT_HOME: [&str; 12] = [
    "kubectl",
    "helm",
    "aws",
    "gcloud",
    "az",
    "ssh",
    "scp",
    "docker",
    "podman",
    "terraform",
    "git",
    "gh",
];

/// Below these nothing is written by a hook, so that they are read-only is as it should be.
const READ_ONLY: [&str; 9] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"];

/// What to do about a sandbox that is too tight.
const DROP_IN: &str = "see rollguard-hooks.conf, a drop-in for the unit";

/// The facts about a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Where it is.
    pub path: PathBuf,
    /// Its permission bits, with setuid and setgid.
    pub mode: u32,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
    /// Whether others can put another in its place: its directory is writable for everybody.
    pub replaceable: bool,
    /// Whether this process may execute it.
    pub executable: bool,
    /// Whether it has capabilities of its own.
    pub capable: bool,
    /// What runs it.
    pub interpreter: Interpreter,
}

/// What runs a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interpreter {
    /// The system itself.
    None,
    /// The program that its first line names, which is there.
    Found(PathBuf),
    /// The program that its first line names, which is not.
    Missing(String),
    /// Neither is known: it is no program of the system, and has no first line that names one.
    Unknown,
}

/// The rights and the environment that a program is run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessContext {
    /// Its sandbox; `None`: it is run outside of it.
    pub sandbox: Option<Sandbox>,
    /// The effective user.
    pub uid: u32,
    /// Whether a home directory is named and can be entered.
    pub home: bool,
}

/// Says what the facts mean for a program that is run in this context.
pub fn judge(facts: &ProgramFacts, context: &ProcessContext) -> Vec<Finding> {
    let path = facts.path.display();
    let mut all = Vec::new();
    if facts.executable {
        all.push(Finding::ok(format!("{path} is there and may be run")));
    } else {
        let remedy = format!("chmod a+x {path}; or it is on a file system mounted noexec");
        all.push(Finding::fail(format!("{path} may not be run"), remedy));
    }
    all.extend(trust(facts, context.uid));
    all.extend(interpreter(facts));
    if let Some(sandbox) = &context.sandbox {
        all.extend(in_sandbox(facts, sandbox));
    }
    if !context.home && names(facts).any(|name| AT_HOME.contains(&name)) {
        let what = format!("{path} looks for its settings at home, and HOME is not usable");
        all.push(Finding::warn(what, format!("Environment=HOME=… in the unit; {DROP_IN}")));
    }
    all
}

/// Who else decides what is run.
fn trust(facts: &ProgramFacts, uid: u32) -> Option<Finding> {
    const WORLD: u32 = 0o002;
    const GROUP: u32 = 0o020;
    let path = facts.path.display();
    if facts.mode & WORLD != 0 {
        let remedy = format!("chmod o-w {path}");
        return Some(Finding::fail(format!("everybody can write {path}"), remedy));
    }
    if facts.replaceable {
        let remedy = "take write permission for its directory from others, or move it";
        return Some(Finding::fail(format!("everybody can replace {path}"), remedy));
    }
    if facts.mode & GROUP != 0 && facts.group != 0 {
        let remedy = format!("chmod g-w {path}, unless the group may do what rollguard may");
        return Some(Finding::warn(format!("group {} can write {path}", facts.group), remedy));
    }
    let foreign = facts.owner != 0 && facts.owner != uid;
    foreign.then(|| {
        let remedy = format!("chown root {path}, unless this user may do what rollguard may");
        Finding::warn(format!("user {} can write {path}", facts.owner), remedy)
    })
}

fn interpreter(facts: &ProgramFacts) -> Option<Finding> {
    let path = facts.path.display();
    match &facts.interpreter {
        Interpreter::None => None,
        Interpreter::Found(by) => Some(Finding::ok(format!("{} runs it", by.display()))),
        Interpreter::Missing(by) => Some(Finding::fail(
            format!("its first line names {by}, which is not there or cannot be run"),
            "install it, correct the #! line (no carriage return at its end), or set PATH",
        )),
        Interpreter::Unknown => Some(Finding::warn(
            format!("{path} is neither a program nor a script with a #! line"),
            "write #! and its interpreter as the first line: what runs it is not certain",
        )),
    }
}

fn in_sandbox(facts: &ProgramFacts, sandbox: &Sandbox) -> Vec<Finding> {
    const SETUID: u32 = 0o4000;
    const SETGID: u32 = 0o2000;
    let path = facts.path.display();
    let mut all = Vec::new();
    if sandbox.no_new_privs && facts.mode & (SETUID | SETGID) != 0 {
        all.push(Finding::fail(
            format!("{path} is setuid or setgid, which has no effect: NoNewPrivileges=yes"),
            format!("a polkit rule in its place, or NoNewPrivileges=no; {DROP_IN}"),
        ));
    } else if sandbox.no_new_privs && facts.capable {
        all.push(Finding::warn(
            format!("the capabilities of {path} have no effect: NoNewPrivileges=yes"),
            format!("AmbientCapabilities= or NoNewPrivileges=no; {DROP_IN}"),
        ));
    }
    if sandbox.seccomp
        && let Some(name) = names(facts).find(|name| COMPILING.contains(name))
    {
        all.push(Finding::warn(
            format!("{name} makes code while it runs: MemoryDenyWriteExecute=yes would end it"),
            format!("MemoryDenyWriteExecute=no, and try it: rollguard drill; {DROP_IN}"),
        ));
    }
    all
}

/// The names of the program and of what runs it.
fn names(facts: &ProgramFacts) -> impl Iterator<Item = &str> {
    let by = match &facts.interpreter {
        Interpreter::Found(by) => Some(by.as_path()),
        Interpreter::None | Interpreter::Missing(_) | Interpreter::Unknown => None,
    };
    let paths = std::iter::once(facts.path.as_path()).chain(by);
    paths.filter_map(|path| path.file_name()?.to_str())
}

/// What a sandbox means for the paths among a program's arguments. Whether the program writes to
/// them is not known, so nothing here is more than a warning.
pub fn arguments<'a>(
    paths: impl Iterator<Item = &'a Path>,
    sandbox: &Sandbox,
    is_there: impl Fn(&Path) -> bool,
) -> Vec<Finding> {
    let about = |path: &Path| {
        let shown = path.display();
        if sandbox.is_private(path) {
            let what = format!("{shown} is in a /tmp of the daemon's own: PrivateTmp=yes");
            return Some(Finding::warn(
                what,
                format!("another place, or PrivateTmp=no; {DROP_IN}"),
            ));
        }
        if READ_ONLY.iter().any(|root| path.starts_with(root)) {
            return None;
        }
        if !is_there(path) {
            let what = format!("{shown} is not there for the daemon");
            let remedy = "create it, or let the daemon see it: ProtectHome=, BindPaths=";
            return Some(Finding::warn(what, remedy));
        }
        let read_only = sandbox.mount_of(path).is_some_and(|mount| mount.read_only);
        read_only.then(|| {
            let what = format!("{shown} is read-only for the daemon");
            let remedy = format!("if the program writes there: ReadWritePaths={shown}; {DROP_IN}");
            Finding::warn(what, remedy)
        })
    };
    paths.filter_map(about).collect()
}

/// The interpreter that a script's first bytes name, with the program that `env` is to look up;
/// `None`: there is no such line. A carriage return is part of the name, as it is for the system.
pub fn script(head: &str) -> Option<(String, Option<String>)> {
    let line = head.strip_prefix("#!")?.split('\n').next()?;
    let mut words = line.trim_matches([' ', '\t']).split([' ', '\t']).filter(|w| !w.is_empty());
    let by = words.next().unwrap_or_default().to_owned();
    let is_env = Path::new(&by).file_name().is_some_and(|name| name == "env");
    let wanted = words.find(|word| !word.starts_with('-') && !word.contains('='));
    Some((by, wanted.filter(|_| is_env).map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::report::FindingLevel;

    fn facts(path: &str, mode: u32, interpreter: Interpreter) -> ProgramFacts {
        let path = path.into();
        let (owner, group, replaceable, executable, capable) = (0, 0, false, true, false);
        ProgramFacts { path, mode, owner, group, replaceable, executable, capable, interpreter }
    }

    fn strict() -> Sandbox {
        let mounts =
            "1 0 8:1 / / ro - ext4 x rw\n2 1 8:1 /tmp/systemd-private-a/tmp /tmp rw - x y z";
        Sandbox::read("NoNewPrivs:\t1\nSeccomp:\t2\n", mounts)
    }

    #[track_caller]
    fn check(facts: &ProgramFacts, sandbox: Option<Sandbox>, level: FindingLevel, part: &str) {
        let found = judge(facts, &ProcessContext { sandbox, uid: 998, home: false });
        let worst = found.iter().max_by_key(|finding| finding.level).unwrap();
        assert!(worst.level == level && worst.what.contains(part), "{found:?}");
        assert!(
            found.iter().all(|f| f.remedy.is_some() != (f.level == FindingLevel::Ok)),
            "{found:?}"
        );
    }

    #[test]
    fn what_would_break_a_program_is_found() {
        let plain = |path: &str, mode| facts(path, mode, Interpreter::None);
        check(&plain("/bin/true", 0o755), Some(strict()), FindingLevel::Ok, "may be run");
        check(&plain("/usr/bin/sudo", 0o4755), Some(strict()), FindingLevel::Fail, "setuid");
        check(&plain("/usr/bin/sudo", 0o4755), None, FindingLevel::Ok, "may be run");
        check(&plain("/opt/x", 0o777), None, FindingLevel::Fail, "everybody can write");
        check(
            &ProgramFacts { replaceable: true, ..plain("/opt/x", 0o755) },
            None,
            FindingLevel::Fail,
            "replace",
        );
        check(
            &ProgramFacts { executable: false, ..plain("/opt/x", 0o644) },
            None,
            FindingLevel::Fail,
            "not be",
        );
        check(
            &ProgramFacts { owner: 1000, ..plain("/opt/x", 0o755) },
            None,
            FindingLevel::Warn,
            "user 1000",
        );
        check(
            &ProgramFacts { group: 50, ..plain("/opt/x", 0o775) },
            None,
            FindingLevel::Warn,
            "group 50",
        );
        let capable = ProgramFacts { capable: true, ..plain("/bin/ping", 0o755) };
        check(&capable, Some(strict()), FindingLevel::Warn, "capabilities");
        check(&plain("/usr/bin/node", 0o755), Some(strict()), FindingLevel::Warn, "MemoryDeny");
        let script = facts("/opt/x", 0o755, Interpreter::Found("/usr/bin/java".into()));
        check(&script, Some(strict()), FindingLevel::Warn, "java makes code");
        check(&plain("/usr/bin/kubectl", 0o755), None, FindingLevel::Warn, "HOME");
        let missing = Interpreter::Missing("/bin/bash\r".to_owned());
        check(&facts("/opt/x", 0o755, missing), None, FindingLevel::Fail, "first line names");
        check(&facts("/opt/x", 0o755, Interpreter::Unknown), None, FindingLevel::Warn, "neither");
    }

    #[test]
    fn paths_among_the_arguments_are_held_against_the_sandbox() {
        let found = |path: &str, there| {
            let found = arguments(std::iter::once(Path::new(path)), &strict(), |_| there);
            found.first().map(|finding| finding.what.clone()).unwrap_or_default()
        };
        assert!(found("/srv/api/current", true).contains("read-only"));
        assert!(found("/home/deploy/x", false).contains("not there"));
        assert!(found("/tmp/x", true).contains("PrivateTmp"));
        assert_eq!(found("/etc/x.conf", false), "");
        assert!(
            arguments([Path::new("/srv")].into_iter(), &Sandbox::default(), |_| true).is_empty()
        );
    }

    #[test]
    fn the_first_line_of_a_script_is_read_as_the_system_reads_it() {
        let by = |head: &str| script(head).map(|(by, wanted)| (by, wanted.unwrap_or_default()));
        let pair = |by: &str, wanted: &str| Some((by.to_owned(), wanted.to_owned()));
        assert_eq!(by("#!/bin/sh\necho"), pair("/bin/sh", ""));
        assert_eq!(by("#! /bin/sh -e\n"), pair("/bin/sh", ""));
        assert_eq!(by("#!/usr/bin/env python3\n"), pair("/usr/bin/env", "python3"));
        assert_eq!(by("#!/usr/bin/env -S A=1 deno run\n"), pair("/usr/bin/env", "deno"));
        assert_eq!(by("#!/bin/bash\r\n"), pair("/bin/bash\r", ""));
        assert_eq!(by("echo"), None);
    }
}
