//! The marker of an attempt: one file that is created at most once, by whoever is about to start
//! the attempt or by whoever makes sure that it can never start. It exists so that an attempt
//! starts at most once, whatever is killed whenever. A marker must never be overwritten, and never
//! be removed while its attempt may still be ordered or inspected.
//!
//! Markers are at `<state>/steps/<deployment>/<hook>,<step>,<number>`, with `,<stage>.<time>` after
//! it where a stage is entered. No name holds a `/` or a `,`, so two attempts never share a marker,
//! and each part stays below 255 bytes.
//!
//! # Why an attempt starts at most once
//!
//! The guard does not start a hook's program. It starts its own binary (`cli/exec_step.rs`), which
//! creates the marker exclusively, makes it durable, sees that its parent still lives, and only
//! then becomes the program.
//!
//! - No marker: the program never started. Inspecting creates an *abandon marker*, and
//!   from then on it never will.
//! - A marker that names a process: the program started, or is about to, unless the marker also
//!   says that it did not.
//! - A marker without a readable process: its creator was interrupted, or it was the guard itself,
//!   about to send something; it counts as started.
//!
//! Once there is a marker, the attempt's number is used up, whatever the marker says.
//!
//! # Why markers can be removed
//!
//! Only a process that a dead guard left between its start and its marker could make use of a
//! removed marker. It does not create the deployment's directory, so it fails where that was
//! removed; and where a later attempt has created the directory anew, it finds that its parent is
//! gone *after* it has created its marker, notes that in it and ends.

#![expect(clippy::disallowed_methods, reason = "the owner of markers")]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::model::entry::{Attempt, StepResult};
use crate::model::name::DeploymentId;

/// The longest marker that is read. Three numbers and a system error are shorter by far.
const MAX_MARKER: u64 = 4096;

/// The longest name of a stage that stands in a marker's name as it is, in bytes.
const MAX_PLAIN: usize = 64;

const ABANDONED: &str = "never\n";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A process, told apart from every other process that has had its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id. Hooks lead a process group, whose id this is as well.
    pub pid: i32,
    /// When it started, in clock ticks since the boot. Becoming another program keeps it.
    started: u64,
    /// The boot, as ids and ticks recur after one.
    boot: String,
}

impl Process {
    /// The calling process.
    ///
    /// # Errors
    /// `/proc` does not tell.
    pub fn this() -> io::Result<Self> {
        Self::with_id(i32::try_from(std::process::id()).map_err(io::Error::other)?)
    }

    /// The process that has this id now.
    ///
    /// # Errors
    /// There is none, or `/proc` does not tell.
    pub fn with_id(pid: i32) -> io::Result<Self> {
        let started = stat(pid)?.started;
        let boot = fs::read_to_string(BOOT_ID)?.trim().to_owned();
        Ok(Self { pid, started, boot })
    }

    /// Whether it is there and has not ended (a zombie has).
    pub fn is_alive(&self) -> bool {
        let has_ended = stat(self.pid).map_or(true, |stat| stat.has_ended());
        !has_ended && Self::with_id(self.pid).is_ok_and(|now| now == *self)
    }

    /// A text that no other process has, for the variable that tells what a hook started.
    pub(crate) fn mark(&self) -> String {
        format!("{}.{}.{}", self.pid, self.started, self.boot)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("started ")?.split(' ');
        let mut word = || words.next();
        let (pid, started) = (word()?.parse().ok()?, word()?.parse().ok()?);
        let boot = word()?.to_owned();
        (pid > 0 && word().is_none()).then_some(Self { pid, started, boot })
    }
}

/// What `/proc/<pid>/stat` says of a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    state: char,
    /// The id of its parent.
    pub(super) parent: i32,
    /// The id of its process group.
    pub(super) group: i32,
    started: u64,
}

