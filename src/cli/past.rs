//! What the commands about the past share: where the journal is, reading it, and what went wrong.
//! They only read, with or without a daemon.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::check::DEFAULT_FILE;
use super::client::ClientError;
use super::{exit, out};
use crate::clock::Clock;
use crate::history::{Since, parse_since};
use crate::journal::{Piece, ScanError, journal_file, scan};
use crate::load::{Directories, LoadError, state_dir, usual_state_dir};
use crate::model::entry::Entry;
use crate::model::time::Timestamp;
use crate::render::Style;

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

/// Why a command about the past has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum PastError {
    /// The configuration cannot be read.
    #[error("{0}")]
    Config(#[from] LoadError),
    /// The journal cannot be read.
    #[error("{0}: {because}{hint}", because = because(.0), hint = hint(.0))]
    Journal(#[from] ScanError),
    /// What is asked for is not there.
    #[error("{0}")]
    Unknown(String),
    /// It cannot be printed.
    #[error("print: {0}")]
    Print(#[from] ClientError),
}

fn because(error: &ScanError) -> String {
    match error {
        ScanError::Io { source, .. } => source.to_string(),
        ScanError::Broken { source, .. } => source.to_string(),
    }
}

fn hint(error: &ScanError) -> &'static str {
    let kind = match error {
        ScanError::Io { source, .. } => source.kind(),
        ScanError::Broken { .. } => {
            return "\nhint: `rollguard journal verify` says what can still be trusted";
        }
    };
    if kind == io::ErrorKind::NotFound {
        "\nhint: another state directory? `--state DIR`"
    } else if kind == io::ErrorKind::PermissionDenied {
        "\nhint: only root and the daemon may read it"
    } else {
        ""
    }
}

impl PastError {
    const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::BAD_CONFIG,
            Self::Journal(_) | Self::Unknown(_) | Self::Print(_) => exit::FAILED,
        }
    }
}

/// Ends a command.
pub(super) fn ended(result: Result<u8, PastError>) -> ExitCode {
    ExitCode::from(result.unwrap_or_else(|error| {
        out::note(&format!("error: failed to {error}"));
        error.exit_code()
    }))
}

impl Place {
    /// The journal's path.
    pub(super) fn journal(&self) -> Result<PathBuf, PastError> {
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
    ) -> Result<T, PastError> {
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
pub(super) fn since(text: &str) -> Result<Since, String> {
    parse_since(text).map_err(|error| error.to_string())
}

/// `--since` as a time.
pub(super) fn since_when(since: Option<Since>) -> Option<Timestamp> {
    since.map(|since| since.resolve(Clock::start().wall()))
}

/// Prints a result.
pub(super) fn print(text: &str) -> Result<u8, PastError> {
    out::print(text)?;
    Ok(exit::OK)
}

/// Prints a result as JSON.
pub(super) fn print_json(value: &impl Serialize) -> Result<u8, PastError> {
    let text = serde_json::to_string_pretty(value);
    let text = text.expect("plain data with string keys always serializes");
    print(&format!("{text}\n"))
}

/// How results for people look.
pub(super) fn style() -> Style {
    if out::may_colour(&io::stdout()) { Style::Health } else { Style::Plain }
}
