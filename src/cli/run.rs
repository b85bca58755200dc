//! `rollguard run`: the daemon, its logs and its exit codes.

#![expect(clippy::print_stderr, reason = "what cannot be logged yet goes to standard error")]
#![expect(clippy::disallowed_methods, reason = "asks how the service manager takes its logs")]

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use super::check::DEFAULT_FILE;
use super::exit;
use crate::config::Color;
use crate::daemon::{self, DaemonError};
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
    #[arg(long, value_enum, default_value = "info", hide_possible_values = true)]
    log: LogLevel,
    /// How it is logged
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

pub(super) fn run(args: &RunArgs) -> ExitCode {
    start_logs(args.log, args.log_format);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(daemon::run(&args.config));
            // What may still run on the blocking pool, a name look-up, is not waited for.
            runtime.shutdown_background();
            ended
        }
        Err(error) => {
            eprintln!("error: the runtime cannot start: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(DaemonError::Config(error)) => {
            if let LoadError::Wrong(diagnostics) = &error {
                eprint!("{}", diagnostics.render(Color::Plain));
            } else {
                eprintln!("error: failed to {error}");
            }
            ExitCode::from(exit::BAD_CONFIG)
        }
        Err(error) => {
            eprintln!("error: failed to {}", error.chain());
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Logs go to standard error. The journal of systemd adds time and colour itself.
fn start_logs(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
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
