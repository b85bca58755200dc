//! The arguments of `rollguard debug`, and its files and streams.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::debug::{self, PageReading, PageVerdict};
use super::exit;
use super::out::{CommandError, Ended};
use crate::exposition::Format;

#[derive(Subcommand)]
pub(super) enum DebugCommand {
    /// Show what is read from a metrics page: one JSON object a sample
    ///
    /// Malformed lines go to standard error with line and column. The exit status is
    /// 1 if there were any, 2 if the page cannot be read at all.
    ///
    /// Example: curl -s localhost:9100/metrics | rollguard debug exposition
    #[command(verbatim_doc_comment)]
    Exposition(Exposition),
}

#[derive(Args)]
pub(super) struct Exposition {
    /// The page's format [default: text, or openmetrics with --strict]
    #[arg(long)]
    format: Option<FormatName>,
    /// Hold the page against the OpenMetrics specification
    #[arg(long)]
    strict: bool,
    /// The page; standard input if absent or -
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatName {
    Text,
    Openmetrics,
    Protobuf,
}

pub(super) fn run(command: &DebugCommand) -> Ended {
    let DebugCommand::Exposition(arguments) = command;
    match show(arguments) {
        Ok(PageVerdict::Clean) => Ok(exit::OK),
        Ok(PageVerdict::Malformed) => Ok(exit::FAILED),
        // Whoever read the output has enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::OK),
        // A page that cannot be read at all is as any wrong use.
        Err(error) => {
            Err(CommandError::new(exit::USAGE, format_args!("failed to read the page: {error}")))
        }
    }
}

fn show(arguments: &Exposition) -> io::Result<PageVerdict> {
    let reading = match (arguments.format, arguments.strict) {
        (Some(FormatName::Text | FormatName::Protobuf), true) => {
            return Err(io::Error::other("--strict is about OpenMetrics, no other format"));
        }
        (None | Some(FormatName::Openmetrics), true) => PageReading::Strict,
        (Some(FormatName::Openmetrics), false) => PageReading::Scrape(Format::OpenMetrics),
        (Some(FormatName::Protobuf), false) => PageReading::Scrape(Format::Protobuf),
        (None | Some(FormatName::Text), false) => PageReading::Scrape(Format::Text),
    };
    let input: Box<dyn Read> = match &arguments.file {
        Some(file) if file.as_os_str() != "-" => Box::new(open(file)?),
        Some(_) | None => Box::new(io::stdin().lock()),
    };
    let out = BufWriter::new(io::stdout().lock());
    debug::exposition(reading, input, out, io::stderr().lock())
}

fn open(file: &Path) -> io::Result<File> {
    File::open(file)
        .map_err(|error| io::Error::new(error.kind(), format!("open {}: {error}", file.display())))
}
