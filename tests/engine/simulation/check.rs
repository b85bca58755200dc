//! What a guard may never do, checked by a model that knows nothing of how the guard works.
//!
//! The invariants by their numbers in ARCHITECTURE.md, and what holds them here:
//!
//! - 1, one rollback for a deployment: `decides`, `begins`, `takes`
//! - 2, an intent is durable before its step, an outcome before the next one: `runs`, `may_run`
//! - 3, absence alone never fires a rule: `has_evidence`, where what is absent is no evidence
//! - 4, what holds fires within its `for` and one interval: `fires_in_time`
//! - 5, never on less than its `for` of observed time: `has_evidence`
//! - 6, a restarted guard is the same guard: `World::look`
//! - 8, a bad file never replaces a good one: `World::reload_badly`
//! - 10, everything is bounded: `reports`, `ends`
//! - 11, people who cannot be told delay nothing: notices fail, and are answered late or never,
//!   in every world, and every rollback must come to its end all the same: `World::run`

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use rollguard::engine::command::{Command, Force, Terms};
use rollguard::engine::durable::drills::is_drill;
use rollguard::engine::effect::{Incident, Notice, Order};
use rollguard::engine::effect::{Occurrence, Telling};
use rollguard::engine::run::drill::CALL_OFF_GRACE;
use rollguard::engine::view::snapshot::Snapshot;
use rollguard::model::deployment::{Arm, Mode, Unanswered};
use rollguard::model::entry::{
    Answer, ApprovalEvent, Attempt, AttemptEvent, Caller, DaemonEvent, Decision, DeploymentBegun,
    DeploymentEvent, DrillEvent, Entry, Event, LiveEvent, NoticeEvent, PauseEvent, Refusal,
    RollbackEvent, RuleEvent, RuleStanding, StageEvent, StepResult, Trigger,
};
use rollguard::model::hook::Placeholder;
use rollguard::model::live::{Live, LiveUnknown};
use rollguard::model::name::{DeploymentId, RuleName, Version};
use rollguard::model::plan::Plan;
use rollguard::model::scrape::Scrape;
use rollguard::model::step::Action;
use rollguard::model::time::{Instant, Moment, Timestamp};

use super::stages::{self, Stages};

/// The most entries of a deployment that a guard may keep.
const MAX_KEPT: usize = 512;

/// A reading older than three intervals and the timeout is none.
pub(crate) const STALE: Duration = Duration::from_millis(3800);

#[derive(Default)]
pub(crate) struct Check {
    news: bool,
    current: Option<DeploymentId>,
    deployments: HashMap<DeploymentId, Deployment>,
    told: HashSet<(DeploymentId, Attempt)>,
    /// The news that channels were told of, by their ids.
    news_told: HashSet<String>,
    /// The drill that has no end on record.
    drill: Option<DeploymentId>,
    /// Every drill there was.
    drilled: HashSet<DeploymentId>,
    life: Life,
    /// What a person says at this moment.
    pub(crate) said: Option<Command>,
    paused: bool,
    quarantined: HashSet<Version>,
    decisions: Vec<Timestamp>,
    /// A person said yes, and only the live version is not known yet.
    approved: bool,
    /// What was last known to be live, and what before that.
    known: (Option<Version>, Option<Version>),
    /// A person's newest rollback insists.
    insists: bool,
}

/// What is forgotten when the guard dies.
#[derive(Default)]
struct Life {
    seen: Vec<Seen>,
    /// The newest scrape, whatever came of it.
    newest: Option<Instant>,
    /// The end of warm-up.
    warm: Option<Instant>,
    /// When the current deployment began, if that was in this life.
    begun: Option<Instant>,
    /// When the stage's time began, if that was in this life.
    entered: Option<Instant>,
    /// Rules that were read by one and the same plan since the deployment began.
    reloaded: bool,
    /// When the newest plan came.
    replanned: Option<Instant>,
    /// What the guard was told of the live version, newest last.
    read: Vec<Live>,
    /// When what is known to be live was last asked for with that answer.
    stood: Option<Instant>,
    /// It was decided in this life.
    decided: bool,
    /// When a rollback was due whose first attempt has not begun.
    due: Option<Instant>,
}

/// What one successful scrape said; NaN where that is nothing, or nothing for certain.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    came: Instant,
    pub(crate) latency: f64,
    /// The latency is of this moment for certain.
    pub(crate) certain: bool,
    errors: f64,
}

