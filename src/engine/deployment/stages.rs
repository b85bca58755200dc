//! The gate of the stage that a deployment is in: which stage it may go on to, and when a stage has
//! passed. The hook that enters a stage is run by `stage_entry`; what is durable is in the durable
//! state.

use std::time::Duration;

use crate::model::reading::{NoData, Verdict};
use crate::model::stage::{Stage, Watched};
use crate::model::time::{Instant, format_duration};
use crate::model::{
    entry::StageEvent, index::RuleIx, name::StageName, rule::OnNoData, scrape::Scrape,
};

use super::warmup::Warmup;
use crate::engine::command::{Force, Rejection};
use crate::engine::context::{Cx, ReadCx};
use crate::engine::rules::state::{FiringTerms, Judgement, RuleState};
use crate::engine::view::stage::{StageStanding, StageStatus};
use crate::engine::{
    durable::stage::Standing, notify::incident, run::order::Occasion, view::evidence::millis,
};

/// The gate of the stage at hand. After a restart what was seen is counted again from nothing.
#[derive(Debug, Default)]
pub(crate) struct StageGate {
    gate: Gate,
    /// When people are told that the stage takes too long.
    overdue: Option<Instant>,
}

impl StageGate {
    /// The gate of a stage that is entered now; `None`: the configuration does not have it.
    pub(crate) fn begin(stage: Option<&Stage>, at: Instant) -> Self {
        let overdue = stage.and_then(|stage| stage.within).map(|within| at.after(within));
        Self { gate: Gate::new(at), overdue }
    }

    /// The gate of the stage at hand after a restart.
    pub(crate) fn restart(cx: ReadCx<'_>) -> Self {
        let since = cx.guarded().and_then(|current| current.staging.since);
        let within = current(cx).and_then(|stage| stage.within);
        let rest = |(within, since): (Duration, _)| within.saturating_sub(cx.now.wall.since(since));
        let overdue = within.zip(since).map(|both| cx.now.at.after(rest(both)));
        Self { gate: Gate::new(cx.now.at), overdue }
    }

    /// Forgets what was seen: it does not count for other rules and limits, nor for what was seen
    /// before the stage had its traffic.
    pub(crate) fn start_anew(&mut self, at: Instant) {
        self.gate = Gate::new(at);
    }

    /// Takes in what is seen of everything that the stage looks at. To be called before a scrape is
    /// taken in, too: what went stale meanwhile was not seen.
    pub(crate) fn judge(&mut self, cx: ReadCx<'_>, warmup: &Warmup, scrape: Option<&Scrape>) {
        let Some(stage) = gated(cx, warmup) else { return };
        let at = scrape.map_or(cx.now.at, |scrape| scrape.at);
        self.gate.judge(stage.hold, at, &observations(cx, stage, scrape));
    }

    /// Records that the stage has passed once nothing keeps it.
    pub(crate) fn pass(&self, cx: &mut Cx<'_>, warmup: &Warmup) {
        let view = cx.read();
        let Some(stage) = gated(view, warmup) else { return };
        if !self.gate.is_open(&observations(view, stage, None))
            || keeps(view, warmup, stage).is_some()
        {
            return;
        }
        let since = view.guarded().and_then(|current| current.staging.since);
        let took = since.map(|since| view.now.wall.since(since)).unwrap_or_default();
        cx.record(StageEvent::Passed { stage: stage.name.clone(), took_ms: millis(took) });
    }

    /// Tells people once that the stage has not passed in the time in which it should have.
    pub(crate) fn tell_overdue(&self, cx: &mut Cx<'_>, warmup: &Warmup) {
        let view = cx.read();
        if self.deadline(view).is_none_or(|overdue| overdue > cx.now.at) {
            return;
        }
        let Some(stage) = current(view) else { return };
        let (stage, why) = (stage.name.clone(), self.in_a_line(view, warmup, stage));
        let reason = format!("stage {stage} has not passed in time: {why}");
        cx.record(StageEvent::Overdue { stage, why });
        incident::tell(cx, None, &reason, Occasion::StageOverdue);
    }

