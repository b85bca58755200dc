//! Reads a journal that somebody else owns, also while the daemon appends to it. It holds one line
//! at a time, so a journal of any size can be read. It must never write, lock or wait for anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::record::{LineError, Record, Scanner, Verified};

use super::{JOURNAL, JournalError, failed};

/// How much is read at a time: enough that the system calls do not count.
const PIECE: usize = 64 * 1024;

/// Something that reading a journal comes upon.
#[derive(Debug)]
pub enum Piece {
    /// The next record.
    Record(Record),
    /// What was read so far is void: it is read anew, from its first line.
    Again,
}

/// The journal of a state directory.
pub fn journal_file(state: &Path) -> PathBuf {
    state.join(JOURNAL)
}

/// Reads the journal at `path`; `visit` gets its records in order and may refuse one.
///
/// A daemon whose disk is full cuts off what it could not write whole, and whoever reads at that
/// very moment may see parts of two lines. So what seems damaged is read a second time.
///
/// # Errors
/// It cannot be read, or it is damaged anywhere but in a last line that was not written whole.
pub fn scan(
    path: &Path,
    visit: &mut dyn FnMut(Piece) -> Result<(), LineError>,
) -> Result<Verified, JournalError> {
    match scan_once(path, visit) {
        Err(JournalError::Broken { path, source, before }) => {
            // A refusal of what is void anyway means nothing.
            let _ = visit(Piece::Again);
            let again = scan_once(&path, visit);
            if let Err(JournalError::Io { .. }) = again {
                return Err(JournalError::Broken { path, source, before });
            }
            again
        }
        read => read,
    }
}

fn scan_once(
    path: &Path,
    visit: &mut dyn FnMut(Piece) -> Result<(), LineError>,
) -> Result<Verified, JournalError> {
    let failed = |source| failed("read", path, source);
    // Asked before opening, because opening a pipe waits for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let mut file = File::open(path).map_err(failed)?;
    scan_file(path, &mut file, &mut |record| visit(Piece::Record(record)))
}

/// Reads what follows in the open journal at `path`; `take` gets its records in order.
pub(super) fn scan_file(
    path: &Path,
    file: &mut File,
    take: &mut dyn FnMut(Record) -> Result<(), LineError>,
) -> Result<Verified, JournalError> {
    let mut scanner = Scanner::default();
    let mut piece = vec![0; PIECE];
    let broken = |source, before| {
        let (path, before) = (path.to_owned(), Box::new(before));
        JournalError::Broken { path, source, before }
    };
    loop {
        let read = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read", path, error)),
        };
        let pushed = scanner.push(&piece[..read], take);
        pushed.map_err(|source| broken(source, scanner.so_far()))?;
    }
    let so_far = scanner.so_far();
    scanner.finish().map_err(|source| broken(source, so_far))
}