struct Deployment {
    version: Version,
    good: Option<Version>,
    begun: Timestamp,
    guarded: bool,
    decision: Option<Decision>,
    is_over: bool,
    set_aside: HashSet<RuleName>,
    refused: HashSet<(RuleName, Refusal)>,
    irreversible: bool,
    /// The rule that asks, until when by which clock if it asked in this life, and the default.
    asked: Option<(RuleName, Option<Instant>, Unanswered)>,
    denied: HashSet<RuleName>,
    attempts: Vec<(Attempt, Option<StepResult>)>,
    stages: Stages,
}

impl Check {
    /// Whether something was recorded since this was asked last.
    pub(crate) fn is_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// News are told when they are on record, and once; again only after a restart.
    pub(crate) fn announces(&mut self, telling: &Telling, durable: &[Entry]) {
        let news = &telling.news;
        let new = self.news_told.insert(news.id());
        match telling.occurrence {
            Occurrence::First => assert!(new, "{} is told twice", news.id()),
            Occurrence::Again(_) => {}
        }
        let Some(seq) = news.seq else { return };
        let place = usize::try_from(seq).unwrap() - 1;
        let Some(record) = durable.get(place) else { panic!("{telling:?} is not on record") };
        assert_eq!(record.at, news.at, "{telling:?} is not what is on record");
        let about = news.deployment.as_ref();
        assert!(about.is_none() || record.deployment.as_ref() == about, "{telling:?}");
    }

    pub(crate) fn starts(&mut self, now: Moment, plan: &Plan) {
        self.life = Life::default();
        self.approved = false;
        for deployment in self.deployments.values_mut() {
            deployment.asked = deployment.asked.take().map(|(rule, _, then)| (rule, None, then));
        }
        let current = self.current.as_ref().map(|id| &self.deployments[id]);
        if let Some(current) = current.filter(|deployment| deployment.guarded) {
            let elapsed = now.wall.since(current.begun);
            let rest = plan.deployment.warmup.checked_sub(elapsed);
            self.life.warm = rest.map(|rest| now.at.after(rest));
        }
    }

    pub(crate) fn sees(&mut self, now: Instant, scrape: &Scrape) {
        // What is no newer than what is known is no evidence.
        if self.life.newest.is_some_and(|newest| scrape.at <= newest) {
            return;
        }
        self.life.newest = Some(scrape.at);
        let Ok(page) = &scrape.result else { return };
        let says = |name: &str| {
            let spoiled = page.malformed().iter().any(|line| line.name.as_deref() == Some(name));
            page.samples().find(|sample| sample.series == name && !spoiled)
        };
        // What is not finite is no measurement.
        let latency = says("latency_seconds").filter(|sample| sample.value.is_finite());
        // What carries a time of its own may be too old to say anything.
        let certain = latency.is_some_and(|sample| sample.timestamp.is_none());
        let latency = latency.map_or(f64::NAN, |sample| sample.value);
        let latency = if certain || latency > 2.0 { latency } else { f64::NAN };
        let errors = says("errors_total").filter(|sample| sample.timestamp.is_none());
        let errors = errors.map_or(f64::NAN, |sample| sample.value);
        let came = now;
        self.life.seen.push(Seen { at: scrape.at, came, latency, certain, errors });
    }

    pub(crate) fn reads(&mut self, asked: Instant, live: &Live) {
        if self.known.0.as_ref().is_some_and(|known| live.is(known)) {
            self.life.stood = Some(asked);
        }
        self.life.read.push(live.clone());
    }

    /// Whoever waited for the live version to be compared knows what came of it.
    pub(crate) fn hears(&mut self) {
        self.approved = false;
    }

    /// A command was carried out, or waits for the live version to be compared.
    pub(crate) fn heard(&mut self, command: &Command) {
        if let Command::Approve { .. } = command {
            self.approved = true;
        }
    }

    pub(crate) fn insists(&mut self, insists: bool) {
        self.insists = insists;
    }

    /// Nothing is done unless the newest reading found the judged version.
    fn compares(&self, of: &Deployment, plan: &Plan) {
        let Some(settings) = &plan.deployment.live else { return };
        let proceeds = settings.unknown == LiveUnknown::Proceed;
        let fine = match self.life.read.last() {
            Some(Live::Version(version)) => *version == of.version,
            Some(Live::Unknown(_)) => proceeds,
            None => false,
        };
        // Where nothing was answered in time, nothing was read.
        assert!(
            fine || proceeds,
            "{} is rolled back while {:?}",
            of.version,
            self.life.read.last()
        );
    }

