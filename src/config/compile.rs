//! From files to a plan. Every file is walked to its end whatever is wrong with it, so that one
//! run of `check` shows everything.

use std::collections::HashSet;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use crate::model::deployment::{Along, Arm, Budget, DeploymentSettings, Mode};
use crate::model::hook::Hook;
use crate::model::index::{HookIx, SignalIx};
use crate::model::name::ServiceName;
use crate::model::plan::Plan;
use crate::model::rule::Rule;
use crate::model::signal::Signal;
use crate::model::stage::Stage;
use crate::model::target::Target;

use crate::config::expr::lowering::{Names, mentioned};
use crate::config::lint::lints::Origins;
use crate::config::lint::plan::{bake_is_long_enough, nothing_is_entered_unasked};
use crate::config::syntax::diagnostic::{Diagnostic, Diagnostics, Level, Place, SourceFile};
use crate::config::syntax::errors::{MAX_SYNTAX, Sink};
use crate::config::syntax::tree::Section;
use crate::config::tables::channel::channels;
use crate::config::tables::deployment::{
    DEFAULT_BAKE, MAIN_KEYS, SHARED_KEYS, Settings, deployment, settings,
};
use crate::config::tables::derived::{baseline, before};
use crate::config::tables::drill::drill;
use crate::config::tables::hook::{hook, refuse_circles};
use crate::config::tables::named::{Declared, Listed, declared};
use crate::config::tables::rule::{Refers, rule};
use crate::config::tables::rules_files::{read_rules_path, rules_patterns};
use crate::config::tables::signal::signal;
use crate::config::tables::signal_order::order;
use crate::config::tables::stage::{self, Stages};
use crate::config::tables::target::target;

/// A configuration that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// Where the daemon keeps and shows things.
    pub settings: Settings,
    /// What the core is driven by.
    pub plan: Plan,
    /// What is allowed and will hardly do what was meant.
    pub lints: Diagnostics,
}

/// Rules files that are in order as far as that can be known without a main file.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedRules {
    /// How many signals they define.
    pub signals: usize,
    /// How many rules they define.
    pub rules: usize,
    /// What is allowed and will hardly do what was meant.
    pub lints: Diagnostics,
}

/// Compiles a main file and its rules files.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn compile(main: &SourceFile, rules: &[SourceFile]) -> Result<Compiled, Diagnostics> {
    compile_found(main, rules, Vec::new())
}

/// The same, told what was wrong with finding the files. Where that is an error some file is not
/// there, and what only it could say is not reported as missing.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn compile_found(
    main: &SourceFile,
    rules: &[SourceFile],
    problems: Vec<Diagnostic>,
) -> Result<Compiled, Diagnostics> {
    let files = without_bom(std::iter::once(main).chain(rules));
    let mut sink = Sink::default();
    if problems.iter().any(|problem| problem.level == Level::Error) {
        sink.incomplete();
    }
    problems.into_iter().for_each(|problem| sink.report(problem));
    let compiled = Parsed::new(&files, &mut sink).compile(&mut sink);
    match compiled {
        Some((settings, plan)) if !sink.has_errors() => {
            Ok(Compiled { settings, plan, lints: sink.finish(files) })
        }
        Some(_) | None => Err(sink.finish(files)),
    }
}

/// Checks rules files alone: what they say of targets and hooks is not checked.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn check_rules(rules: &[SourceFile]) -> Result<CheckedRules, Diagnostics> {
    let files = without_bom(rules.iter());
    let mut sink = Sink::default();
    let checked = Parsed::new(&files, &mut sink).check_rules(&Listed::Unknown, None, &mut sink);
    match checked {
        Some(plan) if !sink.has_errors() => Ok(CheckedRules {
            signals: plan.written_signals(),
            rules: plan.rules.len(),
            lints: sink.finish(files),
        }),
        Some(_) | None => Err(sink.finish(files)),
    }
}

/// Compiles rules files alone, for these targets: nothing is guarded, and what they say of hooks
/// is not checked. Without targets what they say of them is not checked either.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn compile_rules(rules: &[SourceFile], targets: &[Target]) -> Result<Plan, Diagnostics> {
    let files = without_bom(rules.iter());
    let mut sink = Sink::default();
    let names = targets.iter().map(|target| target.name.to_string()).collect();
    let names = if targets.is_empty() { Listed::Unknown } else { Listed::All(names) };
    let compiled = Parsed::new(&files, &mut sink).check_rules(&names, None, &mut sink);
    match compiled {
        Some(plan) if !sink.has_errors() => Ok(Plan { targets: targets.to_vec(), ..plan }),
        Some(_) | None => Err(sink.finish(files)),
    }
}

