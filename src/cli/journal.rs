//! `rollguard journal`: whether the journal is what was written. It reads, and changes nothing.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::out::{CommandError, Ended};
use super::past::Place;
use super::{exit, out};
use crate::history::{Integrity, Verification};
use crate::journal::{JournalError, Piece, scan};
use crate::record::Hash;
use crate::render;

#[derive(Subcommand)]
pub(super) enum JournalCommand {
    /// Check every line and the chain that holds them together
    Verify(VerifyArgs),
}

#[derive(Args)]
#[command(next_line_help = true)]
#[command(after_help = "\
Whoever can write the journal can write another one that verifies. Note the head
elsewhere from time to time: with --head a journal that was cut short or written
anew since then does not pass. A last line that was not written whole never
counted; it is reported and no damage.

Examples:
  rollguard journal verify
  rollguard journal verify --json | jq -r .head
  rollguard journal verify copy.jsonl --head 5b3c...64 digits...

Exit codes: 0 whole, 1 damaged, or the noted head is not in it.")]
pub(super) struct VerifyArgs {
    /// The journal [default: that of the state directory]
    #[arg(value_name = "FILE", conflicts_with_all = ["config", "state"])]
    file: Option<PathBuf>,
    /// The head that was noted earlier; it must be in the chain
    #[arg(long, value_name = "HASH", value_parser = hash)]
    head: Option<Hash>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::from_hex(text).ok_or_else(|| "a head is 64 hexadecimal digits".to_owned())
}

pub(super) fn run(command: &JournalCommand) -> Ended {
    let JournalCommand::Verify(args) = command;
    let path = match &args.file {
        Some(file) => file.clone(),
        None => args.place.journal()?,
    };
    let verification = verification(&path, args.head)?;
    let people = || render::verification(&path.display().to_string(), &verification);
    out::print(&if args.json { out::json(&verification) } else { people() })?;
    match verification.verdict {
        Integrity::Whole => Ok(exit::OK),
        Integrity::Damaged | Integrity::HeadMissing => {
            out::note("the journal cannot be trusted");
            Ok(exit::FAILED)
        }
    }
}

fn verification(path: &Path, head: Option<Hash>) -> Result<Verification, CommandError> {
    let mut found = Verification::new(head);
    let read = scan(path, &mut |piece| {
        match piece {
            Piece::Record(record) => found.take(record),
            Piece::Again => found = Verification::new(head),
        }
        Ok(())
    });
    match read {
        Ok(verified) => found.whole(&verified),
        Err(JournalError::Broken { source, before, .. }) => found.damaged(&source, &before),
        Err(error) => return Err(error.into()),
    }
    Ok(found)
}