    /// The guard begins a deployment of what it read, and never of what it brought back itself.
    fn detects(&self, version: &Version, plan: &Plan) {
        if plan.deployment.arm != Arm::Detect {
            return;
        }
        let read = self.life.read.iter().rev().take_while(|live| live.is(version)).count();
        assert!(read >= 2, "{version} was armed for after {:?}", self.life.read);
        assert_eq!(self.known.0.as_ref(), Some(version), "armed for what is not known to be live");
        let before = self.current.as_ref().map(|id| &self.deployments[id]);
        let own = before.is_some_and(|before| {
            before.decision.is_some()
                && before.good.as_ref() == Some(version)
                && self.known.1.as_ref() == Some(&before.version)
        });
        assert!(!own, "the guard's own rollback to {version} counts as a deployment");
    }

    pub(crate) fn appends(&mut self, now: Moment, entry: &Entry, plan: &Plan) {
        self.news = true;
        self.pauses(&entry.event);
        if let Event::Daemon(DaemonEvent::Reloaded { .. }) = &entry.event {
            self.life.replanned = Some(now.at);
        }
        if let Event::Live(LiveEvent::Seen { version }) = &entry.event {
            self.known = (Some(version.clone()), self.known.0.take());
        }
        let Some(id) = &entry.deployment else { return };
        if let Event::Deployment(DeploymentEvent::Begun(begun)) = &entry.event {
            let DeploymentBegun { version, good, by, .. } = &**begun;
            if *by == Caller::Guard {
                self.detects(version, plan);
            }
            let detected = *by == Caller::Guard && plan.deployment.arm == Arm::Detect;
            let since = if detected { self.life.stood } else { Some(now.at) };
            self.begins(now, id, version, good.as_ref(), plan);
            self.life.begun = since;
            return self.begins_on_terms(id, begun, plan);
        }
        if is_drill(id) {
            return self.drill(id, &entry.event);
        }
        assert!(self.deployments.contains_key(id), "{entry:?} of an unknown deployment");
        self.is_in_time(now, &entry.event);
        match &entry.event {
            Event::Rollback(RollbackEvent::Decided(decision)) => {
                self.decides(now, id, decision, plan)
            }
            Event::Deployment(DeploymentEvent::Baked { version }) => {
                self.bakes(now, id);
                self.quarantined.remove(version);
            }
            Event::Approval(ApprovalEvent::Asked { decision, .. }) => {
                self.asks(now, id, decision, plan)
            }
            Event::Approval(ApprovalEvent::Denied { rule, answer }) => {
                self.denies(id, rule, answer)
            }
            Event::Notice(NoticeEvent::Notified { .. } | NoticeEvent::Told { .. })
            | Event::Rule(RuleEvent::Cleared { .. })
            | Event::Attempt(AttemptEvent::Outcome { .. }) => {}
            Event::Attempt(AttemptEvent::Intent { attempt, .. }) => {
                let settled = self.deployments.values().all(|of| of.stages.are_settled());
                assert!(settled, "{attempt:?} while what enters a stage may still run");
            }
            Event::Stage(StageEvent::Passed { stage, .. }) => {
                let hold = plan.stage(stage).expect("a stage of the plan").1.hold;
                assert!(!self.paused && self.deployments[id].asked.is_none(), "undecided");
                assert!(self.life.warm.is_none_or(|warm| warm <= now.at), "passed in warm-up");
                stages::passes(now, self.life.entered, &self.life.seen, hold);
            }
            Event::Stage(StageEvent::Entered { .. }) => self.life.entered = Some(now.at),
            Event::Drill(_) => {}
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Approval(_)
            | Event::Pause(_)
            | Event::Live(_)
            | Event::Rollback(_)
            | Event::Notice(_) => {
                assert_eq!(self.current.as_ref(), Some(id), "{entry:?} of an old deployment");
            }
        }
        if let Event::Daemon(DaemonEvent::Reloaded { .. }) = &entry.event {
            self.life.reloaded = true;
        }
        if let Event::Stage(StageEvent::Staged { .. }) = &entry.event {
            self.life.entered = Some(now.at);
        }
        let deployment = self.deployments.get_mut(id).unwrap();
        deployment.stages.takes(&entry.event);
        deployment.takes(now, &entry.event, plan);
    }

    fn begins(
        &mut self,
        now: Moment,
        id: &DeploymentId,
        version: &Version,
        good: Option<&Version>,
        plan: &Plan,
    ) {
        assert!(!self.deployments.contains_key(id), "{id} begins twice");
        let rolling = self.current.as_ref().map(|id| &self.deployments[id]);
        let rolling = rolling.is_some_and(|d| d.decision.is_some() && !d.is_over);
        assert!(!rolling, "{id} begins during a rollback");
        self.current = Some(id.clone());
        self.life.warm = Some(now.at.after(plan.deployment.warmup));
        self.life.reloaded = false;
        let deployment = Deployment {
            version: version.clone(),
            good: good.cloned(),
            begun: now.wall,
            guarded: true,
            decision: None,
            is_over: false,
            set_aside: HashSet::new(),
            refused: HashSet::new(),
            irreversible: false,
            asked: None,
            denied: HashSet::new(),
            attempts: Vec::new(),
            stages: Stages::default(),
        };
        self.deployments.insert(id.clone(), deployment);
    }