impl Stat {
    /// Whether it has ended; a zombie has.
    pub(super) const fn has_ended(self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// The state, the parent, the group and the start of a process: fields 3, 4, 5 and 22, see proc(5).
/// The second field is the program's name in parentheses and may hold anything, parentheses too.
pub(super) fn stat(pid: i32) -> io::Result<Stat> {
    let text = fs::read(format!("/proc/{pid}/stat"))?;
    let text = String::from_utf8_lossy(&text);
    let fields = text.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    let mut fields = fields.into_iter().flatten();
    let state = fields.next().and_then(|state| state.chars().next());
    let mut id = || fields.next().and_then(|id| id.parse().ok());
    let (parent, group) = (id(), id());
    let started = fields.nth(16).and_then(|started| started.parse().ok());
    let stat = || Some(Stat { state: state?, parent: parent?, group: group?, started: started? });
    stat().ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not readable")))
}

/// What a marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The attempt can never start.
    Abandoned,
    /// It was started, or is about to be.
    Started {
        /// The process; `None` where the marker was not completely written.
        process: Option<Process>,
        /// Why it did not become the hook's program, where it did not.
        failure: Option<String>,
    },
}

impl Marker {
    /// What became of the attempt, as far as its marker alone says, and why.
    pub(super) fn meaning(self) -> (StepResult, String) {
        match self {
            Self::Abandoned => {
                (StepResult::NotStarted, "it never started and never will".to_owned())
            }
            Self::Started { failure: Some(why), .. } => {
                (StepResult::NotStarted, format!("its program was not started: {why}"))
            }
            Self::Started { failure: None, .. } => {
                (StepResult::Unknown, "it was started, and nobody saw its end".to_owned())
            }
        }
    }

