//! What people and pipelines ask of the guard, and its answers.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::deployment::Milestone;
use crate::model::drill::{DrillRefusal, Reach};
use crate::model::entry::{Caller, DaemonEvent, DeploymentBegun, DeploymentEvent, Entry, Refusal};
use crate::model::live::Live;
use crate::model::name::{DeploymentId, HookName, StageName, Version};
use crate::model::plan::Plan;
use crate::model::time::{Moment, Timestamp, format_duration};

use super::effect::Effect;
use super::guard::Guard;
use crate::engine::context::Cx;
use crate::engine::deployment::warmup::{holding, thin};
use crate::engine::durable::drills;
use crate::engine::durable::quarantine::Quarantined;
use crate::engine::durable::state::Phase;
use crate::engine::policy::pause::{MAX_PAUSE, MIN_PAUSE};
use crate::engine::view::evidence;

/// The longest reason that a person may give, in bytes: a sentence or two. It goes into the
/// journal and to hooks.
pub const MAX_REASON: usize = 1000;

/// Something asked of the guard.
#[derive(Clone, Debug)]
pub enum Command {
    /// Guard a deployment from now on.
    Begin {
        /// Its id; `None` makes one from the version and the time.
        id: Option<DeploymentId>,
        /// The version that is judged.
        version: Version,
        /// The version to go back to; `None`: the configured one, else the last that baked.
        good: Option<Version>,
        /// On what terms.
        terms: Terms,
    },
    /// The deployment is in another stage from now on.
    Stage {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// The stage.
        stage: StageName,
        /// Whether even if a stage before it has not passed.
        force: Force,
    },
    /// Stop guarding without a verdict.
    End {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
    },
    /// Roll back: a person says so.
    Rollback {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
        /// Whether even if it was begun as irreversible, and whatever version is live.
        force: Force,
    },
    /// Yes to the rule that asks for a rollback.
    Approve {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why, where the person says.
        reason: Option<String>,
    },
    /// No to the rule that asks for a rollback.
    Deny {
        /// The deployment; `None`: the current one.
        id: Option<DeploymentId>,
        /// Why.
        reason: String,
    },
    /// Nothing is rolled back automatically for a while.
    Pause {
        /// For how long.
        span: Duration,
        /// Why.
        reason: String,
    },
    /// Automatic rollbacks are on again.
    Resume {
        /// Why, where the person says.
        reason: Option<String>,
    },
    /// Run a hook against the drill target.
    Drill {
        /// The hook; `None`: the configured one.
        hook: Option<HookName>,
        /// How far it may reach.
        reach: Reach,
    },
}

/// On what terms a deployment begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// There is no way back from it that is safe without a person: it is not rolled back
    /// automatically.
    pub irreversible: bool,
    /// Whether even if its version was rolled back before.
    pub force: Force,
}

/// Whether a person insists on what the guard warns of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// No.
    #[default]
    No,
    /// Yes.
    Yes,
}

impl From<bool> for Force {
    fn from(said: bool) -> Self {
        if said { Self::Yes } else { Self::No }
    }
}

/// A command that was carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The deployment that it concerns; a pause may concern none.
    pub deployment: Option<DeploymentId>,
    /// What happened, in a line.
    pub message: String,
}

