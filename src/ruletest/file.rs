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

use toml::de::DeTable;

use crate::engine::command::Force;
use crate::model::deployment::Mode;
use crate::model::hook::{Hook, Piece, Step, Template};
use crate::model::index::HookIx;
use crate::model::name::{HookName, StageName, TargetName};
use crate::model::plan::Plan;
use crate::model::step::{Action, Via};
use crate::model::target::{NativeHistograms, Scheme, ScrapeUrl, Target};
use crate::model::time::{format_duration, parse_duration};
use crate::ruletest::{Case, Expect};

use super::expectation::{expectation, stage as stage_named};
use super::series::{Series, feeds, series};
use crate::config::compile::{body, compile_alone};
use crate::config::syntax::diagnostic::{Diagnostic, Diagnostics, SourceFile};
use crate::config::syntax::errors::{MAX_SYNTAX, Sink};
use crate::config::syntax::tree::{Item, Section};
use crate::config::tables::rules_files::{Pattern, rules_patterns};
use crate::config::tables::target::{MAX_INTERVAL, MIN_INTERVAL};

/// The most tests of a file, and the most expectations, series or stages of a test. Who reads a
/// failed one must find it.
const MAX_LISTED: usize = 1000;

/// The most samples that one test may play: a day of one scrape a second with 200 series, which
/// takes some seconds.
const MAX_SAMPLES: u64 = 20_000_000;

/// The time between two scrapes where neither the test nor a configuration says.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// The target where nobody names one.
const DEFAULT_TARGET: &str = "test";

const FILE_KEYS: [&str; 3] = ["rules", "config", "test"];
const TEST_KEYS: [&str; 7] = ["name", "interval", "series", "arm", "warmup", "stages", "expect"];

/// The files that a test file is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basics {
    /// The main file, relative to the test file.
    pub config: Option<String>,
    /// Rules files, relative to the test file.
    pub rules: Vec<Pattern>,
}

/// What the tests of a file are about.
#[derive(Clone, Debug)]
pub enum Basis {
    /// A whole configuration: its targets, hooks, mode and deployment are those of the tests.
    Configuration(Box<Plan>),
    /// Rules files alone. The tests' targets are made from their series, the mode is `auto`, and
    /// every rule that would run a hook runs one that is always done.
    Rules(Box<Plan>),
}

impl Basis {
    /// Rules files alone.
    ///
    /// # Errors
    /// Everything that is wrong with any of the files, lints included.
    pub fn rules(files: &[SourceFile]) -> Result<Self, Diagnostics> {
        let mut plan = compile_alone(files)?;
        plan.mode = Mode::Auto;
        plan.hooks = vec![done_at_once()];
        plan.deployment.then = Some(HookIx(0));
        plan.deployment.bake = None;
        Ok(Self::Rules(Box::new(plan)))
    }

    const fn plan(&self) -> &Plan {
        match self {
            Self::Configuration(plan) | Self::Rules(plan) => plan,
        }
    }
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
    let text = body(&file.text);
    let mut sink = Sink::default();
    let tree = parse(text, &mut sink);
    let root = Section::root(0, text, tree.get_ref());
    let config = root.opt("config", |item| item.string(&mut sink));
    let rules = rules_patterns(&root, &mut sink);
    if root.get("config").is_none() && rules.as_ref().is_some_and(Vec::is_empty) {
        let error = Diagnostic::error(root.place.clone(), "the file names no rules to test");
        sink.missing(error.help("write rules = [\"http.toml\"] or config = \"rollguard.toml\""));
    }
    match (config, rules) {
        (Some(config), Some(rules)) if !sink.has_errors() => Ok(Basics { config, rules }),
        (Some(_) | None, Some(_) | None) => Err(sink.finish(vec![clean(file)])),
    }
}

/// Reads the tests of a file.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn rehearsal(file: &SourceFile, basis: &Basis) -> Result<Vec<Case>, Diagnostics> {
    let text = body(&file.text);
    let mut sink = Sink::default();
    let tree = parse(text, &mut sink);
    let root = Section::root(0, text, tree.get_ref());
    root.only(&FILE_KEYS, &[], &mut sink);
    let cases = cases(&root, text, basis, &mut sink);
    match cases {
        Some(cases) if !sink.has_errors() => Ok(cases),
        Some(_) | None => Err(sink.finish(vec![clean(file)])),
    }
}

