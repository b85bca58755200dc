//! `rollguard test`: plays rule tests on a virtual clock to the core that the daemon runs. It asks
//! nobody, runs nothing and waits for nothing.

#![expect(clippy::disallowed_methods, reason = "writes the file that --junit names")]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::out::{CommandError, Ended};
use super::{exit, out};
use crate::load::{LoadError, load_tests, test_files};
use crate::render;
use crate::ruletest::{CaseResult, play};

/// Play rule tests on a virtual clock and compare what the guard shows with what is expected.
#[derive(Args)]
#[command(after_help = "\
A test file stands beside the rules, as http.test.toml beside http.toml:

  rules = [\"http.toml\"]        # or config = \"rollguard.toml\"

  [[test]]
  name   = \"a burst of errors fires\"
  series = [
    { name = 'http_requests_total{status=\"200\"}', values = \"0+80x300\" },
    { name = 'http_requests_total{status=\"500\"}', values = \"0x60 20+20x239\" },
  ]
  expect = [
    { until = \"1m\", rule = \"error-rate\", state = \"inactive\" },
    { between = [\"3m5s\", \"3m10s\"], rule = \"error-rate\", state = \"firing\" },
  ]

Values, one for each scrape: 5  5x9 (ten times 5)  0+80x600 (0 and 600 more)
  _  _x5 (pages without the series)  stale  fail  failx5  fail:timeout

Expected is any of state, verdict, reason, signals, decision, refusal, colour,
stage and passed (names of stages)
  at       at this instant, counted from the first scrape
  between  it becomes so within these two; firing and decisions not before them
  until    all the time, from the deployment's begin or `from` on
A deployment begins at `arm` (0s), before the scrape of that instant. Without
`config` the mode is auto, and every hook is one that succeeds at once.

Examples:
  rollguard test rules.d
  rollguard test rules.d/http.test.toml --junit report.xml

Exit codes: 0 all passed, 1 some failed, 78 a file cannot be used.")]
pub(super) struct TestArgs {
    /// Test files, or directories with files *.test.toml
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Write the results as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON: `passed`, `failed`, and `files` with `tests`
    #[arg(long)]
    json: bool,
}

/// What `--json` prints. The field names are documented and stable.
#[derive(Serialize)]
struct TestSummary<'r> {
    /// How many tests passed.
    passed: usize,
    /// How many did not.
    failed: usize,
    /// The files that could be used.
    files: Vec<FileSummary<'r>>,
}

#[derive(Serialize)]
struct FileSummary<'r> {
    /// Its path.
    file: &'r str,
    /// Its tests, in order.
    tests: &'r [CaseResult],
}

pub(super) fn run(args: &TestArgs) -> Ended {
    let (results, unusable) = results(&args.files);
    let all = || results.iter().flat_map(|(_, results)| results);
    let failed = all().filter(|result| !result.has_passed()).count();
    let passed = all().count() - failed;
    let text = if args.json {
        let files = results.iter().map(|(file, tests)| FileSummary { file, tests }).collect();
        out::json(&TestSummary { passed, failed, files })
    } else {
        let style = out::style();
        let files = results.iter().map(|(file, results)| render::rule_tests(file, results, style));
        files.chain([render::tally(passed, failed)]).collect()
    };
    if let Some(path) = &args.junit {
        let written = File::create(path)
            .and_then(|mut file| file.write_all(render::junit(&results).as_bytes()));
        written.map_err(|error| {
            CommandError::failed(format_args!("failed to write {}: {error}", path.display()))
        })?;
    }
    out::print(&text)?;
    Ok(match (unusable, failed) {
        (true, _) => exit::BAD_CONFIG,
        (false, 0) => exit::OK,
        (false, _) => exit::FAILED,
    })
}

/// The results of every file that can be used, and whether there was one that cannot.
fn results(paths: &[PathBuf]) -> (Vec<(String, Vec<CaseResult>)>, bool) {
    let (mut results, mut unusable) = (Vec::new(), false);
    let mut complain = |error: LoadError| {
        out::note(&CommandError::from(error).text);
        unusable = true;
    };
    for path in paths {
        let files = test_files(path).map_err(&mut complain).unwrap_or_default();
        for file in files {
            if let Ok(cases) = load_tests(&file).map_err(&mut complain) {
                results.push((file.display().to_string(), cases.iter().map(play).collect()));
            }
        }
    }
    (results, unusable)
}
