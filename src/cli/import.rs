//! `rollguard import`: other people's alerting rules as ours. It reads files, writes one, and says
//! what became of every alert; what fits is `crate::import`'s business.

#![expect(clippy::disallowed_methods, reason = "the rules go where the operator says")]

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::config::SourceFile;
use crate::import::{Imported, MAX_FILE, Options, TargetOf, YamlError, prometheus};
use crate::model::name::TargetName;

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

/// Runs the command.
pub(super) fn run(command: &ImportCommand) -> Ended {
    let ImportCommand::Prometheus(args) = command;
    let imported = import(args)?;
    Ok(if imported.report.summary.not_imported == 0 { exit::OK } else { exit::FAILED })
}

/// The input cannot be read.
fn unread(why: impl Display) -> CommandError {
    CommandError::new(exit::BAD_CONFIG, format_args!("failed to read {why}"))
}

fn import(args: &PrometheusArgs) -> Result<Imported, CommandError> {
    let files = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>, _>>()?;
    let labels = args.drop_label.split(',').map(str::trim).filter(|label| !label.is_empty());
    let drop_labels = labels.map(str::to_owned).collect();
    let options = Options { drop_labels, targets: args.target.clone() };
    let imported = prometheus(&files, &options).map_err(|YamlError { spot, reason }| {
        unread(format_args!("{}:{spot}: {reason}", files[spot.file].path))
    })?;
    let path = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    out::note(imported.report.render().trim_end());
    if let Some(path) = path.filter(|_| !imported.report.imported.is_empty()) {
        // A new file: what people changed in an old one is theirs.
        let file = OpenOptions::new().write(true).create_new(true).open(path);
        let written = file.and_then(|mut file| file.write_all(imported.toml.as_bytes()));
        written.map_err(|error| {
            CommandError::failed(format_args!("failed to write {}: {error}", path.display()))
        })?;
    }
    let toml = Some(imported.toml.as_str()).filter(|_| path.is_none());
    let printed =
        if args.json { Some(imported.report.json(toml)) } else { toml.map(str::to_owned) };
    printed.map_or(Ok(exit::OK), |text| out::print(&text))?;
    Ok(imported)
}

fn read(path: &Path) -> Result<SourceFile, CommandError> {
    let shown = path.display();
    let failed = |why: String| unread(format_args!("{shown}: {why}"));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    let read = file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed(error.to_string()))?;
    if bytes.len() > MAX_FILE {
        let most = MAX_FILE >> 20;
        return Err(failed(format!("it is larger than {most} MiB, which no file of rules is")));
    }
    let text = String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8 text".to_owned()))?;
    Ok(SourceFile { path: shown.to_string(), text })
}