    fn decides(&mut self, now: Moment, id: &DeploymentId, decision: &Decision, plan: &Plan) {
        assert_eq!(self.current.as_ref(), Some(id), "a rollback of an old deployment");
        let deployment = &self.deployments[id];
        assert!(deployment.decision.is_none(), "a second rollback of {id}");
        assert_eq!(decision.good, deployment.good, "the good version changed");
        assert_eq!(decision.version, deployment.version);
        let hook = plan.hooks.iter().find(|hook| hook.name == decision.hook).unwrap();
        if hook.names(Placeholder::Good) {
            assert!(decision.good.is_some(), "back to where?");
            assert!(decision.good.as_ref() != Some(&decision.version), "back to itself");
        }
        self.life.decided = true;
        let deployment = &self.deployments[id];
        if !matches!(decision.trigger, Trigger::Person { .. }) || !self.insists {
            self.compares(deployment, plan);
        }
        self.people_agree(now, deployment, decision, plan);
        self.approved = false;
        self.quarantined.insert(decision.version.clone());
        self.decisions.push(now.wall);
        if decision.approval.is_none() {
            self.may_decide(now, id, decision, plan);
        }
    }

    /// Nobody spoke against a rollback, and who had to speak for it did.
    fn people_agree(&self, now: Moment, of: &Deployment, decision: &Decision, plan: &Plan) {
        let Trigger::Rule(rule) = &decision.trigger else {
            let forced = matches!(self.said, Some(Command::Rollback { force: Force::Yes, .. }));
            return assert!(forced || !of.irreversible, "back from what is irreversible");
        };
        assert!(!self.paused, "decided while paused");
        assert!(!of.irreversible, "back from what is irreversible");
        let answer = decision.approval.as_ref().map(|approval| &approval.answer);
        let by_person = matches!(answer, Some(Answer::Person { .. }));
        let budget = plan.deployment.budget;
        let since = now.wall.before(budget.per);
        let lately = self.decisions.iter().filter(|at| **at > since).count();
        let spent = lately >= budget.rollbacks as usize;
        assert!(by_person || !spent, "decided beyond the budget");
        match answer {
            None => assert_eq!(plan.mode, Mode::Auto, "decided by itself in another mode"),
            Some(answer) => {
                let (asked, until, default) = of.asked.as_ref().expect("nobody was asked");
                assert_eq!(*asked, rule.rule, "another rule asked");
                let said = self.approved || matches!(self.said, Some(Command::Approve { .. }));
                assert_eq!(by_person, said, "{answer:?} is not what was said");
                let late = until.is_none_or(|until| until <= now.at);
                let by_default = *default == Unanswered::Rollback && late;
                assert!(said || by_default, "decided on nobody's word");
            }
        }
    }

    fn asks(&mut self, now: Moment, id: &DeploymentId, decision: &Decision, plan: &Plan) {
        assert_eq!(plan.mode, Mode::Confirm, "asked in another mode");
        assert!(!self.paused, "asked while paused");
        let deployment = &self.deployments[id];
        assert!(deployment.asked.is_none(), "asked twice");
        assert!(!deployment.irreversible, "asked for what is irreversible");
        let Trigger::Rule(rule) = &decision.trigger else { panic!("a person asks") };
        assert!(!deployment.denied.contains(&rule.rule), "asked again after a no");
        self.compares(deployment, plan);
        self.may_decide(now, id, decision, plan);
    }

    fn denies(&self, id: &DeploymentId, rule: &RuleName, answer: &Answer) {
        let (asked, _, default) = self.deployments[id].asked.as_ref().expect("nobody asked");
        assert_eq!(asked, rule, "a no to another rule");
        let said = matches!(self.said, Some(Command::Deny { .. }));
        let by_default = *answer == Answer::TimeLimit && *default == Unanswered::Deny;
        assert!(said || by_default, "a no that nobody said");
    }

    fn pauses(&mut self, event: &Event) {
        if let Event::Pause(PauseEvent::Paused { .. }) = event {
            assert!(matches!(self.said, Some(Command::Pause { .. })), "paused by itself");
            self.paused = true;
        }
        if let Event::Pause(PauseEvent::Resumed { by, .. }) = event {
            assert!(self.paused, "resumed without a pause");
            let said = matches!(self.said, Some(Command::Resume { .. }));
            assert_eq!(said, *by != Caller::Guard, "resumed by {by:?}");
            self.paused = false;
        }
    }

