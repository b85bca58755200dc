//! From files to a plan. Every file is read to its end whatever is wrong with it, so that one run
//! of `check` shows everything.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use crate::model::deployment::{Along, Arm, Budget, DeploymentSettings, Mode};
use crate::model::index::{HookIx, SignalIx};
use crate::model::name::ServiceName;
use crate::model::plan::Plan;
use crate::model::signal::Signal;
use crate::model::target::Target;

use crate::config::expr::lexer::mentioned;
use crate::config::lint::plan::{
    bake_is_long_enough, lint_plan, lint_rules, nothing_is_entered_unasked, rules_can_change,
};
use crate::config::syntax::declaration::declaration;
use crate::config::syntax::source::{body, parse, without_bom};
use crate::config::syntax::{
    Diagnostic, DiagnosticLevel, Diagnostics, ReadContext, SourceFile, TomlTable, all,
};
use crate::config::tables::baseline::{baseline, before};
use crate::config::tables::channel::channels;
use crate::config::tables::deployment::{DEFAULT_BAKE, deployment, drill};
use crate::config::tables::hook::{hook, refuse_circles};
use crate::config::tables::main_file::{Pattern, Settings, main_keys, settings};
use crate::config::tables::named_table::named_tables;
use crate::config::tables::rule::rule;
use crate::config::tables::signal::signal;
use crate::config::tables::signal_order::order;
use crate::config::tables::stage::{StageScope, StageTables};
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
    let cx = ReadContext::default();
    cx.is_incomplete.set(problems.iter().any(|problem| problem.level == DiagnosticLevel::Error));
    problems.into_iter().for_each(|problem| cx.report(problem));
    let files = std::iter::once(main).chain(rules);
    let ((settings, plan), lints) = finish(files, cx, |files| files.compile())?;
    Ok(Compiled { settings, plan, lints })
}

/// Checks rules files alone: what they say of targets and hooks is not checked.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn check_rules(rules: &[SourceFile]) -> Result<CheckedRules, Diagnostics> {
    let (plan, lints) = rules_alone(rules, None, None)?;
    Ok(CheckedRules { signals: plan.written_signals(), rules: plan.rules.len(), lints })
}

/// Compiles rules files alone, for these targets: nothing is guarded, and what they say of hooks
/// is not checked. Without targets what they say of them is not checked either.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub fn compile_rules(rules: &[SourceFile], targets: &[Target]) -> Result<Plan, Diagnostics> {
    let names = targets.iter().map(|target| target.name.to_string()).collect();
    let (plan, _) = rules_alone(rules, Some(names).filter(|_| !targets.is_empty()), None)?;
    Ok(Plan { targets: targets.to_vec(), ..plan })
}

/// Compiles rules files alone for rule tests: what a rule does where the main file would say is
/// left to the first hook, which the caller puts there; so are the targets.
///
/// # Errors
/// Everything that is wrong with any of the files, lints included.
pub(crate) fn compile_alone(rules: &[SourceFile]) -> Result<Plan, Diagnostics> {
    rules_alone(rules, None, Some(HookIx(0))).map(|(plan, _)| plan)
}

fn rules_alone(
    rules: &[SourceFile],
    targets: Option<Vec<String>>,
    then: Option<HookIx>,
) -> Result<(Plan, Diagnostics), Diagnostics> {
    let cx = ReadContext::default();
    if let Some(targets) = targets {
        cx.targets.get_or_init(|| targets);
    }
    finish(rules.iter(), cx, |files| files.rules_alone(then))
}

/// Parses and reads files; the answer is what they say and the lints, unless there are errors.
fn finish<'f, T>(
    files: impl Iterator<Item = &'f SourceFile>,
    cx: ReadContext,
    read: impl FnOnce(&ParsedFiles<'_>) -> Option<T>,
) -> Result<(T, Diagnostics), Diagnostics> {
    let files = without_bom(files);
    let trees = files.iter().enumerate().map(|(ix, file)| parse(&cx, ix, &file.text));
    let read = read(&ParsedFiles { cx: &cx, files: &files, trees: trees.collect() });
    cx.finish(read, files)
}

/// Whether a file is a main file rather than one of rules: it has a key that only main files have.
pub fn is_main(file: &SourceFile) -> bool {
    // Most rules files hold none of the words, and need not be read twice.
    if !main_keys().any(|key| file.text.contains(key)) {
        return false;
    }
    let (table, _) = DeTable::parse_recoverable(body(&file.text));
    main_keys().any(|key| table.get_ref().contains_key(key))
}

/// The files' trees.
struct ParsedFiles<'f> {
    cx: &'f ReadContext,
    files: &'f [SourceFile],
    trees: Vec<Spanned<DeTable<'f>>>,
}

/// Everything that files declare.
struct Tables<'a> {
    cx: &'a ReadContext,
    targets: Vec<TomlTable<'a>>,
    hooks: Vec<TomlTable<'a>>,
    signals: Vec<TomlTable<'a>>,
    rules: Vec<TomlTable<'a>>,
    stages: StageTables<'a>,
}

