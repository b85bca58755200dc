//! `[[stage]]`: what must be seen, and for how long, before more traffic may follow. Stages stand
//! in one file, in their order; rules may name them one by one, or several by their `kind`.

use crate::model::condition::Condition;
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::name::StageName;
use crate::model::rule::Rule;
use crate::model::stage::{MAX_STAGES, Stage, Watched};

use super::condition::{groups, read_condition};
use super::deployment::hook_named;
use super::named_table::{KnownNames, NamedTable, unknown_name};
use crate::config::expr::scope::SignalScope;
use crate::config::syntax::{ErrorSink, SourceSpan, TomlTable, TomlValue, all};

/// The stages of all files as far as rules refer to them.
pub(crate) struct StageTables<'a> {
    tables: Vec<TomlTable<'a>>,
    /// Name and kind of each, as they are written.
    names: Vec<(&'a str, Option<&'a str>)>,
    /// Whether every file is known: a rules file that is checked alone does not show whether there
    /// are stages elsewhere.
    is_whole: bool,
}

/// What stages refer to.
#[derive(Clone, Copy)]
pub(crate) struct StageScope<'a> {
    pub(crate) signals: &'a SignalScope,
    pub(crate) hooks: &'a KnownNames,
    /// The rules as they are written, and as they were read.
    pub(crate) rule_tables: &'a [NamedTable<'a>],
    pub(crate) rules: &'a [Option<Rule>],
    /// The hooks as they were read.
    pub(crate) read_hooks: &'a [Option<Hook>],
}

impl<'a> StageTables<'a> {
    /// Finds the stages of all files.
    pub(crate) fn find(roots: &[TomlTable<'a>], is_whole: bool, sink: &mut ErrorSink) -> Self {
        let mut tables: Vec<TomlTable<'a>> = Vec::new();
        let mut first: Option<SourceSpan> = None;
        for entry in roots.iter().filter_map(|root| root.entry("stage")) {
            if let Some(first) = &first {
                let error = entry.key_error("stages stand in one file, their order matters");
                sink.report(error.also(first.clone(), "here are others"));
                continue;
            }
            first = Some(entry.key_span());
            if entry.value.is_table() {
                sink.report(entry.key_error("stages are a list").label("write `[[stage]]`"));
                continue;
            }
            let items = entry.value.list(sink).unwrap_or_default();
            if items.is_empty() {
                let error = entry.key_error("there is no stage in it");
                sink.report(error.help("write [[stage]] with `name` and `hold`, or leave it out"));
            }
            if items.len() > MAX_STAGES {
                sink.report(entry.key_error(format!("more than {MAX_STAGES} stages")));
            }
            let read = items.into_iter().filter_map(|item| TomlTable::of(item, "stage", sink));
            tables.extend(read.take(MAX_STAGES).collect::<Vec<_>>());
        }
        let text = |table: &TomlTable<'a>, key: &str| table.get(key)?.as_str();
        let names = tables.iter().filter_map(|s| Some((text(s, "name")?, text(s, "kind"))));
        let names = names.collect();
        Self { tables, names, is_whole }
    }

    /// The limits and their floors as they are written.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &'a str> + '_ {
        let lists = self.tables.iter().filter_map(|table| table.get("limits")?.toml().as_array());
        let limits = lists.flat_map(|list| list.iter().filter_map(|text| text.get_ref().as_str()));
        limits.chain(self.tables.iter().filter_map(|table| table.get("given")?.as_str()))
    }

    /// The stages that a rule means by a name: the one of that name, or all of that kind.
    pub(crate) fn named(
        &self,
        value: TomlValue<'_>,
        sink: &mut ErrorSink,
    ) -> Option<Vec<StageName>> {
        let own = value.name(sink, StageName::new)?;
        let is_own = |(known, _): &(&str, Option<&str>)| *known == own.as_str();
        if self.tables.is_empty() || self.names.iter().any(is_own) {
            return Some(vec![own]);
        }
        let of_kind = self.names.iter().filter(|(_, kind)| *kind == Some(own.as_str()));
        let of_kind: Vec<StageName> =
            of_kind.filter_map(|(known, _)| StageName::new(known).ok()).collect();
        if of_kind.is_empty() {
            self.unknown(value, own.as_str(), sink);
            return None;
        }
        Some(of_kind)
    }

    /// Reports a stage that is not there.
    fn unknown(&self, value: TomlValue<'_>, name: &str, sink: &mut ErrorSink) {
        let known = self.names.iter().flat_map(|(name, kind)| [Some(*name), *kind]).flatten();
        let error = sink.suggest(unknown_name("stage", value, name), name, known);
        let names: Vec<&str> = self.names.iter().map(|(name, _)| *name).collect();
        let help = format!("the stages are {}; `kind` names several of them", names.join(", "));
        sink.missing(error.help(help));
    }

