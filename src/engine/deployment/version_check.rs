//! Compare and set: before a rollback is decided, and before one that an earlier life left open
//! goes on, the live version is read. Only while it is still the judged one is anything done, so
//! that what somebody else did in the meantime is not done again.
//!
//! Two guards that decide within the time of one reading both find the judged version. What must
//! not happen even then is to be excluded by the hook itself, by a lock or a transaction.

use std::time::Duration;

use crate::model::deployment::Mode;
use crate::model::entry::{Answer, Approval, Event, Refusal, Trigger};
use crate::model::hook::Hook;
use crate::model::index::RuleIx;
use crate::model::live::{Live, LiveUnknown};
use crate::model::name::{DeploymentId, Version};
use crate::model::time::{Instant, Moment};

use crate::engine::command::{Accepted, Rejection};
use crate::engine::durable::state::Phase;
use crate::engine::guard::{Doing, Guard};
use crate::engine::run::verify::Purpose;
use crate::engine::view::evidence;

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

/// A comparison under way.
#[derive(Debug)]
pub(crate) struct Check {
    deployment: DeploymentId,
    matter: Matter,
    /// When it is unknown for good.
    until: Instant,
    /// When a reading that failed is tried again.
    again: Option<Instant>,
}

/// A rollback that is due.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// Why.
    pub(crate) trigger: Trigger,
    /// What is to be done.
    pub(crate) hook: Hook,
    /// Who agreed, where people were asked.
    pub(crate) approval: Option<Approval>,
}

/// What depends on a comparison.
#[derive(Clone, Debug)]
enum Matter {
    /// To roll back.
    Rollback(Box<Case>),
    /// To go on with a rollback, with this attempt at its next step.
    Resume { number: u32 },
}

/// What follows from what was refused.
#[derive(Debug, Default)]
pub(crate) struct Refused {
    /// No rule asks again before this.
    until: Option<Instant>,
    /// What is to be answered to a person.
    answer: Option<Result<Accepted, Rejection>>,
}

/// What a reading means for a rollback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compared {
    Judged,
    Good,
    Other,
    Unknown,
}

impl Compared {
    fn new(live: &Live, judged: &Version, good: Option<&Version>) -> Self {
        match live {
            Live::Unknown(_) => Self::Unknown,
            Live::Version(version) if version == judged => Self::Judged,
            Live::Version(version) if Some(version) == good => Self::Good,
            Live::Version(_) => Self::Other,
        }
    }

    const fn refusal(self, unknown: LiveUnknown) -> Option<Refusal> {
        match (self, unknown) {
            (Self::Judged, _) | (Self::Unknown, LiveUnknown::Proceed) => None,
            (Self::Good, _) => Some(Refusal::AlreadyAtGood),
            (Self::Other, _) => Some(Refusal::LiveVersionChanged),
            (Self::Unknown, LiveUnknown::Refuse) => Some(Refusal::LiveVersionUnknown),
        }
    }
}

impl Check {
    pub(crate) fn deadline(&self) -> Instant {
        self.again.map_or(self.until, |again| again.min(self.until))
    }

    fn is_for_a_person(&self) -> bool {
        match &self.matter {
            Matter::Rollback(case) => case.is_for_a_person(),
            Matter::Resume { .. } => false,
        }
    }
}

impl Case {
    /// Whether somebody waits to hear what comes of it.
    fn is_for_a_person(&self) -> bool {
        let answer = self.approval.as_ref().map(|approval| &approval.answer);
        matches!(self.trigger, Trigger::Person { .. })
            || matches!(answer, Some(Answer::Person { .. }))
    }
}

impl Guard {
    /// Rolls back, once it is certain that the judged version is live, if the rule that asks for it
    /// fires even then. What people agreed to needs no rule that still fires.
    pub(crate) fn roll_back(&mut self, now: Moment, case: Case) {
        if self.live_settings().is_none() {
            return self.decide_on(now, case);
        }
        let agreed = case.approval.is_some() || case.is_for_a_person();
        let under_way = self.live.check.is_some() && !agreed;
        let too_soon = !agreed && self.live.refused.until.is_some_and(|until| now.at < until);
        if !under_way && !too_soon {
            self.compare(now, Matter::Rollback(Box::new(case)), Duration::ZERO);
        }
    }

