//! Compare and set: before a rollback is decided, and before one that was interrupted by a restart
//! goes on, the live version is read. Only while it is still the judged version is anything done,
//! so that what somebody else did in the meantime is not done again.
//!
//! Two guards that decide within the time of one reading both find the judged version. What must
//! not happen even then has to be excluded by the hook itself, by a lock or a transaction.
//!
//! This component knows what is being checked and what a reading means. It neither reads nor acts:
//! the guard does, with the verdict that it gets.

use std::time::Duration;

use crate::model::entry::{Answer, Approval, LiveEvent, Refusal, Trigger};
use crate::model::live::{Live, LiveUnknown};
use crate::model::{hook::Hook, name::DeploymentId, plan::Plan, time::Instant};

use crate::engine::command::{Accepted, Rejection};
use crate::engine::context::Cx;
use crate::engine::durable::deployment::Deployment;

/// The pause before a reading that failed is tried again: what replaces a file or restarts a
/// service takes about as long.
const RETRY: Duration = Duration::from_millis(500);

/// How many time limits of one reading it is tried for: a service that restarts is back by then,
/// and a rollback that waits longer is one that fails.
const TRIES: u32 = 3;

/// For how long it is tried where a rollback was interrupted by the guard's own death: with a host
/// that boots, what tells the version may boot, too.
const AFTER_RESTART: Duration = Duration::from_secs(60);

/// How many refusals of one deployment are put on record. A live version that changes to and fro
/// is told by fewer.
const MAX_RECORDED: usize = 16;

/// What a person is told where something else was done before the live version was read.
const OVERTAKEN: &str =
    "something else was done while the live version was being read; look and ask again";

/// The check of the live version.
#[derive(Debug, Default)]
pub(crate) struct VersionCheck {
    under_way: Option<UnderWay>,
    /// No rule asks for a rollback again before this.
    refused_until: Option<Instant>,
    /// What a person who waited for a check is to be told.
    answer: Option<Result<Accepted, Rejection>>,
}

/// A check under way.
#[derive(Debug)]
struct UnderWay {
    deployment: DeploymentId,
    purpose: CheckPurpose,
    /// When the version is unknown for good.
    until: Instant,
    /// When a reading that failed is tried again.
    again: Option<Instant>,
}

/// What depends on a check.
#[derive(Clone, Debug)]
pub(crate) enum CheckPurpose {
    /// To roll back.
    Rollback(Box<RollbackCase>),
    /// To go on with a rollback, with this attempt at its next step.
    Resume { number: u32 },
}

/// A rollback that is due.
#[derive(Clone, Debug)]
pub(crate) struct RollbackCase {
    /// Why.
    pub(crate) trigger: Trigger,
    /// What is to be done.
    pub(crate) hook: Hook,
    /// Who agreed, where people were asked.
    pub(crate) approval: Option<Approval>,
}

/// What a reading means for a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LiveComparison {
    /// The judged version is live.
    Judged,
    /// The good version is live.
    Good,
    /// Another version is live.
    Other,
    /// Nobody knows what is live.
    Unknown,
}

/// What a check under way needs now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckStep {
    /// To wait.
    Wait,
    /// To read the live version again.
    Read,
    /// To be settled: the version is unknown.
    GiveUp,
}

impl LiveComparison {
    /// What a reading means for a rollback of a deployment.
    pub(crate) fn new(live: &Live, of: &Deployment) -> Self {
        match live {
            Live::Unknown(_) => Self::Unknown,
            Live::Version(version) if *version == of.version => Self::Judged,
            Live::Version(version) if Some(version) == of.good.as_ref() => Self::Good,
            Live::Version(_) => Self::Other,
        }
    }
}

impl RollbackCase {
    /// Whether somebody waits to hear what comes of it.
    pub(crate) fn is_for_a_person(&self) -> bool {
        let answer = self.approval.as_ref().map(|approval| &approval.answer);
        matches!(self.trigger, Trigger::Person { .. })
            || matches!(answer, Some(Answer::Person { .. }))
    }
}

impl VersionCheck {
    /// Begins a check for the current deployment, in the place of the one under way.
    pub(crate) fn begin(&mut self, cx: &Cx<'_>, purpose: CheckPurpose) {
        let (Some(settings), Some(current)) = (&cx.plan().deployment.live, cx.current()) else {
            return;
        };
        let least = match purpose {
            CheckPurpose::Rollback(_) => Duration::ZERO,
            CheckPurpose::Resume { .. } => AFTER_RESTART,
        };
        let time = least.max(settings.timeout * TRIES);
        let (deployment, until) = (current.id.clone(), cx.now.at.after(time));
        self.under_way = Some(UnderWay { deployment, purpose, until, again: None });
    }