fn clean(file: &SourceFile) -> SourceFile {
    SourceFile { path: file.path.clone(), text: body(&file.text).to_owned() }
}

fn parse<'t>(text: &'t str, sink: &mut Sink) -> toml::Spanned<DeTable<'t>> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    for error in errors.into_iter().take(MAX_SYNTAX) {
        let span = error.span().unwrap_or(text.len()..text.len());
        sink.syntax(text, crate::config::syntax::diagnostic::Place::new(0, span), error.message());
    }
    tree
}

fn cases(root: &Section<'_>, text: &str, basis: &Basis, sink: &mut Sink) -> Option<Vec<Case>> {
    let Some(item) = root.get("test") else {
        let error = Diagnostic::error(root.place.clone(), "the file holds no test");
        sink.missing(error.help("write [[test]] and name = \"…\" below it"));
        return None;
    };
    if item.is_table() {
        let error = Diagnostic::error(item.place(), "tests are a list");
        sink.report(error.label("write `[[test]]`"));
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    let mut all = Some(Vec::new());
    for item in listed(item, sink)? {
        let read = case(item, text, basis, sink);
        let name = item.value().as_table().and_then(|table| table.get("name"));
        if let Some(name) = name.and_then(|name| name.get_ref().as_str()) {
            if names.contains(&name) {
                let message = format!("two tests are called `{}`", name.escape_debug());
                sink.report(Diagnostic::error(item.place(), message));
            }
            names.push(name);
        }
        all = all.zip(read).map(|(mut all, case)| {
            all.push(case);
            all
        });
    }
    all
}

/// The elements of a list that people can overlook.
fn listed<'a>(item: Item<'a>, sink: &mut Sink) -> Option<Vec<Item<'a>>> {
    let list = item.list(sink)?;
    if list.len() <= MAX_LISTED {
        return Some(list);
    }
    let message = format!("{} are too many, {MAX_LISTED} is the most", list.len());
    sink.report(Diagnostic::error(item.place(), message));
    None
}

fn case(item: Item<'_>, text: &str, basis: &Basis, sink: &mut Sink) -> Option<Case> {
    let section = item.section("[[test]]", sink)?;
    section.only(&TEST_KEYS, &[], sink);
    let name = section.required("name", sink).and_then(|item| item.string(sink));
    let interval =
        section.opt("interval", |item| item.duration_within(MIN_INTERVAL, MAX_INTERVAL, sink));
    let warmup = section.opt("warmup", |item| item.duration(sink));
    let arm = section.or("arm", Some(Duration::ZERO), |item| arm(item, sink));
    let stages = section.or("stages", Vec::new(), |item| stages(item, basis.plan(), sink));
    let written = section.required("series", sink).and_then(|item| {
        let all: Vec<_> = listed(item, sink)?.into_iter().map(|item| series(item, sink)).collect();
        all.into_iter().collect::<Option<Vec<Series<'_>>>>()
    });
    let (interval, written) = (interval?, written?);
    let plan = plan(basis, interval, warmup?, &written);
    let feeds = feeds(&plan, written, &section.place, sink);
    let line = |item: &Item<'_>| text[..item.place().start].matches('\n').count() + 1;
    let (end, feeds) = match feeds {
        Some(feeds) => (end(&plan, &feeds, &section, sink), feeds),
        None => (Some(Duration::MAX), Vec::new()),
    };
    let (end, arm) = (end?, arm?);
    let expects = section.required("expect", sink).and_then(|item| {
        let context = super::expectation::Context { plan: &plan, arm, end };
        let list = listed(item, sink)?;
        if list.is_empty() {
            sink.report(Diagnostic::error(item.place(), "the test expects nothing"));
        }
        let read = |item: Item<'_>| expectation(item, line(&item), &context, sink);
        let all: Vec<_> = list.into_iter().map(read).collect();
        all.into_iter().collect::<Option<Vec<Expect>>>()
    });
    let (name, stages, expects) = (name?, stages?, expects?);
    let plan = Arc::new(plan);
    Some(Case { name, line: line(&item), plan, feeds, arm, stages, expects, end })
}

