//! Owns the journal's file: the one place where the guard's durable state is written. It exists so
//! that an entry is on the disk before anything that follows from it begins. It must never append
//! after something that it cannot verify, and never share its file with another writer.
//!
//! The state directory holds `journal.jsonl`, `journal.lock` (held locked for the daemon's life,
//! never removed: removing it would let two daemons lock two files of the same name), and the
//! directories of [`steps_dir`] and [`reports_dir`].
//!
//! An append is one write and one fdatasync; it blocks, as nothing may overtake it. When the write
//! fails, the file is cut back to its last whole line, so that a full disk can be cured without a
//! restart. When the sync fails, nobody knows what reached the disk, and asking again may falsely
//! say yes: every later append is refused until a restart has read the file anew.

#![expect(clippy::disallowed_methods, reason = "the owner of the journal and its lock")]

mod scan;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::model::entry::Entry;
use crate::record::{self, Broken, Hash, Torn, Verified};

pub use self::scan::{Piece, journal_file, scan};

/// The largest journal, in bytes: some hundred thousand records, decades of deployments. It is
/// read into memory at the start, which this bounds.
pub const MAX_JOURNAL_BYTES: u64 = 256 * 1024 * 1024;

/// A process id with its line feed is shorter by far.
const MAX_LOCK_TEXT: u64 = 32;

const JOURNAL: &str = "journal.jsonl";
const LOCK: &str = "journal.lock";

/// Why a journal cannot be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system said no: full, read-only, not permitted, defective.
    #[error("{what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another daemon has this state directory.
    #[error("lock `{}`: another rollguard{} uses it", dir.display(), pid(*holder))]
    Locked {
        /// The state directory.
        dir: PathBuf,
        /// The other daemon's process id, where it is known.
        holder: Option<u32>,
    },
    /// The journal was damaged or edited: nothing may be decided on it.
    #[error("read `{}`", path.display())]
    Broken {
        /// The journal.
        path: PathBuf,
        /// Where and how.
        source: Broken,
        /// What stands before the damage; the lines up to there verify.
        before: Box<Verified>,
    },
    /// It would be, or is, larger than [`MAX_JOURNAL_BYTES`].
    #[error(
        "append to `{}`: at {bytes} bytes it has reached its limit of {MAX_JOURNAL_BYTES}, archive \
         it and start a new one while no deployment is guarded", path.display()
    )]
    Full {
        /// The journal.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The entry does not fit a line; the journal is unharmed.
    #[error("append to the journal")]
    TooLong(#[from] record::TooLong),
    /// An earlier failure left it in a state that only a restart can judge.
    #[error("append to `{}`: {why}, restart rollguard to read it anew", path.display())]
    Unusable {
        /// The journal.
        path: PathBuf,
        /// What happened.
        why: &'static str,
    },
}

fn pid(holder: Option<u32>) -> String {
    holder.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

/// Where the markers of attempts are, below the state directory.
pub fn steps_dir(state: &Path) -> PathBuf {
    state.join("steps")
}

/// Where the incident reports are, below the state directory.
pub fn reports_dir(state: &Path) -> PathBuf {
    state.join("reports")
}

/// The open journal, locked for as long as it lives.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    lock: File,
    next_seq: u64,
    last_hash: Hash,
    size: u64,
    unusable: Option<&'static str>,
}

impl Journal {
    /// Opens the journal of a state directory, both created where they are missing (modes 0700 and
    /// 0600), and gives what it says. A torn last line is cut off and reported.
    ///
    /// # Errors
    /// Another daemon has the directory, the journal is damaged, or the system said no.
    pub fn open(dir: &Path) -> Result<(Self, Vec<Entry>, Option<Torn>), JournalError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|source| failed("create", dir, source))?;
        let lock = lock(dir)?;
        let path = dir.join(JOURNAL);
        let is_new = !path.exists();
        let mut file = open_private(&path, OpenOptions::new().read(true).append(true))
            .map_err(|source| failed("open", &path, source))?;
        if is_new {
            sync_names(dir)?;
        }
        let bytes = file.metadata().map_err(|source| failed("read", &path, source))?.len();
        if bytes > MAX_JOURNAL_BYTES {
            return Err(JournalError::Full { path, bytes });
        }
        let mut entries = Vec::new();
        let verified = scan::scan_file(&path, &mut file, &mut |record| {
            entries.push(record.entry()?);
            Ok(())
        })?;
        let Verified { next_seq, last_hash, valid_bytes: size, torn } = verified;
        if torn.is_some() {
            file.set_len(size)
                .and_then(|()| file.sync_all())
                .map_err(|source| failed("cut off the torn end of", &path, source))?;
        }
        let journal = Self { path, file, lock, next_seq, last_hash, size, unusable: None };
        Ok((journal, entries, torn))
    }

    /// The journal's size in bytes, at most [`MAX_JOURNAL_BYTES`].
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry. It is on the disk when this returns.
    ///
    /// # Errors
    /// The entry is not in the journal. After a failed write that could be undone, after
    /// [`JournalError::TooLong`] and after [`JournalError::Full`] another append may succeed.
    pub fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        if let Some(why) = self.unusable {
            return Err(JournalError::Unusable { path: self.path.clone(), why });
        }
        let (line, hash) = record::encode(self.next_seq, &self.last_hash, entry)?;
        let size = self.size + line.len() as u64;
        if size > MAX_JOURNAL_BYTES {
            return Err(JournalError::Full { path: self.path.clone(), bytes: self.size });
        }
        self.check_place()?;
        #[cfg(debug_assertions)]
        crate::failpoint::torn(entry, &mut self.file, &line);
        if let Err(source) = self.file.write_all(line.as_bytes()) {
            self.undo();
            return Err(failed("append to", &self.path, source));
        }
        #[cfg(debug_assertions)]
        crate::failpoint::written(entry);
        if let Err(source) = self.file.sync_data() {
            self.undo();
            self.unusable = Some("nobody knows what reached the disk when a sync failed");
            return Err(failed("sync", &self.path, source));
        }
        self.next_seq += 1;
        self.last_hash = hash;
        self.size = size;
        Ok(())
    }

    /// Sees that the path still names the file that is appended to and that nothing else wrote to
    /// it. Whatever is appended to a removed or rotated journal is lost at the next start.
    fn check_place(&mut self) -> Result<(), JournalError> {
        let named = fs::metadata(&self.path);
        let named = named.map_err(|source| failed("find", &self.path, source))?;
        let ours = self.file.metadata().map_err(|source| failed("find", &self.path, source))?;
        if (named.dev(), named.ino(), named.len()) == (ours.dev(), ours.ino(), self.size) {
            return Ok(());
        }
        let why = "something else replaced or changed it";
        self.unusable = Some(why);
        Err(JournalError::Unusable { path: self.path.clone(), why })
    }

    /// Removes what a failed append may have left, so that the chain never goes on after it.
    fn undo(&mut self) {
        if self.file.set_len(self.size).and_then(|()| self.file.sync_data()).is_err() {
            self.unusable = Some("what a failed append left there could not be removed");
        }
    }
}

