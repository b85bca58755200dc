//! Stages: which one a deployment may go on to, and when it has passed. What is seen of one is
//! judged by its gate, what enters it is run by `enter`; what is durable is in the durable state.

use std::time::Duration;

use crate::model::entry::{Caller, StageEvent};
use crate::model::index::RuleIx;
use crate::model::name::{DeploymentId, StageName};
use crate::model::reading::{NoData, Verdict};
use crate::model::rule::OnNoData;
use crate::model::scrape::Scrape;
use crate::model::stage::{Stage, Watched};
use crate::model::time::{Instant, Moment, format_duration};

use super::gate::{Gate, Item, Sight};
use crate::engine::command::{Accepted, Force, Rejection};
use crate::engine::durable::stage::Standing;
use crate::engine::guard::Guard;
use crate::engine::rules::state::{Judgement, RuleState};
use crate::engine::run::order::Occasion;
use crate::engine::view::evidence;

/// What the stages of the deployment wait for. What is not in the durable state follows from it
/// again after a restart, but for what was seen: that is counted again.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    pub(crate) gate: Gate,
    /// When people are told that the stage takes too long.
    pub(crate) overdue: Option<Instant>,
}

impl Guard {
    /// Goes over to a stage.
    pub(crate) fn stage(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        stage: StageName,
        force: Force,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let deployment = self.read(now).addressed_guarded(id.as_ref())?.id.clone();
        let entered = self.guarded().is_some_and(|current| {
            let entry = current.staging.entry.as_ref().map(|entry| &entry.standing);
            current.stage.as_ref() == Some(&stage) && !matches!(entry, Some(Standing::Failed(_)))
        });
        // A pipeline that asks again because it did not hear the answer.
        if !entered {
            let forced = self.admit_stage(now, &stage, force)?;
            self.go_to(now, stage.clone(), forced, by);
        }
        let standing = self.guarded().and_then(|current| current.staging.entry.as_ref());
        let message = match standing {
            Some(entry) if entry.standing == Standing::Running => {
                format!("deployment {deployment} enters stage {stage} with hook {}", entry.hook)
            }
            Some(_) | None => format!("deployment {deployment} is in stage {stage}"),
        };
        Ok(Accepted { deployment: Some(deployment), message })
    }

    /// Whether the deployment may go to a stage, and whether a person had to insist. It may always
    /// go back.
    fn admit_stage(
        &self,
        now: Moment,
        stage: &StageName,
        force: Force,
    ) -> Result<Force, Rejection> {
        let (plan, current) = (self.plan(), self.guarded());
        if plan.stages.is_empty() {
            return Ok(Force::No);
        }
        let Some((place, _)) = plan.stage(stage) else {
            let stages: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
            let (stage, stages) = (stage.clone(), stages.join(", "));
            return Err(Rejection::UnknownStage { stage, stages });
        };
        let at = current.and_then(|current| plan.stage(current.stage.as_ref()?));
        let at = at.map(|(place, _)| place);
        if at.is_some_and(|at| place <= at) {
            return Ok(Force::No);
        }
        let has_passed = |stage: &&Stage| {
            current.is_some_and(|current| current.staging.passed.contains(&stage.name))
        };
        let between = plan.stages.get(at.unwrap_or(0)..place).unwrap_or_default();
        match (between.iter().find(|stage| !has_passed(stage)), force) {
            (None, _) => match current.filter(|current| current.ask.is_some()) {
                Some(asked) if force == Force::No => Err(Rejection::Asked(asked.id.clone())),
                Some(_) | None => Ok(Force::No),
            },
            (Some(_), Force::Yes) => Ok(Force::Yes),
            (Some(before), Force::No) => {
                let why = self.in_a_line(before, now);
                Err(Rejection::StageNotPassed { stage: before.name.clone(), why })
            }
        }
    }