    /// Reads the stages.
    pub(crate) fn read(&self, scope: StageScope<'_>, sink: &mut ErrorSink) -> Option<Vec<Stage>> {
        let mut names: Vec<StageName> = Vec::new();
        let stages = all(self.tables.iter().map(|table| {
            let stage = stage(table, scope, sink)?;
            if names.contains(&stage.name) {
                let message = format!("two stages are called `{}`", stage.name);
                sink.report(table.error_at("name", message));
            }
            names.push(stage.name.clone());
            Some(stage)
        }))?;
        self.check_watched(&stages, scope, sink);
        Some(stages)
    }

    /// Reports stages of which nothing could ever say that they are clean.
    fn check_watched(&self, stages: &[Stage], scope: StageScope<'_>, sink: &mut ErrorSink) {
        for (stage, table) in stages.iter().zip(&self.tables) {
            let in_force =
                |rule: &Rule| rule.stages.is_empty() || rule.stages.contains(&stage.name);
            let watched = match &stage.watched {
                Watched::These(rules) => !rules.is_empty(),
                // Rules of other files are not known.
                Watched::InForce if !self.is_whole => true,
                Watched::InForce => {
                    scope.rules.iter().any(|rule| rule.as_ref().is_none_or(in_force))
                }
            };
            if !watched && stage.limits.is_empty() {
                let message = format!("nothing says whether stage `{}` is clean", stage.name);
                let error = table.error(message);
                sink.missing(error.help("write limits = [\"error_rate < 1%\"], or name `rules`"));
            }
        }
    }
}

fn stage(table: &TomlTable<'_>, scope: StageScope<'_>, sink: &mut ErrorSink) -> Option<Stage> {
    table.check_keys(sink);
    let name = table.read("name", sink, |value, sink| value.name(sink, StageName::new));
    // A kind is called like a stage.
    let kind = table.opt("kind", sink, |value, sink| value.name(sink, StageName::new));
    let hold = table.read("hold", sink, TomlValue::duration);
    let limits = table.read("limits", sink, |value, sink| {
        value.each(sink, |value, sink| limit(value, scope.signals, sink))
    });
    let given = table.opt("given", sink, |value, sink| read_condition(value, scope.signals, sink));
    let within = table.opt("within", sink, TomlValue::duration);
    let enter = table.opt("enter", sink, |value, sink| enter(value, scope, sink));
    let (name, hold) = (name?, hold?);
    let watched = table.opt("rules", sink, |value, sink| {
        value.each(sink, |value, sink| watched_rule(value, &name, scope, sink))
    });
    let (limits, given, enter, within) = (limits?, given?, enter?, within?);
    if let (true, Some(given)) = (limits.is_empty(), table.get("given")) {
        let error = given.error("`given` is a floor for `limits`, and there are none");
        return sink.refuse(error.help("a rule has a `given` of its own"));
    }
    kind?;
    if within.is_some_and(|within| within <= hold) {
        let message = "`within` is not longer than `hold`, so it is never kept";
        return sink.refuse(table.error_at("within", message));
    }
    let watched = watched?.map_or(Watched::InForce, Watched::These);
    Some(Stage { name, hold, watched, limits, given, enter, within })
}

fn limit(value: TomlValue<'_>, signals: &SignalScope, sink: &mut ErrorSink) -> Option<Condition> {
    let limit = read_condition(value, signals, sink)?;
    match groups([&limit.cond], signals) {
        Ok(_) => Some(limit),
        Err(odd) => {
            let help = "a limit's signals are read by the same labels, or by none";
            sink.refuse(value.error(odd).help(help))
        }
    }
}

fn watched_rule(
    value: TomlValue<'_>,
    stage: &StageName,
    scope: StageScope<'_>,
    sink: &mut ErrorSink,
) -> Option<RuleIx> {
    let name = value.text(sink)?;
    let known = || scope.rule_tables.iter().map(|rule| rule.name);
    let Some(ix) = known().position(|known| known == name) else {
        sink.missing(unknown_name("rule", value, name).suggest(name, known()));
        return None;
    };
    let rule = scope.rules.get(ix).and_then(Option::as_ref);
    if rule.is_some_and(|rule| !rule.stages.is_empty() && !rule.stages.contains(stage)) {
        let message = format!("rule `{name}` is not judged in stage `{stage}`");
        return sink.refuse(value.error(message));
    }
    Some(RuleIx(ix))
}

/// The hook that enters a stage. The stage itself says what must be seen after it.
fn enter(value: TomlValue<'_>, scope: StageScope<'_>, sink: &mut ErrorSink) -> Option<HookIx> {
    let ix = hook_named(value, scope.hooks, sink)?;
    let hook = scope.read_hooks.get(ix.0).and_then(Option::as_ref);
    if hook.is_some_and(|hook| hook.cure.is_some() || hook.on_failure.is_some()) {
        let error = value.error("a hook that enters a stage has neither `cure` nor `on_failure`");
        let help = "the stage's limits say what must be seen, and `notify` tells people";
        return sink.refuse(error.help(help));
    }
    Some(ix)
}