    /// A version that was rolled back runs again only because somebody insists, and is not what a
    /// deployment goes back to unless somebody names it.
    fn begins_on_terms(&mut self, id: &DeploymentId, begun: &DeploymentBegun, plan: &Plan) {
        let DeploymentBegun { version, good, irreversible, forced, by, .. } = begun;
        assert_eq!(*forced, self.quarantined.contains(version), "by force or not");
        let (insists, named) = match &self.said {
            Some(Command::Begin { good, terms: Terms { force, .. }, .. }) => {
                (*force == Force::Yes, good.is_some())
            }
            _ => (*by == Caller::Guard, false),
        };
        assert!(insists || !forced, "{version} is in quarantine");
        let named = named || plan.deployment.good.is_some();
        let bad = good.as_ref().is_some_and(|good| self.quarantined.contains(good));
        assert!(named || !bad, "{good:?} is good by default, and in quarantine");
        self.deployments.get_mut(id).unwrap().irreversible = *irreversible;
    }

    /// What a rule saw allows a rollback.
    fn may_decide(&self, now: Moment, id: &DeploymentId, decision: &Decision, plan: &Plan) {
        let deployment = &self.deployments[id];
        let Trigger::Rule(rule) = &decision.trigger else { return };
        assert!(deployment.guarded, "decided by itself while nothing is guarded");
        assert!(!deployment.set_aside.contains(&rule.rule), "decided by a rule set aside");
        assert!(self.life.warm.is_none_or(|warm| warm <= now.at), "decided in warm-up");
        assert!(["slow", "errors", "hot"].contains(&rule.rule.as_str()), "{}", rule.rule);
        assert!(rule.held_ms >= rule.for_ms, "decided too early");
        self.has_evidence(rule.rule.as_str(), Duration::from_millis(rule.for_ms));
        self.is_its_doing(rule.rule.as_str(), plan);
    }

    /// The newest samples were bad for long enough, counting only time with samples.
    fn has_evidence(&self, rule: &str, hold: Duration) {
        let bad = self.bad_samples(rule);
        let gaps = bad.windows(2).map(|pair| pair[0].at.since(pair[1].at));
        let held: Duration = gaps.filter(|gap| *gap <= STALE).sum();
        let newest: Vec<&Seen> = self.life.seen.iter().rev().take(12).collect();
        let enough = !bad.is_empty() && held >= hold;
        assert!(enough, "{rule} decided after only {held:?} of evidence: {newest:#?}");
    }

    /// What held without a break for long enough fires, and says so.
    pub(crate) fn fires_in_time(&self, snapshot: &Snapshot) {
        // A reload may have brought other terms.
        let known = |seen: &&Seen| self.life.replanned.is_none_or(|at| seen.at > at);
        let prompt = |seen: &&Seen| seen.came.since(seen.at) <= Duration::from_secs(1);
        let holds = |seen: &&Seen| seen.certain && seen.latency > 4.0;
        let newest_first = self.life.seen.iter().rev();
        let bad: Vec<&Seen> =
            newest_first.take_while(holds).take_while(prompt).take_while(known).collect();
        let near = |pair: &&[&Seen]| pair[0].at.since(pair[1].at) <= Duration::from_millis(1100);
        let gaps = bad.windows(2).take_while(near);
        let held: Duration = gaps.map(|pair| pair[0].at.since(pair[1].at)).sum();
        let fresh = bad.first().map(|newest| newest.at) == self.life.newest;
        for rule in snapshot.rules.iter().filter(|rule| rule.evidence.rule.as_str() == "slow") {
            let due = fresh && held >= Duration::from_secs(2);
            assert!(!due || rule.evidence.state == RuleStanding::Firing, "{rule:?} after {held:?}");
        }
    }

    /// The run of bad samples up to now, newest first.
    fn bad_samples(&self, rule: &str) -> Vec<&Seen> {
        let seen = &self.life.seen;
        let mut bad = Vec::new();
        for (at, newest) in seen.iter().enumerate().rev() {
            if rule == "errors" {
                let recent = |seen: &&Seen| newest.at.since(seen.at) < Duration::from_secs(5);
                let scrapes = seen[..=at].iter().rev().take_while(recent).count();
                match (errors_grew(&seen[..=at]), scrapes) {
                    (true, _) => {}
                    // After a gap too few scrapes say nothing, which holds what was.
                    (false, 0..2) => continue,
                    (false, _) => break,
                }
            } else if newest.latency.is_nan() {
                continue;
            } else if newest.latency <= 2.0 {
                break;
            }
            bad.push(newest);
        }
        bad
    }

