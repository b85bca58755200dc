//! `rollguard status`: what the guard sees now.

use clap::Args;

use super::client::Daemon;
use super::out::{self, Ended};
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

pub(super) async fn run(args: StatusArgs) -> Ended {
    let status = args.daemon.client().status().await?;
    if args.json {
        return out::print(&out::json(&status));
    }
    let mut text = String::new();
    if let Some(error) = &status.reload_error {
        let config = status.config.display();
        text = format!(
            "the newest configuration is not in force: {error}\nsee it with: rollguard check \
             {config}\n\n"
        );
    }
    text.push_str(&render::status(&status.guard, out::style()));
    out::print(&text)
}
