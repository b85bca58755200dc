//! `[[stage]]`: what must be seen, and for how long, before more traffic may follow. Stages stand
//! in one file, in their order; rules may name them one by one, or several by their `kind`.

use crate::model::condition::Condition;
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::name::StageName;
use crate::model::rule::Rule;
use crate::model::stage::{MAX_STAGES, Stage, Watched};

use super::condition::groups;
use crate::config::syntax::{FromToml, SourceSpan, TomlTable, TomlValue, all};

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
    /// The rules as they are written, and as they were read.
    pub(crate) rule_tables: &'a [TomlTable<'a>],
    pub(crate) rules: &'a [Option<Rule>],
    /// The hooks as they were read.
    pub(crate) hooks: &'a [Option<Hook>],
}

impl<'a> StageTables<'a> {
    /// Finds the stages of all files.
    pub(crate) fn find(roots: &[TomlTable<'a>], is_whole: bool) -> Self {
        let mut tables: Vec<TomlTable<'a>> = Vec::new();
        let mut first: Option<SourceSpan> = None;
        for (cx, entry) in roots.iter().filter_map(|root| Some((root.cx, root.entry("stage")?))) {
            if let Some(first) = &first {
                let error = entry.key_error("stages stand in one file, their order matters");
                cx.report(error.also(first.clone(), "here are others"));
                continue;
            }
            first = Some(entry.key_span());
            if entry.value.is_table() {
                cx.report(entry.key_error("stages are a list").label("write `[[stage]]`"));
                continue;
            }
            let items = entry.value.list().unwrap_or_default();
            if items.is_empty() {
                let error = entry.key_error("there is no stage in it");
                cx.report(error.help("write [[stage]] with `name` and `hold`, or leave it out"));
            }
            if items.len() > MAX_STAGES {
                cx.report(entry.key_error(format!("more than {MAX_STAGES} stages")));
            }
            let read = items.into_iter().filter_map(|item| TomlTable::unchecked(item, "stage"));
            tables.extend(read.take(MAX_STAGES));
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
    pub(crate) fn named(&self, value: TomlValue<'_>) -> Option<Vec<StageName>> {
        let own = StageName::from_toml(value)?;
        let is_own = |(known, _): &(&str, Option<&str>)| *known == own.as_str();
        if self.tables.is_empty() || self.names.iter().any(is_own) {
            return Some(vec![own]);
        }
        let of_kind = self.names.iter().filter(|(_, kind)| *kind == Some(own.as_str()));
        let of_kind: Vec<StageName> =
            of_kind.filter_map(|(known, _)| StageName::new(known).ok()).collect();
        if !of_kind.is_empty() {
            return Some(of_kind);
        }
        let known = self.names.iter().flat_map(|(name, kind)| [Some(*name), *kind]).flatten();
        let error = value.cx.suggest(value.unknown("stage"), own.as_str(), known);
        let names: Vec<&str> = self.names.iter().map(|(name, _)| *name).collect();
        let help = format!("the stages are {}; `kind` names several of them", names.join(", "));
        value.cx.missing(error.help(help))
    }

    /// Reads the stages.
    pub(crate) fn read(&self, scope: StageScope<'_>) -> Option<Vec<Stage>> {
        let mut names: Vec<StageName> = Vec::new();
        let stages = all(self.tables.iter().map(|table| {
            let stage = stage(table, scope)?;
            if names.contains(&stage.name) {
                let message = format!("two stages are called `{}`", stage.name);
                table.cx.report(table.error_at("name", message));
            }
            names.push(stage.name.clone());
            Some(stage)
        }))?;
        self.check_watched(&stages, scope);
        Some(stages)
    }

    /// Reports stages of which nothing could ever say that they are clean.
    fn check_watched(&self, stages: &[Stage], scope: StageScope<'_>) {
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
                let help = "write limits = [\"error_rate < 1%\"], or name `rules`";
                table.cx.missing::<()>(error.help(help));
            }
        }
    }
}

fn stage(table: &TomlTable<'_>, scope: StageScope<'_>) -> Option<Stage> {
    table.check_keys();
    // A kind is called like a stage.
    let timed = table.all(["name", "hold"]);
    let read: Option<(Option<StageName>, _, Option<_>)> = table.all(["kind", "given", "within"]);
    let limits = table.read_with("limits", |value| value.each(limit));
    let enter = table.opt("enter", |value| enter(value, scope));
    let (name, hold) = timed?;
    let watched = table.opt("rules", |value| value.each(|value| watched_rule(value, &name, scope)));
    let (_, given, within) = read?;
    let (limits, enter) = (limits?, enter?);
    if let (true, Some(given)) = (limits.is_empty(), table.get("given")) {
        let error = given.error("`given` is a floor for `limits`, and there are none");
        return table.cx.refuse(error.help("a rule has a `given` of its own"));
    }
    if within.is_some_and(|within| within <= hold) {
        let message = "`within` is not longer than `hold`, so it is never kept";
        return table.cx.refuse(table.error_at("within", message));
    }
    let watched = watched?.map_or(Watched::InForce, Watched::These);
    Some(Stage { name, hold, watched, limits, given, enter, within })
}

fn limit(value: TomlValue<'_>) -> Option<Condition> {
    let limit = Condition::from_toml(value)?;
    match groups([&limit.cond], &value.cx.signals.borrow()) {
        Ok(_) => Some(limit),
        Err(odd) => {
            let help = "a limit's signals are read by the same labels, or by none";
            value.cx.refuse(value.error(odd).help(help))
        }
    }
}

fn watched_rule(value: TomlValue<'_>, stage: &StageName, scope: StageScope<'_>) -> Option<RuleIx> {
    let name = value.text()?;
    let known = || scope.rule_tables.iter().map(|rule| rule.name);
    let Some(ix) = known().position(|known| known == name) else {
        return value.cx.missing(value.unknown("rule").suggest(name, known()));
    };
    let rule = scope.rules.get(ix).and_then(Option::as_ref);
    if rule.is_some_and(|rule| !rule.stages.is_empty() && !rule.stages.contains(stage)) {
        return value.refuse(format!("rule `{name}` is not judged in stage `{stage}`"));
    }
    Some(RuleIx(ix))
}

/// The hook that enters a stage. The stage itself says what must be seen after it.
fn enter(value: TomlValue<'_>, scope: StageScope<'_>) -> Option<HookIx> {
    let ix = HookIx::from_toml(value)?;
    let hook = scope.hooks.get(ix.0).and_then(Option::as_ref);
    if hook.is_some_and(|hook| hook.cure.is_some() || hook.on_failure.is_some()) {
        let error = value.error("a hook that enters a stage has neither `cure` nor `on_failure`");
        let help = "the stage's limits say what must be seen, and `notify` tells people";
        return value.cx.refuse(error.help(help));
    }
    Some(ix)
}