    /// What held since before the deployment began is not its doing.
    fn is_its_doing(&self, rule: &str, plan: &Plan) {
        let rule = plan.rules.iter().find(|known| known.name.as_str() == rule).unwrap();
        // What is detected began before anybody knew, and a reload may have come in between.
        let one_plan = |begun: &Instant| self.life.replanned.is_none_or(|at| at <= *begun);
        let begun = self.life.begun.filter(|_| !self.life.reloaded).filter(one_plan);
        let Some(begun) = begun else { return };
        if rule.relative || rule.name.as_str() == "errors" {
            return;
        }
        let bad = self.bad_samples(rule.name.as_str());
        let dark = bad.windows(2).any(|pair| pair[0].at.since(pair[1].at) > STALE);
        let oldest = bad.last().map_or(begun, |oldest| oldest.at);
        let blind = |seen: &Seen| seen.at >= oldest && !seen.certain;
        let dark = dark || self.life.seen.iter().any(blind);
        let before = bad.iter().any(|seen| seen.at <= begun);
        let name = &rule.name;
        assert!(dark || !before, "{name} held before the deployment began at {begun:?}: {bad:#?}");
    }

    fn bakes(&self, now: Moment, id: &DeploymentId) {
        let deployment = &self.deployments[id];
        assert!(deployment.guarded, "baked while nothing is guarded");
        assert!(!self.paused && deployment.asked.is_none(), "baked while it is undecided");
        assert!(self.life.warm.is_none_or(|warm| warm <= now.at), "baked in warm-up");
        if deployment.set_aside.iter().any(|rule| rule.as_str() == "slow") {
            return;
        }
        let newest = self.life.seen.last().expect("baked without a sample");
        // One with a time of its own may be older than the one before, or tell nothing.
        let sick = newest.certain && newest.latency > 2.0;
        assert!(!sick, "a sick version counts as good");
    }

    pub(crate) fn runs(&mut self, order: &Order, durable: &[Entry], plan: &Plan) {
        if order.attempt.entering.is_some() {
            assert!(self.deployments[&order.deployment].guarded, "enters what is not guarded");
            return stages::enters(order, durable, plan);
        }
        let deployment = &self.deployments[&order.deployment];
        let Attempt { hook, step, .. } = &order.attempt;
        let decision = deployment.decision.as_ref().expect("runs without a decision on record");
        assert_eq!(decision.hook, *hook);
        assert!(!deployment.is_over, "runs after the rollback was over");
        let last = durable.last().map(|entry| &entry.event);
        let intended = matches!(
            last,
            Some(Event::Attempt(AttemptEvent::Intent { attempt, .. })) if *attempt == order.attempt
        );
        assert!(intended, "{:?} runs without an intent on record", order.attempt);
        let untouched = deployment.attempts.iter().all(|(attempt, result)| {
            *attempt == order.attempt || *result == Some(StepResult::NotStarted)
        });
        if untouched && !self.life.decided {
            self.compares(deployment, plan);
        }
        let hook = plan.hooks.iter().find(|known| known.name == *hook).unwrap();
        deployment.may_run(&order.attempt, &hook.steps[*step as usize]);
        if let Action::Run { argv, .. } = &order.action {
            assert!(argv.iter().all(|argument| !argument.is_empty()), "{argv:?}");
            let Action::Run { argv: templates, .. } = &hook.steps[*step as usize].action else {
                panic!("{argv:?} is not what the hook says");
            };
            for (template, argument) in templates.iter().zip(argv) {
                if template.names(Placeholder::Good) {
                    assert_eq!(Some(argument.as_str()), deployment.good.as_ref().map(text));
                }
            }
        }
    }

    /// An attempt of a drill follows its intent, and never begins beside a rollback.
    pub(crate) fn drills(&self, order: &Order, durable: &[Entry]) {
        let current = self.current.as_ref().map(|id| &self.deployments[id]);
        let rolling = current.is_some_and(|d| d.decision.is_some() && !d.is_over);
        assert!(!rolling, "{:?} begins during a rollback", order.attempt);
        let last = durable.last().map(|entry| &entry.event);
        let intended = matches!(
            last,
            Some(Event::Attempt(AttemptEvent::Intent { attempt, .. })) if *attempt == order.attempt
        );
        assert!(intended, "{:?} runs without an intent on record", order.attempt);
        assert_eq!(self.drill.as_ref(), Some(&order.deployment));
        let Action::Run { argv, .. } = &order.action else { panic!("{order:?}") };
        assert_eq!(argv[1], "gym", "a drill acts on something else");
    }

