//! `rollguard import`: other people's alerting rules as ours. It reads files, writes one, and says
//! what became of every alert; what fits is `crate::import`'s business.

#![expect(clippy::disallowed_methods, reason = "the rules go where the operator says")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{exit, out};
use crate::import::{Imported, Input, MAX_FILE, Options, TargetOf, prometheus};
use crate::model::name::TargetName;

/// The exit code for input that cannot be read, as in sysexits.h.
const BAD_CONFIGURATION: u8 = 78;

#[derive(Subcommand)]
pub(super) enum ImportCommand {
    Prometheus(PrometheusArgs),
}

/// Turn alerting rules of Prometheus into rules
///
/// Reads rule files (or PrometheusRule resources of Kubernetes) and writes a rules
/// file with a comment for each rule: where it comes from, what it said, and what
/// is not the same. Every alert that does not fit is named with its place, the
/// reason and what to do instead, on standard error.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  rollguard import prometheus alerts.yml
  rollguard import prometheus alerts/*.yml --output rules.d/imported.toml
  rollguard import prometheus alerts.yml --target api=web --drop-label job,pod

JSON: imported [{alert, rule, place {file, line, column}, notes}],
not_imported [{alert, place, why, instead}], dropped_labels [{label, matchers}],
summary {imported, not_imported, recording_rules}, and toml without --output.

Exit codes: 0 every alert was imported, 1 some were not, 2 usage,
78 a file cannot be read or is not YAML with groups of rules."
)]
pub(super) struct PrometheusArgs {
    /// Rule files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the rules go; an existing file is kept [default: -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Labels that no page has: their matchers are left out
    #[arg(long, value_name = "LABEL,…", default_value = "job,instance")]
    drop_label: String,
    /// The target that a job is; without JOB, every job
    #[arg(long, value_name = "[JOB=]TARGET", value_parser = target_of)]
    target: Vec<TargetOf>,
    /// Say what became of each alert as JSON, on standard output
    #[arg(long)]
    json: bool,
}

fn target_of(text: &str) -> Result<TargetOf, String> {
    let (job, target) = match text.rsplit_once('=') {
        Some((job, target)) => (Some(job.to_owned()), target),
        None => (None, text),
    };
    TargetName::new(target).map_err(|error| error.to_string())?;
    Ok(TargetOf { job, target: target.to_owned() })
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "read {}: it is larger than {} MiB, which no file of rules is",
        .0.display(),
        MAX_FILE >> 20
    )]
    TooLarge(PathBuf),
    #[error("read {}: it is not UTF-8 text", .0.display())]
    NotText(PathBuf),
    #[error("read {place}: {reason}")]
    NotRules { place: String, reason: String },
    #[error("write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Print(super::client::ClientError),
}

impl ImportError {
    fn exit(&self) -> ExitCode {
        match self {
            Self::Read { .. } | Self::TooLarge(_) | Self::NotText(_) | Self::NotRules { .. } => {
                ExitCode::from(BAD_CONFIGURATION)
            }
            Self::Write { .. } | Self::Print(_) => ExitCode::from(exit::FAILED),
        }
    }
}

/// Runs the command.
pub(super) fn run(command: &ImportCommand) -> ExitCode {
    let ImportCommand::Prometheus(args) = command;
    match import(args) {
        Ok(imported) if imported.report.refused == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(exit::FAILED),
        Err(error) => {
            out::note(&format!("error: failed to {error}"));
            error.exit()
        }
    }
}

fn import(args: &PrometheusArgs) -> Result<Imported, ImportError> {
    let files = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let labels = args.drop_label.split(',').map(str::trim).filter(|label| !label.is_empty());
    let drop_labels = labels.map(str::to_owned).collect();
    let options = Options { drop_labels, targets: args.target.clone() };
    let imported = prometheus(&files, &options).map_err(|error| ImportError::NotRules {
        place: format!("{}:{}", files[error.spot.file].path, error.spot),
        reason: error.reason,
    })?;
    let path = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    out::note(imported.report.render().trim_end());
    if let Some(path) = path.filter(|_| !imported.report.kept.is_empty()) {
        write(path, &imported.toml)?;
    }
    let printed = match (args.json, path) {
        (true, None) => Some(imported.report.json(Some(&imported.toml))),
        (true, Some(_)) => Some(imported.report.json(None)),
        (false, None) => Some(imported.toml.clone()),
        (false, Some(_)) => None,
    };
    printed.map_or(Ok(()), |text| out::print(&text)).map_err(ImportError::Print)?;
    Ok(imported)
}

fn read(path: &Path) -> Result<Input, ImportError> {
    let failed = |source| ImportError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MAX_FILE {
        return Err(ImportError::TooLarge(path.to_owned()));
    }
    let text = String::from_utf8(bytes).map_err(|_| ImportError::NotText(path.to_owned()))?;
    Ok(Input { path: path.display().to_string(), text })
}

/// Writes a new file: what people changed in an old one is theirs.
fn write(path: &Path, text: &str) -> Result<(), ImportError> {
    let failed = |source| ImportError::Write { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