    /// Enters the first stage of a deployment that begins, where there are stages.
    pub(crate) fn enter_first(&mut self, now: Moment, by: Caller) {
        // What the deployment before waited for is over, but for the end of what was called off.
        self.stages = Stages::default();
        self.stage_entry.begin(None, now.at);
        if let Some(first) = self.plan().stages.first().map(|stage| stage.name.clone()) {
            self.go_to(now, first, Force::No, by);
        }
    }

    fn go_to(&mut self, now: Moment, stage: StageName, forced: Force, by: Caller) {
        if self.timers.warm.is_some() {
            self.keep_resting();
        }
        let plan = self.plan().clone();
        let declared = plan.stage(&stage).map(|(_, stage)| stage);
        let hook = declared.and_then(|stage| stage.enter).map(|hook| plan.hook(hook).clone());
        self.evaluator.enter(Some(stage.clone()), now.at);
        self.stages = Stages {
            gate: Gate::new(now.at),
            overdue: declared.and_then(|stage| stage.within).map(|within| now.at.after(within)),
        };
        let enter = hook.as_ref().map(|hook| hook.name.clone());
        self.stage_entry.begin(hook, now.at);
        let enters = enter.is_some();
        let forced = forced == Force::Yes;
        self.record(now, StageEvent::Staged { stage, enter, forced, by });
        if enters {
            self.pursue_entering(now);
        } else {
            self.go_along(now, crate::model::deployment::Milestone::Stage);
        }
    }

    /// The stage that the deployment is in, where it is guarded and the configuration has it.
    pub(crate) fn current_stage(&self) -> Option<&Stage> {
        let (_, stage) = self.plan().stage(self.guarded()?.stage.as_ref()?)?;
        Some(stage)
    }

    /// The same, while it was entered and has not passed.
    fn gated(&self) -> Option<&Stage> {
        let staging = &self.guarded()?.staging;
        let entered = staging.entry.as_ref().is_none_or(|entry| entry.standing == Standing::Done);
        let warm = self.timers.warm.is_none();
        let stage = self.current_stage()?;
        (entered && warm && !staging.passed.contains(&stage.name)).then_some(stage)
    }

    /// Everything that may follow for a stage from new readings or passed time.
    pub(crate) fn watch_stage(&mut self, now: Moment, scrape: Option<&Scrape>) {
        if self.log.is_halted() {
            return;
        }
        self.wake_stage_entry(now);
        self.watch_gate(now, scrape);
        self.pass(now);
        self.tell_overdue(now);
    }

    /// Looks at what the stage looks at. To be called before a scrape is taken in, too: what went
    /// stale meanwhile was not seen.
    pub(crate) fn watch_gate(&mut self, now: Moment, scrape: Option<&Scrape>) {
        let Some(stage) = self.gated() else { return };
        let at = scrape.map_or(now.at, |scrape| scrape.at);
        let (hold, sights) = (stage.hold, self.sights(stage, scrape, now.at));
        self.stages.gate.judge(hold, at, &sights);
    }

    /// What has been seen does not count for other rules and limits.
    pub(crate) fn watch_anew(&mut self, now: Moment) {
        self.stages.gate = Gate::new(now.at);
    }

    /// What is seen of each thing that a stage looks at.
    fn sights(&self, stage: &Stage, scrape: Option<&Scrape>, at: Instant) -> Vec<Sight> {
        let given = stage.given.as_ref().map(|given| self.evaluator.verdict(&given.cond));
        let thin = given.and_then(|given| match given {
            Verdict::Holds => None,
            Verdict::Fails => Some(Verdict::NoData(NoData::EvidenceTooThin)),
            Verdict::NoData(why) => Some(Verdict::NoData(why)),
        });
        let limits = stage.limits.iter().enumerate().map(|(place, limit)| {
            let verdict = thin.unwrap_or_else(|| self.evaluator.verdict(&limit.cond));
            let fresh = scrape.is_some_and(|scrape| self.evaluator.is_news(scrape, &limit.cond));
            (Item::Limit(place), verdict, fresh)
        });
        let rules = self.watched(stage).into_iter().map(|ix| {
            let rule = self.plan().rule(ix);
            let fresh = scrape.is_some_and(|scrape| {
                let given = rule.given.as_ref();
                self.evaluator.is_news(scrape, &rule.when.cond)
                    || given.is_some_and(|given| self.evaluator.is_news(scrape, &given.cond))
            });
            (Item::Rule(ix), self.rule_is_clean(ix, at), fresh)
        });
        let sight = |(item, verdict, fresh)| {
            let clean = if fresh { Judgement::Fresh(verdict) } else { Judgement::Again(verdict) };
            Sight { item, clean }
        };
        limits.chain(rules).map(sight).collect()
    }