    /// When people must be told that the stage takes too long. A gate only opens on what is
    /// sampled, so it needs no deadline.
    pub(crate) fn deadline(&self, cx: ReadCx<'_>) -> Option<Instant> {
        let (staging, stage) = (&cx.guarded()?.staging, current(cx)?);
        let told = staging.overdue || staging.passed.contains(&stage.name);
        self.overdue.filter(|_| !told)
    }

    /// Whether the guarded deployment may go to a stage, and whether a person had to insist. It may
    /// always go back.
    pub(crate) fn admit(
        &self,
        cx: ReadCx<'_>,
        warmup: &Warmup,
        stage: &StageName,
        force: Force,
    ) -> Result<Force, Rejection> {
        let (plan, current) = (cx.plan(), cx.guarded());
        if plan.stages.is_empty() {
            return Ok(Force::No);
        }
        let Some((place, _)) = plan.stage(stage) else {
            let stages: Vec<_> = plan.stages.iter().map(|stage| stage.name.as_str()).collect();
            let stages = stages.join(", ");
            let why = format!("there is no stage {stage}; the stages are {stages}");
            return Err(Rejection::because(why));
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
                let (stage, why) = (&before.name, self.in_a_line(cx, warmup, before));
                Err(Rejection::because(format!(
                    "stage {stage} has not passed: {why}; wait for it, or insist with --force"
                )))
            }
        }
    }

    /// Every stage of a guarded deployment, in order; none where the configuration has none.
    pub(crate) fn statuses(&self, cx: ReadCx<'_>, warmup: &Warmup) -> Vec<StageStatus> {
        let stages = cx.guarded().map(|_| cx.plan().stages.as_slice()).unwrap_or_default();
        stages.iter().map(|stage| self.status(cx, warmup, stage)).collect()
    }

    /// How far a stage of the newest deployment is.
    pub(crate) fn status(&self, cx: ReadCx<'_>, warmup: &Warmup, stage: &Stage) -> StageStatus {
        let standing = standing(cx, &stage.name);
        let (clean, why) = match standing {
            StageStanding::Passed => (stage.hold, None),
            StageStanding::Watched | StageStanding::Entering | StageStanding::NotEntered => {
                (self.clean(cx, stage), keeps(cx, warmup, stage))
            }
            StageStanding::Done | StageStanding::Next => (Duration::ZERO, None),
        };
        let (clean_ms, hold_ms) = (millis(clean), millis(stage.hold));
        StageStatus { stage: stage.name.clone(), standing, clean_ms, hold_ms, why }
    }

    /// For how long a stage was seen to be clean.
    fn clean(&self, cx: ReadCx<'_>, stage: &Stage) -> Duration {
        let is_current = current(cx).is_some_and(|current| current.name == stage.name);
        if is_current { self.gate.clean(stage.hold) } else { Duration::ZERO }
    }

    /// How far a stage is, in a line.
    fn in_a_line(&self, cx: ReadCx<'_>, warmup: &Warmup, stage: &Stage) -> String {
        if current(cx).is_none_or(|current| current.name != stage.name) {
            return "it was not entered".to_owned();
        }
        let clean = Duration::from_secs(self.clean(cx, stage).as_secs());
        let clean =
            format!("clean for {} of {}", format_duration(clean), format_duration(stage.hold));
        match keeps(cx, warmup, stage) {
            Some(why) => format!("{clean}, {why}"),
            None => clean,
        }
    }
}

/// The stage that the deployment is in, where it is guarded and the configuration has it.
fn current<'a>(cx: ReadCx<'a>) -> Option<&'a Stage> {
    let (_, stage) = cx.plan().stage(cx.guarded()?.stage.as_ref()?)?;
    Some(stage)
}

/// The same, while it was entered and has not passed.
fn gated<'a>(cx: ReadCx<'a>, warmup: &Warmup) -> Option<&'a Stage> {
    let staging = &cx.guarded()?.staging;
    let entered = staging.entry.as_ref().is_none_or(|entry| entry.standing == Standing::Done);
    let stage = current(cx)?;
    let judged = entered && !warmup.is_under_way() && !staging.passed.contains(&stage.name);
    judged.then_some(stage)
}

