//! Reads one file of a configuration, and says whether it may be trusted: a file that runs
//! commands as root is written by root alone, and so is the directory that it lies in.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::config::SourceFile;

use super::LoadError;

/// The largest configuration file. A thousand rules are a tenth of it.
const MAX_FILE: u64 = 256 << 10;

/// Whether what a file says is going to be done.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Use {
    /// It decides what runs.
    Run,
    /// It is only looked at.
    Look,
}

/// A file and which one of the file system's it is, whatever it is called.
pub(super) struct Opened {
    pub(super) source: SourceFile,
    /// Device and number.
    pub(super) identity: (u64, u64),
}

/// Reads a file.
pub(super) fn read(path: &Path, purpose: Use) -> Result<Opened, LoadError> {
    let failed = |source| LoadError::Read { path: path.to_owned(), source };
    // Asked before opening, because opening a pipe waits for a writer; what is trusted is then
    // judged by the opened file, which nobody can exchange.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if purpose == Use::Run {
        trust(path, writable_by(&metadata))?;
        trust_parent(path)?;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(LoadError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| LoadError::NotText(path.to_owned()))?;
    let source = SourceFile { path: path.display().to_string(), text };
    Ok(Opened { source, identity: (metadata.dev(), metadata.ino()) })
}

/// Refuses the directory of a file if others can exchange the file. In one with the sticky bit
/// they cannot.
pub(super) fn trust_parent(path: &Path) -> Result<(), LoadError> {
    const STICKY: u32 = 0o1000;
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let failed = |source| LoadError::Read { path: directory.to_owned(), source };
    let metadata = fs::metadata(directory).map_err(failed)?;
    let protected = metadata.mode() & STICKY != 0 && metadata.uid() == 0;
    trust(directory, writable_by(&metadata).filter(|_| !protected))
}

/// Refuses a directory whose files are all read if others can add one.
pub(super) fn trust_listed(directory: &Path) -> Result<(), LoadError> {
    let failed = |source| LoadError::Read { path: directory.to_owned(), source };
    trust(directory, writable_by(&fs::metadata(directory).map_err(failed)?))
}

/// Only root runs what it may not be told by others.
fn trust(path: &Path, who: Option<String>) -> Result<(), LoadError> {
    match who {
        Some(who) if rustix::process::geteuid().is_root() => {
            Err(LoadError::Untrusted { path: path.to_owned(), who })
        }
        Some(_) | None => Ok(()),
    }
}

/// Who can write the file apart from root.
fn writable_by(metadata: &Metadata) -> Option<String> {
    const GROUP: u32 = 0o020;
    const WORLD: u32 = 0o002;
    let (mode, owner, group) = (metadata.mode(), metadata.uid(), metadata.gid());
    if owner != 0 {
        return Some(format!("its owner, user {owner},"));
    }
    if mode & WORLD != 0 {
        return Some("everybody".to_owned());
    }
    (mode & GROUP != 0 && group != 0).then(|| format!("group {group}"))
}