/// Compiles rules files alone for rule tests: what a rule does where the main file would say is
/// left to the hook at the first place, which the caller puts there; so are the targets.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub(crate) fn compile_alone(rules: &[SourceFile]) -> Result<Plan, Diagnostics> {
    let files = without_bom(rules.iter());
    let mut sink = Sink::default();
    let plan =
        Parsed::new(&files, &mut sink).check_rules(&Listed::Unknown, Some(HookIx(0)), &mut sink);
    match plan {
        Some(plan) if !sink.has_errors() => Ok(plan),
        Some(_) | None => Err(sink.finish(files)),
    }
}

/// Whether a file is a main file rather than one of rules: it has a key that only main files have.
#[must_use]
pub fn is_main(file: &SourceFile) -> bool {
    // Most rules files hold none of the words, and need not be read twice.
    if !MAIN_KEYS.iter().any(|key| file.text.contains(key)) {
        return false;
    }
    let (table, _) = DeTable::parse_recoverable(body(&file.text));
    let keys = table.get_ref();
    MAIN_KEYS.iter().any(|key| keys.contains_key(*key))
}

/// The text without a byte order mark.
pub(crate) fn body(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

pub(crate) fn without_bom<'f>(files: impl Iterator<Item = &'f SourceFile>) -> Vec<SourceFile> {
    let clean =
        |f: &SourceFile| SourceFile { path: f.path.clone(), text: body(&f.text).to_owned() };
    files.map(clean).collect()
}

/// The files' trees.
struct Parsed<'f> {
    files: &'f [SourceFile],
    trees: Vec<Spanned<DeTable<'f>>>,
}

/// Everything that files declare.
struct Tables<'a> {
    targets: Vec<Declared<'a>>,
    hooks: Vec<Declared<'a>>,
    signals: Vec<Declared<'a>>,
    rules: Vec<Declared<'a>>,
    stages: Stages<'a>,
}

impl<'f> Parsed<'f> {
    fn new(files: &'f [SourceFile], sink: &mut Sink) -> Self {
        let mut trees = Vec::new();
        for (ix, file) in files.iter().enumerate() {
            let (tree, errors) = DeTable::parse_recoverable(&file.text);
            for error in errors.into_iter().take(MAX_SYNTAX) {
                let end = file.text.len();
                let place = Place::new(ix, error.span().unwrap_or(end..end));
                sink.syntax(&file.text, place, error.message());
            }
            trees.push(tree);
        }
        Self { files, trees }
    }

    fn roots(&self) -> Vec<Section<'_>> {
        let files = self.files.iter().zip(&self.trees).enumerate();
        files.map(|(ix, (file, tree))| Section::root(ix, &file.text, tree.get_ref())).collect()
    }

    fn compile(&self, sink: &mut Sink) -> Option<(Settings, Plan)> {
        let roots = self.roots();
        let (main, rules_files) = roots.split_first()?;
        let general = settings(main, sink);
        if rules_patterns(main, sink).is_none() | read_rules_path(main, sink).is_none() {
            sink.incomplete();
        }
        rules_files.iter().for_each(|root| only_rules(root, sink));
        let tables = Tables {
            targets: declared(&roots[..1], "target", sink),
            hooks: declared(&roots[..1], "hook", sink),
            signals: declared(&roots, "signal", sink),
            rules: declared(&roots, "rule", sink),
            stages: Stages::of(&roots, true, sink),
        };
        let (targets, hooks) = (Listed::of(&tables.targets), Listed::of(&tables.hooks));
        let deployment = deployment(main, &hooks, general.as_ref().map(|(mode, _)| *mode), sink);
        let channels = channels(&roots[..1], sink);
        let drill = drill(main, &hooks, sink);
        if tables.targets.is_empty() {
            let error = Diagnostic::error(main.place.clone(), "the file has no target to sample");
            sink.missing(error.help("write [target.NAME] and scrape = \"http://…\" below it"));
        }
        let then = deployment.as_ref().and_then(|deployment| deployment.then);
        let core = tables.core(&targets, &hooks, then, sink);
        let (mode, settings) = general?;
        let Core { targets, signals, rules, hooks, stages, order } = core?;
        let (deployment, channels, drill) = (deployment?, channels?, drill?);
        let plan =
            Plan { mode, deployment, targets, signals, rules, hooks, stages, channels, drill };
        bake_is_long_enough(main, &plan, sink);
        nothing_is_entered_unasked(main, &plan, sink);
        rules_can_change(&plan, &tables.rules, sink);
        if !sink.has_errors() {
            tables.origins(&plan, &order).whole(main.place.clone(), sink);
        }
        Some((settings, plan))
    }

    fn check_rules(&self, targets: &Listed, then: Option<HookIx>, sink: &mut Sink) -> Option<Plan> {
        let roots = self.roots();
        roots.iter().for_each(|root| only_rules(root, sink));
        let tables = Tables {
            targets: Vec::new(),
            hooks: Vec::new(),
            signals: declared(&roots, "signal", sink),
            rules: declared(&roots, "rule", sink),
            stages: Stages::of(&roots, false, sink),
        };
        let core = tables.core(targets, &Listed::Unknown, then, sink)?;
        let Core { targets, signals, rules, hooks, stages, order } = core;
        let deployment = nothing_guarded()?;
        let (mode, channels, drill) = (Mode::Observe, Vec::new(), None);
        let plan =
            Plan { mode, deployment, targets, signals, rules, hooks, stages, channels, drill };
        rules_can_change(&plan, &tables.rules, sink);
        if !sink.has_errors() {
            roots.iter().for_each(|root| not_empty(root, sink));
            tables.origins(&plan, &order).rules_alone(sink);
        }
        Some(plan)
    }
}

