//! The `rollguard` binary: its command line is `cli`.

#![cfg_attr(
    not(test),
    warn(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rollguard::cli::main()
}
