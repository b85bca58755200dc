//! A gate: whether all that a stage looks at has been clean for its time. Its clocks run on
//! observation only, as those of rules do: time without data counts neither way, and it must never
//! open on what is not seen to be clean at that moment.

use std::time::Duration;

use crate::model::{index::RuleIx, reading::Verdict, time::Instant};

use crate::engine::rules::state::{FiringTerms, Judgement, RuleState};

/// Something that a gate looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criterion {
    /// The stage's limit at this place.
    Limit(usize),
    /// A rule.
    Rule(RuleIx),
}

/// What is seen of a criterion: `Holds` stands for clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) criterion: Criterion,
    pub(crate) clean: Judgement,
}

impl Observation {
    pub(crate) const fn verdict(&self) -> Verdict {
        self.clean.verdict()
    }
}

/// The clocks of a stage, one for each thing that it looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate {
    /// Only what was sampled from then on counts.
    since: Instant,
    clocks: Vec<(Criterion, RuleState)>,
}

impl Gate {
    /// A gate that has seen nothing.
    pub(crate) const fn new(since: Instant) -> Self {
        Self { since, clocks: Vec::new() }
    }

    /// Takes in what is seen at `at`. Where anything is not clean all of them start again: each
    /// being clean in turn is not being clean.
    pub(crate) fn judge(&mut self, hold: Duration, at: Instant, observations: &[Observation]) {
        let spoilt = observations.iter().any(|observation| observation.verdict() == Verdict::Fails);
        let judged = observations.iter().map(|Observation { criterion, clean }| {
            let known = self.clocks.iter().find(|(known, _)| known == criterion);
            let mut state = known.map_or(RuleState::Inactive, |(_, state)| *state);
            match *clean {
                _ if spoilt => state = RuleState::Inactive,
                fresh @ Judgement::Fresh(Verdict::Holds) if at >= self.since => {
                    state.judge(&FiringTerms::held_for(hold), at, fresh);
                }
                Judgement::Fresh(Verdict::NoData(why)) | Judgement::Again(Verdict::NoData(why)) => {
                    state.judge(
                        &FiringTerms::held_for(hold),
                        at,
                        Judgement::Again(Verdict::NoData(why)),
                    );
                }
                // That it was clean when it was last looked at is known already.
                Judgement::Fresh(_) | Judgement::Again(_) => {}
            }
            (*criterion, state)
        });
        self.clocks = judged.collect();
    }

    /// For how long all of it was seen to be clean, `hold` at most.
    pub(crate) fn clean(&self, hold: Duration) -> Duration {
        let held = |state: &RuleState| match state {
            RuleState::Inactive => Duration::ZERO,
            RuleState::Pending(pending) => pending.held,
            RuleState::Firing(_) => hold,
        };
        self.clocks.iter().map(|(_, state)| held(state)).min().unwrap_or_default().min(hold)
    }

    /// Whether all of it was clean for its time, and is so now. Where there is nothing to look at
    /// nothing says that it is.
    pub(crate) fn is_open(&self, observations: &[Observation]) -> bool {
        let held = self.clocks.iter().all(|(_, state)| matches!(state, RuleState::Firing(_)));
        let clean = observations.iter().all(|observation| observation.verdict() == Verdict::Holds);
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
