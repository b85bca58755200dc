//! `rollguard schema`: prints what an editor needs to complete and check rollguard's files. What it
//! prints is made of src/config/language.toml, which the reader of these files reads by, too.

use std::io::Write;

use clap::{Args, ValueEnum};

/// Print the JSON schema of rollguard's files, for editors that complete and check TOML
#[derive(Debug, Args)]
#[command(after_help = "\
The schema is JSON Schema draft-07, which editors with taplo read (Even Better
TOML of VS Code, Zed, Helix, Neovim). A file names it in its first line:
  #:schema ./rules.schema.json
An editor knows keys and their values. Whether signals, targets and hooks are
there, and what a condition says, `rollguard check` knows.

Examples:
  rollguard schema rules > rules.schema.json
  rollguard schema main > main.schema.json

Exit codes: 0 ok, 1 cannot be written.")]
pub(super) struct SchemaArgs {
    /// Of which file.
    #[arg(value_enum, default_value_t = SchemaFile::Rules)]
    file: SchemaFile,
}

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SchemaFile {
    /// The main file, rollguard.toml.
    Main,
    /// A file with signals and rules.
    Rules,
    /// A file with tests of rules, *.test.toml.
    Test,
}

impl SchemaFile {
    const fn schema(self) -> &'static str {
        match self {
            Self::Main => include_str!("../../schema/main.json"),
            Self::Rules => include_str!("../../schema/rules.json"),
            Self::Test => include_str!("../../schema/test.json"),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &SchemaArgs) -> u8 {
    u8::from(std::io::stdout().write_all(args.file.schema().as_bytes()).is_err())
}
