//! `*.test.toml`: rule tests. First which files a test file is about, then, with their plan, what
//! it says. A test that cannot mean anything is an error at its place, never a failed expectation.
//!
//! `rules = […]` names rules files beside the test file, `config = "…"` a main file, of which the
//! targets, hooks, mode and deployment are then used. Of a test `series` has one value for each
//! scrape of its target, every `interval` from 0s on (default: the target's own, or 1s); the
//! longest of them ends the test. A series without a value is not on the page; a target without
//! series answers with a page on which nothing stands that is read. The deployment begins at `arm`
//! (default 0s, or "never"), before the scrape of that instant. Every step of a hook is done at
//! once. Where the rules have stages it begins in the first of them, and goes on as `stages` says,
//! where it may. The wall clock shows 1970-01-01T00:00:00Z at 0s, so that a time on a page is in
//! seconds.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::command::Force;
use crate::model::deployment::{Arm, Mode};
use crate::model::hook::{Hook, Piece, Step, Template};
use crate::model::index::HookIx;
use crate::model::name::{HookName, StageName, TargetName};
use crate::model::plan::Plan;
use crate::model::step::{Action, Via};
use crate::model::target::Target;
use crate::model::time::{format_duration, parse_duration};

use super::expectation::{TestScope, expectation, stage as stage_named};
use super::script::{TargetPages, TestCase};
use super::series::{TestSeries, pages, series};
use crate::config::compile::compile_alone;
use crate::config::syntax::declaration::declaration;
use crate::config::syntax::source::{body, parse, without_bom};
use crate::config::syntax::{Diagnostics, ReadContext, SourceFile, TomlTable, TomlValue, all};
use crate::config::tables::main_file::Pattern;
use crate::config::tables::target::target_at;

/// The most samples that one test may play: a day of one scrape a second with 200 series, which
/// takes some seconds.
const MAX_SAMPLES: u128 = 20_000_000;

/// The time between two scrapes where neither the test nor a configuration says.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The files that a test file is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basics {
    /// The main file, relative to the test file.
    pub config: Option<String>,
    /// Rules files, relative to the test file.
    pub rules: Vec<Pattern>,
}

/// The plan of rules files alone, which has no targets: the tests make them from their series. The
/// mode is `auto`, and every rule that would run a hook runs one that is always done.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn rules_alone(files: &[SourceFile]) -> Result<Plan, Diagnostics> {
    let mut plan = compile_alone(files)?;
    plan.mode = Mode::Auto;
    plan.hooks = vec![done_at_once()];
    plan.deployment.then = Some(HookIx(0));
    plan.deployment.bake = None;
    Ok(plan)
}

/// A hook of one step. Steps are not run in tests, so it does not matter which.
fn done_at_once() -> Hook {
    let argv = vec![Template(vec![Piece::Text("/bin/true".to_owned())])];
    let step = Step {
        action: Action::Run { argv, grace: Duration::ZERO, ok_exit: vec![0], via: Via::Child },
        timeout: Duration::from_secs(1),
        attempts: 1,
        backoff: Duration::ZERO,
        idempotent: true,
    };
    let name = HookName::new("rollback").expect("a constant that is a name");
    Hook { name, steps: vec![step], timeout: None, cure: None, on_failure: None }
}

/// Which files a test file is about.
///
/// # Errors
/// It names none, or they cannot be names of files.
pub fn basics(file: &SourceFile) -> Result<Basics, Diagnostics> {
    read_file(file, |root| {
        let (config, rules) = (root.read("config"), root.read("rules"));
        if root.get("config").is_none() && rules.as_ref().is_some_and(Vec::is_empty) {
            let error = root.error("the file names no rules to test");
            let help = "write rules = [\"http.toml\"] or config = \"rollguard.toml\"";
            return root.cx.missing(error.help(help));
        }
        Some(Basics { config: config?, rules: rules? })
    })
}

/// Reads the tests of a file: their targets, hooks, mode and deployment are those of the plan.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn rehearsal(file: &SourceFile, basis: &Plan) -> Result<Vec<TestCase>, Diagnostics> {
    read_file(file, |root| {
        root.check_keys();
        let Some(value) = root.get("test") else {
            let error = root.error("the file holds no test");
            return root.cx.missing(error.help("write [[test]] and name = \"…\" below it"));
        };
        if value.is_table() {
            return root.cx.refuse(value.error("tests are a list").label("write `[[test]]`"));
        }
        let mut names: Vec<&str> = Vec::new();
        all(value.list()?.into_iter().map(|value| {
            let read = case(value, body(&file.text), basis);
            let name = value.toml().as_table().and_then(|table| table.get("name"));
            if let Some(name) = name.and_then(|name| name.get_ref().as_str()) {
                if names.contains(&name) {
                    let message = format!("two tests are called `{}`", name.escape_debug());
                    root.cx.report(value.error(message));
                }
                names.push(name);
            }
            read
        }))
    })
}