/// What is seen of each thing that a stage looks at.
fn observations(cx: ReadCx<'_>, stage: &Stage, scrape: Option<&Scrape>) -> Vec<Observation> {
    let evaluator = cx.evaluator;
    let given = stage.given.as_ref().map(|given| evaluator.verdict(&given.cond));
    let thin = given.and_then(|given| match given {
        Verdict::Holds => None,
        Verdict::Fails => Some(Verdict::NoData(NoData::EvidenceTooThin)),
        Verdict::NoData(why) => Some(Verdict::NoData(why)),
    });
    let limits = stage.limits.iter().enumerate().map(|(place, limit)| {
        let verdict = thin.unwrap_or_else(|| evaluator.verdict(&limit.cond));
        let fresh = scrape.is_some_and(|scrape| evaluator.is_news(scrape, &limit.cond));
        (Criterion::Limit(place), verdict, fresh)
    });
    let rules = watched(cx, stage).into_iter().map(|ix| {
        let rule = cx.plan().rule(ix);
        let fresh = scrape.is_some_and(|scrape| {
            let conditions = std::iter::once(&rule.when).chain(&rule.given);
            conditions.into_iter().any(|condition| evaluator.is_news(scrape, &condition.cond))
        });
        (Criterion::Rule(ix), rule_is_clean(cx, ix), fresh)
    });
    let observation = |(criterion, verdict, fresh)| {
        let clean = if fresh { Judgement::Fresh(verdict) } else { Judgement::Again(verdict) };
        Observation { criterion, clean }
    };
    limits.chain(rules).map(observation).collect()
}

/// The rules that a stage looks at. Those that were set aside cannot speak against it.
fn watched(cx: ReadCx<'_>, stage: &Stage) -> Vec<RuleIx> {
    let set_aside = |ix: &RuleIx| {
        let name = &cx.plan().rule(*ix).name;
        cx.guarded().is_some_and(|current| current.set_aside.contains(name))
    };
    let rules: Vec<RuleIx> = match &stage.watched {
        Watched::These(rules) => rules.clone(),
        Watched::InForce => (0..cx.plan().rules.len()).map(RuleIx).collect(),
    };
    rules.into_iter().filter(|ix| cx.evaluator.applies(*ix) && !set_aside(ix)).collect()
}

/// Whether a rule is inactive, and is so on what it sees.
fn rule_is_clean(cx: ReadCx<'_>, ix: RuleIx) -> Verdict {
    let rule = cx.evaluator.rule(ix);
    match (rule.state, rule.verdict) {
        (RuleState::Pending(_) | RuleState::Firing(_), _)
        | (RuleState::Inactive, Verdict::Holds) => Verdict::Fails,
        (RuleState::Inactive, Verdict::Fails) => Verdict::Holds,
        (RuleState::Inactive, Verdict::NoData(why)) => {
            // It says itself that absence is as good, but only where somebody answers.
            let clear = cx.plan().rule(ix).on_no_data == OnNoData::Clear;
            let answers = cx.evaluator.blind(ix, cx.now.at).is_none();
            if clear && answers { Verdict::Holds } else { Verdict::NoData(why) }
        }
    }
}

/// Why a version cannot count as good yet: its last stage has not passed.
pub(crate) fn unfinished(cx: ReadCx<'_>) -> Option<String> {
    let current = cx.guarded()?;
    // Whatever the configuration says by now: what shifts traffic is not over.
    let entry = current.staging.entry.as_ref();
    if let Some(entry) = entry.filter(|entry| entry.standing == Standing::Running) {
        return Some(format!("stage {} is being entered", entry.entering.stage));
    }
    let last = cx.plan().stages.last()?;
    let done =
        current.stage.as_ref() == Some(&last.name) && current.staging.passed.contains(&last.name);
    (!done).then(|| format!("the last stage, {}, has not passed", last.name))
}