/// What the core of a plan consists of, and the order of its signals among the declared ones.
struct Core {
    targets: Vec<Target>,
    signals: Vec<Signal>,
    rules: Vec<Rule>,
    hooks: Vec<Hook>,
    stages: Vec<Stage>,
    order: Vec<usize>,
}

/// Signals in the order of the plan, so far.
struct Placed {
    /// `None` where one of them could not be read.
    signals: Option<Vec<Signal>>,
    names: Names,
    /// For each the declared signal that it is or follows from.
    order: Vec<usize>,
    /// For each the longest window of it and of all that it is computed from.
    windows: Vec<Duration>,
}

impl Placed {
    fn push(&mut self, signal: Signal, declared: usize) -> SignalIx {
        let place = SignalIx(self.order.len());
        let mut window = signal.kind.window();
        signal.kind.for_each_signal(&mut |ix| {
            // What could not be read has no place.
            window = window.max(self.windows.get(ix.0).copied().unwrap_or_default());
        });
        self.windows.push(window);
        self.names.insert(signal.name.as_str(), place, signal.unit);
        self.names.read_by(place, &signal.by);
        self.order.push(declared);
        if let Some(signals) = &mut self.signals {
            signals.push(signal);
        }
        place
    }

    fn push_before(&mut self, place: SignalIx, declared: usize) {
        let Some(signals) = &self.signals else { return };
        let signal = &signals[place.0];
        match before(signal, place, self.windows[place.0]) {
            Ok(before) => {
                self.push(before, declared);
            }
            Err(why) => self.names.refuse_before(signal.name.as_str(), why),
        }
    }

    /// A signal that could not be read: its users are judged for their own mistakes only.
    fn unread(&mut self, name: &str) {
        self.names.insert(name, SignalIx(usize::MAX), None);
        self.signals = None;
    }
}

impl<'a> Tables<'a> {
    fn core(
        &self,
        targets: &Listed,
        hooks: &Listed,
        then: Option<HookIx>,
        sink: &mut Sink,
    ) -> Option<Core> {
        let sampled: Vec<_> = self.targets.iter().map(|d| target(d, sink)).collect();
        let sorted = order(&self.signals, sink);
        let Placed { signals, names, order, .. } = self.signals(&sorted, targets, sink);
        let refers = Refers { signals: &names, hooks, then, stages: &self.stages };
        let rules: Vec<_> = self.rules.iter().map(|d| rule(d, refers, sink)).collect();
        let done: Vec<_> = self.hooks.iter().map(|d| hook(d, &names, hooks, sink)).collect();
        refuse_circles(&done, &self.hooks, sink);
        let refers = stage::Refers {
            signals: &names,
            hooks,
            declared: &self.rules,
            rules: &rules,
            read: &done,
        };
        let stages = self.stages.read(refers, sink);
        if sorted.len() < self.signals.len() {
            // Signals of a circle have no place, so rules over them cannot be looked at.
            return None;
        }
        Some(Core {
            targets: sampled.into_iter().collect::<Option<_>>()?,
            signals: signals?,
            rules: rules.into_iter().collect::<Option<_>>()?,
            hooks: done.into_iter().collect::<Option<_>>()?,
            stages: stages?,
            order,
        })
    }

