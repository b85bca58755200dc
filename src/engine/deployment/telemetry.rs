//! Lost telemetry: a rule none of whose readings is there sees nothing, and people are told so. It
//! never decides to act: what is not seen is neither healthy nor bad.

use crate::model::time::{Instant, format_duration};
use crate::model::{
    deployment::Mode, entry::RuleEvent, index::RuleIx, name::RuleName, reading::Verdict, rule::Rule,
};

use crate::engine::context::{Cx, ReadCx};
use crate::engine::{notify::incident, rules::evaluator::Evaluator, run::order::Occasion};

/// Records which rules have had no reading for too long, and which have readings again. People are
/// told of each loss once.
pub(crate) fn watch(cx: &mut Cx<'_>) {
    let Some(deployment) = cx.read().active() else { return };
    let (mut lost, mut back): (Vec<RuleIx>, Vec<RuleName>) = (Vec::new(), Vec::new());
    for (ix, rule, since) in rules(cx.evaluator) {
        let known = deployment.lost.contains(&rule.name);
        match since {
            Some(since) if !known && cx.now.at.since(since) >= rule.telemetry_lost_after => {
                lost.push(ix);
            }
            None if known => back.push(rule.name.clone()),
            Some(_) | None => {}
        }
    }
    if !back.is_empty() {
        cx.record(RuleEvent::TelemetryBack { rules: back });
    }
    let Some(first) = lost.first().copied() else { return };
    let why = describe(cx.evaluator, first, lost.len());
    let rules = lost.iter().map(|ix| cx.plan().rule(*ix).name.clone()).collect();
    cx.record(RuleEvent::TelemetryLost { rules, why: why.clone() });
    if cx.plan().mode != Mode::Observe {
        incident::tell(cx, Some(first), &why, Occasion::TelemetryLost);
    }
}

/// When the next loss has lasted for long enough to be told.
pub(crate) fn deadline(cx: ReadCx<'_>) -> Option<Instant> {
    let known = &cx.active()?.lost;
    let due = rules(cx.evaluator).filter(|(_, rule, _)| !known.contains(&rule.name));
    due.filter_map(|(_, rule, since)| Some(since?.after(rule.telemetry_lost_after))).min()
}

/// The rules of the stage at hand, and since when each has had no reading.
fn rules(evaluator: &Evaluator) -> impl Iterator<Item = (RuleIx, &Rule, Option<Instant>)> {
    let rules = evaluator.plan().rules.iter().enumerate().map(|(ix, rule)| (RuleIx(ix), rule));
    let applying = rules.filter(|(ix, _)| evaluator.applies(*ix));
    applying.map(|(ix, rule)| (ix, rule, evaluator.rule(ix).lost))
}

fn describe(evaluator: &Evaluator, first: RuleIx, rules: usize) -> String {
    let rule = evaluator.plan().rule(first);
    let why = match evaluator.rule(first).verdict {
        Verdict::NoData(why) => why.to_string(),
        Verdict::Holds | Verdict::Fails => "no data".to_owned(),
    };
    let more = if rules > 1 { format!(" and {} more rules", rules - 1) } else { String::new() };
    let time = format_duration(rule.telemetry_lost_after);
    format!("nothing seen for {time} by rule {}{more}: {why}", rule.name)
}
