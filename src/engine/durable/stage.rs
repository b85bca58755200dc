//! What the journal says of the stages of a deployment: part of the durable state, so it changes
//! only by applying entries, live and on replay alike.

use crate::model::entry::{
    Attempt, AttemptEvent, DeploymentEvent, Entering, Event, RollbackEvent, StageEvent, StepResult,
};
use crate::model::name::{DeploymentId, HookName, StageName};
use crate::model::time::Timestamp;

use super::progress::HookProgress;

/// What is known of a deployment's stages.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Staging {
    /// The stages that passed since they were last entered.
    pub(crate) passed: Vec<StageName>,
    /// When the current one was asked for.
    pub(crate) since: Option<Timestamp>,
    /// The hook that enters the current one, where it has one.
    pub(crate) entry: Option<EntryState>,
    /// People were told that the current one takes too long.
    pub(crate) overdue: bool,
    /// How many times each stage was entered by a hook.
    times: Vec<(StageName, u32)>,
}

/// How far the hook that enters a stage has got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EntryState {
    pub(crate) hook: HookName,
    pub(crate) entering: Entering,
    pub(crate) begun: Timestamp,
    pub(crate) progress: HookProgress,
    pub(crate) standing: Standing,
}

/// Whether a stage was entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its hook is being run.
    Running,
    /// It was.
    Done,
    /// Its hook failed.
    Failed(String),
}

/// An attempt to enter a stage that was called off, and is not known to have ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StrayAttempt {
    pub(crate) deployment: DeploymentId,
    pub(crate) attempt: Attempt,
}

impl EntryState {
    /// The attempt at hand.
    pub(crate) fn attempt(&self) -> Attempt {
        let HookProgress { step, number, .. } = self.progress;
        let (hook, entering) = (self.hook.clone(), Some(self.entering.clone()));
        Attempt { hook, step, number, entering }
    }
}

impl Staging {
    /// Takes in an entry of the deployment, whose stage is `current`.
    pub(crate) fn apply(&mut self, current: Option<&StageName>, at: Timestamp, event: &Event) {
        if let Some(entry) = &mut self.entry {
            entry.progress.pass(at);
        }
        if let Event::Stage(event) = event {
            self.apply_stage(current, at, event);
        } else if let Event::Attempt(event) = event {
            self.apply_attempt(event);
        }
    }

    fn apply_stage(&mut self, current: Option<&StageName>, at: Timestamp, event: &StageEvent) {
        match (event, &mut self.entry) {
            (StageEvent::Staged { stage, enter, .. }, _) => {
                self.enter(current, at, stage, enter.as_ref());
            }
            (StageEvent::Passed { stage, .. }, _) => {
                if !self.passed.contains(stage) {
                    self.passed.push(stage.clone());
                }
            }
            (StageEvent::Overdue { .. }, _) => self.overdue = true,
            (StageEvent::Entered { .. }, Some(entry)) => entry.standing = Standing::Done,
            (StageEvent::NotEntered { why, .. }, Some(entry)) => {
                entry.standing = Standing::Failed(why.clone());
            }
            (StageEvent::Entered { .. } | StageEvent::NotEntered { .. }, None) => {}
        }
    }

    fn apply_attempt(&mut self, event: &AttemptEvent) {
        let Some(entry) = &mut self.entry else { return };
        let at_hand = entry.attempt();
        let concerns = match event {
            AttemptEvent::Intent { attempt, .. } => {
                at_hand == Attempt { number: at_hand.number, ..attempt.clone() }
            }
            AttemptEvent::Outcome { attempt, .. } => entry.progress.open && at_hand == *attempt,
        };
        if concerns {
            entry.progress.apply(event);
        }
    }

    fn enter(
        &mut self,
        current: Option<&StageName>,
        at: Timestamp,
        stage: &StageName,
        hook: Option<&HookName>,
    ) {
        (self.since, self.overdue) = (Some(at), false);
        self.passed.retain(|passed| passed != stage);
        let before = self.entry.take().filter(|_| current == Some(stage));
        self.entry = hook.map(|hook| match before {
            // Another try, from the step that failed on: what was done need not be done again.
            Some(entry) if entry.hook == *hook => {
                let progress = entry.progress.again(at);
                EntryState { begun: at, progress, standing: Standing::Running, ..entry }
            }
            Some(_) | None => self.first(stage, hook, at),
        });
    }

    fn first(&mut self, stage: &StageName, hook: &HookName, begun: Timestamp) -> EntryState {
        let known = self.times.iter().position(|(known, _)| known == stage);
        let place = known.unwrap_or(self.times.len());
        if known.is_none() {
            self.times.push((stage.clone(), 0));
        }
        let (_, time) = &mut self.times[place];
        *time += 1;
        let entering = Entering { stage: stage.clone(), time: *time };
        let (hook, progress) = (hook.clone(), HookProgress::begun(begun));
        EntryState { hook, entering, begun, progress, standing: Standing::Running }
    }

    /// The attempt that an event leaves behind: nobody needs it any more, and it may still run.
    pub(crate) fn left_behind(&mut self, event: &Event) -> Option<Attempt> {
        let ends = matches!(
            event,
            Event::Stage(StageEvent::Staged { .. })
                | Event::Stage(StageEvent::NotEntered { .. })
                | Event::Rollback(RollbackEvent::Decided(_))
                | Event::Deployment(DeploymentEvent::Ended { .. })
                | Event::Deployment(DeploymentEvent::Superseded { .. })
        );
        let entry = self.entry.as_mut().filter(|entry| ends && entry.progress.open)?;
        let attempt = entry.attempt();
        entry.progress.settle(&StepResult::CalledOff, 0);
        Some(attempt)
    }
}
