//! Arguments, and which command they mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::approve::{ApproveArgs, DenyArgs};
use super::check::CheckArgs;
use super::debug_command::DebugCommand;
use super::demo::DemoArgs;
use super::demo::app::AppArgs;
use super::deploy::DeployCommand;
use super::doctor::DoctorArgs;
use super::drill::DrillArgs;
use super::history::HistoryArgs;
use super::import::ImportCommand;
use super::init::InitArgs;
use super::journal::JournalCommand;
use super::pause::{PauseArgs, ResumeArgs};
use super::report::ReportArgs;
use super::rollback::RollbackArgs;
use super::run::RunArgs;
use super::schema::SchemaArgs;
use super::stats::StatsArgs;
use super::status::StatusArgs;
use super::test::TestArgs;
use super::try_out::TryArgs;
use super::{
    approve, check, debug_command, demo, deploy, doctor, drill, exec_step, exec_unit, history,
    import, init, journal, pause, report, rollback, run, schema, stats, status, test, try_out,
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
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch a bad release be noticed and rolled back, here and now
    Demo(DemoArgs),
    /// The app that the demo guards
    #[command(hide = true)]
    DemoApp(AppArgs),
    /// Run the daemon
    Run(RunArgs),
    /// Check configuration and rules files, show each error with its place
    Check(CheckArgs),
    /// Turn other people's alerting rules into rules
    #[command(subcommand)]
    Import(ImportCommand),
    /// Look at a live metrics page and write a configuration that fits it
    Init(InitArgs),
    /// Sample the targets now and show what each signal and rule sees
    Try(TryArgs),
    /// Play rule tests on a virtual clock
    Test(TestArgs),
    /// Print the JSON schema of rollguard's files, for editors
    Schema(SchemaArgs),
    /// The pipeline's side: begin, end or wait for a deployment
    #[command(subcommand)]
    Deploy(DeployCommand),
    /// Roll the current deployment back: a person says so
    Rollback(RollbackArgs),
    /// Say yes to the rule that asks for a rollback
    Approve(ApproveArgs),
    /// Say no to the rule that asks for a rollback
    Deny(DenyArgs),
    /// Roll nothing back automatically for a while
    Pause(PauseArgs),
    /// End the pause
    Resume(ResumeArgs),
    /// Prove beforehand that every hook, secret and target works
    Doctor(DoctorArgs),
    /// Run the rollback hook against the drill target, and time it
    Drill(DrillArgs),
    /// Show what the guard sees now
    Status(StatusArgs),
    /// List what became of each deployment, from the journal
    History(HistoryArgs),
    /// Tell the whole story of one deployment, from the journal
    Report(ReportArgs),
    /// Show how well deployments went: failure rate, times, refusals
    Stats(StatsArgs),
    /// See whether the journal is what was written
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Look into single parts of the guard
    #[command(subcommand)]
    Debug(DebugCommand),
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
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::DemoApp(args) => demo::app::run(args),
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Import(command) => import::run(&command),
        Command::Init(args) => init::run(&args),
        Command::Try(args) => try_out::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Deploy(command) => deploy::run(command),
        Command::Rollback(args) => rollback::run(args),
        Command::Approve(args) => approve::approve(args),
        Command::Deny(args) => approve::deny(args),
        Command::Pause(args) => pause::pause(args),
        Command::Resume(args) => pause::resume(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Drill(args) => drill::run(args),
        Command::Status(args) => status::run(&args),
        Command::History(args) => history::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Stats(args) => stats::run(&args),
        Command::Journal(command) => journal::run(&command),
        Command::Debug(command) => debug_command::run(&command),
        Command::ExecStep { marker, parent, argv } => exec_step::run(&marker, parent, &argv),
        Command::ExecUnit { marker } => exec_unit::run(&marker),
        Command::EndUnit { marker } => exec_unit::end(&marker),
    }
}