fn read_file<T>(
    file: &SourceFile,
    read: impl FnOnce(&TomlTable<'_>) -> Option<T>,
) -> Result<T, Diagnostics> {
    let (text, cx) = (body(&file.text), ReadContext::default());
    let tree = parse(&cx, 0, text);
    let read = read(&TomlTable::root(&cx, 0, text, tree.get_ref(), declaration("test_file")));
    let (read, _) = cx.finish(read, without_bom(std::iter::once(file)))?;
    Ok(read)
}

fn case(value: TomlValue<'_>, text: &str, basis: &Plan) -> Option<TestCase> {
    let table = TomlTable::of(value, "test")?;
    let name = table.read("name");
    let times = table.all(["interval", "warmup"]);
    let arm = table.read_with("arm", arm);
    let stages = table.opt("stages", |value| stages(value, basis));
    let written = table.read_with("series", |value| value.each(series));
    let ((interval, warmup), written) = (times?, written?);
    let plan = plan(basis, interval, warmup, &written);
    let (end, pages) = match pages(&plan, written, &table) {
        Some(pages) => (end(&plan, &pages, &table), pages),
        None => (Some(Duration::MAX), Vec::new()),
    };
    let (end, arm) = (end?, arm?);
    let line = |value: &TomlValue<'_>| text[..value.span().start].matches('\n').count() + 1;
    let expects = table.read_with("expect", |value| {
        let scope = TestScope { plan: &plan, arm, end };
        if value.toml().as_array().is_some_and(|list| list.is_empty()) {
            value.cx.report(value.error("the test expects nothing"));
        }
        value.each(|value| expectation(value, line(&value), &scope))
    });
    Some(TestCase {
        name: name?,
        line: line(&value),
        stages: stages?.unwrap_or_default(),
        expects: expects?,
        plan: Arc::new(plan),
        pages,
        arm,
        end,
    })
}

/// The outer `None` means that it says nothing sensible, the inner that nothing begins.
#[expect(clippy::option_option, reason = "as everywhere in this walk")]
fn arm(value: TomlValue<'_>) -> Option<Option<Duration>> {
    let text = value.text()?;
    if text == "never" {
        return Some(None);
    }
    let error = |why| value.error(format!("not a duration: {why}")).help("or write \"never\"");
    parse_duration(text).map_err(|why| value.cx.report(error(why))).ok().map(Some)
}

fn stages(value: TomlValue<'_>, plan: &Plan) -> Option<Vec<(Duration, StageName, Force)>> {
    let mut last = Duration::ZERO;
    value.each(|value| {
        let table = TomlTable::of(value, "stages")?;
        let stage = table.read_with("stage", |value| stage_named(value, plan));
        let (at, force): (_, bool) = table.all(["at", "force"])?;
        let stage = stage?;
        if last > at {
            value.cx.report(value.error("stages stand in the order of time"));
        }
        last = at;
        Some((at, stage, Force::from(force)))
    })
}

/// The plan of one test: the basis with the test's own times, and where there is no configuration
/// with a target for each that its series name.
fn plan(
    basis: &Plan,
    interval: Option<Duration>,
    warmup: Option<Duration>,
    series: &[TestSeries<'_>],
) -> Plan {
    let mut plan = basis.clone();
    plan.deployment.warmup = warmup.unwrap_or(plan.deployment.warmup);
    // The test says when the deployment begins, and plays what happens while its version is live.
    plan.deployment.arm = Arm::Deploy;
    plan.deployment.live = None;
    for target in &mut plan.targets {
        target.interval = interval.unwrap_or(target.interval);
        target.timeout = target.timeout.min(target.interval);
    }
    // Rules files alone have no targets.
    let default = TargetName::new("test").expect("a constant that is a name");
    for each in series.iter().filter(|_| basis.targets.is_empty()) {
        let name = each.target.as_ref().map_or(&default, |(name, _)| name).clone();
        if plan.targets.iter().all(|target| target.name != name) {
            let interval = interval.unwrap_or(DEFAULT_INTERVAL);
            // Nobody ever asks it.
            let target = target_at(name, "http://127.0.0.1/metrics");
            let target = target.expect("a constant that is a URL");
            plan.targets.push(Target { interval, timeout: interval * 4 / 5, ..target });
        }
    }
    plan
}

/// When the last value is scraped.
fn end(plan: &Plan, pages: &[TargetPages], test: &TomlTable<'_>) -> Option<Duration> {
    let last = |(pages, target): (&TargetPages, &Target)| {
        let count = pages.iter().map(|(_, points)| points.count()).max()?;
        let times = u32::try_from(count.checked_sub(1)?).unwrap_or(u32::MAX);
        Some(target.interval.saturating_mul(times))
    };
    let Some(end) = pages.iter().zip(&plan.targets).filter_map(last).max() else {
        return test.cx.missing(test.error("the test has no values"));
    };
    let samples = pages.iter().zip(&plan.targets).map(|(pages, target)| {
        let scrapes = end.as_nanos() / target.interval.as_nanos().max(1) + 1;
        scrapes * pages.len().max(1) as u128
    });
    let samples: u128 = samples.sum();
    if samples <= MAX_SAMPLES {
        return Some(end);
    }
    let span = format_duration(end);
    let message = format!("{samples} samples in {span} are too many, {MAX_SAMPLES} is the most");
    test.cx.refuse(test.error(message))
}
