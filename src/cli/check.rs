//! `rollguard check`: validates configuration with the daemon's own code and shows everything
//! that is wrong. It changes nothing and asks nobody.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{exit, out};
use crate::config::{Color, DiagnosticLevel, Diagnostics};
use crate::load::{
    Directories, Found, Hides, LoadError, find, is_main_file, is_test_file, load_rules, load_tests,
    same_file,
};

/// The main file where none is named.
pub const DEFAULT_FILE: &str = "/etc/rollguard/rollguard.toml";

/// Validate configuration; show every mistake with its file, line and column.
#[derive(Debug, Args)]
#[command(after_help = "\
A main file is checked with the rules files that it names. A file that holds
nothing but signals and rules is checked by itself: which targets and hooks
there are is not known then.

A main file's `rules` names files relative to it; the last part of a path may
hold `*`. What it names in rules.d/ is looked up in the directories of
`rules_path` too, lowest first; the main file's own directory is the highest.
The default for a main file in /etc/rollguard:

  rules_path = [\"/usr/lib/rollguard\", \"/run/rollguard\"]

A file replaces the one of the same name in a lower directory; an empty file or
a link to /dev/null masks it. All are read in the order of their names; by
convention those of packages begin with 10 to 40, one's own with 60 to 90. Root
reads no file, and lists no directory, that others can write.

Examples:
  rollguard check
  rollguard check rollguard.toml
  rollguard check --deny-lints rules.d/*.toml

Exit codes: 0 in order, 78 bad configuration.")]
pub struct CheckArgs {
    /// Main files and rules files.
    #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
    pub files: Vec<PathBuf>,
    /// Treat lints as errors.
    #[arg(long)]
    pub deny_lints: bool,
}

/// What lints do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lints {
    /// They are shown.
    Show,
    /// They fail the check.
    Deny,
}

/// What a check says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// For standard output: the files of each main file, and one line for each configuration that
    /// is in order.
    pub out: String,
    /// For standard error: everything that is wrong.
    pub err: String,
    /// Whether the check failed.
    pub failed: bool,
}

/// Runs the command.
pub(super) fn run(args: &CheckArgs) -> u8 {
    let color = if out::may_colour(&std::io::stderr()) { Color::Ansi } else { Color::Plain };
    let lints = if args.deny_lints { Lints::Deny } else { Lints::Show };
    let report = check(&args.files, lints, color);
    // A reader that went away has seen what it wanted; the exit code still tells.
    let _ = std::io::stderr().write_all(report.err.as_bytes());
    let _ = std::io::stdout().write_all(report.out.as_bytes());
    if report.failed { exit::BAD_CONFIG } else { exit::OK }
}

/// Checks files: each main file with the rules files that it names, all other rules files together.
pub fn check(files: &[PathBuf], lints: Lints, color: Color) -> Report {
    let mut report = Report::default();
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut rules: Vec<PathBuf> = Vec::new();
    for file in files {
        if is_test_file(file) {
            // The tests are not played.
            match load_tests(file) {
                Ok(tests) => report.out.push_str(&format!("ok: {}\n", count(tests.len(), "test"))),
                Err(error) => report.fail(&error, color),
            }
            continue;
        }
        // The daemon's own file is one, whatever it holds.
        let is_main = if file == Path::new(DEFAULT_FILE) { Ok(true) } else { is_main_file(file) };
        match is_main {
            Ok(true) => seen.extend(check_main(file, lints, color, &mut report)),
            Ok(false) => rules.push(file.clone()),
            Err(error) => report.fail(&error, color),
        }
    }
    rules.retain(|file| !seen.iter().any(|seen| same_file(seen, file)));
    if !rules.is_empty() {
        check_rules_files(&rules, lints, color, &mut report);
    }
    report
}

/// Checks a main file and answers the files that it led to.
fn check_main(file: &Path, lints: Lints, color: Color, report: &mut Report) -> Vec<PathBuf> {
    let found = match find(file) {
        Ok(found) => found,
        Err(error) => {
            report.fail(&error, color);
            return vec![file.to_owned()];
        }
    };
    report.files(&found);
    let files = found.files.clone();
    match found.compile(&Directories::from_environment()) {
        Ok(loaded) => {
            let plan = &loaded.plan;
            let parts = [
                count(plan.targets.len(), "target"),
                count(plan.written_signals(), "signal"),
                count(plan.rules.len(), "rule"),
                count(plan.hooks.len(), "hook"),
            ];
            report.pass(&parts, &loaded.lints, lints, color);
        }
        Err(error) => report.fail(&error, color),
    }
    files
}

fn check_rules_files(files: &[PathBuf], lints: Lints, color: Color, report: &mut Report) {
    match load_rules(files) {
        Ok(checked) => {
            let parts = [count(checked.signals, "signal"), count(checked.rules, "rule")];
            report.pass(&parts, &checked.lints, lints, color);
        }
        Err(error) => report.fail(&error, color),
    }
}

/// A number and what is counted, in the plural unless it is one.
pub(super) fn count<N: Display + PartialEq + From<u8>>(number: N, what: &str) -> String {
    let plural = if number == N::from(1) { "" } else { "s" };
    format!("{number} {what}{plural}")
}

impl Report {
    /// Which files make a configuration, and which do not although they are there.
    fn files(&mut self, found: &Found) {
        for file in &found.files {
            self.out.push_str(&format!("read: {}\n", file.display()));
        }
        for hidden in &found.hidden {
            let how = match hidden.how {
                Hides::Replaces => "replaced",
                Hides::Masks => "masked",
            };
            let (path, by) = (hidden.path.display(), hidden.by.display());
            self.out.push_str(&format!("{how}: {path}\n  by {by}\n"));
        }
    }

    fn pass(&mut self, parts: &[String], found: &Diagnostics, lints: Lints, color: Color) {
        self.err.push_str(&found.render(color));
        let number = found.count(DiagnosticLevel::Lint);
        if number > 0 && lints == Lints::Deny {
            self.failed = true;
            self.err.push_str(&format!("failed: {}, denied\n", count(number, "lint")));
            return;
        }
        let note = if number > 0 { format!(" ({})", count(number, "lint")) } else { String::new() };
        self.out.push_str(&format!("ok: {}{note}\n", parts.join(", ")));
    }

    fn fail(&mut self, error: &LoadError, color: Color) {
        self.failed = true;
        let LoadError::Wrong(wrong) = error else {
            self.err.push_str(&format!("error: failed to {error}\n"));
            return;
        };
        self.err.push_str(&wrong.render(color));
        let errors = count(wrong.count(DiagnosticLevel::Error), "error");
        let lints = wrong.count(DiagnosticLevel::Lint);
        let more = if lints > 0 { format!(", {}", count(lints, "lint")) } else { String::new() };
        self.err.push_str(&format!("failed: {errors}{more}\n"));
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        check: CheckArgs,
    }

    #[test]
    fn without_files_the_daemons_own_is_checked() {
        Line::command().debug_assert();
        let line = Line::parse_from(["check"]).check;
        assert_eq!((line.files, line.deny_lints), (vec![PathBuf::from(DEFAULT_FILE)], false));
        let line = Line::parse_from(["check", "--deny-lints", "a", "b"]).check;
        assert_eq!((line.files.len(), line.deny_lints), (2, true));
    }

    #[test]
    fn a_file_that_is_not_there_fails_with_its_name() {
        let report = check(&["/nonexistent/x.toml".into()], Lints::Show, Color::Plain);
        assert!(report.failed && report.out.is_empty());
        assert!(report.err.starts_with("error: failed to read /nonexistent/x.toml: "));
    }
}