/// The outer `None` means that it says nothing sensible, the inner that nothing begins.
#[expect(clippy::option_option, reason = "as everywhere in this walk")]
fn arm(item: Item<'_>, sink: &mut Sink) -> Option<Option<Duration>> {
    let text = item.text(sink)?;
    if text.value == "never" {
        return Some(None);
    }
    let wrong = |e| {
        let error = Diagnostic::error(item.place(), format!("not a duration: {e}"));
        sink.report(error.help("or write \"never\""));
    };
    parse_duration(text.value).map_err(wrong).ok().map(Some)
}

fn stages(
    item: Item<'_>,
    plan: &Plan,
    sink: &mut Sink,
) -> Option<Vec<(Duration, StageName, Force)>> {
    let mut all: Vec<(Duration, StageName, Force)> = Vec::new();
    for item in listed(item, sink)? {
        let section = item.section("a stage", sink)?;
        section.only(&["at", "stage", "force"], &[], sink);
        let at = section.required("at", sink).and_then(|item| item.duration(sink));
        let stage = section.required("stage", sink);
        let stage = stage.and_then(|item| stage_named(item, plan, sink));
        let force = section.or("force", false, |item| item.boolean(sink));
        let (at, stage, force) = (at?, stage?, force?);
        if all.last().is_some_and(|(last, ..)| *last > at) {
            let message = "stages stand in the order of time";
            sink.report(Diagnostic::error(item.place(), message));
        }
        all.push((at, stage, Force::from(force)));
    }
    Some(all)
}

/// The plan of one test: the basis with the test's own times, and where there is no configuration
/// with a target for each that its series name.
fn plan(
    basis: &Basis,
    interval: Option<Duration>,
    warmup: Option<Duration>,
    series: &[Series<'_>],
) -> Plan {
    let mut plan = basis.plan().clone();
    plan.deployment.warmup = warmup.unwrap_or(plan.deployment.warmup);
    // The test says when the deployment begins.
    plan.deployment.arm = crate::model::deployment::Arm::Deploy;
    match basis {
        Basis::Configuration(_) => {
            for target in &mut plan.targets {
                target.interval = interval.unwrap_or(target.interval);
                target.timeout = target.timeout.min(target.interval);
            }
        }
        Basis::Rules(_) => {
            for each in series {
                let name = each.target.as_ref().map_or(DEFAULT_TARGET, |(name, _)| name.as_str());
                if plan.targets.iter().all(|target| target.name.as_str() != name) {
                    let name = TargetName::new(name).expect("checked when it was read");
                    plan.targets.push(answering(name, interval.unwrap_or(DEFAULT_INTERVAL)));
                }
            }
        }
    }
    plan
}

/// A target that nobody ever asks.
fn answering(name: TargetName, interval: Duration) -> Target {
    let (host, path) = ("127.0.0.1".to_owned(), "/metrics".to_owned());
    Target {
        name,
        url: ScrapeUrl { scheme: Scheme::Http, host, port: 80, path },
        interval,
        sharpen: None,
        native_histograms: NativeHistograms::Never,
        timeout: interval * 4 / 5,
        labels: Vec::new(),
        headers: Vec::new(),
        ca_file: None,
        max_body: 1 << 20,
    }
}

/// When the last value is scraped.
fn end(
    plan: &Plan,
    feeds: &[crate::ruletest::Feed],
    section: &Section<'_>,
    sink: &mut Sink,
) -> Option<Duration> {
    let last = |(feed, target): (&crate::ruletest::Feed, &Target)| {
        let count = feed.series.iter().map(|(_, values)| values.count()).max()?;
        let times = u32::try_from(count.checked_sub(1)?).unwrap_or(u32::MAX);
        Some(target.interval.saturating_mul(times))
    };
    let end = feeds.iter().zip(&plan.targets).filter_map(last).max();
    let Some(end) = end else {
        sink.missing(Diagnostic::error(section.place.clone(), "the test has no values"));
        return None;
    };
    let samples = feeds.iter().zip(&plan.targets).map(|(feed, target)| {
        let scrapes = end.as_nanos() / target.interval.as_nanos().max(1) + 1;
        u64::try_from(scrapes).unwrap_or(u64::MAX).saturating_mul(feed.series.len().max(1) as u64)
    });
    let samples = samples.fold(0, u64::saturating_add);
    if samples <= MAX_SAMPLES {
        return Some(end);
    }
    let span = format_duration(end);
    let message = format!("{samples} samples in {span} are too many, {MAX_SAMPLES} is the most");
    sink.report(Diagnostic::error(section.place.clone(), message));
    None
}
