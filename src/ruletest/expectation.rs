//! One expectation of a rule test: when it must be met, and what must be so then.

use std::time::Duration;

use crate::model::entry::SignalEvidence;
use crate::model::name::{RuleName, StageName};
use crate::model::plan::Plan;
use crate::model::signal::Unit;
use crate::model::time::format_duration;

use super::script::{Expectation, ExpectedFact, ShownWord, When};
use crate::config::expr::lexer::literal;
use crate::config::expr::units;
use crate::config::syntax::{Diagnostic, FromToml, TomlEntry, TomlTable, TomlValue, all};

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
) -> Option<Expectation> {
    let table = TomlTable::unchecked(value, "expectation")?;
    let all_known = table.check_keys();
    let when = when(&table, scope);
    let rule = table.opt("rule", |value| rule(value, scope.plan));
    if table.get("rule").is_none() {
        for key in ["state", "verdict", "reason", "refusal"] {
            if let Some(value) = table.get(key) {
                let error = value.error(format!("`{key}` is a rule's"));
                table.cx.report(error.help("write rule = \"…\" beside it"));
            }
        }
    }
    let facts = facts(&table, scope.plan);
    let (when, rule, facts) = (when?, rule?, facts?);
    if facts.is_empty() && !all_known {
        return None;
    }
    if facts.is_empty() {
        let what = "one of state, verdict, reason, signals, decision, refusal, colour, stage, \
                    passed";
        let error = value.error("the expectation says only when");
        return value.cx.refuse(error.help(format!("say what is expected: {what}")));
    }
    Some(Expectation { line, when, rule, facts })
}

fn when(table: &TomlTable<'_>, scope: &TestScope<'_>) -> Option<When> {
    let [at, between, from, until] = ["at", "between", "from", "until"].map(|key| table.get(key));
    let (when, first, to): (fn(_, _) -> _, _, _) = match (at, between, from, until) {
        (Some(at), None, None, None) => return instant(at, scope).map(When::At),
        (None, Some(between), None, None) => {
            let list = between.list()?;
            let [from, to] = list[..] else {
                let error = between.error("expected two instants");
                return table.cx.refuse(error.label("write [\"2m\", \"2m4s\"]"));
            };
            (When::Between, instant(from, scope), to)
        }
        (None, None, from, Some(until)) => {
            let arm = Some(scope.arm.unwrap_or(Duration::ZERO));
            (When::Throughout, from.map_or(arm, |from| instant(from, scope)), until)
        }
        _ => {
            let error = table.error("an expectation has one of `at`, `between` and `until`");
            let help = "`from` goes with `until`; without it the arming is meant";
            return table.cx.missing(error.help(help));
        }
    };
    let last = instant(to, scope);
    let (first, last) = (first?, last?);
    if first <= last {
        return Some(when(first, last));
    }
    let message = format!("{} is before {}", format_duration(last), format_duration(first));
    to.cx.refuse(to.error(message))
}

fn instant(value: TomlValue<'_>, scope: &TestScope<'_>) -> Option<Duration> {
    let at = value.duration()?;
    if at <= scope.end {
        return Some(at);
    }
    let end = format_duration(scope.end);
    let error = value.error(format!("the series end at {end}, before this"));
    let help = "`_x60` are 60 pages without the series, `failx60` 60 scrapes that fail";
    value.cx.refuse(error.help(help))
}

fn rule(value: TomlValue<'_>, plan: &Plan) -> Option<RuleName> {
    let name = value.text()?;
    if let Some(rule) = plan.rules.iter().find(|rule| rule.name.as_str() == name) {
        return Some(rule.name.clone());
    }
    let known = plan.rules.iter().map(|rule| rule.name.as_str());
    value.cx.refuse(value.unknown("rule").suggest(name, known))
}

/// Everything that must be so.
fn facts(table: &TomlTable<'_>, plan: &Plan) -> Option<Vec<ExpectedFact>> {
    let read = |value: TomlValue<'_>, what| match what {
        ShownWord::Reason => value.string(),
        ShownWord::Stage => stage(value, plan).map(|stage| stage.to_string()),
        ShownWord::State | ShownWord::Verdict | ShownWord::Decision => {
            value.word().map(str::to_owned)
        }
        ShownWord::Refusal | ShownWord::Colour => value.word().map(str::to_owned),
    };
    let words = ShownWord::ALL.map(|(key, what)| {
        table.opt(key, |value| Some(ExpectedFact::Word(what, read(value, what)?)))
    });
    let passed = table.opt("passed", |value| stage_of(value, plan).map(ExpectedFact::Passed));
    let tolerance = table.opt("tolerance", tolerance);
    let signals = table.opt("signals", |value| {
        let entries = value.entries()?.into_iter();
        all(entries.map(|entry| signal(entry, tolerance.flatten(), plan)))
    });
    tolerance?;
    let facts = words.into_iter().chain([passed]).collect::<Option<Vec<_>>>()?;
    Some(facts.into_iter().flatten().chain(signals?.unwrap_or_default()).collect())
}

