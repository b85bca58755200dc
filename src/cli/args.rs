//! Arguments, and which command they mean.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::approve::{ApproveArgs, DenyArgs};
use super::check::CheckArgs;
use super::client::with_runtime;
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
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
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
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Subcommands::Demo(args) => with_runtime(demo::run(args)),
        Subcommands::DemoApp(args) => with_runtime(demo::app::run(args)),
        Subcommands::Run(args) => run::run(&args),
        Subcommands::Check(args) => check::run(&args),
        Subcommands::Import(command) => import::run(&command),
        Subcommands::Init(args) => init::run(&args),
        Subcommands::Try(args) => try_out::run(&args),
        Subcommands::Test(args) => test::run(&args),
        Subcommands::Schema(args) => schema::run(&args),
        Subcommands::Deploy(command) => with_runtime(deploy::run(command)),
        Subcommands::Rollback(args) => with_runtime(rollback::run(args)),
        Subcommands::Approve(args) => with_runtime(approve::approve(args)),
        Subcommands::Deny(args) => with_runtime(approve::deny(args)),
        Subcommands::Pause(args) => with_runtime(pause::pause(args)),
        Subcommands::Resume(args) => with_runtime(pause::resume(args)),
        Subcommands::Doctor(args) => doctor::run(&args),
        Subcommands::Drill(args) => drill::run(args),
        Subcommands::Status(args) => with_runtime(status::run(args)),
        Subcommands::History(args) => history::run(&args),
        Subcommands::Report(args) => report::run(&args),
        Subcommands::Stats(args) => stats::run(&args),
        Subcommands::Journal(command) => journal::run(&command),
        Subcommands::Debug(command) => debug_command::run(&command),
        Subcommands::ExecStep { marker, parent, argv } => exec_step::run(&marker, parent, &argv),
        Subcommands::ExecUnit { marker } => exec_unit::run(&marker),
        Subcommands::EndUnit { marker } => exec_unit::end(&marker),
    }
}
