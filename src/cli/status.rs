//! `rollguard status`: what the guard sees now.

#![expect(clippy::print_stdout, reason = "a command prints its results")]
#![expect(clippy::disallowed_methods, reason = "whether to colour is asked of the environment")]

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;

use super::client::{Client, ClientError, Daemon, with_runtime};
use super::exit;
use crate::render;

#[derive(Args)]
#[command(after_help = "\
Example: rollguard status --json | jq '.rules[] | select(.state == \"pending\")'")]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn run(args: &StatusArgs) -> ExitCode {
    with_runtime(status(args))
}

async fn status(args: &StatusArgs) -> Result<u8, ClientError> {
    let status = Client::new(&args.daemon.control).status().await?;
    if args.json {
        let text = serde_json::to_string_pretty(&status);
        println!("{}", text.expect("plain data with string keys always serializes"));
        return Ok(exit::OK);
    }
    if let Some(error) = &status.reload_error {
        println!("the newest configuration is not in force: {error}");
        println!("see it with: rollguard check {}\n", status.config.display());
    }
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = if colour { render::Style::Colour } else { render::Style::Plain };
    print!("{}", render::status(&status.guard, style));
    Ok(exit::OK)
}