impl ParsedFiles<'_> {
    /// The files as tables; the first may be a main file.
    fn roots(&self, first: &'static str) -> Vec<TomlTable<'_>> {
        let root = |ix| {
            let kind = declaration(if ix == 0 { first } else { "rules" });
            TomlTable::root(self.cx, ix, &self.files[ix].text, self.trees[ix].get_ref(), kind)
        };
        (0..self.files.len()).map(root).collect()
    }

    fn compile(&self) -> Option<(Settings, Plan)> {
        let roots = self.roots("main");
        let main = roots.first()?;
        let cx = self.cx;
        let general = settings(main);
        let files: Option<(Vec<Pattern>, Option<Vec<PathBuf>>)> = main.all(["rules", "rules_path"]);
        if files.is_none() {
            cx.is_incomplete.set(true);
        }
        let tables = Tables::find(cx, &roots, 1);
        for (known, tables) in [(&cx.targets, &tables.targets), (&cx.hooks, &tables.hooks)] {
            known.get_or_init(|| tables.iter().map(|table| table.name.to_owned()).collect());
        }
        let deployment = deployment(main, general.as_ref().map(|(mode, _)| *mode));
        let (channels, drill) = (channels(&roots[..1]), drill(main));
        if tables.targets.is_empty() {
            let error = main.error("the file has no target to sample");
            let help = "write [target.NAME] and scrape = \"http://…\" below it";
            cx.missing::<()>(error.help(help));
        }
        let plan = tables.plan(deployment);
        let (mode, settings) = general?;
        let (mut plan, order) = plan?;
        (plan.mode, plan.channels, plan.drill) = (mode, channels?, drill?);
        bake_is_long_enough(main, &plan);
        nothing_is_entered_unasked(main, &plan);
        rules_can_change(&plan, &tables.rules);
        if !cx.has_errors() {
            tables.lint(&plan, &order, Some(main));
        }
        Some((settings, plan))
    }

    fn rules_alone(&self, then: Option<HookIx>) -> Option<Plan> {
        let roots = self.roots("rules");
        let tables = Tables::find(self.cx, &roots, 0);
        let (plan, order) = tables.plan(Some(nothing_guarded(then)))?;
        rules_can_change(&plan, &tables.rules);
        if !self.cx.has_errors() {
            roots.iter().for_each(not_empty);
            tables.lint(&plan, &order, None);
        }
        Some(plan)
    }
}

/// Signals in the order of the plan, so far.
struct PlacedSignals<'a> {
    cx: &'a ReadContext,
    /// `None` where one of them could not be read.
    signals: Option<Vec<Signal>>,
    /// For each the declared signal that it is or follows from.
    order: Vec<usize>,
    /// For each the longest window of it and of all that it is computed from.
    windows: Vec<Duration>,
}

impl PlacedSignals<'_> {
    fn push(&mut self, signal: Signal, declared: usize) -> SignalIx {
        let ix = SignalIx(self.order.len());
        let mut window = signal.kind.window();
        signal.kind.for_each_signal(&mut |ix| {
            // What could not be read has no place.
            window = window.max(self.windows.get(ix.0).copied().unwrap_or_default());
        });
        self.windows.push(window);
        let mut scope = self.cx.signals.borrow_mut();
        scope.insert(signal.name.as_str(), ix, signal.unit);
        scope.read_by(ix, &signal.by);
        self.order.push(declared);
        if let Some(signals) = &mut self.signals {
            signals.push(signal);
        }
        ix
    }

    fn push_before(&mut self, ix: SignalIx, declared: usize) {
        let Some(signals) = &self.signals else { return };
        let signal = &signals[ix.0];
        match before(signal, ix, self.windows[ix.0]) {
            Ok(before) => {
                self.push(before, declared);
            }
            Err(why) => self.cx.signals.borrow_mut().refuse_before(signal.name.as_str(), why),
        }
    }

    /// A signal that could not be read: its users are judged for their own mistakes only.
    fn unread(&mut self, name: &str) {
        self.cx.signals.borrow_mut().insert(name, SignalIx(usize::MAX), None);
        self.signals = None;
    }
}