/// A stage: one of the configuration, where that has any.
pub(crate) fn stage(value: TomlValue<'_>, plan: &Plan) -> Option<StageName> {
    let name = StageName::from_toml(value)?;
    if plan.stages.is_empty() || plan.stage(&name).is_some() {
        return Some(name);
    }
    let known = plan.stages.iter().map(|stage| stage.name.as_str());
    value.cx.refuse(value.unknown("stage").suggest(name.as_str(), known))
}

/// The same, where only one of the configuration will do.
fn stage_of(value: TomlValue<'_>, plan: &Plan) -> Option<StageName> {
    if plan.stages.is_empty() {
        let error = value.error("the rules have no stages that could pass");
        let help = "write [[stage]] with `name` and `hold` in one of their files";
        return value.cx.refuse(error.help(help));
    }
    stage(value, plan)
}

fn tolerance(value: TomlValue<'_>) -> Option<f64> {
    let number = value.number()?;
    if number >= 0.0 {
        return Some(number);
    }
    value.cx.refuse(value.error("a tolerance is not negative"))
}

fn signal(entry: TomlEntry<'_>, tolerance: Option<f64>, plan: &Plan) -> Option<ExpectedFact> {
    // `name{instance="a:1"}` is the reading of one group.
    let (name, group) = match entry.key.strip_suffix('}').and_then(|key| key.split_once('{')) {
        Some((name, group)) => (name, Some(group.to_owned())),
        None => (entry.key, None),
    };
    let Some(signal) = plan.signals.iter().find(|signal| signal.name.as_str() == name) else {
        let known = plan.signals.iter().map(|signal| signal.name.as_str());
        let error = entry.key_error(format!("unknown signal `{}`", name.escape_debug()));
        return entry.value.cx.refuse(error.suggest(name, known));
    };
    let (signal, unit) = (signal.name.clone(), signal.unit);
    let mut wanted = SignalEvidence { signal, group, value: None, at_least: false, no_data: None };
    if entry.value.as_str().is_some() {
        entry.value.parse(|text| reading(text, unit, &mut wanted))?;
    } else {
        wanted.value = Some(entry.value.number()?);
    }
    let size = wanted.value.map_or(1.0, f64::abs).max(1.0);
    Some(ExpectedFact::Signal(wanted, tolerance.unwrap_or(DEFAULT_TOLERANCE * size)))
}

/// Reads a number with a unit, `at least` one, or `no data`.
fn reading(text: &str, unit: Option<Unit>, wanted: &mut SignalEvidence) -> Result<(), Diagnostic> {
    if let Some(why) = text.strip_prefix("no data") {
        wanted.no_data = why.strip_prefix(": ").map(str::to_owned);
        if why.is_empty() || wanted.no_data.is_some() {
            return Ok(());
        }
        return Err(Diagnostic::new(0..text.len(), "not a reading")
            .help("write \"no data\", or \"no data: no traffic\""));
    }
    let least = text.strip_prefix("at least ");
    wanted.at_least = least.is_some();
    wanted.value = Some(number(text, least.unwrap_or(text), unit)?);
    Ok(())
}

/// The number at the end of a reading.
fn number(whole: &str, text: &str, unit: Option<Unit>) -> Result<f64, Diagnostic> {
    let wrong = |why: &str| Diagnostic::new(whole.len() - text.len()..whole.len(), why);
    let number = text.trim();
    let (sign, digits) = number.strip_prefix('-').map_or((1.0, number), |n| (-1.0, n.trim_start()));
    let (value, own) = literal(digits).map_err(|_| {
        let help = "write a number, \"5%\", \"250ms\", \"at least 10s\" or \"no data\"";
        wrong("not a reading").help(help)
    })?;
    match (own, unit) {
        (Some(own), Some(unit)) if own != unit => {
            let (own, unit) = (units::name(own), units::name(unit));
            Err(wrong(&format!("the signal measures {unit}, this is {own}")))
        }
        _ => Ok(sign * value),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::syntax::declaration::declaration;
    use crate::engine::view::health::Health;
    use crate::model::entry::{Refusal, RuleStanding};
    use crate::ruletest::check::Acted;

    #[test]
    fn the_words_that_may_be_expected_are_those_that_are_shown() {
        let check = |key: &str, shown: Vec<String>| {
            assert_eq!(declaration("expectation").key(key).words, shown, "{key}");
        };
        let states = [RuleStanding::Inactive, RuleStanding::Pending, RuleStanding::Firing];
        check("state", states.map(|state| state.to_string()).into());
        let decisions = [Acted::Rollback, Acted::Ask, Acted::Notify, Acted::Nothing];
        check("decision", decisions.map(|decision| decision.name().to_owned()).into());
        let refusals = Refusal::ALL.iter().map(|(word, _)| (*word).to_owned());
        check("refusal", refusals.chain(["none".to_owned()]).collect());
        let colours = [Health::Green, Health::Unknown, Health::Yellow, Health::Red];
        check("colour", colours.map(|colour| colour.name().to_owned()).into());
    }
}
