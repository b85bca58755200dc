//! Two guards that know the same story: a state directory that was copied while a deployment was
//! guarded, rolled back, or long after, and a backup that was put back. Each is killed and started
//! again as it comes. What a guard does it does to the version that it compared: a change by the
//! other one, or by people, is never done twice and never undone.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rollguard::config::{Color, SourceFile, compile};
use rollguard::engine::Guard;
use rollguard::engine::command::{Command, Force, Terms};
use rollguard::engine::effect::{Effect, Order, Outcome};
use rollguard::engine::view::snapshot::GuardState;
use rollguard::model::entry::{
    Attempt, Caller, Entry, Event, RollbackEvent, RuleEvent, StepResult,
};
use rollguard::model::index::TargetIx;
use rollguard::model::live::Live;
use rollguard::model::name::{DeploymentId, Version};
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Page, Scrape};
use rollguard::model::step::Action;
use rollguard::model::time::{Instant, Moment, Timestamp};

use super::random::Random;

const SECOND: u64 = 1_000_000_000;
const STEP: u64 = SECOND / 10;
const EPOCH_MS: i64 = 1_700_000_000_000;

/// When the state directory has been copied for certain, and when it all ends.
const COPIED: u64 = 40 * SECOND;
const END: u64 = 240 * SECOND;

const PLAN: &str = r#"
mode = "auto"
[deployment]
service = "shop"
bake = "10m"
warmup = "0s"
then = "rollback"
live = { file = "/srv/VERSION", timeout = "1s" }
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
interval = "1s"
[hook.rollback]
steps = [ { run = ["switch", "{good}"], timeout = "20s", attempts = 2, backoff = "1s" } ]
cure = { when = "latency < 2", for = "2s", within = "10s" }
[signal.latency]
gauge = 'latency_seconds'
[rule.slow]
when = "latency > 2"
for = "2s"
"#;

fn plan() -> Arc<Plan> {
    static PLANS: OnceLock<Arc<Plan>> = OnceLock::new();
    let compiled = || {
        let file = SourceFile { path: "pair.toml".to_owned(), text: PLAN.to_owned() };
        let compiled = compile(&file, &[]);
        Arc::new(compiled.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain))).plan)
    };
    PLANS.get_or_init(compiled).clone()
}

enum Arrival {
    Outcome(Outcome),
    Read(u64, Live),
}

/// A guard with its state directory.
struct Host {
    guard: Option<Guard>,
    journal: Vec<Entry>,
    arrivals: Vec<(u64, Arrival)>,
    /// What was live when it was asked for last.
    asked: Option<Version>,
    /// The attempts that its markers know.
    markers: HashMap<(DeploymentId, Attempt), u64>,
    restart_at: u64,
    next_scrape: u64,
}

/// A step that runs: when it is over, and which version it then makes live.
struct Program {
    ends: u64,
    brings: Option<Version>,
}

pub(crate) struct Pair {
    random: Random,
    now: u64,
    hosts: [Host; 2],
    copied: u64,
    live: Version,
    /// Which version is sick, and whether bringing the other one back helps.
    sick: bool,
    helps: bool,
    programs: Vec<Program>,
    /// Every change of the live version by a guard.
    changes: Vec<(Version, Version)>,
    refusals: usize,
}

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

impl Host {
    fn new(starts: u64) -> Self {
        Self {
            guard: None,
            journal: Vec::new(),
            arrivals: Vec::new(),
            asked: None,
            markers: HashMap::new(),
            restart_at: starts,
            next_scrape: 0,
        }
    }

    /// A rollback is on record and its end is not.
    fn is_open(&self) -> bool {
        self.journal.iter().fold(false, |open, Entry { event, .. }| {
            let ends = matches!(
                event,
                Event::Rollback(RollbackEvent::Cured { .. })
                    | Event::Rollback(RollbackEvent::Failed { .. })
            );
            matches!(event, Event::Rollback(RollbackEvent::Decided(_))) || (open && !ends)
        })
    }

    fn die(&mut self, until: u64) {
        (self.guard, self.restart_at) = (None, until);
        self.arrivals.clear();
    }
}