impl<'a> Tables<'a> {
    /// Finds the tables of all files, of which so many, one or none, are main files.
    fn find(cx: &'a ReadContext, roots: &[TomlTable<'a>], mains: usize) -> Self {
        roots[mains..].iter().for_each(only_rules);
        Self {
            cx,
            targets: named_tables(&roots[..mains], "target"),
            hooks: named_tables(&roots[..mains], "hook"),
            signals: named_tables(roots, "signal"),
            rules: named_tables(roots, "rule"),
            stages: StageTables::find(roots, mains > 0),
        }
    }

    /// The plan but for mode, channels and drill, and for each of its signals the declared one that
    /// it is or follows from.
    fn plan(&self, deployment: Option<DeploymentSettings>) -> Option<(Plan, Vec<usize>)> {
        let then = deployment.as_ref().and_then(|deployment| deployment.then);
        let sampled = all(self.targets.iter().map(target));
        let sorted = order(&self.signals);
        let PlacedSignals { signals, order, .. } = self.signals(&sorted);
        let rules = self.rules.iter().map(|table| rule(table, then, &self.stages));
        let rules: Vec<_> = rules.collect();
        let hooks: Vec<_> = self.hooks.iter().map(hook).collect();
        refuse_circles(&hooks, &self.hooks);
        let scope = StageScope { rule_tables: &self.rules, rules: &rules, hooks: &hooks };
        let stages = self.stages.read(scope);
        if sorted.len() < self.signals.len() {
            // Signals of a circle have no place, so rules over them cannot be looked at.
            return None;
        }
        let plan = Plan {
            mode: Mode::Observe,
            deployment: deployment?,
            targets: sampled?,
            signals: signals?,
            rules: rules.into_iter().collect::<Option<_>>()?,
            hooks: hooks.into_iter().collect::<Option<_>>()?,
            stages: stages?,
            channels: Vec::new(),
            drill: None,
            secrets: self.cx.secrets.take(),
        };
        Some((plan, order))
    }

    /// The signals in the order in which they are computed, what is derived from one right after
    /// it, and all their names.
    fn signals(&self, order: &[usize]) -> PlacedSignals<'a> {
        let (signals, windows) = (Some(Vec::new()), Vec::new());
        let mut placed = PlacedSignals { cx: self.cx, signals, order: Vec::new(), windows };
        // Signals that could not be read and those of a circle keep a place that is never used:
        // there is no plan then.
        for table in &self.signals {
            self.cx.signals.borrow_mut().insert(table.name, SignalIx(usize::MAX), None);
        }
        let earlier = self.looked_back_at();
        for at in order {
            let table = &self.signals[*at];
            let derived = |what: &str| format!("{}.{what}", table.name);
            let Some(signal) = signal(table) else {
                placed.unread(table.name);
                placed.unread(&derived("baseline"));
                placed.unread(&derived("before"));
                continue;
            };
            let ix = placed.push(signal.clone(), *at);
            if let Some(value) = table.get("baseline") {
                match baseline(table, value, &signal, ix) {
                    Some(baseline) => {
                        placed.push(baseline, *at);
                    }
                    None => placed.unread(&derived("baseline")),
                }
            }
            if earlier.contains(table.name) {
                placed.push_before(ix, *at);
            }
        }
        placed
    }

    fn lint(&self, plan: &Plan, order: &[usize], main: Option<&TomlTable<'_>>) {
        let signals: Vec<_> = order.iter().map(|at| &self.signals[*at]).collect();
        lint_rules(plan, &self.rules);
        if let Some(main) = main {
            lint_plan(plan, main, &signals, &self.rules, &self.hooks);
        }
    }

    /// The signals whose earlier readings are named.
    fn looked_back_at(&self) -> HashSet<String> {
        let text = |table: &TomlTable<'a>, key: &str| table.get(key)?.as_str();
        let cures = self.hooks.iter().filter_map(|hook| {
            let cure = hook.get("cure")?.toml().as_table()?;
            cure.get("when")?.get_ref().as_str()
        });
        let whens = self.rules.iter().filter_map(|rule| text(rule, "when"));
        let givens = self.rules.iter().filter_map(|rule| text(rule, "given"));
        let exprs = self.signals.iter().filter_map(|signal| text(signal, "expr"));
        let texts = whens.chain(givens).chain(exprs).chain(cures).chain(self.stages.conditions());
        // Few say so, and cutting a text into tokens is most of the work.
        let names = texts.filter(|text| text.contains(".before")).flat_map(mentioned);
        names.filter_map(|name| Some(name.strip_suffix(".before")?.to_owned())).collect()
    }
}

/// A rules file has signals, rules and stages, nothing else.
fn only_rules(root: &TomlTable<'_>) {
    let known = declaration("rules").names();
    for entry in root.entries().iter().filter(|entry| !known.contains(&entry.key)) {
        let error = if main_keys().any(|key| key == entry.key) {
            entry.key_error(format!("`{}` belongs into the main file", entry.key))
        } else {
            let error = entry.key_error(format!("unknown key `{}` in a rules file", entry.key));
            root.cx.suggest(error, entry.key, known.iter().copied())
        };
        let help = "a rules file holds [signal.NAME], [rule.NAME] and [[stage]]";
        root.cx.report(error.help(help));
    }
}

/// A file without a key is in order, and hardly what somebody wanted to be told of it.
fn not_empty(root: &TomlTable<'_>) {
    if root.entries().is_empty() {
        let message = "the file holds neither signals nor rules nor stages";
        root.cx.report(Diagnostic::lint(root.span.clone(), message));
    }
}

/// Stands where a deployment would, while rules files are checked alone.
fn nothing_guarded(then: Option<HookIx>) -> DeploymentSettings {
    DeploymentSettings {
        service: ServiceName::new("none").expect("a constant that is a name"),
        arm: Arm::Deploy,
        bake: Some(DEFAULT_BAKE),
        warmup: Duration::ZERO,
        then,
        good: None,
        version: None,
        notify: None,
        confirm: None,
        budget: Budget::default(),
        along: Along::default(),
        live: None,
    }
}