/// What keeps the current stage, other than time.
fn keeps(cx: ReadCx<'_>, warmup: &Warmup, stage: &Stage) -> Option<String> {
    let current = cx.guarded()?;
    match current.staging.entry.as_ref().map(|entry| (&entry.hook, &entry.standing)) {
        Some((hook, Standing::Running)) => return Some(format!("hook {hook} is being run")),
        Some((_, Standing::Failed(why))) => return Some(format!("it was not entered: {why}")),
        Some((_, Standing::Done)) | None => {}
    }
    if warmup.is_under_way() {
        return Some("the deployment is warming up".to_owned());
    }
    let observations = observations(cx, stage, None);
    // What is bad comes before what is not known.
    let bad = observations.iter().find(|observation| observation.clean.verdict() == Verdict::Fails);
    let unclean = |observation: &&Observation| observation.clean.verdict() != Verdict::Holds;
    if let Some(observation) = bad.or_else(|| observations.iter().find(unclean)) {
        return Some(describe(cx, stage, observation));
    }
    let waits = if current.ask.is_some() {
        Some("a rollback awaits approval")
    } else if cx.state().pause.is_some() {
        Some("automatic rollbacks are paused")
    } else {
        observations.is_empty().then_some("there is no rule and no limit left to judge it by")
    };
    waits.map(str::to_owned)
}

/// What is not clean.
fn describe(cx: ReadCx<'_>, stage: &Stage, observation: &Observation) -> String {
    let what = match observation.criterion {
        Criterion::Limit(place) => format!("`{}`", stage.limits[place].text),
        Criterion::Rule(ix) => format!("rule {}", cx.plan().rule(ix).name),
    };
    match (observation.clean.verdict(), observation.criterion) {
        (Verdict::NoData(why), _) => format!("{what} has no data, {why}"),
        (_, Criterion::Rule(ix)) => format!("{what} is {}", cx.evaluator.standing(ix)),
        (_, Criterion::Limit(_)) => format!("{what} is not met"),
    }
}

/// Where a stage of the newest deployment stands, guarded or not any more.
pub(crate) fn standing(cx: ReadCx<'_>, name: &StageName) -> StageStanding {
    let place = |name: &StageName| cx.plan().stage(name).map(|(place, _)| place);
    let at = cx.current().and_then(|current| Some((current, place(current.stage.as_ref()?)?)));
    let Some(((current, at), place)) = at.zip(place(name)) else { return StageStanding::Next };
    match current.staging.entry.as_ref().map(|entry| &entry.standing) {
        _ if place < at => StageStanding::Done,
        _ if place > at => StageStanding::Next,
        _ if current.staging.passed.contains(name) => StageStanding::Passed,
        Some(Standing::Running) => StageStanding::Entering,
        Some(Standing::Failed(_)) => StageStanding::NotEntered,
        Some(Standing::Done) | None => StageStanding::Watched,
    }
}

/// Something that a gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Criterion {
    /// The stage's limit at this place.
    Limit(usize),
    /// A rule.
    Rule(RuleIx),
}

/// What is seen of a criterion: `Holds` stands for clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Observation {
    criterion: Criterion,
    clean: Judgement,
}

/// The clocks of a stage, one for each thing that it looks at.
#[derive(Clone, Debug, Default)]
struct Gate {
    /// Only what was sampled from then on counts.
    since: Instant,
    clocks: Vec<(Criterion, RuleState)>,
}

impl Gate {
    /// A gate that has seen nothing.
    const fn new(since: Instant) -> Self {
        Self { since, clocks: Vec::new() }
    }

    /// Takes in what is seen at `at`. Where anything is not clean all of them start again: each
    /// being clean in turn is not being clean.
    fn judge(&mut self, hold: Duration, at: Instant, observations: &[Observation]) {
        let spoilt =
            observations.iter().any(|observation| observation.clean.verdict() == Verdict::Fails);
        let judged = observations.iter().map(|Observation { criterion, clean }| {
            let known = self.clocks.iter().find(|(known, _)| known == criterion);
            let mut state = known.map_or(RuleState::Inactive, |(_, state)| *state);
            match *clean {
                _ if spoilt => state = RuleState::Inactive,
                fresh @ Judgement::Fresh(Verdict::Holds) if at >= self.since => {
                    state.judge(&FiringTerms::held_for(hold), at, fresh);
                }
                Judgement::Fresh(why @ Verdict::NoData(_))
                | Judgement::Again(why @ Verdict::NoData(_)) => {
                    state.judge(&FiringTerms::held_for(hold), at, Judgement::Again(why));
                }
                // That it was clean when it was last looked at is known already.
                Judgement::Fresh(_) | Judgement::Again(_) => {}
            }
            (*criterion, state)
        });
        self.clocks = judged.collect();
    }