impl Pair {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let copied = random.below(COPIED);
        let helps = !random.one_in(3);
        let hosts = [Host::new(0), Host::new(u64::MAX)];
        let live = version("v1");
        Self {
            random,
            now: 0,
            hosts,
            copied,
            live,
            sick: false,
            helps,
            programs: Vec::new(),
            changes: Vec::new(),
            refusals: 0,
        }
    }

    pub(crate) fn run(&mut self) {
        while self.now < END {
            self.now += STEP;
            self.programs_go_on();
            self.people_interfere();
            (0..2).for_each(|host| self.turn(host));
        }
        self.judge();
    }

    /// A version is brought back once, whoever else wanted to, and nobody who decided is silent.
    fn judge(&self) {
        let back = (version("v2"), version("v1"));
        let count = self.changes.iter().filter(|change| **change == back).count();
        assert!(count <= 1, "brought back {count} times");
        let others: Vec<_> = self.changes.iter().filter(|change| **change != back).collect();
        assert!(others.is_empty(), "what people did was undone: {others:?}");
        let kept = self.hosts.iter().filter(|host| host.restart_at < u64::MAX);
        for host in kept {
            let has = |wanted: fn(&Event) -> bool| host.journal.iter().any(|e| wanted(&e.event));
            let decided = host
                .journal
                .iter()
                .filter(|e| matches!(e.event, Event::Rollback(RollbackEvent::Decided(_))));
            assert!(decided.count() <= 1, "decided twice");
            let open = host.guard.as_ref().is_some_and(|guard| match guard.state() {
                GuardState::RollingBack | GuardState::Verifying => true,
                GuardState::Idle
                | GuardState::Guarding
                | GuardState::AwaitingApproval
                | GuardState::RolledBack
                | GuardState::RollbackFailed
                | GuardState::Baked
                | GuardState::Ended => false,
            });
            let over = has(|event| {
                matches!(
                    event,
                    Event::Rollback(RollbackEvent::Cured { .. })
                        | Event::Rollback(RollbackEvent::Failed { .. })
                )
            });
            assert!(
                over || open
                    || !has(|event| matches!(event, Event::Rollback(RollbackEvent::Decided(_)))),
                "silence"
            );
            assert!(!open, "a rollback never ends");
        }
    }

    fn moment(&self) -> Moment {
        let wall = EPOCH_MS + i64::try_from(self.now / 1_000_000).unwrap();
        Moment { at: Instant::from_nanos(self.now), wall: Timestamp::from_millis(wall) }
    }

    fn programs_go_on(&mut self) {
        for program in &mut self.programs {
            if let Some(brings) = program.brings.take_if(|_| program.ends <= self.now) {
                if self.live != brings {
                    self.changes.push((self.live.clone(), brings.clone()));
                    self.live = brings;
                }
                self.sick &= !self.helps;
            }
        }
    }

    /// The release, the copy, and another release that the guards are not told of.
    fn people_interfere(&mut self) {
        let now = self.now;
        if now == 5 * SECOND {
            let (id, force) = (DeploymentId::new("d1").ok(), Force::No);
            let terms = Terms { irreversible: false, force };
            let good = Some(version("v1"));
            let begin = Command::Begin { id, version: version("v2"), good, terms };
            let moment = self.moment();
            let by = Caller::Process { pid: Some(7), uid: 1000 };
            let guard = self.hosts[0].guard.as_mut().expect("nobody kills so early");
            let (answer, effects) = guard.command(moment, begin, by);
            assert!(answer.is_ok(), "{answer:?}");
            self.perform(0, effects);
        }
        if now == 6 * SECOND {
            (self.live, self.sick) = (version("v2"), true);
        }
        if now / STEP == (self.copied / STEP).max(60) {
            let (journal, markers) = (self.hosts[0].journal.clone(), self.hosts[0].markers.clone());
            (self.hosts[1].journal, self.hosts[1].markers) = (journal, markers);
            self.hosts[1].restart_at = now + self.random.below(60 * SECOND);
            // A backup is put back in place of the one that is there.
            if self.random.one_in(3) {
                self.hosts[0].die(u64::MAX);
            }
        }
        // What is under way they wait for.
        let idle = self.programs.iter().all(|program| program.brings.is_none());
        // A rollback is compared when it starts, not before each further attempt.
        let idle =
            idle && self.hosts.iter().all(|host| host.restart_at == u64::MAX || !host.is_open());
        let back = idle && !self.changes.is_empty();
        if back && self.live == version("v1") && self.random.one_in(300) {
            (self.live, self.sick) = (version("v3"), self.random.one_in(2));
        }
    }

    fn turn(&mut self, ix: usize) {
        let host = &mut self.hosts[ix];
        if host.guard.is_none() {
            if self.now < host.restart_at {
                return;
            }
            let mut guard = Guard::new(plan(), &host.journal);
            host.next_scrape = self.now + self.random.below(SECOND);
            let now = self.moment();
            let effects = guard.start(now, "simulated", 1);
            self.hosts[ix].guard = Some(guard);
            self.perform(ix, effects);
        }
        let host = &mut self.hosts[ix];
        if let Some(at) = host.arrivals.iter().position(|(at, _)| *at <= self.now) {
            let (_, arrival) = self.hosts[ix].arrivals.swap_remove(at);
            let now = self.moment();
            self.act(ix, |guard| match &arrival {
                Arrival::Outcome(outcome) => guard.settle(now, outcome),
                Arrival::Read(number, live) => guard.live(now, *number, live.clone()),
            });
            return;
        }
        let now = self.moment();
        if self.hosts[ix].next_scrape <= self.now {
            self.hosts[ix].next_scrape = self.now + SECOND;
            let mut page = Page::default();
            page.push("latency_seconds", if self.sick { 5.0 } else { 0.5 }, None);
            let (target, took, result) = (TargetIx(0), Duration::ZERO, Ok(page));
            let scrape = Scrape { target, at: now.at, wall: now.wall, took, result };
            self.act(ix, |guard| guard.observe(now, &scrape));
        }
        self.act(ix, |guard| guard.tick(now));
        if self.now > 7 * SECOND && self.now < END / 2 && self.random.one_in(200) {
            let until = self.now + self.random.below(20 * SECOND);
            self.hosts[ix].die(until);
        }
    }

    fn act(&mut self, ix: usize, what: impl FnOnce(&mut Guard) -> Vec<Effect>) {
        let Some(guard) = &mut self.hosts[ix].guard else { return };
        let effects = what(guard);
        self.perform(ix, effects);
    }

    fn perform(&mut self, ix: usize, effects: Vec<Effect>) {
        for effect in effects {
            if self.now > 7 * SECOND && self.now < END / 2 && self.random.one_in(60) {
                let until = self.now + self.random.below(20 * SECOND);
                return self.hosts[ix].die(until);
            }
            match effect {
                Effect::Append(entry) => {
                    self.refusals +=
                        usize::from(matches!(entry.event, Event::Rule(RuleEvent::Refused { .. })));
                    self.hosts[ix].journal.push(*entry);
                }
                Effect::Run(order) => self.starts(ix, &order),
                Effect::ReadLive { number, .. } => {
                    self.hosts[ix].asked = Some(self.live.clone());
                    let answer = Arrival::Read(number, Live::Version(self.live.clone()));
                    let at = self.now + self.random.below(SECOND);
                    self.hosts[ix].arrivals.push((at, answer));
                }
                Effect::Inspect { deployment, attempt, .. } => {
                    let known = self.hosts[ix].markers.get(&(deployment.clone(), attempt.clone()));
                    let result = known.map_or(StepResult::NotStarted, |_| StepResult::Unknown);
                    let at = known.copied().unwrap_or(0).max(self.now);
                    self.answer(ix, at, deployment, attempt, result);
                }
                Effect::CallOff { .. } | Effect::GoAlong(_) | Effect::Drill(_) => {
                    panic!("{effect:?} of a plan without stages")
                }
                Effect::Notify(_) | Effect::Tell(_) | Effect::Report(_) | Effect::Pace { .. } => {}
            }
        }
    }

    /// A step may run only for whom the version that it replaces was live when it was compared.
    fn starts(&mut self, ix: usize, order: &Order) {
        let host = &self.hosts[ix];
        let first = order.attempt.number == 1;
        let found = host.asked.as_ref();
        assert!(!first || found == Some(&version("v2")), "host {ix} replaces {found:?}");
        let Action::Run { argv, .. } = &order.action else {
            panic!("{order:?} is not in the plan")
        };
        let ends = self.now + self.random.below(15 * SECOND);
        let works = !self.random.one_in(5);
        let brings = works.then(|| version(&argv[1]));
        self.programs.push(Program { ends, brings });
        let (deployment, attempt) = (order.deployment.clone(), order.attempt.clone());
        self.hosts[ix].markers.insert((deployment.clone(), attempt.clone()), ends);
        let failed = StepResult::Failed("exit status 1".to_owned());
        self.answer(ix, ends, deployment, attempt, if works { StepResult::Done } else { failed });
    }

    fn answer(
        &mut self,
        ix: usize,
        at: u64,
        deployment: DeploymentId,
        attempt: Attempt,
        result: StepResult,
    ) {
        let took = Duration::from_millis(7);
        let outcome = Outcome { deployment, attempt, result, output: String::new(), took };
        self.hosts[ix].arrivals.push((at, Arrival::Outcome(outcome)));
    }

    pub(crate) fn tell_the_story(&self) {
        for (ix, host) in self.hosts.iter().enumerate() {
            for entry in &host.journal {
                let what: String = format!("{:?}", entry.event).chars().take(160).collect();
                eprintln!("{ix} {} {what}", entry.at);
            }
        }
        eprintln!("live {}, {:?}, {} refusals", self.live, self.changes, self.refusals);
    }
}
