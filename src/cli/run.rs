//! `rollguard run`: the daemon, its logs and its exit codes.

#![expect(clippy::disallowed_methods, reason = "asks how the service manager takes its logs")]

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::check::DEFAULT_FILE;
use super::client::with_runtime;
use super::exit;
use super::out::{CommandError, Ended};
use crate::config::Color;
use crate::daemon::{self, DaemonError, chain};
use crate::load::LoadError;

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Signals: HUP reads the configuration again; a bad one is refused and the old one
stays. TERM and INT end the daemon; the steps of a rollback under way are run to
their end first, a second signal ends it after the step at hand.

Example: rollguard run --config /etc/rollguard/rollguard.toml")]
pub(super) struct RunArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// How much is logged: error, warn, info, debug or trace
    #[arg(long, value_parser = log_level(), default_value = "info", hide_possible_values = true)]
    log: LevelFilter,
    /// How it is logged
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"])
        .try_map(|level| level.parse::<LevelFilter>())
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub(super) fn run(args: &RunArgs) -> Ended {
    start_logs(args.log, args.log_format);
    with_runtime(async {
        daemon::run(&args.config).await.map(|()| exit::OK).map_err(|error| {
            let DaemonError::Config(error) = error else {
                return CommandError::failed(format_args!("failed to {}", chain(&error)));
            };
            let LoadError::Wrong(wrong) = error else { return error.into() };
            // A log is no terminal, whatever standard error is.
            let text = wrong.render(Color::Plain).trim_end().to_owned();
            CommandError { code: exit::BAD_CONFIG, text }
        })
    })
}

/// Logs go to standard error. The journal of systemd adds time and colour itself.
fn start_logs(level: LevelFilter, format: LogFormat) {
    let filter = Targets::new().with_target("rollguard", level).with_default(LevelFilter::WARN);
    let journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let ansi = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(ansi).with_target(false);
    let layer = match (format, journald) {
        (LogFormat::Json, _) => layer.json().boxed(),
        (LogFormat::Text, true) => layer.without_time().boxed(),
        (LogFormat::Text, false) => layer.boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
}