    /// For how long all of it was seen to be clean, `hold` at most.
    fn clean(&self, hold: Duration) -> Duration {
        let held = |state: &RuleState| match state {
            RuleState::Inactive => Duration::ZERO,
            RuleState::Pending(pending) => pending.held,
            RuleState::Firing(_) => hold,
        };
        self.clocks.iter().map(|(_, state)| held(state)).min().unwrap_or_default().min(hold)
    }

    /// Whether all of it was clean for its time, and is so now. Where there is nothing to look at
    /// nothing says that it is.
    fn is_open(&self, observations: &[Observation]) -> bool {
        let held = self.clocks.iter().all(|(_, state)| matches!(state, RuleState::Firing(_)));
        let clean =
            observations.iter().all(|observation| observation.clean.verdict() == Verdict::Holds);
        held && clean && !self.clocks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reading::NoData;

    const HOLD: Duration = Duration::from_secs(5);
    const CLEAN: Verdict = Verdict::Holds;
    const BAD: Verdict = Verdict::Fails;
    const DARK: Verdict = Verdict::NoData(NoData::Stale);

    /// Looks once a second at two things, and says when the gate is open.
    fn opens(script: &[(Verdict, Verdict)]) -> Option<usize> {
        let mut gate = Gate::new(Instant::from_millis(0));
        script.iter().enumerate().find_map(|(second, (first, second_one))| {
            let observations = [(0, first), (1, second_one)].map(|(place, verdict)| Observation {
                criterion: Criterion::Limit(place),
                clean: Judgement::Fresh(*verdict),
            });
            gate.judge(HOLD, Instant::from_millis(second as u64 * 1000), &observations);
            gate.is_open(&observations).then_some(second)
        })
    }

    fn times(count: usize, pair: (Verdict, Verdict)) -> Vec<(Verdict, Verdict)> {
        vec![pair; count]
    }

    #[test]
    fn a_gate_opens_once_everything_was_clean_for_its_time() {
        assert_eq!(opens(&times(9, (CLEAN, CLEAN))), Some(5));
        assert_eq!(opens(&times(9, (CLEAN, BAD))), None);
    }

    #[test]
    fn one_thing_that_is_not_clean_starts_all_of_them_again() {
        let mut script = times(4, (CLEAN, CLEAN));
        script.extend(times(1, (CLEAN, BAD)));
        script.extend(times(9, (CLEAN, CLEAN)));
        assert_eq!(opens(&script), Some(10));
    }

    #[test]
    fn time_without_data_counts_neither_way() {
        let mut script = times(3, (CLEAN, CLEAN));
        script.extend(times(10, (CLEAN, DARK)));
        script.extend(times(9, (CLEAN, CLEAN)));
        // Two seconds were seen before it got dark, three are left after it.
        assert_eq!(opens(&script), Some(16));
        assert_eq!(opens(&times(900, (CLEAN, DARK))), None);
    }

    #[test]
    fn a_gate_never_opens_while_anything_is_dark() {
        let mut script = times(4, (CLEAN, CLEAN));
        script.extend(times(20, (CLEAN, DARK)));
        assert_eq!(opens(&script), None);
    }

    #[test]
    fn a_gate_without_anything_to_look_at_never_opens() {
        let mut gate = Gate::new(Instant::from_millis(0));
        gate.judge(Duration::ZERO, Instant::from_millis(1), &[]);
        assert!(!gate.is_open(&[]));
        assert_eq!(gate.clean(HOLD), Duration::ZERO);
    }

    #[test]
    fn what_was_sampled_before_the_stage_began_does_not_count() {
        let mut gate = Gate::new(Instant::from_millis(3000));
        let observation =
            Observation { criterion: Criterion::Limit(0), clean: Judgement::Fresh(CLEAN) };
        (0..=7).for_each(|s| gate.judge(HOLD, Instant::from_millis(s * 1000), &[observation]));
        assert_eq!(gate.clean(HOLD), Duration::from_secs(4));
    }
}
