//! Lost telemetry: a rule none of whose readings is there sees nothing, and people are told so. It
//! never decides to act: what is not seen is neither healthy nor bad.

use crate::model::deployment::Mode;
use crate::model::entry::Event;
use crate::model::index::RuleIx;
use crate::model::name::RuleName;
use crate::model::reading::Verdict;
use crate::model::rule::Rule;
use crate::model::time::{Instant, Moment, format_duration};

use crate::engine::guard::Guard;
use crate::engine::run::order::Occasion;

impl Guard {
    /// Records which rules have had no reading for too long, and which have some again. Each loss
    /// is told of once.
    pub(crate) fn watch_telemetry(&mut self, now: Moment) {
        let Some(deployment) = self.guarded().filter(|_| !self.log.is_halted()) else { return };
        let (mut lost, mut back): (Vec<RuleIx>, Vec<RuleName>) = (Vec::new(), Vec::new());
        for (ix, rule, since, known) in self.losses(&deployment.lost) {
            match since {
                Some(since) if !known && now.at.since(since) >= rule.telemetry_lost_after => {
                    lost.push(ix);
                }
                None if known => back.push(rule.name.clone()),
                Some(_) | None => {}
            }
        }
        if !back.is_empty() {
            self.record(now, Event::TelemetryBack { rules: back });
        }
        let Some(first) = lost.first().copied() else { return };
        let why = self.describe_loss(first, lost.len());
        let rules = lost.iter().map(|ix| self.plan().rule(*ix).name.clone()).collect();
        self.record(now, Event::TelemetryLost { rules, why: why.clone() });
        if self.plan().mode != Mode::Observe {
            self.tell(now, Some(first), &why, Occasion::TelemetryLost);
        }
    }

    /// When the next loss is to be told of.
    pub(crate) fn telemetry_deadline(&self) -> Option<Instant> {
        let deployment = self.guarded().filter(|_| !self.log.is_halted())?;
        let due = self.losses(&deployment.lost).filter(|(.., known)| !known);
        due.filter_map(|(_, rule, since, _)| Some(since?.after(rule.telemetry_lost_after))).min()
    }

    /// Every rule of this stage: since when nothing is seen of it, and whether that is known.
    fn losses<'a>(
        &'a self,
        known: &'a [RuleName],
    ) -> impl Iterator<Item = (RuleIx, &'a Rule, Option<Instant>, bool)> {
        let rules = self.plan().rules.iter().enumerate().map(|(ix, rule)| (RuleIx(ix), rule));
        let applying = rules.filter(|(ix, _)| self.evaluator.applies(*ix));
        applying
            .map(|(ix, rule)| (ix, rule, self.evaluator.rule(ix).lost, known.contains(&rule.name)))
    }

    fn describe_loss(&self, first: RuleIx, rules: usize) -> String {
        let rule = self.plan().rule(first);
        let why = match self.evaluator.rule(first).verdict {
            Verdict::NoData(why) => why.to_string(),
            Verdict::Holds | Verdict::Fails => "no data".to_owned(),
        };
        let more = if rules > 1 { format!(" and {} more rules", rules - 1) } else { String::new() };
        let time = format_duration(rule.telemetry_lost_after);
        format!("nothing seen for {time} by rule {}{more}: {why}", rule.name)
    }
}