    fn parse(text: &str) -> Self {
        if text == ABANDONED {
            return Self::Abandoned;
        }
        // A line without its line feed is not complete.
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let process = lines.next().and_then(Process::parse);
        let failure = lines.next().and_then(|line| line.strip_prefix("failed "));
        Self::Started { process, failure: failure.map(str::to_owned) }
    }
}

/// The directory of a deployment's markers.
pub fn directory(steps: &Path, deployment: &DeploymentId) -> PathBuf {
    steps.join(deployment.as_str())
}

/// An attempt's marker.
pub fn path(steps: &Path, deployment: &DeploymentId, attempt: &Attempt) -> PathBuf {
    let Attempt { hook, step, number, entering } = attempt;
    let name = match entering {
        Some(entering) => format!("{hook},{step},{number},{}", short(&entering.to_string())),
        None => format!("{hook},{step},{number}"),
    };
    directory(steps, deployment).join(name)
}

/// Two long names do not fit one file name, so of the second its hash is taken then.
fn short(name: &str) -> String {
    if name.len() <= MAX_PLAIN {
        return name.to_owned();
    }
    Sha256::digest(name)[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Creates the directory of a deployment's markers where it is missing, durably. The state
/// directory must be there.
///
/// # Errors
/// The system said no.
pub fn prepare(steps: &Path, deployment: &DeploymentId) -> io::Result<()> {
    for dir in [steps, &directory(steps, deployment)] {
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            // An earlier guard may have been killed before it made it durable.
            Ok(()) | Err(_) => sync_parent(dir)?,
        }
    }
    Ok(())
}

/// Creates a marker that names the calling process. `None`: there is one already, which means that
/// the attempt must not be started.
///
/// # Errors
/// The system said no. There is no marker of ours, unless removing it failed too.
pub fn claim(path: &Path) -> io::Result<Option<Claim>> {
    let Process { pid, started, boot } = Process::this()?;
    Ok(create(path, &format!("started {pid} {started} {boot}\n"))?.map(Claim))
}

/// Creates a marker of an attempt that the guard makes itself, within its own process. It names
/// none, as nothing is left running when the guard dies; it counts as started.
///
/// # Errors
/// What is known of the attempt, which must not be made: there is a marker already, or the system
/// said no.
pub(super) fn claim_here(path: &Path) -> Result<Claim, StepResult> {
    match create(path, "by the guard itself\n") {
        Ok(Some(file)) => Ok(Claim(file)),
        Ok(None) => Err(match read(path) {
            Ok(Some(marker)) => marker.meaning().0,
            Ok(None) | Err(_) => StepResult::Unknown,
        }),
        Err(error) => Err(StepResult::Failed(format!("could not start: create a marker: {error}"))),
    }
}

/// Creates a marker that keeps the attempt from ever starting. False: there is a marker already.
///
/// # Errors
/// The system said no.
pub fn abandon(path: &Path) -> io::Result<bool> {
    Ok(create(path, ABANDONED)?.is_some())
}

/// Reads a marker; `None`: there is none.
///
/// # Errors
/// The system said no.
pub fn read(path: &Path) -> io::Result<Option<Marker>> {
    match read_bounded(path, MAX_MARKER) {
        Ok(bytes) => Ok(Some(Marker::parse(&String::from_utf8_lossy(&bytes)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first bytes of a file, `most` at the most.
pub(super) fn read_bounded(path: impl AsRef<Path>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The right to start an attempt. There is at most one, ever.
#[derive(Debug)]
pub struct Claim(File);

impl Claim {
    /// Notes why the program was not started.
    ///
    /// # Errors
    /// The system said no; the attempt counts as started.
    pub fn note_failure(mut self, why: &str) -> io::Result<()> {
        self.0.write_all(format!("failed {}\n", why.replace('\n', " ")).as_bytes())?;
        self.0.sync_all()
    }
}

/// A file of an attempt beside its marker. No name of a marker ends so.
pub(super) fn beside(marker: &Path, what: &str) -> PathBuf {
    let mut name = marker.as_os_str().to_owned();
    name.push(",");
    name.push(what);
    name.into()
}

/// Creates a file that must not be there yet, durably. `None`: it is there already.
pub(super) fn create(path: &Path, text: &str) -> io::Result<Option<File>> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_parent(path));
    if let Err(error) = written {
        // Nothing was started. Where this fails too, the attempt counts as started: the safe side.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(Some(file))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::model::name::HookName;

    fn deployment(id: &str) -> DeploymentId {
        DeploymentId::new(id).unwrap()
    }

    fn attempt(hook: &str, step: u32, number: u32) -> Attempt {
        Attempt::of(HookName::new(hook).unwrap(), step, number)
    }

    #[test]
    fn a_claim_is_given_once_and_names_this_process() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("marker");
        let claim = super::claim(&path).unwrap().unwrap();
        assert!(super::claim(&path).unwrap().is_none());
        assert!(!abandon(&path).unwrap());
        let this = Process::this().unwrap();
        assert!(this.is_alive());
        let process = Some(this);
        let started = |failure| Some(Marker::Started { process: process.clone(), failure });
        assert_eq!(read(&path).unwrap(), started(None));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        claim.note_failure("no such\nfile").unwrap();
        assert_eq!(read(&path).unwrap(), started(Some("no such file".into())));
    }

    #[test]
    fn an_abandoned_attempt_can_never_be_claimed() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("marker");
        assert_eq!(read(&path).unwrap(), None);
        assert!(abandon(&path).unwrap());
        assert!(claim(&path).unwrap().is_none());
        assert_eq!(read(&path).unwrap(), Some(Marker::Abandoned));
    }

    #[test]
    fn a_marker_cut_anywhere_counts_as_started() {
        let started = "started 4711 123456 5b9c2f0e-boot\n";
        for cut in 0..started.len() {
            let unknown = Marker::Started { process: None, failure: None };
            assert_eq!(Marker::parse(&started[..cut]), unknown, "{cut}");
        }
        for cut in 0..ABANDONED.len() {
            assert_ne!(Marker::parse(&ABANDONED[..cut]), Marker::Abandoned, "{cut}");
        }
        assert!(matches!(Marker::parse(started), Marker::Started { process: Some(_), .. }));
        let negative = Marker::parse("started -1 1 boot\n");
        assert_eq!(negative, Marker::Started { process: None, failure: None });
    }

    #[test]
    fn a_process_of_the_same_id_is_not_the_same_process() {
        let this = Process::this().unwrap();
        assert!(!Process { started: this.started + 1, ..this.clone() }.is_alive());
        assert!(!Process { boot: "another".into(), ..this }.is_alive());
    }

    #[test]
    fn two_attempts_never_share_a_marker() {
        let paths = [
            ("a", "b", 1, 11),
            ("a", "b", 11, 1),
            ("a", "b-1", 1, 1),
            ("a-b", "b", 1, 1),
            ("a.b", "b", 1, 1),
        ];
        let path = |(id, hook, step, number)| {
            path(Path::new("/s"), &deployment(id), &attempt(hook, step, number))
        };
        let different: std::collections::HashSet<_> = paths.into_iter().map(path).collect();
        assert_eq!(different.len(), paths.len());
    }

    #[test]
    fn the_longest_names_still_make_a_file() {
        let temp = tempfile::tempdir().unwrap();
        let steps = temp.path().join("steps");
        let id = deployment(&"d".repeat(128));
        let path = path(&steps, &id, &attempt(&"h".repeat(128), u32::MAX, u32::MAX));
        prepare(&steps, &id).unwrap();
        prepare(&steps, &id).unwrap();
        assert!(claim(&path).unwrap().is_some());
    }
}
