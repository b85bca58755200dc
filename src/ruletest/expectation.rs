//! One expectation of a rule test: when it must be met, and what must be so then.

use std::time::Duration;

use crate::engine::view::health::Health;
use crate::model::entry::{Refusal, RuleStanding};
use crate::model::name::{RuleName, StageName};
use crate::model::plan::Plan;
use crate::model::signal::{Signal, Unit};
use crate::model::time::format_duration;

use super::script::{Acted, Expectation, ExpectedFact, ExpectedReading, VerdictKind, When};
use crate::config::expr::lexer::{ExprToken, tokenize};
use crate::config::expr::units;
use crate::config::syntax::{ErrorSink, TextError, TomlEntry, TomlTable, TomlValue, all};
use crate::config::tables::named_table::unknown_name;

/// How far a reading may be off where the expectation does not say, relative to the value, or
/// absolutely where that is below 1: what sums of many numbers lose.
const DEFAULT_TOLERANCE: f64 = 1e-6;

/// What an expectation may refer to.
pub(crate) struct TestScope<'p> {
    pub(crate) plan: &'p Plan,
    /// When the deployment begins.
    pub(crate) arm: Option<Duration>,
    /// When the last value is scraped.
    pub(crate) end: Duration,
}

/// Reads one expectation.
pub(crate) fn expectation(
    value: TomlValue<'_>,
    line: usize,
    scope: &TestScope<'_>,
    sink: &mut ErrorSink,
) -> Option<Expectation> {
    let table = TomlTable::of(value, "expectation", sink)?;
    let all_known = table.check_keys(sink);
    let when = when(&table, scope, sink);
    let rule = table.opt("rule", sink, |value, sink| rule(value, scope.plan, sink));
    if table.get("rule").is_none() {
        for key in ["state", "verdict", "reason", "refusal"] {
            if let Some(value) = table.get(key) {
                let error = value.error(format!("`{key}` is a rule's"));
                sink.report(error.help("write rule = \"…\" beside it"));
            }
        }
    }
    let facts = facts(&table, scope.plan, sink);
    let (when, rule, facts) = (when?, rule?, facts?);
    if facts.is_empty() && !all_known {
        return None;
    }
    if facts.is_empty() {
        let what = "one of state, verdict, reason, signals, decision, refusal, colour, stage, \
                    passed";
        let error = value.error("the expectation says only when");
        return sink.refuse(error.help(format!("say what is expected: {what}")));
    }
    Some(Expectation { line, when, rule, facts })
}

fn when(table: &TomlTable<'_>, scope: &TestScope<'_>, sink: &mut ErrorSink) -> Option<When> {
    let [at, between, from, until] = ["at", "between", "from", "until"].map(|key| table.get(key));
    match (at, between, from, until) {
        (Some(at), None, None, None) => instant(at, scope, sink).map(When::At),
        (None, Some(between), None, None) => {
            let list = between.list(sink)?;
            let [from, to] = list[..] else {
                let error = between.error("expected two instants");
                return sink.refuse(error.label("write [\"2m\", \"2m4s\"]"));
            };
            let (first, last) = (instant(from, scope, sink), instant(to, scope, sink));
            let (first, last) = in_order(first?, last?, to, sink)?;
            Some(When::Between(first, last))
        }
        (None, None, from, Some(until)) => {
            let arm = scope.arm.unwrap_or(Duration::ZERO);
            let first = from.map_or(Some(arm), |from| instant(from, scope, sink));
            let last = instant(until, scope, sink);
            let (first, last) = in_order(first?, last?, until, sink)?;
            Some(When::Throughout(first, last))
        }
        _ => {
            let error = table.error("an expectation has one of `at`, `between` and `until`");
            sink.missing(error.help("`from` goes with `until`; without it the arming is meant"));
            None
        }
    }
}

fn instant(value: TomlValue<'_>, scope: &TestScope<'_>, sink: &mut ErrorSink) -> Option<Duration> {
    let at = value.duration(sink)?;
    if at <= scope.end {
        return Some(at);
    }
    let end = format_duration(scope.end);
    let error = value.error(format!("the series end at {end}, before this"));
    let help = "`_x60` are 60 pages without the series, `failx60` 60 scrapes that fail";
    sink.refuse(error.help(help))
}