impl Accepted {
    /// A rollback was decided.
    pub(crate) fn rolling_back(deployment: DeploymentId) -> Self {
        let message = format!("rolling back deployment {deployment}");
        Self { deployment: Some(deployment), message }
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// No deployment is known.
    #[error("no deployment has begun")]
    NoDeployment,
    /// Another deployment is the current one.
    #[error("deployment {asked} is not the current one, {current} is")]
    NotCurrent {
        /// The one asked for.
        asked: DeploymentId,
        /// The current one.
        current: DeploymentId,
    },
    /// A deployment of that id has been.
    #[error(
        "deployment id {0} was used before; at most one rollback runs for an id, so take another"
    )]
    IdUsed(DeploymentId),
    /// The id would be that of a drill.
    #[error("deployment id {0} is one of a drill, take another")]
    DrillId(DeploymentId),
    /// There is no drill, and why.
    #[error(transparent)]
    Drill(#[from] DrillRefusal),
    /// A rollback is under way.
    #[error("deployment {0} is being rolled back")]
    RollingBack(DeploymentId),
    /// The deployment is over.
    #[error("deployment {0} is not guarded any more: {1}")]
    Over(DeploymentId, String),
    /// The version was rolled back before.
    #[error(
        "version {} was rolled back at {} (deployment {}, {}): deploy another, or insist with \
         --force", .0.version, .0.at, .0.deployment, .0.why
    )]
    Quarantined(Box<Quarantined>),
    /// The deployment was begun as irreversible.
    #[error(
        "deployment {0} was begun as irreversible: make sure that going back does no more harm \
         than staying, then insist with --force"
    )]
    Irreversible(DeploymentId),
    /// There is no such stage.
    #[error("there is no stage {stage}; the stages are {stages}")]
    UnknownStage {
        /// The one asked for.
        stage: StageName,
        /// Those of the configuration.
        stages: String,
    },
    /// A stage before it has not passed.
    #[error("stage {stage} has not passed: {why}; wait for it, or insist with --force")]
    StageNotPassed {
        /// The one that has not.
        stage: StageName,
        /// What keeps it.
        why: String,
    },
    /// Nobody asks for a rollback.
    #[error("nothing awaits approval: no rule asks for a rollback of deployment {0}")]
    NothingAsked(DeploymentId),
    /// What would be run is gone.
    #[error("hook {0}, which would roll it back, is not in the configuration any more")]
    HookGone(HookName),
    /// A rollback awaits approval.
    #[error("a rollback of deployment {0} awaits approval: answer first, with `rollguard deny`")]
    Asked(DeploymentId),
    /// A pause of no use, or without an end.
    #[error("a pause lasts {} to {}", format_duration(MIN_PAUSE), format_duration(MAX_PAUSE))]
    BadPause,
    /// There is no pause.
    #[error("automatic rollbacks are not paused")]
    NotPaused,
    /// No hook is configured for a person's rollback.
    #[error("no hook to roll back with: set `then` in [deployment]")]
    NoHook,
    /// A reason that cannot be passed on.
    #[error("a reason must be 1 to {MAX_REASON} bytes of text without control characters")]
    BadReason,
    /// A person asked for it already, and the live version is being read.
    #[error("a rollback of deployment {0} was asked for, and the live version is being read")]
    Comparing(DeploymentId),
    /// Something else was done before the live version was read.
    #[error("something else was done while the live version was being read; look and ask again")]
    Overtaken,
    /// The live version speaks against it.
    #[error(
        "refused: {refusal}; the live version is {live}; `rollback --force` does it all the same"
    )]
    Live {
        /// Why.
        refusal: Refusal,
        /// What was read.
        live: Live,
    },
    /// The guard refuses to act.
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl Guard {
    /// Carries out a command.
    ///
    /// # Errors
    /// Why it cannot be carried out; nothing has changed then, but that the live version may have
    /// been compared and put on record. Where a person must wait for that, see
    /// [`is_asked`](Guard::is_asked).
    pub fn command(
        &mut self,
        now: Moment,
        command: Command,
        by: Caller,
    ) -> (Result<Accepted, Rejection>, Vec<Effect>) {
        let answer = match command {
            _ if self.log.is_halted() => Err(Rejection::Refused(Refusal::JournalUnusable)),
            Command::Begin { id, version, good, terms } => {
                self.begin(now, id, version, good, terms, by)
            }
            Command::Stage { id, stage, force } => self.stage(now, id, stage, force, by),
            Command::End { id, reason } => self.end(now, id, reason, by),
            Command::Rollback { id, reason, force } => {
                self.roll_back_on_demand(now, id, reason, force, by)
            }
            Command::Approve { id, reason } => self.approve(now, id.as_ref(), reason, by),
            Command::Deny { id, reason } => self.deny(now, id.as_ref(), reason, by),
            Command::Pause { span, reason } => {
                let mut cx = Cx::new(now, &self.evaluator, &mut self.log);
                self.pauses.begin(&mut cx, span, reason, by)
            }
            Command::Resume { reason } => {
                let mut cx = Cx::new(now, &self.evaluator, &mut self.log);
                let resumed = self.pauses.resume(&mut cx, reason, by);
                // What fires already does not wait for the next scrape.
                if resumed.is_ok() {
                    self.decide(now);
                }
                resumed
            }
            Command::Drill { hook, reach } => self.drill(now, hook.as_ref(), reach, by),
        };
        // What was not carried out asks for nothing.
        if answer.is_ok() {
            self.keep_pace(now.at);
        }
        (answer, self.finish(now))
    }

    /// Replaces the plan; windows and rule states that still mean the same are kept. Not to be
    /// called during a rollback, see [`is_rolling_back`](Guard::is_rolling_back).
    pub fn reload(&mut self, now: Moment, plan: Arc<Plan>, by: Caller) -> Vec<Effect> {
        let rules = plan.rules.len();
        let old = self.plan().clone();
        let suspended = self.warmup.suspended(self.read(now));
        let judge = std::mem::replace(&mut self.evaluator, super::Evaluator::new(plan.clone()));
        self.sampling.reload(&old, &plan);
        if old != plan {
            self.bake.reload(&plan, now.at);
        }
        self.rollback.reload(&old, &plan);
        self.evaluator = judge.reloaded(plan, now.at);
        if let Some(current) = &self.log.state().current {
            // Rules that change back have their baselines again, as they would after a restart.
            self.evaluator.freeze(&current.baselines, now.at);
            self.evaluator.note_seen(&current.lost);
        }
        self.warmup.reload(&self.evaluator, suspended);
        if old != *self.plan() {
            self.stage_gate.start_anew(now.at);
        }
        self.check.give_up();
        if old.deployment.live != self.plan().deployment.live || old.targets != self.plan().targets
        {
            self.watch_live(now);
        }
        self.record(now, DaemonEvent::Reloaded { by, rules });
        crate::engine::notify::outbox::send_open(&mut self.log, &self.evaluator);
        self.keep_pace(now.at);
        self.effects()
    }

    /// New rules were refused; the old ones stay.
    pub fn reload_refused(
        &mut self,
        now: Moment,
        by: Caller,
        errors: usize,
        first: String,
    ) -> Vec<Effect> {
        self.record(now, DaemonEvent::ReloadRefused { by, errors, first });
        self.effects()
    }

    pub(crate) fn arm_always(&mut self, now: Moment) {
        let version = self.plan().deployment.version.clone();
        let version = version.or_else(|| Version::new("unknown").ok());
        if let Some(version) = version {
            // What runs must be guarded, whatever became of it before.
            let terms = Terms { irreversible: false, force: Force::Yes };
            let begun = self.begin(now, None, version, None, terms, Caller::Guard);
            debug_assert!(begun.is_ok(), "nothing is known that could be in the way");
        }
    }

    pub(crate) fn begin(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        version: Version,
        good: Option<Version>,
        terms: Terms,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let id = id.unwrap_or_else(|| self.fresh_id(&version, now.wall));
        if let Some(known) = self.begun_already(&id, &version)? {
            return Ok(known);
        }
        let forced = self.admit(&version, terms.force)?;
        if drills::is_drill(&id) {
            return Err(Rejection::DrillId(id));
        }
        if self.guarded().is_some() {
            self.record(now, DeploymentEvent::Superseded { by: id.clone() });
        }
        let plan = self.plan().clone();
        let good = good.or(plan.deployment.good.clone()).or(self.good_by_default());
        let known = self.describe_good(good.as_ref());
        self.rollback.reset();
        self.check.reset();
        let baselines = self.evaluator.baselines(self.live.changed.unwrap_or(now.at));
        self.evaluator.freeze(&baselines, now.at);
        self.evaluator.enter(None, now.at);
        let thin = thin(&plan, &baselines);
        let paused = self.log.state().pause.as_ref().map(|pause| pause.until);
        let paused = paused.map(|until| format!("; PAUSED until {until}")).unwrap_or_default();
        let message = format!("guarding {version} as deployment {id}; {known}{thin}{paused}");
        let event = DeploymentEvent::Begun(Box::new(DeploymentBegun {
            service: plan.deployment.service.clone(),
            version,
            good,
            mode: plan.mode,
            signals: evidence::of_signals(&self.evaluator),
            holding: holding(&self.evaluator, self.live.changed),
            baselines,
            irreversible: terms.irreversible,
            forced,
            by: by.clone(),
        }));
        self.record_entry(Entry {
            at: now.wall,
            deployment: Some(id.clone()),
            event: event.into(),
        });
        self.start_timers(now);
        self.enter_first(now, by);
        self.go_along(now, Milestone::Begin);
        Ok(Accepted { deployment: Some(id), message })
    }

    /// What a pipeline that asks again is told: it did not hear the answer.
    fn begun_already(
        &self,
        id: &DeploymentId,
        version: &Version,
    ) -> Result<Option<Accepted>, Rejection> {
        if let Some(current) = &self.log.state().current {
            match current.phase {
                Phase::RollingBack => return Err(Rejection::RollingBack(current.id.clone())),
                Phase::Guarding if current.id == *id && current.version == *version => {
                    let message = format!("deployment {id} is guarded already");
                    return Ok(Some(Accepted { deployment: Some(id.clone()), message }));
                }
                Phase::Guarding
                | Phase::RolledBack
                | Phase::Failed(_)
                | Phase::Baked
                | Phase::Ended(_) => {}
            }
        }
        if self.log.state().knows(id) {
            return Err(Rejection::IdUsed(id.clone()));
        }
        Ok(None)
    }

    /// An id of version and time that was never used.
    fn fresh_id(&self, version: &Version, at: Timestamp) -> DeploymentId {
        let safe = |c: char| if c.is_ascii_alphanumeric() || ".-_+".contains(c) { c } else { '-' };
        let version: String = version.as_str().chars().map(safe).take(64).collect();
        let version = version.trim_start_matches('.');
        let time: String = at.to_string().chars().filter(|c| !"-:".contains(*c)).collect();
        (0..)
            .map(|n: u32| if n == 0 { String::new() } else { format!("-{n}") })
            .filter_map(|suffix| DeploymentId::new(&format!("{version}-{time}{suffix}")).ok())
            .find(|id| !self.log.state().knows(id))
            .expect("of endless suffixes only finitely many are used")
    }

    fn end(
        &mut self,
        now: Moment,
        id: Option<DeploymentId>,
        reason: String,
        by: Caller,
    ) -> Result<Accepted, Rejection> {
        let view = self.read(now);
        view.addressed(id.as_ref())?;
        check_reason(&reason)?;
        let deployment = view.addressed_guarded(id.as_ref())?.id.clone();
        self.check.give_up();
        self.record(now, DeploymentEvent::Ended { reason, by });
        let message = format!("deployment {deployment} is not guarded any more");
        Ok(Accepted { deployment: Some(deployment), message })
    }
}

/// Whether a person's reason can be passed on.
pub(crate) fn check_reason(reason: &str) -> Result<(), Rejection> {
    let fine = !reason.trim().is_empty()
        && reason.len() <= MAX_REASON
        && !reason.chars().any(char::is_control);
    if fine { Ok(()) } else { Err(Rejection::BadReason) }
}