impl Drop for Journal {
    /// Unlocks by hand: a process that is just being started still has a copy of every file, and
    /// would keep the lock for that moment.
    fn drop(&mut self) {
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io { what, path: path.to_owned(), source }
}

fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.create(true).mode(0o600).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Takes the lock and writes our process id into it, for whoever comes second.
fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(LOCK);
    let mut file = open_private(&path, OpenOptions::new().read(true).write(true))
        .map_err(|source| failed("open", &path, source))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            let read = (&file).take(MAX_LOCK_TEXT).read_to_string(&mut text);
            let holder = read.ok().and_then(|_| text.trim().parse().ok());
            return Err(JournalError::Locked { dir: dir.to_owned(), holder });
        }
        Err(errno) => return Err(failed("lock", &path, errno.into())),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|source| failed("write", &path, source))?;
    Ok(file)
}

/// Makes the names of a new journal and of its directory durable.
fn sync_names(dir: &Path) -> Result<(), JournalError> {
    // A relative path of one part has the parent "", which means the working directory.
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    for dir in [dir, parent.unwrap_or(Path::new("."))] {
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|source| failed("sync", dir, source))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;
    use crate::model::entry::{Caller, DeploymentEvent, Event};
    use crate::model::time::Timestamp;

    fn entry(reason: &str) -> Entry {
        let event = Event::Deployment(DeploymentEvent::Ended {
            reason: reason.to_owned(),
            by: Caller::Guard,
        });
        Entry { at: Timestamp::from_millis(1_793_000_000_000), deployment: None, event }
    }

    fn journal_with(dir: &Path, reasons: &[&str]) -> Journal {
        let mut journal = Journal::open(dir).unwrap().0;
        reasons.iter().for_each(|reason| journal.append(&entry(reason)).unwrap());
        journal
    }

    fn read(dir: &Path) -> Vec<Entry> {
        Journal::open(dir).unwrap().1
    }

    fn chain(error: &dyn std::error::Error) -> String {
        let source = error.source().map_or_else(String::new, chain);
        format!("{error}: {source}")
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_and_the_chain_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        let journal = journal_with(&dir, &["one", "two"]);
        assert_eq!(journal.size(), fs::metadata(dir.join(JOURNAL)).unwrap().len());
        drop(journal);
        drop(journal_with(&dir, &["three"]));
        assert_eq!(read(&dir), [entry("one"), entry("two"), entry("three")]);
    }

    #[test]
    fn nobody_else_may_read_what_it_creates() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("state");
        let _journal = journal_with(&dir, &[]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(JOURNAL)), 0o600);
        assert_eq!(mode(&dir.join(LOCK)), 0o600);
    }

    #[test]
    fn a_second_daemon_is_refused_and_told_who_is_there() {
        let temp = tempfile::tempdir().unwrap();
        let journal = journal_with(temp.path(), &["one"]);
        let error = Journal::open(temp.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.contains(&temp.path().display().to_string()), "{error}");
        drop(journal);
        assert_eq!(read(temp.path()), [entry("one")]);
    }

    #[test]
    fn a_torn_end_is_cut_off_reported_and_written_over() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(JOURNAL);
        drop(journal_with(temp.path(), &["one", "two"]));
        let whole = fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first + 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, entries, torn) = Journal::open(temp.path()).unwrap();
            assert_eq!(entries, [entry("one")]);
            let length = (cut - first) as u64;
            assert_eq!(torn, Some(Torn { line: 2, offset: first as u64, length }));
            journal.append(&entry("two")).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn a_damaged_journal_is_refused_and_left_as_it_is() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join(JOURNAL);
        drop(journal_with(temp.path(), &["one", "two"]));
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let error = chain(&Journal::open(temp.path()).unwrap_err());
        assert!(error.contains("line 1 at byte 0 is damaged: its hash does not fit"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn nothing_is_appended_after_a_failure_that_could_not_be_undone() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = journal_with(temp.path(), &[]);
        // Writing to it fails as a full disk does, and it cannot be cut back.
        journal.path = PathBuf::from("/dev/full");
        journal.file = OpenOptions::new().append(true).open("/dev/full").unwrap();
        let error = chain(&journal.append(&entry("one")).unwrap_err());
        assert!(error.contains("append to `/dev/full`: No space left on device"), "{error}");
        let error = journal.append(&entry("one")).unwrap_err();
        assert!(matches!(error, JournalError::Unusable { .. }), "{error}");
    }

    #[test]
    fn nothing_is_appended_to_a_journal_that_was_moved_removed_or_edited() {
        let check = |harm: fn(&Path)| {
            let temp = tempfile::tempdir().unwrap();
            let mut journal = journal_with(temp.path(), &["one"]);
            harm(&temp.path().join(JOURNAL));
            for _ in 0..2 {
                assert!(journal.append(&entry("two")).is_err());
            }
        };
        check(|path| fs::rename(path, path.with_extension("1")).unwrap());
        check(|path| fs::remove_file(path).unwrap());
        check(|path| fs::write(path, "").unwrap());
        check(|path| {
            fs::rename(path, path.with_extension("1")).unwrap();
            fs::copy(path.with_extension("1"), path).unwrap();
        });
    }

    #[test]
    fn a_record_that_is_too_long_does_no_harm() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = journal_with(temp.path(), &["one"]);
        let error = journal.append(&entry(&"x".repeat(record::MAX_LINE))).unwrap_err();
        assert!(matches!(error, JournalError::TooLong(_)), "{error}");
        journal.append(&entry("two")).unwrap();
        drop(journal);
        assert_eq!(read(temp.path()), [entry("one"), entry("two")]);
    }

    #[test]
    fn a_journal_at_its_limit_takes_no_more() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = journal_with(temp.path(), &[]);
        journal.size = MAX_JOURNAL_BYTES;
        let error = journal.append(&entry("one")).unwrap_err();
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
        drop(journal);
        let file = OpenOptions::new().write(true).open(temp.path().join(JOURNAL)).unwrap();
        file.set_len(MAX_JOURNAL_BYTES + 1).unwrap();
        let error = Journal::open(temp.path()).unwrap_err();
        assert!(matches!(error, JournalError::Full { .. }), "{error}");
    }

    #[test]
    fn a_directory_where_the_journal_must_be_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join(JOURNAL)).unwrap();
        let error = chain(&Journal::open(temp.path()).unwrap_err());
        assert!(error.contains(JOURNAL) && error.contains("directory"), "{error}");
    }

    /// Entries of every size that matters, one of them longer than a sector.
    fn reasons() -> [String; 4] {
        [
            "one".to_owned(),
            "x".repeat(900),
            "\u{0} \n \"é,\"hash\":\"".to_owned(),
            "four".to_owned(),
        ]
    }

    /// What the daemon would go on with, and what a reader of the past sees. Both or neither.
    fn both(dir: &Path) -> Option<(Vec<Entry>, u64)> {
        let path = journal_file(dir);
        let mut seen = Vec::new();
        let scanned = scan(&path, &mut |piece| {
            match piece {
                Piece::Record(record) => seen.push(record.entry()?),
                Piece::Again => seen.clear(),
            }
            Ok(())
        });
        let before = fs::read(&path).unwrap();
        match (Journal::open(dir), scanned) {
            (Ok((journal, entries, torn)), Ok(verified)) => {
                assert_eq!((&entries, torn), (&seen, verified.torn));
                assert_eq!(journal.size(), verified.valid_bytes);
                Some((entries, verified.valid_bytes))
            }
            (
                Err(JournalError::Broken { source, .. }),
                Err(JournalError::Broken { source: same, before: ok, .. }),
            ) => {
                assert_eq!(source, same);
                assert_eq!((source.line, source.offset), (ok.lines() + 1, ok.valid_bytes));
                assert_eq!(fs::read(&path).unwrap(), before, "a damaged journal stays as it is");
                None
            }
            (opened, scanned) => panic!("{opened:?} and {scanned:?}"),
        }
    }

    #[test]
    fn cut_at_any_byte_the_daemon_and_readers_have_the_whole_lines_before_it() {
        let temp = tempfile::tempdir().unwrap();
        let path = journal_file(temp.path());
        let reasons = reasons();
        drop(journal_with(temp.path(), &reasons.each_ref().map(String::as_str)));
        let whole = fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
            let (entries, size) = both(temp.path()).unwrap();
            let expected: Vec<Entry> = reasons[..lines].iter().map(|text| entry(text)).collect();
            assert_eq!(entries, expected, "cut at {cut}");
            assert!(
                whole[..usize::try_from(size).unwrap()].iter().filter(|b| **b == b'\n').count()
                    == lines
            );
        }
    }

    #[test]
    fn flipped_at_any_byte_the_journal_is_refused_by_the_daemon_and_by_readers() {
        let temp = tempfile::tempdir().unwrap();
        let path = journal_file(temp.path());
        drop(journal_with(temp.path(), &reasons().each_ref().map(String::as_str)));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            // Another bit each time; every bit of every byte is flipped in the tests of `record`.
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, &damaged).unwrap();
            assert_eq!(both(temp.path()), None, "byte {at}");
        }
    }

    #[test]
    fn a_reader_needs_no_lock_and_sees_what_is_appended() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = journal_with(temp.path(), &["one"]);
        let lines = || scan(&journal_file(temp.path()), &mut |_| Ok(())).unwrap().lines();
        assert_eq!(lines(), 1);
        journal.append(&entry("two")).unwrap();
        assert_eq!(lines(), 2);
    }

    #[test]
    fn a_pipe_or_a_directory_is_no_journal_and_nobody_waits_for_it() {
        let temp = tempfile::tempdir().unwrap();
        let error = scan(temp.path(), &mut |_| Ok(())).unwrap_err();
        assert!(chain(&error).contains("not a regular file"), "{error:?}");
        assert!(matches!(
            scan(&temp.path().join("none"), &mut |_| Ok(())),
            Err(JournalError::Io { .. })
        ));
    }

    const FULL_DISK_DIR: &str = "ROLLGUARD_TEST_FULL_DISK_DIR";

    #[test]
    #[ignore = "needs a file size limit: run by the next test"]
    fn with_a_file_size_limit() {
        let dir = PathBuf::from(std::env::var_os(FULL_DISK_DIR).unwrap());
        let mut journal = journal_with(&dir, &["one"]);
        let error = chain(&journal.append(&entry(&"x".repeat(100_000))).unwrap_err());
        assert!(error.contains("File too large"), "{error}");
        journal.append(&entry("two")).unwrap();
    }

    #[test]
    fn a_half_written_record_is_removed_and_the_journal_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let limited = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
        // Through pipes: the limit would also hold for a log that this test's output goes to.
        let output = Command::new("sh")
            .args(["-c", limited])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "journal::tests::with_a_file_size_limit"])
            .env(FULL_DISK_DIR, temp.path())
            .output();
        assert!(output.as_ref().unwrap().status.success(), "{output:?}");
        let (_journal, entries, torn) = Journal::open(temp.path()).unwrap();
        assert_eq!((entries, torn), (vec![entry("one"), entry("two")], None));
    }
}
