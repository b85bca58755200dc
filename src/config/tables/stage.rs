//! `[[stage]]`: what must be seen, and for how long, before more traffic may follow. Stages stand
//! in one file, in their order; rules may name them one by one, or several by their `kind`.

use std::time::Duration;

use crate::model::condition::Condition;
use crate::model::hook::Hook;
use crate::model::index::{HookIx, RuleIx};
use crate::model::name::StageName;
use crate::model::rule::Rule;
use crate::model::stage::{MAX_STAGES, Stage, Watched};

use super::named::{Declared, Listed};
use super::rule::read_condition;
use crate::config::expr::lowering::Names;
use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Item, Section, Text};

const KEYS: [&str; 8] = ["name", "kind", "hold", "rules", "limits", "given", "enter", "within"];

/// The shortest time for which a stage must be clean: below it a scrape or two decide.
const MIN_HOLD: Duration = Duration::from_secs(1);

/// The longest; a stage that takes a month is no stage.
const MAX_HOLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most rules and limits that a stage may name. Who reads what keeps one must find it.
const MAX_LISTED: usize = 100;

/// The stages of all files as far as rules refer to them.
pub(crate) struct Stages<'a> {
    sections: Vec<Section<'a>>,
    /// Name and kind of each, as they are written.
    names: Vec<(&'a str, Option<&'a str>)>,
    /// A rules file is checked alone: nobody knows whether there are stages elsewhere.
    is_whole: bool,
}

/// What stages refer to.
#[derive(Clone, Copy)]
pub(crate) struct Refers<'a> {
    pub(crate) signals: &'a Names,
    pub(crate) hooks: &'a Listed,
    /// The rules as they are written, and as they were read.
    pub(crate) declared: &'a [Declared<'a>],
    pub(crate) rules: &'a [Option<Rule>],
    pub(crate) read: &'a [Option<Hook>],
}

impl<'a> Stages<'a> {
    /// Finds the stages of all files.
    pub(crate) fn of(roots: &[Section<'a>], is_whole: bool, sink: &mut Sink) -> Self {
        let mut sections: Vec<Section<'a>> = Vec::new();
        let mut first: Option<Place> = None;
        for root in roots {
            let Some(entry) = root.entries().into_iter().find(|entry| entry.key == "stage") else {
                continue;
            };
            if let Some(first) = &first {
                let message = "stages stand in one file, their order matters";
                let error = Diagnostic::error(entry.key_place(), message);
                sink.report(error.also(first.clone(), "here are others"));
                continue;
            }
            first = Some(entry.key_place());
            if entry.item.is_table() {
                let error = Diagnostic::error(entry.key_place(), "stages are a list");
                sink.report(error.label("write `[[stage]]`"));
                continue;
            }
            let items = entry.item.list(sink).unwrap_or_default();
            if items.is_empty() {
                let error = Diagnostic::error(entry.key_place(), "there is no stage in it");
                sink.report(error.help("write [[stage]] with `name` and `hold`, or leave it out"));
            }
            if items.len() > MAX_STAGES {
                let message = format!("more than {MAX_STAGES} stages");
                sink.report(Diagnostic::error(entry.key_place(), message));
            }
            let read = items.into_iter().filter_map(|item| item.section("[[stage]]", sink));
            sections.extend(read.take(MAX_STAGES).collect::<Vec<_>>());
        }
        let text = |section: &Section<'a>, key: &str| section.get(key)?.value().as_str();
        let names = sections.iter().filter_map(|s| Some((text(s, "name")?, text(s, "kind"))));
        let names = names.collect();
        Self { sections, names, is_whole }
    }

    /// The limits as they are written.
    pub(crate) fn limits(&self) -> impl Iterator<Item = String> + '_ {
        let lists = self.sections.iter().filter_map(|section| section.get("limits"));
        let lists = lists.filter_map(|list| list.value().as_array());
        let limits = lists.flat_map(|list| list.iter().filter_map(|text| text.get_ref().as_str()));
        let given = self.sections.iter().filter_map(|s| s.get("given")?.value().as_str());
        limits.chain(given).map(str::to_owned)
    }