fn in_order(
    first: Duration,
    last: Duration,
    value: TomlValue<'_>,
    sink: &mut ErrorSink,
) -> Option<(Duration, Duration)> {
    if first <= last {
        return Some((first, last));
    }
    let message = format!("{} is before {}", format_duration(last), format_duration(first));
    sink.refuse(value.error(message))
}

fn rule(value: TomlValue<'_>, plan: &Plan, sink: &mut ErrorSink) -> Option<RuleName> {
    let name = value.text(sink)?;
    if let Some(rule) = plan.rules.iter().find(|rule| rule.name.as_str() == name) {
        return Some(rule.name.clone());
    }
    let known = plan.rules.iter().map(|rule| rule.name.as_str());
    sink.refuse(unknown_name("rule", value, name).suggest(name, known))
}

/// Everything that must be so.
fn facts(table: &TomlTable<'_>, plan: &Plan, sink: &mut ErrorSink) -> Option<Vec<ExpectedFact>> {
    let states = [RuleStanding::Inactive, RuleStanding::Pending, RuleStanding::Firing];
    let states = states.map(|state| (state.to_string(), state));
    let state = table.opt("state", sink, |value, sink| value.choice(&states, sink));
    let verdicts = [VerdictKind::Holds, VerdictKind::Fails, VerdictKind::NoData];
    let verdicts = verdicts.map(|verdict| (verdict.name(), verdict));
    let verdict = table.opt("verdict", sink, |value, sink| value.choice(&verdicts, sink));
    let reason = table.opt("reason", sink, TomlValue::string);
    let decisions = [Acted::Rollback, Acted::Ask, Acted::Notify, Acted::None];
    let decisions = decisions.map(|decision| (decision.name(), decision));
    let decision = table.opt("decision", sink, |value, sink| value.choice(&decisions, sink));
    let mut refusals: Vec<_> =
        Refusal::ALL.map(|refusal| (refusal.to_string(), Some(refusal))).into();
    refusals.push(("none".to_owned(), None));
    let refusal = table.opt("refusal", sink, |value, sink| value.choice(&refusals, sink));
    let colours = [Health::Green, Health::Unknown, Health::Yellow, Health::Red];
    let colours = colours.map(|colour| (colour.name(), colour));
    let colour = table.opt("colour", sink, |value, sink| value.choice(&colours, sink));
    let stage = table.opt("stage", sink, |value, sink| stage(value, plan, sink));
    let passed = table.opt("passed", sink, |value, sink| stage_of(value, plan, sink));
    let tolerance = table.opt("tolerance", sink, tolerance);
    let signals = table.opt("signals", sink, |value, sink| {
        let entries = value.entries(sink)?.into_iter();
        all(entries.map(|entry| signal(entry, tolerance.flatten(), plan, sink)))
    });
    tolerance?;
    let rest = [
        state?.map(ExpectedFact::State),
        verdict?.map(ExpectedFact::Verdict),
        reason?.map(ExpectedFact::Reason),
        decision?.map(ExpectedFact::Decision),
        refusal?.map(ExpectedFact::Refusal),
        colour?.map(ExpectedFact::Health),
        stage?.map(ExpectedFact::Stage),
        passed?.map(ExpectedFact::Passed),
    ];
    Some(rest.into_iter().flatten().chain(signals?.unwrap_or_default()).collect())
}

/// A stage: one of the configuration, where that has any.
pub(crate) fn stage(value: TomlValue<'_>, plan: &Plan, sink: &mut ErrorSink) -> Option<StageName> {
    let name = value.name(sink, StageName::new)?;
    if plan.stages.is_empty() || plan.stage(&name).is_some() {
        return Some(name);
    }
    let known = plan.stages.iter().map(|stage| stage.name.as_str());
    sink.refuse(unknown_name("stage", value, name.as_str()).suggest(name.as_str(), known))
}

