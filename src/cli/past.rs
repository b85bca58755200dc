//! What the commands about the past share: where the journal is, reading it, and what went wrong.
//! They only read, with or without a daemon.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use clap::Args;

use super::check::DEFAULT_FILE;
use super::out::CommandError;
use crate::clock::Clock;
use crate::history::{SinceError, parse_since};
use crate::journal::{JournalError, Piece, journal_file, scan};
use crate::load::{Directories, state_dir, usual_state_dir};
use crate::model::entry::Entry;
use crate::model::time::Timestamp;

/// Where the journal is
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Place {
    /// The daemon's configuration, which names the state directory
    #[arg(long, value_name = "FILE", conflicts_with = "state")]
    config: Option<PathBuf>,
    /// The state directory, which holds the journal
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

impl From<JournalError> for CommandError {
    fn from(error: JournalError) -> Self {
        let hint = match &error {
            JournalError::Broken { .. } => {
                "\nhint: `rollguard journal verify` says what can still be trusted"
            }
            JournalError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "\nhint: another state directory? `--state DIR`"
            }
            JournalError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "\nhint: only root and the daemon may read it"
            }
            JournalError::Io { .. }
            | JournalError::Locked { .. }
            | JournalError::Full { .. }
            | JournalError::TooLong(_)
            | JournalError::Unusable { .. } => "",
        };
        let because = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        Self::failed(format_args!("failed to {error}{because}{hint}"))
    }
}

impl Place {
    /// The journal's path.
    pub(super) fn journal(&self) -> Result<PathBuf, CommandError> {
        let directories = Directories::from_environment();
        let usual = PathBuf::from(DEFAULT_FILE);
        let config = self.config.as_ref().or_else(|| usual.exists().then_some(&usual));
        let state = match (&self.state, config) {
            (Some(state), _) => state.clone(),
            (None, Some(config)) => state_dir(config, &directories)?,
            (None, None) => usual_state_dir(&directories),
        };
        Ok(journal_file(&state))
    }

    /// Reads the whole journal into what `empty` makes.
    pub(super) fn read<T>(
        &self,
        empty: impl Fn() -> T,
        take: impl Fn(&mut T, &Entry),
    ) -> Result<T, CommandError> {
        let mut read = empty();
        scan(&self.journal()?, &mut |piece| {
            match piece {
                Piece::Record(record) => take(&mut read, &record.entry()?),
                Piece::Again => read = empty(),
            }
            Ok(())
        })?;
        Ok(read)
    }
}

/// Reads `--since`.
pub(super) fn since(text: &str) -> Result<Timestamp, SinceError> {
    parse_since(text).map(|since| since.resolve(Clock::start().wall()))
}
