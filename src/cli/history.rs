//! `rollguard history`: what became of each deployment, from the journal.

use clap::Args;
use serde::Serialize;

use super::out::{Ended, json, print, style};
use super::past::{Place, since};
use crate::history::{Filter, Index, MAX_KEPT, Summary};
use crate::model::name::{DeploymentId, ServiceName};
use crate::model::time::Timestamp;
use crate::render;

/// How many deployments are shown where nothing else was asked for: a few screens.
const FEW: usize = 20;

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Reads the journal itself, with or without a daemon, and changes nothing. The
newest deployment comes first. docs/journal.md has the fields of --json.

Examples:
  rollguard history --since 7d
  rollguard history --last 1 --json | jq -r '.deployments[].ending'

Exit codes: 0 ok, 1 the journal cannot be read, 78 nor can the configuration.")]
pub(super) struct HistoryArgs {
    /// Only deployments that began since then: 7d, 2026-11-21 (UTC)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Only so many, the newest [default: 20, with a filter all]
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only the deployment of this id
    #[arg(long, value_name = "ID", value_parser = DeploymentId::new)]
    deployment: Option<DeploymentId>,
    /// Only deployments of this service
    #[arg(long, value_name = "NAME", value_parser = ServiceName::new)]
    service: Option<ServiceName>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct History<'a> {
    deployments: Vec<&'a Summary>,
    left_out: usize,
}

pub(super) fn run(args: &HistoryArgs) -> Ended {
    let filter = Filter {
        since: args.since,
        deployment: args.deployment.clone(),
        service: args.service.clone(),
    };
    let few = if filter == Filter::default() { FEW } else { MAX_KEPT };
    let room = args.last.unwrap_or(few);
    let book = args.place.read(|| Index::new(filter.clone(), room), Index::apply)?;
    if args.json {
        let deployments = book.deployments().rev().collect();
        return print(&json(&History { deployments, left_out: book.left_out() }));
    }
    let mut text = render::history(book.deployments().rev(), style());
    if text.is_empty() {
        text.push_str("no deployment\n");
    }
    if book.left_out() > 0 {
        text.push_str(&format!("\n{} older ones are not shown\n", book.left_out()));
    }
    print(&text)
}