/// The same, where only one of the configuration will do.
fn stage_of(value: TomlValue<'_>, plan: &Plan, sink: &mut ErrorSink) -> Option<StageName> {
    if plan.stages.is_empty() {
        let error = value.error("the rules have no stages that could pass");
        let help = "write [[stage]] with `name` and `hold` in one of their files";
        return sink.refuse(error.help(help));
    }
    stage(value, plan, sink)
}

fn tolerance(value: TomlValue<'_>, sink: &mut ErrorSink) -> Option<f64> {
    let number = value.number(sink)?;
    if number >= 0.0 {
        return Some(number);
    }
    sink.refuse(value.error("a tolerance is not negative"))
}

fn signal(
    entry: TomlEntry<'_>,
    tolerance: Option<f64>,
    plan: &Plan,
    sink: &mut ErrorSink,
) -> Option<ExpectedFact> {
    // `name{instance="a:1"}` is the reading of one group.
    let (name, group) = match entry.key.strip_suffix('}').and_then(|key| key.split_once('{')) {
        Some((name, group)) => (name, Some(group.to_owned())),
        None => (entry.key, None),
    };
    let Some(signal) = plan.signals.iter().find(|signal| signal.name.as_str() == name) else {
        let known = plan.signals.iter().map(|signal| signal.name.as_str());
        let error = entry.key_error(format!("unknown signal `{}`", name.escape_debug()));
        return sink.refuse(error.suggest(name, known));
    };
    let reading = reading(entry.value, signal, sink)?;
    let size = match &reading {
        ExpectedReading::Value(value) | ExpectedReading::AtLeast(value) => value.abs(),
        ExpectedReading::NoData(_) => 1.0,
    };
    let tolerance = tolerance.unwrap_or(DEFAULT_TOLERANCE * size.max(1.0));
    Some(ExpectedFact::Signal(signal.name.clone(), group, reading, tolerance))
}

/// A number, or in a string a number with a unit, `at least` one, or `no data`.
fn reading(value: TomlValue<'_>, signal: &Signal, sink: &mut ErrorSink) -> Option<ExpectedReading> {
    if value.as_str().is_none() {
        return value.number(sink).map(ExpectedReading::Value);
    }
    value.parse(sink, |text| {
        if let Some(why) = text.strip_prefix("no data") {
            return no_data(text, why);
        }
        match text.strip_prefix("at least ") {
            Some(rest) => {
                literal(rest, text.len() - rest.len(), signal.unit).map(ExpectedReading::AtLeast)
            }
            None => literal(text, 0, signal.unit).map(ExpectedReading::Value),
        }
    })
}

fn no_data(text: &str, why: &str) -> Result<ExpectedReading, TextError> {
    match (why, why.strip_prefix(": ")) {
        ("", _) => Ok(ExpectedReading::NoData(None)),
        (_, Some(why)) => Ok(ExpectedReading::NoData(Some(why.to_owned()))),
        (_, None) => Err(TextError::new(0..text.len(), "not a reading")
            .help("write \"no data\", or \"no data: no traffic\"")),
    }
}

fn literal(text: &str, at: usize, unit: Option<Unit>) -> Result<f64, TextError> {
    let wrong = || {
        TextError::new(at..at + text.len(), "not a reading")
            .help("write a number, \"5%\", \"250ms\", \"at least 10s\" or \"no data\"")
    };
    let tokens = tokenize(text).map_err(|_| wrong())?;
    let tokens: Vec<&ExprToken> = tokens.iter().map(|located| &located.token).collect();
    let (value, own) = match tokens[..] {
        [ExprToken::Number(value, own)] => (*value, *own),
        [ExprToken::Minus, ExprToken::Number(value, own)] => (-value, *own),
        _ => return Err(wrong()),
    };
    if let (Some(own), Some(unit)) = (own, unit)
        && own != unit
    {
        let (own, unit) = (units::name(own), units::name(unit));
        let message = format!("the signal measures {unit}, this is {own}");
        return Err(TextError::new(at..at + text.len(), message));
    }
    Ok(value)
}
