//! The report of a deployment for which nothing was decided, in Markdown: it baked, was ended, or
//! is still guarded. Of one that was rolled back the incident report tells.

use crate::history::{DeploymentOutcome, Detail, Summary};
use crate::model::entry::SignalEvidence;

use super::history::{times, why};
use super::markdown::{bullets, code, code_cell, row, table_section, text};
use super::number::number;
use super::report_tables as tables;
use super::words::{caller, sections};

/// The whole report; empty where the journal does not know the deployment.
pub fn undecided(account: &Detail) -> String {
    let Some(brief) = account.summary() else { return String::new() };
    sections([
        head(brief, account),
        tables::timeline_of(account.entries(), brief.begun, None, &|_| None),
        tables::refusals(account.entries()),
        before(account),
        "---\n\nWritten by rollguard from its journal. Times are UTC.\n".to_owned(),
    ])
}

fn head(brief: &Summary, account: &Detail) -> String {
    let version = text(brief.version.as_str());
    let title = match brief.ending {
        DeploymentOutcome::Baked => format!("{version} baked and counts as good"),
        DeploymentOutcome::Ended => format!("the guarding of {version} ended without a verdict"),
        DeploymentOutcome::Superseded => format!("{version} was superseded without a verdict"),
        DeploymentOutcome::Guarding => format!("{version} is guarded"),
        // Nothing of this follows without a decision, unless the journal was archived in between.
        DeploymentOutcome::RollingBack
        | DeploymentOutcome::RolledBack
        | DeploymentOutcome::RollbackFailed => {
            format!("{version}: {}", brief.ending.word())
        }
    };
    let good = brief.good.as_ref().map_or("(none known)", |good| good.as_str());
    let facts = [
        ("deployment", Some(code(brief.id.as_str()))),
        ("begun", Some(format!("{} by {}, mode {}", brief.begun, caller(&brief.by), brief.mode))),
        ("version to go back to", Some(text(good))),
        ("why", why(brief).map(|why| text(&why))),
        ("took", times(brief).map(|times| text(&times))),
    ];
    format!(
        "# {}: {title}\n\n**Verdict: {}.** As of {}.\n\n{}",
        text(brief.service.as_str()),
        brief.ending.word(),
        account.at(),
        bullets(facts)
    )
}

/// The readings when it began.
fn before(account: &Detail) -> String {
    let cell = |signal: &SignalEvidence| {
        let value = signal.value.map(|value| number(value, None));
        let value = value.or_else(|| signal.no_data.clone()).unwrap_or("no data".to_owned());
        row(&[code_cell(&signal.label()), text(&value)])
    };
    let rows: String = account.before().iter().map(cell).collect();
    table_section("Signals before", &["signal", "before"], &rows)
}
