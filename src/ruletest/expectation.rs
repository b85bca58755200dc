//! One expectation of a rule test: when it must be met, and what must be so then.

use std::time::Duration;

use crate::engine::view::health::Health;
use crate::model::entry::{Refusal, RuleStanding};
use crate::model::name::{RuleName, StageName};
use crate::model::plan::Plan;
use crate::model::signal::{Signal, Unit};
use crate::model::time::format_duration;
use crate::ruletest::{Acted, Expect, SignalExpect, Standing, Wanted, When};

use crate::config::expr::lexer::{Token, tokenize};
use crate::config::expr::units;
use crate::config::syntax::diagnostic::Diagnostic;
use crate::config::syntax::errors::Sink;
use crate::config::syntax::tree::{Entry, Fault, Item, Section, Text};

/// How far a reading may be off where the expectation does not say, relative to the value, or
/// absolutely where that is below 1: what sums of many numbers lose.
const DEFAULT_TOLERANCE: f64 = 1e-6;

const KEYS: [&str; 15] = [
    "at",
    "between",
    "from",
    "until",
    "rule",
    "state",
    "verdict",
    "reason",
    "signals",
    "decision",
    "refusal",
    "colour",
    "stage",
    "passed",
    "tolerance",
];

/// What an expectation may refer to.
pub(crate) struct Context<'p> {
    pub(crate) plan: &'p Plan,
    /// When the deployment begins.
    pub(crate) arm: Option<Duration>,
    /// When the last value is scraped.
    pub(crate) end: Duration,
}

/// Reads one expectation.
pub(crate) fn expectation(
    item: Item<'_>,
    line: usize,
    context: &Context<'_>,
    sink: &mut Sink,
) -> Option<Expect> {
    let section = item.section("an expectation", sink)?;
    let all_known = section.only(&KEYS, &[], sink);
    let when = when(&section, context, sink);
    let rule = section.opt("rule", |item| rule(item, context.plan, sink));
    if section.get("rule").is_none() {
        for key in ["state", "verdict", "reason", "refusal"] {
            if let Some(item) = section.get(key) {
                let error = Diagnostic::error(item.place(), format!("`{key}` is a rule's"));
                sink.report(error.help("write rule = \"…\" beside it"));
            }
        }
    }
    let wanted = wanted(&section, context.plan, sink);
    let (when, rule, wanted) = (when?, rule?, wanted?);
    if wanted.is_empty() && !all_known {
        return None;
    }
    if wanted.is_empty() {
        let error = Diagnostic::error(item.place(), "the expectation says only when");
        let what = "one of state, verdict, reason, signals, decision, refusal, colour, stage, \
                    passed";
        sink.report(error.help(format!("say what is expected: {what}")));
        return None;
    }
    Some(Expect { line, when, rule, wanted })
}

fn when(section: &Section<'_>, context: &Context<'_>, sink: &mut Sink) -> Option<When> {
    let (at, between) = (section.get("at"), section.get("between"));
    let (from, until) = (section.get("from"), section.get("until"));
    match (at, between, until) {
        (Some(at), None, None) if from.is_none() => instant(at, context, sink).map(When::At),
        (None, Some(item), None) if from.is_none() => {
            let list = item.list(sink)?;
            let [from, to] = list[..] else {
                let error = Diagnostic::error(item.place(), "expected two instants");
                sink.report(error.label("write [\"2m\", \"2m4s\"]"));
                return None;
            };
            let (first, last) = (instant(from, context, sink), instant(to, context, sink));
            let (first, last) = in_order(first?, last?, to, sink)?;
            Some(When::Between(first, last))
        }
        (None, None, Some(until)) => {
            let arm = context.arm.unwrap_or(Duration::ZERO);
            let first = from.map_or(Some(arm), |from| instant(from, context, sink));
            let last = instant(until, context, sink);
            let (first, last) = in_order(first?, last?, until, sink)?;
            Some(When::Throughout(first, last))
        }
        (Some(_) | None, Some(_) | None, Some(_) | None) => {
            let message = "an expectation has one of `at`, `between` and `until`";
            let error = Diagnostic::error(section.place.clone(), message);
            sink.missing(error.help("`from` goes with `until`; without it the arming is meant"));
            None
        }
    }
}