    /// One drill at a time, each with an id of its own.
    fn drill(&mut self, id: &DeploymentId, event: &Event) {
        if let Event::Drill(DrillEvent::Begun(_)) = event {
            assert_eq!(self.drill, None, "two drills at a time");
            assert!(self.drilled.insert(id.clone()), "{id} begins twice");
            self.drill = Some(id.clone());
        }
        assert_eq!(self.drill.as_ref(), Some(id), "{event:?} of a drill that is over");
        if let Event::Drill(DrillEvent::Done(_)) = event {
            self.drill = None;
        }
    }

    /// A rollback waits for a drill no longer than for the end of its step.
    fn is_in_time(&mut self, now: Moment, event: &Event) {
        if let Event::Rollback(RollbackEvent::Decided(_)) = event {
            self.life.due = Some(now.at);
        }
        if let Event::Attempt(AttemptEvent::Intent { .. }) = event
            && let Some(decided) = self.life.due.take()
        {
            let waited = now.at.since(decided);
            assert!(waited <= CALL_OFF_GRACE, "the first attempt began after {waited:?}");
        }
    }

    pub(crate) fn tells(&mut self, notice: &Notice) {
        for step in &notice.steps {
            for number in 0..step.attempts {
                let mut attempt = step.order.attempt.clone();
                attempt.number += number;
                let new = self.told.insert((notice.deployment.clone(), attempt));
                assert!(new, "two notices share an attempt: {:?}", step.order.attempt);
            }
        }
        let name = notice.hook.as_str();
        assert!(["page", "tell"].contains(&name), "{name} does not tell anybody anything");
    }

    pub(crate) fn reports(&self, incident: &Incident) {
        assert!(incident.entries.len() <= MAX_KEPT);
        assert_eq!(incident.decision.good, self.deployments[&incident.deployment].good);
    }

    pub(crate) fn shows(&self, snapshot: &Snapshot) {
        let shown = snapshot.deployment.as_ref();
        assert_eq!(shown.map(|deployment| &deployment.id), self.current.as_ref());
        if let Some(shown) = shown {
            let known = &self.deployments[&shown.id];
            assert_eq!((&shown.good, &shown.version), (&known.good, &known.version));
            assert_eq!(shown.decision, known.decision);
        }
    }

    /// At the end of a run: journals stay small.
    pub(crate) fn ends(&self, durable: &[Entry]) {
        for (id, deployment) in &self.deployments {
            let of = durable.iter().filter(|entry| entry.deployment.as_ref() == Some(id));
            let own = of.filter(|entry| {
                !matches!(
                    entry.event,
                    Event::Daemon(
                        DaemonEvent::Started { .. }
                            | DaemonEvent::Stopped { .. }
                            | DaemonEvent::Reloaded { .. }
                    ) | Event::Live(LiveEvent::Seen { .. })
                        | Event::Drill(_)
                        | Event::Notice(NoticeEvent::Notified { .. } | NoticeEvent::Told { .. })
                )
            });
            let count = own.count();
            assert!(count < 300, "{count} entries of {id}");
            assert!(deployment.attempts.len() < 80, "{} attempts", deployment.attempts.len());
        }
    }
}

