//! Arguments, and which command they mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::client::with_runtime;
use super::out::Ended;
use super::{
    check, debug, demo, deploy, doctor, drill, exec_step, exec_unit, history, import, init,
    journal, order, out, report, run, schema, stats, status, test, try_out,
};

/// Notices a bad release first and brings the good version back, once
///
/// rollguard samples metrics pages, judges the abort rules of its TOML files, and
/// runs a rollback hook when a rule holds.
///
/// Exit codes: 0 ok, 1 failed, 2 usage, 3 rolled back and 4 rollback failed
/// (deploy wait), 5 refused, 6 the daemon cannot be reached, 78 bad configuration.
#[derive(Parser)]
#[command(name = "rollguard", version, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Watch a bad release be noticed and rolled back, here and now
    Demo(demo::DemoArgs),
    /// The app that the demo guards
    #[command(hide = true)]
    DemoApp(demo::app::AppArgs),
    /// Run the daemon
    Run(run::RunArgs),
    /// Check configuration and rules files, show each error with its place
    Check(check::CheckArgs),
    /// Turn other people's alerting rules into rules
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// Look at a live metrics page and write a configuration that fits it
    Init(init::InitArgs),
    /// Sample the targets now and show what each signal and rule sees
    Try(try_out::TryArgs),
    /// Play rule tests on a virtual clock
    Test(test::TestArgs),
    /// Print the JSON schema of rollguard's files, for editors
    Schema(schema::SchemaArgs),
    /// The pipeline's side: begin, end or wait for a deployment
    #[command(subcommand)]
    Deploy(deploy::DeployCommand),
    #[command(flatten)]
    Order(order::OrderCommand),
    /// Prove beforehand that every hook, secret and target works
    Doctor(doctor::DoctorArgs),
    /// Run the rollback hook against the drill target, and time it
    Drill(drill::DrillArgs),
    /// Show what the guard sees now
    Status(status::StatusArgs),
    /// List what became of each deployment, from the journal
    History(history::HistoryArgs),
    /// Tell the whole story of one deployment, from the journal
    Report(report::ReportArgs),
    /// Show how well deployments went: failure rate, times, refusals
    Stats(stats::StatsArgs),
    /// See whether the journal is what was written
    #[command(subcommand)]
    Journal(journal::JournalCommand),
    /// Look into single parts of the guard
    #[command(subcommand)]
    Debug(debug::DebugCommand),
    /// Claims an attempt's marker and becomes its program
    #[command(hide = true)]
    ExecStep {
        /// The marker.
        marker: PathBuf,
        /// The guard's process id.
        parent: i32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// Claims an attempt's marker and becomes the program of its unit
    #[command(hide = true)]
    ExecUnit {
        /// The marker.
        marker: PathBuf,
    },
    /// Notes how the program of an attempt's unit ended
    #[command(hide = true)]
    EndUnit {
        /// The marker.
        marker: PathBuf,
    },
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    ExitCode::from(run(Arguments::parse().command).unwrap_or_else(|failure| {
        out::note(&failure.text);
        failure.code
    }))
}

fn run(command: Subcommands) -> Ended {
    match command {
        Subcommands::Demo(args) => with_runtime(demo::run(args)),
        Subcommands::DemoApp(args) => with_runtime(demo::app::run(args)),
        Subcommands::Run(args) => run::run(&args),
        Subcommands::Check(args) => Ok(check::run(&args)),
        Subcommands::Import(command) => import::run(&command),
        Subcommands::Init(args) => init::run(&args),
        Subcommands::Try(args) => try_out::run(&args),
        Subcommands::Test(args) => test::run(&args),
        Subcommands::Schema(args) => Ok(schema::run(&args)),
        Subcommands::Deploy(command) => with_runtime(deploy::run(command)),
        Subcommands::Order(command) => with_runtime(order::run(command)),
        Subcommands::Doctor(args) => doctor::run(&args),
        Subcommands::Drill(args) => drill::run(args),
        Subcommands::Status(args) => with_runtime(status::run(args)),
        Subcommands::History(args) => history::run(&args),
        Subcommands::Report(args) => report::run(&args),
        Subcommands::Stats(args) => stats::run(&args),
        Subcommands::Journal(command) => journal::run(&command),
        Subcommands::Debug(command) => debug::run(command),
        Subcommands::ExecStep { marker, parent, argv } => exec_step::run(&marker, parent, &argv),
        Subcommands::ExecUnit { marker } => exec_unit::run(&marker),
        Subcommands::EndUnit { marker } => exec_unit::end(&marker),
    }
}