    /// The stages that a rule means by a name: the one of that name, or all of that kind.
    pub(crate) fn named(&self, name: Text<'_>, sink: &mut Sink) -> Option<Vec<StageName>> {
        let own = name.name(sink, StageName::new)?;
        let none = self.sections.is_empty();
        if none || self.names.iter().any(|(known, _)| *known == name.value) {
            return Some(vec![own]);
        }
        let of_kind = self.names.iter().filter(|(_, kind)| *kind == Some(name.value));
        let of_kind: Vec<StageName> =
            of_kind.filter_map(|(known, _)| StageName::new(known).ok()).collect();
        if of_kind.is_empty() {
            self.unknown(name, sink);
            return None;
        }
        Some(of_kind)
    }

    /// Reports a stage that is not there.
    fn unknown(&self, name: Text<'_>, sink: &mut Sink) {
        let known = self.names.iter().flat_map(|(name, kind)| [Some(*name), *kind]).flatten();
        let known: Vec<&str> = known.collect();
        let message = format!("unknown stage `{}`", name.value.escape_debug());
        let error = Diagnostic::error(name.place(), message);
        let error = sink.suggest(error, name.value, known.iter().copied());
        let names: Vec<&str> = self.names.iter().map(|(name, _)| *name).collect();
        let help = format!("the stages are {}; `kind` names several of them", names.join(", "));
        sink.missing(error.help(help));
    }

    /// Reads the stages.
    pub(crate) fn read(&self, refers: Refers<'_>, sink: &mut Sink) -> Option<Vec<Stage>> {
        let mut all = Some(Vec::new());
        let mut names: Vec<StageName> = Vec::new();
        for section in &self.sections {
            let stage = stage(section, refers, sink);
            if let Some(stage) = &stage {
                if names.contains(&stage.name) {
                    let place = section.get("name").map_or(section.place.clone(), |n| n.place());
                    let message = format!("two stages are called `{}`", stage.name);
                    sink.report(Diagnostic::error(place, message));
                }
                names.push(stage.name.clone());
            }
            all = all.zip(stage).map(|(mut all, stage)| {
                all.push(stage);
                all
            });
        }
        let all = all?;
        self.can_be_seen(&all, refers, sink);
        Some(all)
    }

    /// Reports stages of which nothing could ever say that they are clean.
    fn can_be_seen(&self, stages: &[Stage], refers: Refers<'_>, sink: &mut Sink) {
        for (stage, section) in stages.iter().zip(&self.sections) {
            let in_force =
                |rule: &Rule| rule.stages.is_empty() || rule.stages.contains(&stage.name);
            let watched = match &stage.watched {
                Watched::These(rules) => !rules.is_empty(),
                // Rules of other files are not known.
                Watched::InForce if !self.is_whole => true,
                Watched::InForce => {
                    refers.rules.iter().any(|rule| rule.as_ref().is_none_or(in_force))
                }
            };
            if !watched && stage.limits.is_empty() {
                let message = format!("nothing says whether stage `{}` is clean", stage.name);
                let error = Diagnostic::error(section.place.clone(), message);
                sink.missing(error.help("write limits = [\"error_rate < 1%\"], or name `rules`"));
            }
        }
    }
}