impl Deployment {
    fn takes(&mut self, now: Moment, event: &Event, plan: &Plan) {
        match event {
            Event::Rollback(RollbackEvent::Decided(decision)) => {
                self.decision = Some((**decision).clone());
                self.guarded = false;
                self.asked = None;
            }
            Event::Approval(ApprovalEvent::Asked { decision, default, .. }) => {
                let Trigger::Rule(rule) = &decision.trigger else { return };
                let until = plan.deployment.confirm.map(|confirm| now.at.after(confirm.within));
                self.asked = Some((rule.rule.clone(), until, *default));
            }
            Event::Approval(ApprovalEvent::Denied { rule, .. }) => {
                self.asked = None;
                self.denied.insert(rule.clone());
            }
            Event::Approval(ApprovalEvent::DenialLifted { rule }) => {
                assert!(self.denied.remove(rule), "was not denied")
            }
            Event::Approval(ApprovalEvent::Lapsed { .. }) => {
                assert!(self.asked.take().is_some(), "nobody was asked")
            }
            Event::Pause(PauseEvent::Paused { .. }) => {
                self.refused.retain(|(_, why)| *why != Refusal::Paused)
            }
            Event::Pause(PauseEvent::Resumed { .. }) => {}
            Event::Rule(RuleEvent::SetAside { evidence }) => {
                assert!(self.set_aside.insert(evidence.rule.clone()), "set aside twice");
            }
            Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
                let new = self.refused.insert((evidence.rule.clone(), *refusal));
                assert!(new, "{} is refused twice for the same reason", evidence.rule);
                assert!(self.guarded, "refused although there is nothing to refuse");
            }
            Event::Attempt(AttemptEvent::Intent { attempt, .. }) if attempt.entering.is_some() => {
                assert!(self.guarded, "{attempt:?} of what is not guarded");
            }
            Event::Attempt(AttemptEvent::Outcome { attempt, .. }) if attempt.entering.is_some() => {
            }
            Event::Stage(StageEvent::Passed { .. }) => {
                assert!(self.guarded, "passed although not guarded")
            }
            Event::Attempt(AttemptEvent::Intent { attempt, .. }) => {
                let settled = self.attempts.iter().all(|(_, outcome)| outcome.is_some());
                assert!(settled, "{attempt:?} is next to one without an outcome");
                let new = self.attempts.iter().all(|(known, _)| known != attempt);
                assert!(new, "{attempt:?} is intended twice");
                self.attempts.push((attempt.clone(), None));
            }
            Event::Attempt(AttemptEvent::Outcome { attempt, result, .. }) => {
                self.settles(attempt, result)
            }
            Event::Rollback(RollbackEvent::Cured { .. })
            | Event::Rollback(RollbackEvent::Failed { .. }) => {
                assert!(self.decision.is_some() && !self.is_over, "{event:?} of no rollback");
                self.is_over = true;
            }
            Event::Deployment(DeploymentEvent::Baked { .. })
            | Event::Deployment(DeploymentEvent::Ended { .. })
            | Event::Deployment(DeploymentEvent::Superseded { .. }) => {
                assert!(self.guarded, "{event:?} although not guarded");
                self.guarded = false;
                self.asked = None;
            }
            Event::Rule(RuleEvent::Cleared { rule }) => {
                assert!(self.guarded, "{rule} cleared although nothing is guarded");
                let before = self.refused.len();
                self.refused.retain(|(known, why)| known != rule || *why == Refusal::Observing);
                assert!(self.refused.len() < before, "{rule} cleared and was not told of");
            }
            Event::Daemon(_)
            | Event::Deployment(_)
            | Event::Stage(_)
            | Event::Rule(_)
            | Event::Live(_)
            | Event::Drill(_)
            | Event::Notice(_) => {}
        }
    }

    fn settles(&mut self, attempt: &Attempt, result: &StepResult) {
        let (last, outcome) = self.attempts.last_mut().expect("an outcome of nothing");
        assert_eq!(last, attempt, "the outcome of another attempt");
        // A step that nobody knows the outcome of is known to be done once the cure is seen.
        let late = *outcome == Some(StepResult::Unknown) && *result == StepResult::Done;
        assert!(outcome.is_none() || late, "{attempt:?} has two outcomes");
        *outcome = Some(result.clone());
    }

    /// A step is run again only if it certainly failed, or says that it may be; and only once all
    /// steps before it are done.
    fn may_run(&self, attempt: &Attempt, step: &rollguard::model::hook::Step) {
        let at = |place: u32| self.attempts.iter().filter(move |(known, _)| known.step == place);
        for place in 0..attempt.step {
            let done = at(place).any(|(_, outcome)| *outcome == Some(StepResult::Done));
            assert!(done, "{attempt:?} runs before step {place} is done");
        }
        let mut failed = 0;
        for (_, outcome) in at(attempt.step).filter(|(known, _)| known != attempt) {
            match outcome {
                Some(StepResult::NotStarted) => {}
                Some(StepResult::Failed(_) | StepResult::PutOff { .. } | StepResult::TimedOut) => {
                    failed += 1
                }
                Some(StepResult::CalledOff) => panic!("a rollback was called off"),
                Some(StepResult::Final(_)) => panic!("{attempt:?} could not succeed"),
                Some(StepResult::Unknown) => {
                    let probe = step.action.is_harmless();
                    assert!(step.idempotent || probe, "{attempt:?} may have run before");
                }
                Some(StepResult::Done) | None => panic!("{attempt:?} runs again"),
            }
        }
        assert!(failed < step.attempts, "{attempt:?} is one too many");
    }
}

/// Whether there were errors in the window of the last sample, or a little before. A counter that
/// fell was set back and has counted since; one that is gone may have.
fn errors_grew(seen: &[Seen]) -> bool {
    let Some(newest) = seen.last() else { return false };
    let mut pairs = seen.windows(2).rev();
    let recent = |pair: &&[Seen]| newest.at.since(pair[1].at) <= Duration::from_secs(5);
    let grew = pairs.by_ref().take_while(recent).any(|pair| pair[0].errors != pair[1].errors);
    // With a few samples nobody knows what was before.
    grew || seen.len() < 5
}

fn text(version: &Version) -> &str {
    version.as_str()
}