    /// The signals in the order in which they are computed, what is derived from one right after
    /// it, and all their names.
    fn signals(&self, order: &[usize], targets: &Listed, sink: &mut Sink) -> Placed {
        let mut names = Names::default();
        // Signals that could not be read and those of a circle keep a place that is never used:
        // there is no plan then.
        for declared in &self.signals {
            names.insert(declared.name, SignalIx(usize::MAX), None);
        }
        let earlier = self.looked_back_at();
        let mut placed =
            Placed { signals: Some(Vec::new()), names, order: Vec::new(), windows: Vec::new() };
        for at in order {
            let declared = &self.signals[*at];
            match signal(declared, &placed.names, targets, sink) {
                Some(signal) => {
                    let place = placed.push(signal.clone(), *at);
                    if let Some(baseline) = baseline(declared, &signal, place, targets, sink) {
                        placed.push(baseline, *at);
                    } else if declared.section.get("baseline").is_some() {
                        placed.unread(&format!("{}.baseline", declared.name));
                    }
                    if earlier.contains(declared.name) {
                        placed.push_before(place, *at);
                    }
                }
                None => {
                    placed.unread(declared.name);
                    placed.unread(&format!("{}.baseline", declared.name));
                    placed.unread(&format!("{}.before", declared.name));
                }
            }
        }
        placed
    }

    /// The signals whose earlier readings are named.
    fn looked_back_at(&self) -> HashSet<String> {
        let texts = |declared: &Declared<'_>, keys: &[&str]| -> Vec<String> {
            let items = keys.iter().filter_map(|key| declared.section.get(key));
            items.filter_map(|item| item.value().as_str().map(str::to_owned)).collect()
        };
        let cures = self.hooks.iter().filter_map(|hook| {
            let cure = hook.section.get("cure")?;
            Some(cure.value().as_table()?.get("when")?.get_ref().as_str()?.to_owned())
        });
        let rules = self.rules.iter().flat_map(|rule| texts(rule, &["when", "given"]));
        let exprs = self.signals.iter().flat_map(|signal| texts(signal, &["expr"]));
        // Few say so, and cutting a text into words is most of the work.
        let limits = self.stages.limits();
        let all =
            rules.chain(exprs).chain(cures).chain(limits).filter(|text| text.contains(".before"));
        let all = all.flat_map(|text| mentioned(&text));
        all.filter_map(|name| Some(name.strip_suffix(".before")?.to_owned())).collect()
    }

    fn origins<'p>(&'p self, plan: &'p Plan, order: &[usize]) -> Origins<'p, 'a> {
        let signals = order.iter().map(|at| &self.signals[*at]).collect();
        Origins { plan, signals, rules: &self.rules, hooks: &self.hooks }
    }
}

/// A rules file has signals, rules and stages, nothing else.
fn only_rules(root: &Section<'_>, sink: &mut Sink) {
    for entry in root.entries() {
        if MAIN_KEYS.contains(&entry.key) {
            let message = format!("`{}` belongs into the main file", entry.key);
            let error = Diagnostic::error(entry.key_place(), message);
            sink.report(error.help("a rules file holds [signal.NAME], [rule.NAME] and [[stage]]"));
        } else if !SHARED_KEYS.contains(&entry.key) {
            let message = format!("unknown key `{}` in a rules file", entry.key);
            let error = Diagnostic::error(entry.key_place(), message);
            let error = sink.suggest(error, entry.key, SHARED_KEYS);
            sink.report(error.help("a rules file holds [signal.NAME], [rule.NAME] and [[stage]]"));
        }
    }
}

/// A file without a key is in order, and hardly what somebody wanted to be told of it.
fn not_empty(root: &Section<'_>, sink: &mut Sink) {
    if root.entries().is_empty() {
        let message = "the file holds neither signals nor rules nor stages";
        sink.report(Diagnostic::lint(root.place.clone(), message));
    }
}

/// A condition over constants alone never changes.
fn rules_can_change(plan: &Plan, rules: &[Declared<'_>], sink: &mut Sink) {
    let sampled = plan.gathered(|_, signal| signal.kind.is_sampled(), |a, b| a || b);
    for (rule, declared) in plan.rules.iter().zip(rules) {
        let mut changes = false;
        rule.when.cond.for_each_signal(&mut |ix| changes |= sampled[ix.0]);
        if !changes {
            let when = declared.section.get("when").map(|item| item.place());
            let place = when.unwrap_or(declared.place.clone());
            let message = "the condition is made of constants alone, it never changes";
            sink.report(Diagnostic::error(place, message));
        }
    }
}

/// Stands where a deployment would, while rules files are checked alone.
fn nothing_guarded() -> Option<DeploymentSettings> {
    Some(DeploymentSettings {
        service: ServiceName::new("none").ok()?,
        arm: Arm::Deploy,
        bake: Some(DEFAULT_BAKE),
        warmup: Duration::ZERO,
        then: None,
        good: None,
        version: None,
        notify: None,
        confirm: None,
        budget: Budget::default(),
        along: Along::default(),
        live: None,
    })
}