fn stage(section: &Section<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<Stage> {
    section.only(&KEYS, &[], sink);
    let name = section.required("name", sink);
    let name = name.and_then(|item| item.text(sink)?.name(sink, StageName::new));
    // A kind is called like a stage.
    let kind = section.opt("kind", |item| item.text(sink)?.name(sink, StageName::new));
    let hold = section.required("hold", sink);
    let hold = hold.and_then(|item| item.duration_within(MIN_HOLD, MAX_HOLD, sink));
    let limits = section.or("limits", Vec::new(), |item| limits(item, refers, sink));
    let given = section.opt("given", |item| read_condition(item, refers.signals, sink));
    let within = section.opt("within", |item| item.duration_within(MIN_HOLD, MAX_HOLD, sink));
    let enter = section.opt("enter", |item| enter(item, refers, sink));
    let (name, hold) = (name?, hold?);
    let watched = section.or("rules", Watched::InForce, |item| rules(item, &name, refers, sink));
    let (limits, given, enter, within) = (limits?, given?, enter?, within?);
    if let (true, Some(item)) = (limits.is_empty(), section.get("given")) {
        let message = "`given` is a floor for `limits`, and there are none";
        let error = Diagnostic::error(item.place(), message);
        sink.report(error.help("a rule has a `given` of its own"));
        return None;
    }
    kind?;
    if let (Some(within), Some(item)) = (within, section.get("within"))
        && within <= hold
    {
        let message = "`within` is not longer than `hold`, so it is never kept";
        sink.report(Diagnostic::error(item.place(), message));
        return None;
    }
    Some(Stage { name, hold, watched: watched?, limits, given, enter, within })
}

fn limits(item: Item<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<Vec<Condition>> {
    let list = listed(item, sink)?;
    let read = |item: Item<'_>| {
        let limit = read_condition(item, refers.signals, sink)?;
        match refers.signals.by(|each| limit.cond.for_each_signal(&mut |ix| each(ix))) {
            Ok(_) => Some(limit),
            Err(odd) => {
                let error = Diagnostic::error(item.place(), odd);
                sink.report(
                    error.help("a limit's signals are read by the same labels, or by none"),
                );
                None
            }
        }
    };
    let all: Vec<_> = list.into_iter().map(read).collect();
    all.into_iter().collect()
}

fn listed<'a>(item: Item<'a>, sink: &mut Sink) -> Option<Vec<Item<'a>>> {
    let list = item.list(sink)?;
    if list.len() <= MAX_LISTED {
        return Some(list);
    }
    let message = format!("{} are too many, {MAX_LISTED} is the most", list.len());
    sink.report(Diagnostic::error(item.place(), message));
    None
}

fn rules(
    item: Item<'_>,
    stage: &StageName,
    refers: Refers<'_>,
    sink: &mut Sink,
) -> Option<Watched> {
    let mut all = Some(Vec::new());
    for item in listed(item, sink)? {
        let place = item.text(sink).and_then(|name| rule(name, stage, refers, sink));
        all = all.zip(place).map(|(mut all, place)| {
            all.push(place);
            all
        });
    }
    all.map(Watched::These)
}

fn rule(name: Text<'_>, stage: &StageName, refers: Refers<'_>, sink: &mut Sink) -> Option<RuleIx> {
    let known = || refers.declared.iter().map(|declared| declared.name);
    let Some(place) = known().position(|known| known == name.value) else {
        let message = format!("unknown rule `{}`", name.value.escape_debug());
        let error = Diagnostic::error(name.place(), message);
        sink.missing(error.suggest(name.value, known()));
        return None;
    };
    let rule = refers.rules.get(place).and_then(Option::as_ref);
    if rule.is_some_and(|rule| !rule.stages.is_empty() && !rule.stages.contains(stage)) {
        let message = format!("rule `{}` is not judged in stage `{stage}`", name.value);
        sink.report(Diagnostic::error(name.place(), message));
        return None;
    }
    Some(RuleIx(place))
}

/// The hook that enters a stage. The stage itself says what must be seen after it.
fn enter(item: Item<'_>, refers: Refers<'_>, sink: &mut Sink) -> Option<HookIx> {
    let place = refers.hooks.find("hook", item.text(sink)?, sink)?;
    let hook = refers.read.get(place).and_then(Option::as_ref);
    if hook.is_some_and(|hook| hook.cure.is_some() || hook.on_failure.is_some()) {
        let message = "a hook that enters a stage has neither `cure` nor `on_failure`";
        let error = Diagnostic::error(item.place(), message);
        let help = "the stage's limits say what must be seen, and `notify` tells people";
        sink.report(error.help(help));
        return None;
    }
    Some(HookIx(place))
}
