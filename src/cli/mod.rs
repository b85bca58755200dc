//! L4: the command line, one file a subcommand.

mod args;
pub mod check;
pub mod client;
mod debug;
mod demo;
mod deploy;
mod doctor;
mod drill;
pub mod exec_step;
mod exec_unit;
mod exit;
mod history;
mod import;
mod init;
mod interrupts;
mod journal;
mod order;
mod out;
mod past;
mod report;
mod run;
mod schema;
mod stats;
mod status;
mod test;
mod try_out;
mod try_watch;

pub use args::main;