    /// The rules that a stage looks at. Those that were set aside cannot speak against it.
    fn watched(&self, stage: &Stage) -> Vec<RuleIx> {
        let set_aside = |ix: &RuleIx| {
            let name = &self.plan().rule(*ix).name;
            self.guarded().is_some_and(|current| current.set_aside.contains(name))
        };
        let rules: Vec<RuleIx> = match &stage.watched {
            Watched::These(rules) => rules.clone(),
            Watched::InForce => (0..self.plan().rules.len()).map(RuleIx).collect(),
        };
        rules.into_iter().filter(|ix| self.evaluator.applies(*ix) && !set_aside(ix)).collect()
    }

    /// Whether a rule is inactive, and is so on what it sees.
    fn rule_is_clean(&self, ix: RuleIx, at: Instant) -> Verdict {
        let seen = self.evaluator.rule(ix);
        match (seen.state(), seen.verdict()) {
            (RuleState::Pending(_) | RuleState::Firing(_), _)
            | (RuleState::Inactive, Verdict::Holds) => Verdict::Fails,
            (RuleState::Inactive, Verdict::Fails) => Verdict::Holds,
            (RuleState::Inactive, Verdict::NoData(why)) => {
                // It says itself that absence is as good, but only where somebody answers.
                let clear = self.plan().rule(ix).on_no_data == OnNoData::Clear;
                let answers = self.evaluator.blind(ix, at).is_none();
                if clear && answers { Verdict::Holds } else { Verdict::NoData(why) }
            }
        }
    }

    /// Records that the stage has passed, once nothing keeps it.
    fn pass(&mut self, now: Moment) {
        let Some(stage) = self.gated() else { return };
        let sights = self.sights(stage, None, now.at);
        if !self.stages.gate.is_open(&sights) || self.keeps(stage, now.at).is_some() {
            return;
        }
        let stage = stage.name.clone();
        let since = self.guarded().and_then(|current| current.staging.since);
        let took = since.map(|since| now.wall.since(since)).unwrap_or_default();
        self.record(now, StageEvent::Passed { stage, took_ms: evidence::millis(took) });
    }

    /// Tells people once that a stage has not passed in the time in which it should have.
    fn tell_overdue(&mut self, now: Moment) {
        if self.overdue_deadline().is_none_or(|overdue| overdue > now.at) {
            return;
        }
        let Some(stage) = self.current_stage() else { return };
        let (name, why) = (stage.name.clone(), self.in_a_line(stage, now));
        let reason = format!("stage {name} has not passed in time: {why}");
        self.record(now, StageEvent::Overdue { stage: name, why });
        self.tell(now, None, &reason, Occasion::StageOverdue);
    }

    fn overdue_deadline(&self) -> Option<Instant> {
        let (staging, stage) = (&self.guarded()?.staging, self.current_stage()?);
        let told = staging.overdue || staging.passed.contains(&stage.name);
        self.stages.overdue.filter(|_| !told)
    }

    /// When time alone may change something. A gate only opens on what is sampled.
    pub(crate) fn stage_deadline(&self) -> Option<Instant> {
        let all = [self.stage_entry.deadline(), self.overdue_deadline()];
        all.into_iter().flatten().min().filter(|_| !self.log.is_halted())
    }