    /// Compares before a rollback that an earlier life left open goes on.
    pub(crate) fn compare_resumed(&mut self, now: Moment, number: u32) {
        self.live.resumed = false;
        self.doing = Doing::Comparing;
        self.compare(now, Matter::Resume { number }, AFTER_RESTART);
    }

    /// Whether an attempt must wait for a comparison.
    pub(crate) fn must_compare(&self) -> bool {
        self.live.resumed && self.live_settings().is_some()
    }

    fn compare(&mut self, now: Moment, matter: Matter, least: Duration) {
        let (Some(settings), Some(current)) = (self.live_settings(), &self.log.state().current)
        else {
            return;
        };
        let until = now.at.after((settings.timeout * TRIES).max(least));
        let deployment = current.id.clone();
        self.live.check = Some(Check { deployment, matter, until, again: None });
        self.read_for_check(now);
    }

    /// Whether a person waits for a comparison.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.live.check.as_ref().is_some_and(Check::is_for_a_person)
    }

    /// Whether what people were asked is answered, and only the live version is not known yet.
    pub(crate) fn is_answered(&self) -> bool {
        self.live.check.as_ref().is_some_and(|check| match &check.matter {
            Matter::Rollback(case) => case.approval.is_some(),
            Matter::Resume { .. } => false,
        })
    }

    /// What a person who waited for a comparison is to be told.
    pub fn take_answer(&mut self) -> Option<Result<Accepted, Rejection>> {
        self.live.refused.answer.take()
    }

    /// Gives a comparison up: something else was done that it was not made for.
    pub(crate) fn drop_check(&mut self) {
        if self.live.check.take().is_some_and(|check| check.is_for_a_person()) {
            self.live.refused.answer = Some(Err(Rejection::Overtaken));
        }
    }

    /// Tries a reading that failed again, or takes it for unknown when its time is over.
    pub(crate) fn pursue_check(&mut self, now: Moment) {
        let Some(check) = &mut self.live.check else { return };
        if now.at >= check.until {
            let last = self.live.last.as_ref().map(|(_, live)| live.clone());
            let last = last.filter(|live| live.version().is_none());
            let live = last.unwrap_or_else(|| Live::unknown("no answer within its time"));
            self.settle_check(now, live);
        } else if check.again.is_some_and(|again| again <= now.at) {
            check.again = None;
            self.read_for_check(now);
        }
    }

    /// Acts on a reading that was made for the comparison under way.
    pub(crate) fn settle_check(&mut self, now: Moment, live: Live) {
        let (Some(check), Some(current), Some(settings)) = (
            &mut self.live.check,
            &self.log.state().current,
            &self.evaluator.plan().deployment.live,
        ) else {
            return;
        };
        let compared = Compared::new(&live, &current.version, current.good.as_ref());
        if compared == Compared::Unknown && now.at < check.until {
            check.again = Some(now.at.after(RETRY));
            return;
        }
        let refusal = compared.refusal(settings.unknown);
        let is_current = check.deployment == current.id;
        let Some(check) = self.live.check.take().filter(|_| is_current) else { return };
        match check.matter {
            Matter::Rollback(case) => self.conclude(now, &live, refusal, *case),
            Matter::Resume { number } => self.go_on(now, &live, compared, refusal, number),
        }
    }

    fn conclude(&mut self, now: Moment, live: &Live, refusal: Option<Refusal>, case: Case) {
        if case.approval.is_none()
            && let Trigger::Rule(evidence) = &case.trigger
        {
            let Some(ix) = self.read(now).rule_named(&evidence.rule) else { return };
            return self.conclude_for_rule(now, live, refusal, ix, case.hook);
        }
        let waits = case.is_for_a_person();
        self.record_check(now, live, refusal);
        match refusal {
            None => {
                let deployment = self.deployment_id().cloned();
                self.decide_on(now, case);
                let rolling = deployment.map(|id| Ok(Accepted::rolling_back(id)));
                self.live.refused.answer = rolling.filter(|_| waits);
            }
            // What people were asked they may still answer otherwise.
            Some(refusal) if waits => {
                let why = Rejection::Live { refusal, live: live.clone() };
                self.live.refused.answer = Some(Err(why));
            }
            Some(refusal) => self.lapse(now, refusal.to_string()),
        }
    }

    fn conclude_for_rule(
        &mut self,
        now: Moment,
        live: &Live,
        refusal: Option<Refusal>,
        ix: RuleIx,
        hook: Hook,
    ) {
        // Much may have changed while it was read: a rule that cleared asks for nothing any more.
        if self.refusal(ix, now).is_some() || !self.is_firing(ix) {
            return;
        }
        self.record_check(now, live, refusal);
        if let Some(refusal) = refusal {
            let interval = self.live_settings().map(|settings| settings.interval);
            self.live.refused.until = interval.map(|interval| now.at.after(interval));
            return self.refuse(now, ix, refusal);
        }
        match self.plan().mode {
            Mode::Confirm => self.ask(now, ix, &hook),
            Mode::Observe | Mode::Notify | Mode::Auto => {
                let trigger = Trigger::Rule(Box::new(evidence::of_rule(&self.evaluator, ix, now)));
                self.decide_on(now, Case { trigger, hook, approval: None });
            }
        }
    }

    /// Goes on with a rollback that was interrupted.
    fn go_on(
        &mut self,
        now: Moment,
        live: &Live,
        compared: Compared,
        refusal: Option<Refusal>,
        number: u32,
    ) {
        let Some(current) = &self.log.state().current else { return };
        if current.phase != Phase::RollingBack {
            return;
        }
        let progress = &current.progress;
        // What an earlier step may have done is not somebody else's doing.
        let untouched = progress.step == 0 && progress.failed == 0 && progress.unknown == 0;
        let step = self.hook.as_ref().and_then(|hook| hook.steps.get(progress.step as usize));
        let may_repeat = step.is_some_and(|step| step.idempotent || step.action.is_harmless());
        let (judged, good) = (current.version.clone(), current.good.clone());
        self.record_check(now, live, refusal);
        match compared {
            Compared::Judged => self.start_attempt(now, number),
            Compared::Good if untouched => self.look_for_cure(now, Purpose::Verify),
            Compared::Good if may_repeat || !self.has_cure() => self.start_attempt(now, number),
            // Perhaps all is done, by another guard that had the same record.
            Compared::Good => self.look_for_cure(now, Purpose::AfterRestart { number }),
            Compared::Unknown if !untouched || refusal.is_none() => {
                self.start_attempt(now, number);
            }
            Compared::Unknown => {
                self.fail(now, format!("the guard was restarted, and the live version is {live}"));
            }
            Compared::Other => {
                let good = good.map(|good| format!(" nor {good}")).unwrap_or_default();
                let why = format!("the live version is {live} now, neither {judged}{good}");
                self.fail(now, why);
            }
        }
    }

    fn record_check(&mut self, now: Moment, live: &Live, refusal: Option<Refusal>) {
        let Some(current) = &self.log.state().current else { return };
        let known = (live.version().cloned(), refusal);
        let told = refusal.is_some()
            && (current.checked.contains(&known) || current.checked.len() >= MAX_RECORDED);
        if !told {
            let (judged, good) = (current.version.clone(), current.good.clone());
            let live = live.clone();
            self.record(now, Event::LiveChecked { live, judged, good, refusal });
        }
    }

    /// Why a rollback would be refused, going by the newest reading.
    pub(crate) fn live_refusal(&self) -> Option<Refusal> {
        let (settings, current) = (self.live_settings()?, self.log.state().current.as_ref()?);
        let (_, live) = self.live.last.as_ref()?;
        let compared = Compared::new(live, &current.version, current.good.as_ref());
        compared.refusal(settings.unknown)
    }

    /// Whether the live version is the good one, as far as that belongs to the cure: read after
    /// `since`.
    pub(crate) fn live_is_cured(&self, since: Instant, now: Instant) -> bool {
        let good = self.log.state().current.as_ref().and_then(|current| current.good.as_ref());
        let (Some(good), Some(_)) = (good, self.live_settings()) else { return true };
        self.live_since(since, now).is_some_and(|live| live.is(good))
    }

    /// What the live version is instead.
    pub(crate) fn live_instead(&self, since: Instant, now: Instant) -> String {
        match self.live_since(since, now) {
            Some(Live::Version(version)) => format!("the live version is still {version}"),
            Some(live @ Live::Unknown(_)) => format!("the live version is {live}"),
            None => "the live version could not be read".to_owned(),
        }
    }
}