fn instant(item: Item<'_>, context: &Context<'_>, sink: &mut Sink) -> Option<Duration> {
    let at = item.duration(sink)?;
    if at <= context.end {
        return Some(at);
    }
    let end = format_duration(context.end);
    let message = format!("the series end at {end}, before this");
    let error = Diagnostic::error(item.place(), message);
    let help = "`_x60` are 60 pages without the series, `failx60` 60 scrapes that fail";
    sink.report(error.help(help));
    None
}

fn in_order(
    first: Duration,
    last: Duration,
    item: Item<'_>,
    sink: &mut Sink,
) -> Option<(Duration, Duration)> {
    if first <= last {
        return Some((first, last));
    }
    let message = format!("{} is before {}", format_duration(last), format_duration(first));
    sink.report(Diagnostic::error(item.place(), message));
    None
}

fn rule(item: Item<'_>, plan: &Plan, sink: &mut Sink) -> Option<RuleName> {
    let name = item.text(sink)?;
    let found = plan.rules.iter().find(|rule| rule.name.as_str() == name.value);
    if found.is_none() {
        let known = plan.rules.iter().map(|rule| rule.name.as_str());
        unknown("rule", name, known, sink);
    }
    found.map(|rule| rule.name.clone())
}

fn unknown<'n>(what: &str, name: Text<'_>, known: impl Iterator<Item = &'n str>, sink: &mut Sink) {
    let message = format!("unknown {what} `{}`", name.value.escape_debug());
    sink.report(Diagnostic::error(name.place(), message).suggest(name.value, known));
}

fn wanted(section: &Section<'_>, plan: &Plan, sink: &mut Sink) -> Option<Vec<Wanted>> {
    let states = [RuleStanding::Inactive, RuleStanding::Pending, RuleStanding::Firing];
    let states = states.map(|state| (state.to_string(), state));
    let state = section.opt("state", |item| word(item, &states, sink).map(Wanted::State));
    let verdicts = [Standing::Holds, Standing::Fails, Standing::NoData];
    let verdicts = verdicts.map(|verdict| (verdict.name().to_owned(), verdict));
    let verdict = section.opt("verdict", |item| word(item, &verdicts, sink).map(Wanted::Verdict));
    let reason = section.opt("reason", |item| item.string(sink).map(Wanted::Reason));
    let decisions = [Acted::Rollback, Acted::Ask, Acted::Notify, Acted::None];
    let decisions = decisions.map(|decision| (decision.name().to_owned(), decision));
    let decision =
        section.opt("decision", |item| word(item, &decisions, sink).map(Wanted::Decision));
    let mut refusals: Vec<_> =
        Refusal::ALL.map(|refusal| (refusal.to_string(), Some(refusal))).into();
    refusals.push(("none".to_owned(), None));
    let refusal = section.opt("refusal", |item| word(item, &refusals, sink).map(Wanted::Refusal));
    let colours = [Health::Green, Health::Unknown, Health::Yellow, Health::Red];
    let colours = colours.map(|colour| (colour.name().to_owned(), colour));
    let colour = section.opt("colour", |item| word(item, &colours, sink).map(Wanted::Health));
    let stage = section.opt("stage", |item| stage(item, plan, sink).map(Wanted::Stage));
    let passed = section.opt("passed", |item| stage_of(item, plan, sink).map(Wanted::Passed));
    let tolerance = section.opt("tolerance", |item| tolerance(item, sink));
    let signals = section.or("signals", Vec::new(), |item| {
        let tolerance = tolerance.flatten();
        let section = item.section("signals", sink)?;
        let read = |entry: Entry<'_>| signal(entry, tolerance, plan, sink);
        let all: Vec<_> = section.entries().into_iter().map(read).collect();
        all.into_iter().collect()
    });
    tolerance?;
    let rest = [state?, verdict?, reason?, decision?, refusal?, colour?, stage?, passed?];
    Some(rest.into_iter().flatten().chain(signals?).collect())
}

/// A stage: one of the configuration, where that has any.
pub(crate) fn stage(item: Item<'_>, plan: &Plan, sink: &mut Sink) -> Option<StageName> {
    let text = item.text(sink)?;
    let name = text.name(sink, StageName::new)?;
    if plan.stages.is_empty() || plan.stage(&name).is_some() {
        return Some(name);
    }
    unknown("stage", text, plan.stages.iter().map(|stage| stage.name.as_str()), sink);
    None
}