    /// Goes on with a stage after a restart.
    pub(crate) fn resume_stage(&mut self, now: Moment) {
        self.stages.gate = Gate::new(now.at);
        let since = self.guarded().and_then(|current| current.staging.since);
        let within = self.current_stage().and_then(|stage| stage.within);
        self.stages.overdue = within
            .zip(since)
            .map(|(within, since)| now.at.after(within.saturating_sub(now.wall.since(since))));
        self.resume_entering(now);
    }

    /// Why a version cannot count as good yet: its last stage has not passed.
    pub(crate) fn unfinished_stage(&self) -> Option<String> {
        let current = self.guarded()?;
        // Whatever the configuration says by now: what shifts traffic is not over.
        let entry = current.staging.entry.as_ref();
        if let Some(entry) = entry.filter(|entry| entry.standing == Standing::Running) {
            return Some(format!("stage {} is being entered", entry.entering.stage));
        }
        let last = self.plan().stages.last()?;
        let done = current.stage.as_ref() == Some(&last.name)
            && current.staging.passed.contains(&last.name);
        (!done).then(|| format!("the last stage, {}, has not passed", last.name))
    }

    /// For how long a stage was seen to be clean.
    pub(crate) fn clean(&self, stage: &Stage) -> Duration {
        let current = self.current_stage().is_some_and(|current| current.name == stage.name);
        if current { self.stages.gate.clean(stage.hold) } else { Duration::ZERO }
    }

    /// What keeps the current stage, other than time.
    pub(crate) fn keeps(&self, stage: &Stage, at: Instant) -> Option<String> {
        let current = self.guarded()?;
        match current.staging.entry.as_ref().map(|entry| (&entry.hook, &entry.standing)) {
            Some((hook, Standing::Running)) => return Some(format!("hook {hook} is being run")),
            Some((_, Standing::Failed(why))) => return Some(format!("it was not entered: {why}")),
            Some((_, Standing::Done)) | None => {}
        }
        if self.timers.warm.is_some() {
            return Some("the deployment is warming up".to_owned());
        }
        let sights = self.sights(stage, None, at);
        let unclean = |sight: &&Sight| sight.verdict() != Verdict::Holds;
        // What is bad comes before what is not known.
        let bad = sights.iter().find(|sight| sight.verdict() == Verdict::Fails);
        if let Some(sight) = bad.or_else(|| sights.iter().find(unclean)) {
            return Some(self.unclean(stage, sight));
        }
        let waits = if current.ask.is_some() {
            Some("a rollback awaits approval")
        } else if self.log.state().pause.is_some() {
            Some("automatic rollbacks are paused")
        } else {
            sights.is_empty().then_some("there is no rule and no limit left to judge it by")
        };
        waits.map(str::to_owned)
    }

    fn unclean(&self, stage: &Stage, sight: &Sight) -> String {
        let what = match sight.item {
            Item::Limit(place) => {
                let text = stage.limits.get(place).map(|limit| limit.text.as_str());
                format!("`{}`", text.unwrap_or_default())
            }
            Item::Rule(ix) => format!("rule {}", self.plan().rule(ix).name),
        };
        match (sight.verdict(), sight.item) {
            (Verdict::NoData(why), _) => format!("{what} has no data, {why}"),
            (_, Item::Rule(ix)) => format!("{what} is {}", self.evaluator.standing(ix)),
            (_, Item::Limit(_)) => format!("{what} is not met"),
        }
    }

    /// How far a stage is, in a line.
    fn in_a_line(&self, stage: &Stage, now: Moment) -> String {
        if self.current_stage().is_none_or(|current| current.name != stage.name) {
            return "it was not entered".to_owned();
        }
        let clean = Duration::from_secs(self.clean(stage).as_secs());
        let clean =
            format!("clean for {} of {}", format_duration(clean), format_duration(stage.hold));
        match self.keeps(stage, now.at) {
            Some(why) => format!("{clean}, {why}"),
            None => clean,
        }
    }
}
