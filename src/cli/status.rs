//! `rollguard status`: what the guard sees now.

use std::process::ExitCode;

use clap::Args;

use super::client::{Client, ClientError, Daemon, with_runtime};
use super::{exit, out};
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
        let text = text.expect("plain data with string keys always serializes");
        return printed(&format!("{text}\n"));
    }
    let mut text = String::new();
    if let Some(error) = &status.reload_error {
        let config = status.config.display();
        text = format!(
            "the newest configuration is not in force: {error}\nsee it with: rollguard check \
             {config}\n\n"
        );
    }
    let colour = out::may_colour(&std::io::stdout());
    let style = if colour { render::Style::Health } else { render::Style::Plain };
    text.push_str(&render::status(&status.guard, style));
    printed(&text)
}

fn printed(text: &str) -> Result<u8, ClientError> {
    out::print(text)?;
    Ok(exit::OK)
}