/// The same, where only one of the configuration will do.
fn stage_of(item: Item<'_>, plan: &Plan, sink: &mut Sink) -> Option<StageName> {
    if plan.stages.is_empty() {
        let error = Diagnostic::error(item.place(), "the rules have no stages that could pass");
        sink.report(error.help("write [[stage]] with `name` and `hold` in one of their files"));
        return None;
    }
    stage(item, plan, sink)
}

fn word<T: Copy>(item: Item<'_>, words: &[(String, T)], sink: &mut Sink) -> Option<T> {
    let words: Vec<(&str, T)> = words.iter().map(|(word, value)| (word.as_str(), *value)).collect();
    item.choice(&words, &[], sink)
}

fn tolerance(item: Item<'_>, sink: &mut Sink) -> Option<f64> {
    let number = item.number(sink)?;
    if number >= 0.0 {
        return Some(number);
    }
    sink.report(Diagnostic::error(item.place(), "a tolerance is not negative"));
    None
}

fn signal(
    entry: Entry<'_>,
    tolerance: Option<f64>,
    plan: &Plan,
    sink: &mut Sink,
) -> Option<Wanted> {
    let known = || plan.signals.iter().map(|signal| signal.name.as_str());
    // `name{instance="a:1"}` is the reading of one group.
    let (name, group) = match entry.key.strip_suffix('}').and_then(|key| key.split_once('{')) {
        Some((name, group)) => (name, Some(group.to_owned())),
        None => (entry.key, None),
    };
    let found = plan.signals.iter().find(|signal| signal.name.as_str() == name);
    let Some(signal) = found else {
        let message = format!("unknown signal `{}`", name.escape_debug());
        sink.report(Diagnostic::error(entry.key_place(), message).suggest(name, known()));
        return None;
    };
    let reading = reading(entry.item, signal, sink)?;
    let size = match &reading {
        SignalExpect::Value(value) | SignalExpect::AtLeast(value) => value.abs(),
        SignalExpect::NoData(_) => 1.0,
    };
    let tolerance = tolerance.unwrap_or(DEFAULT_TOLERANCE * size.max(1.0));
    Some(Wanted::Signal(signal.name.clone(), group, reading, tolerance))
}

/// A number, or in a string a number with a unit, `at least` one, or `no data`.
fn reading(item: Item<'_>, signal: &Signal, sink: &mut Sink) -> Option<SignalExpect> {
    if item.value().as_str().is_none() {
        return item.number(sink).map(SignalExpect::Value);
    }
    item.text(sink)?.parse(sink, |text| {
        if let Some(why) = text.strip_prefix("no data") {
            return no_data(text, why);
        }
        match text.strip_prefix("at least ") {
            Some(rest) => {
                literal(rest, text.len() - rest.len(), signal.unit).map(SignalExpect::AtLeast)
            }
            None => literal(text, 0, signal.unit).map(SignalExpect::Value),
        }
    })
}

fn no_data(text: &str, why: &str) -> Result<SignalExpect, Fault> {
    match (why, why.strip_prefix(": ")) {
        ("", _) => Ok(SignalExpect::NoData(None)),
        (_, Some(why)) => Ok(SignalExpect::NoData(Some(why.to_owned()))),
        (_, None) => Err(Fault::new(0..text.len(), "not a reading")
            .help("write \"no data\", or \"no data: no traffic\"")),
    }
}

fn literal(text: &str, at: usize, unit: Option<Unit>) -> Result<f64, Fault> {
    let wrong = || {
        Fault::new(at..at + text.len(), "not a reading")
            .help("write a number, \"5%\", \"250ms\", \"at least 10s\" or \"no data\"")
    };
    let words = tokenize(text).map_err(|_| wrong())?;
    let tokens: Vec<&Token> = words.iter().map(|word| &word.token).collect();
    let (value, own) = match tokens[..] {
        [Token::Number(value, own)] => (*value, *own),
        [Token::Minus, Token::Number(value, own)] => (-value, *own),
        _ => return Err(wrong()),
    };
    match (own, unit) {
        (Some(own), Some(unit)) if own != unit => {
            let (own, unit) = (units::name(own), units::name(unit));
            let message = format!("the signal measures {unit}, this is {own}");
            Err(Fault::new(at..at + text.len(), message))
        }
        (Some(_) | None, Some(_) | None) => Ok(value),
    }
}