    /// Whether a check is under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether a person waits for a check.
    pub(crate) fn is_for_a_person(&self) -> bool {
        self.case().is_some_and(RollbackCase::is_for_a_person)
    }

    /// Whether what people were asked is answered, and only the live version is not known yet.
    pub(crate) fn is_answered(&self) -> bool {
        self.case().is_some_and(|case| case.approval.is_some())
    }

    fn case(&self) -> Option<&RollbackCase> {
        match &self.under_way.as_ref()?.purpose {
            CheckPurpose::Rollback(case) => Some(case),
            CheckPurpose::Resume { .. } => None,
        }
    }

    /// Whether a rule must wait before it can ask for a rollback.
    pub(crate) fn is_closed_to_rules(&self, at: Instant) -> bool {
        self.under_way.is_some() || self.refused_until.is_some_and(|until| at < until)
    }

    /// No rule asks for a rollback again before this.
    pub(crate) const fn close_to_rules(&mut self, until: Instant) {
        self.refused_until = Some(until);
    }

    /// Keeps what a person who waited for a check is to be told.
    pub(crate) fn answer(&mut self, answer: Result<Accepted, Rejection>) {
        self.answer = Some(answer);
    }

    /// What a person who waited for a check is to be told.
    pub(crate) const fn take_answer(&mut self) -> Option<Result<Accepted, Rejection>> {
        self.answer.take()
    }

    /// Gives a check up: something else was done that it was not made for.
    pub(crate) fn give_up(&mut self) {
        if self.is_for_a_person() {
            self.answer(Err(Rejection::because(OVERTAKEN)));
        }
        self.under_way = None;
    }

    /// Another deployment begins.
    pub(crate) fn reset(&mut self) {
        (self.refused_until, self.answer) = (None, None);
        self.give_up();
    }

    /// When [`wake`](Self::wake) must be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let check = self.under_way.as_ref()?;
        Some(check.again.map_or(check.until, |again| again.min(check.until)))
    }

    /// What a check under way needs now.
    pub(crate) fn wake(&mut self, at: Instant) -> CheckStep {
        match &mut self.under_way {
            Some(check) if at >= check.until => CheckStep::GiveUp,
            Some(check) if check.again.is_some_and(|again| again <= at) => {
                check.again = None;
                CheckStep::Read
            }
            Some(_) | None => CheckStep::Wait,
        }
    }

    /// Takes in what was read for the check under way. Returns what depends on it and what the
    /// reading means; `None` while it is tried again.
    pub(crate) fn settle(
        &mut self,
        cx: &Cx<'_>,
        live: &Live,
    ) -> Option<(CheckPurpose, LiveComparison)> {
        let (check, current) = (self.under_way.as_mut()?, cx.current()?);
        cx.plan().deployment.live.as_ref()?;
        let compared = LiveComparison::new(live, current);
        if compared == LiveComparison::Unknown && cx.now.at < check.until {
            check.again = Some(cx.now.at.after(RETRY));
            return None;
        }
        let check = self.under_way.take().filter(|check| check.deployment == current.id)?;
        Some((check.purpose, compared))
    }
}

/// Why nothing is rolled back while this is live; `None` if it may be.
pub(crate) fn refusal(plan: &Plan, compared: LiveComparison) -> Option<Refusal> {
    let unknown = plan.deployment.live.as_ref().map(|settings| settings.unknown);
    match (compared, unknown) {
        (LiveComparison::Judged, _)
        | (LiveComparison::Unknown, Some(LiveUnknown::Proceed) | None) => None,
        (LiveComparison::Good, _) => Some(Refusal::AlreadyAtGood),
        (LiveComparison::Other, _) => Some(Refusal::LiveVersionChanged),
        (LiveComparison::Unknown, Some(LiveUnknown::Refuse)) => Some(Refusal::LiveVersionUnknown),
    }
}

/// Records what a check of the current deployment came to. Refusals are recorded once each.
pub(crate) fn record(cx: &mut Cx<'_>, live: &Live, refusal: Option<Refusal>) {
    let Some(current) = cx.current() else { return };
    let known = (live.version().cloned(), refusal);
    let told = refusal.is_some()
        && (current.checked.contains(&known) || current.checked.len() >= MAX_RECORDED);
    if !told {
        let (judged, good) = (current.version.clone(), current.good.clone());
        cx.record(LiveEvent::Checked { live: live.clone(), judged, good, refusal });
    }
}
