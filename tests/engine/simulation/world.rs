//! What a guard lives in: a service, hooks that succeed, fail, hang and lie, a disk, two clocks,
//! people with commands, and death at any moment.

mod lies;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rollguard::engine::command::{Command, Force, Terms};
use rollguard::engine::effect::{DrillEffect, Effect, Notice, Order, Outcome};
use rollguard::engine::view::snapshot::{DeploymentStatus, GuardState, Snapshot};
use rollguard::engine::{Durable, Guard};
use rollguard::model::deployment::{Arm, Mode};
use rollguard::model::drill::Reach;
use rollguard::model::entry::{
    Attempt, Caller, Entry, Event, LiveEvent, RollbackEvent, StepResult,
};
use rollguard::model::index::TargetIx;
use rollguard::model::live::Live;
use rollguard::model::name::{DeploymentId, HookName, StageName, Version};
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Failure, FailureClass, Scrape};
use rollguard::model::step::Action;
use rollguard::model::time::{Instant, Moment, Timestamp};

use super::check::Check;
use super::disk::Disk;
use super::plans;
use super::random::Random;
use super::stages;

const SECOND: u64 = 1_000_000_000;
const PERSON: Caller = Caller::Process { pid: Some(7), uid: 1000 };
const EPOCH_MS: i64 = 1_700_000_000_000;

/// How long things go wrong for.
const CHAOS: u64 = 70 * SECOND;

/// By when a rollback must be over once nothing is killed any more: the default cure looked for
/// after every attempt that nobody knows the outcome of,
/// attempts timing out, and the pauses between them.
const PATIENCE: u64 = 3600 * SECOND;

/// The guard died.
struct Killed;

/// When the guard is compared with one that knows the journal only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparing {
    /// After every record.
    News,
    /// After every turn, and all that it shows.
    Always,
}

enum Arrival {
    Scrape(Scrape),
    Outcome(Outcome),
    Told(DeploymentId, HookName, Option<String>),
    /// The question's number and time, and the answer.
    Read(u64, Instant, Live),
}

/// A program that was started. It lives on when the guard dies.
struct Program {
    ends: u64,
    works: bool,
    /// The version that it brings back.
    brings: Option<Version>,
}

struct Service {
    sick: bool,
    sick_at: Option<u64>,
    dark_until: u64,
    errors: f64,
    live: Version,
}

pub(crate) struct World {
    random: Random,
    now: u64,
    /// When the monotonic clock began.
    boot: u64,
    skew_ms: i64,
    calm: bool,
    kills: u64,
    disk_fails: u64,
    /// Of so many pages one lies; 0: none.
    lies: u64,
    service: Service,
    plan: Arc<Plan>,
    guard: Option<Guard>,
    lost: bool,
    life: u64,
    restart_at: u64,
    next_scrape: u64,
    interval: u64,
    next_command: u64,
    arrivals: Vec<(u64, u64, Arrival)>,
    /// Programs by attempt; `None` is one that can never start any more.
    programs: HashMap<(DeploymentId, Attempt), Option<Program>>,
    /// The newest attempt of a drill.
    drilled: Option<(DeploymentId, Attempt)>,
    durable: Vec<Entry>,
    /// The bytes of that; not in every world, as they cost time.
    disk: Option<Disk>,
    /// The newest question for the live version.
    asked: u64,
    check: Check,
    comparing: Comparing,
}

impl World {
    pub(crate) fn new(seed: u64, comparing: Comparing) -> Self {
        let mut random = Random::new(seed);
        let plan = plans::any(&mut random);
        let kills = *random.pick(&[0, 10, 40, 200]);
        let disk_fails = *random.pick(&[0, 0, 0, 60]);
        let lies = *random.pick(&[0, 0, 40, 8]);
        let disk = random.one_in(4).then(Disk::new);
        Self {
            now: 0,
            boot: 0,
            skew_ms: 0,
            calm: false,
            kills,
            disk_fails,
            lies,
            disk,
            service: Service {
                sick: false,
                sick_at: None,
                dark_until: 0,
                errors: 0.0,
                live: version(0),
            },
            plan,
            guard: None,
            lost: false,
            life: 0,
            restart_at: 0,
            next_scrape: random.below(SECOND),
            interval: SECOND,
            next_command: random.below(8 * SECOND),
            arrivals: Vec::new(),
            programs: HashMap::new(),
            drilled: None,
            durable: Vec::new(),
            asked: 0,
            check: Check::default(),
            comparing,
            random,
        }
    }

    /// A whole run: chaos, then calm, in which everything must come to its end.
    pub(crate) fn run(&mut self) {
        while self.now < CHAOS {
            self.step();
        }
        self.calm = true;
        if self.lost {
            self.die();
        }
        let end = self.now + PATIENCE;
        while self.now < end && !self.is_settled() {
            self.step();
        }
        assert!(self.is_settled(), "a rollback never ends: {:?}", self.durable.last());
        self.check.ends(&self.durable);
    }

    /// What was recorded, for whoever has to find out why.
    pub(crate) fn tell_the_story(&self) {
        for entry in &self.durable {
            let deployment = entry.deployment.as_ref().map_or("-", |id| id.as_str());
            let what: String = format!("{:?}", entry.event).chars().take(160).collect();
            eprintln!("{} {deployment} {what}", entry.at);
        }
        eprintln!("at {} s: {:?}", self.now / SECOND, self.plan.deployment);
    }

    fn is_settled(&self) -> bool {
        self.guard.as_ref().is_some_and(|guard| {
            !guard.has_steps_to_run()
                && match guard.state() {
                    GuardState::AwaitingApproval
                    | GuardState::RollingBack
                    | GuardState::Verifying => false,
                    GuardState::Idle
                    | GuardState::Guarding
                    | GuardState::RolledBack
                    | GuardState::RollbackFailed
                    | GuardState::Baked
                    | GuardState::Ended => true,
                }
        })
    }

    fn moment(&self) -> Moment {
        let wall = EPOCH_MS + i64::try_from(self.now / 1_000_000).unwrap() + self.skew_ms;
        let at = Instant::from_nanos(self.now - self.boot);
        Moment { at, wall: Timestamp::from_millis(wall) }
    }

    fn step(&mut self) {
        let deadline = self.guard.as_ref().and_then(Guard::deadline);
        let deadline = deadline.map(|at| self.boot.saturating_add(at.as_nanos()));
        let arrival = self.arrivals.iter().map(|(at, _, _)| *at).min();
        let restart = self.guard.is_none().then_some(self.restart_at);
        let scrape = Some(self.next_scrape);
        let command = (!self.calm).then_some(self.next_command);
        let next = [deadline, arrival, restart, scrape, command].into_iter().flatten().min();
        self.now = next.expect("there is always a next scrape").max(self.now);
        self.live_on();
        let done = self.turn();
        let done = done.and_then(|()| self.keep_deadlines());
        if done.is_err() {
            return self.die();
        }
        self.look();
    }

    fn turn(&mut self) -> Result<(), Killed> {
        if self.guard.is_none() && self.now >= self.restart_at {
            self.start()?;
        }
        while let Some(place) = self.arrivals.iter().position(|(at, _, _)| *at <= self.now) {
            let (_, life, arrival) = self.arrivals.swap_remove(place);
            if life == self.life {
                self.arrive(arrival)?;
            }
        }
        if self.now >= self.next_scrape {
            self.scrape();
        }
        if !self.calm && self.now >= self.next_command {
            self.next_command = self.now + 1 + self.random.below(8 * SECOND);
            self.meddle()?;
        }
        Ok(())
    }

    /// However late it is, the guard must have had its fill of ticks after a few.
    fn keep_deadlines(&mut self) -> Result<(), Killed> {
        for _ in 0..8 {
            let now = self.moment();
            let Some(guard) = &mut self.guard else { return Ok(()) };
            if guard.deadline().is_none_or(|deadline| deadline > now.at) {
                return Ok(());
            }
            let effects = guard.tick(now);
            self.perform(effects)?;
            self.tell_who_waits();
        }
        panic!("the guard asks to be woken again and again")
    }

    /// The service and the programs go on, guard or no guard.
    fn live_on(&mut self) {
        let now = self.now;
        if self.service.sick_at.is_some_and(|at| at <= now) {
            (self.service.sick, self.service.sick_at) = (true, None);
        }
        for program in self.programs.values_mut().flatten() {
            if program.works && program.ends <= now {
                if let Some(version) = program.brings.take() {
                    self.service.live = version;
                }
                program.works = false;
                (self.service.sick, self.service.sick_at) = (false, None);
            }
        }
    }

    fn scrape(&mut self) {
        if !self.calm && self.random.one_in(25) {
            self.service.dark_until = self.now + self.random.below(90) * SECOND / 2;
        }
        let Service { sick, dark_until, .. } = &self.service;
        let (sick, dark_until) = (*sick, *dark_until);
        self.service.errors += if sick { 10.0 } else { 0.0 };
        let took = match self.random.below(20) {
            0 => 700_000_000,
            n => n * 1_000_000,
        };
        // Scrapes never overlap; slots that one takes too long for are lost.
        self.next_scrape = self.now + self.interval * (took / self.interval + 1);
        let at = self.moment();
        let result = if self.now < dark_until && !self.calm {
            Err(Failure { class: FailureClass::TimedOut, detail: String::new() })
        } else {
            Ok(self.page(if sick { 5.0 } else { 0.5 }, at.wall))
        };
        let scrape = Scrape {
            target: TargetIx(0),
            at: at.at,
            wall: at.wall,
            took: Duration::from_nanos(took),
            result,
        };
        self.send(self.now + took, scrape);
    }

    fn arrive(&mut self, arrival: Arrival) -> Result<(), Killed> {
        let now = self.moment();
        let twice = self.random.one_in(10);
        let Some(guard) = &mut self.guard else { return Ok(()) };
        let effects = match arrival {
            Arrival::Scrape(scrape) => {
                self.check.sees(now.at, &scrape);
                guard.observe(now, &scrape)
            }
            Arrival::Outcome(outcome) => {
                if twice {
                    let again = Arrival::Outcome(outcome.clone());
                    let later = self.now + self.random.below(3 * SECOND);
                    self.arrivals.push((later, self.life, again));
                }
                guard.settle(now, &outcome)
            }
            Arrival::Read(number, asked, live) => {
                // What answers an earlier question is not waited for any more.
                if number == self.asked {
                    self.check.reads(asked, &live);
                }
                guard.live(now, number, live)
            }
            Arrival::Told(deployment, hook, failure) => {
                guard.notified(now, deployment, hook, failure)
            }
        };
        self.perform(effects)?;
        self.tell_who_waits();
        Ok(())
    }

    /// Whoever waits for the live version to be compared is told, or has gone.
    fn tell_who_waits(&mut self) {
        if self.guard.as_mut().and_then(Guard::take_answer).is_some() {
            self.check.hears();
        }
    }

    /// As a source does: at a slot of the new interval from now on.
    fn set_pace(&mut self, target: TargetIx, interval: Duration) {
        let target = self.plan.target(target);
        let plain = interval == target.interval;
        assert!(plain || target.sharpen.is_some_and(|least| least <= interval));
        assert!(interval <= target.interval, "sampled less often than configured");
        self.interval = u64::try_from(interval.as_nanos()).unwrap();
        assert!(self.lost || self.guard.is_some(), "nobody asks for another interval");
        self.next_scrape = self.now + 1 + self.random.below(self.interval);
    }

    fn start(&mut self) -> Result<(), Killed> {
        if let Some(disk) = &mut self.disk {
            disk.read(&self.durable);
        }
        let open = Guard::new(self.plan.clone(), &self.durable).is_rolling_back();
        // An operator may edit the configuration while the guard is down.
        if !open && self.random.one_in(4) {
            self.plan = plans::any(&mut self.random);
        }
        if self.random.one_in(3) {
            self.boot = self.now;
        }
        self.life += 1;
        self.lost = false;
        self.interval = SECOND;
        let now = self.moment();
        let mut guard = Guard::new(self.plan.clone(), &self.durable);
        self.check.starts(now, &self.plan);
        let effects = guard.start(now, "simulated", 1);
        self.guard = Some(guard);
        self.perform(effects)
    }

    fn die(&mut self) {
        self.guard = None;
        self.life += 1;
        self.restart_at = self.now + self.random.below(20 * SECOND);
    }

    fn may_die(&mut self) -> Result<(), Killed> {
        let dies = !self.calm && self.kills > 0 && self.random.one_in(self.kills);
        if dies { Err(Killed) } else { Ok(()) }
    }

    /// Performs effects as the shell does, and dies between any two of them.
    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), Killed> {
        let written = self.durable.len();
        let mut effects = effects.into_iter();
        while let Some(effect) = effects.next() {
            self.may_die()?;
            match effect {
                Effect::Append(entry) => {
                    if self.is_disk_full() {
                        drop(effects);
                        return self.fail_to_append(*entry, written);
                    }
                    self.may_die_while_writing(&entry)?;
                    self.append(*entry);
                    self.may_die()?;
                }
                Effect::Run(order) => self.run_program(&order),
                Effect::ReadLive { number, .. } => self.read_live(number),
                Effect::Inspect { deployment, attempt, .. } => self.inspect(deployment, attempt),
                Effect::CallOff { deployment, attempt } => self.stop(deployment, attempt),
                Effect::Notify(notice) => self.tell(&notice),
                Effect::GoAlong(notice) => stages::goes_along(&notice, &self.durable),
                Effect::Tell(telling) => self.check.announces(&telling, &self.durable),
                Effect::Report(incident) => self.check.reports(&incident),
                Effect::Pace { target, interval, .. } => self.set_pace(target, interval),
                Effect::Drill(DrillEffect::Run(order)) => self.run_drill(&order),
                Effect::Drill(DrillEffect::CallOff) => self.call_off(),
            }
        }
        Ok(())
    }

    fn append(&mut self, entry: Entry) {
        let now = self.moment();
        self.check.appends(now, &entry, &self.plan);
        if let Some(disk) = &mut self.disk {
            disk.append(&entry);
        }
        self.durable.push(entry);
    }

    fn may_die_while_writing(&mut self, entry: &Entry) -> Result<(), Killed> {
        let done = self.may_die();
        if let (Err(_), Some(disk)) = (&done, &mut self.disk) {
            disk.tear(entry, &mut self.random);
        }
        done
    }

    /// It fills up, and somebody may clean up, or not before the end.
    fn is_disk_full(&mut self) -> bool {
        if self.calm || self.disk_fails == 0 {
            return false;
        }
        if self.random.one_in(self.disk_fails) {
            let until = self.now + self.random.below(30 * SECOND);
            if let Some(disk) = &mut self.disk {
                disk.fill(until);
            }
            return true;
        }
        self.disk.as_ref().is_some_and(|disk| disk.is_full(self.now))
    }

    /// The guard hears that it is not on the disk, and after a sync that failed it may be there
    /// all the same. What the guard knows from here on is what is on record for certain.
    fn fail_to_append(&mut self, entry: Entry, written: usize) -> Result<(), Killed> {
        self.lose_journal()?;
        if let Some(guard) = &mut self.guard {
            guard.unrecord(&self.durable[written..]);
            assert_eq!(Durable::replay(&self.durable), *guard.durable(), "it knows what is not so");
        }
        if self.random.one_in(3) {
            self.append(entry);
        }
        Ok(())
    }

    fn lose_journal(&mut self) -> Result<(), Killed> {
        self.lost = true;
        let now = self.moment();
        let Some(guard) = &mut self.guard else { return Ok(()) };
        for effect in guard.journal_lost(now) {
            match effect {
                Effect::Notify(notice) => self.tell(&notice),
                Effect::Pace { target, interval, .. } => self.set_pace(target, interval),
                Effect::Tell(telling) => self.check.announces(&telling, &self.durable),
                Effect::Drill(DrillEffect::CallOff) => self.call_off(),
                Effect::Append(_)
                | Effect::CallOff { .. }
                | Effect::GoAlong(_)
                | Effect::Run(_)
                | Effect::ReadLive { .. }
                | Effect::Drill(DrillEffect::Run(_))
                | Effect::Inspect { .. }
                | Effect::Report(_) => {
                    panic!("{effect:?} without a journal")
                }
            }
        }
        Ok(())
    }

    fn run_program(&mut self, order: &Order) {
        assert!(!self.lost, "{:?} runs without a journal", order.attempt);
        self.check.runs(order, &self.durable, &self.plan);
        let key = (order.deployment.clone(), order.attempt.clone());
        assert!(!self.programs.contains_key(&key), "{key:?} is started twice");
        self.shifts_alone(&order.attempt);
        let (took, result, works) = self.fate(order.timeout);
        let works = works && order.attempt.entering.is_none();
        let ends = self.now + took;
        let good = match &order.action {
            Action::Run { argv, .. } if argv[0] == "switch" => Version::new(&argv[2]).ok(),
            Action::Run { .. }
            | Action::Probe { .. }
            | Action::Tcp { .. }
            | Action::Http(_)
            | Action::Unix(_)
            | Action::Sleep(_) => None,
        };
        let brings = good.filter(|_| works);
        self.programs.insert(key, Some(Program { ends, works, brings }));
        self.answer(ends, &order.deployment, &order.attempt, result);
    }

    /// What enters a stage shifts traffic, and so does a rollback: one after the other.
    fn shifts_alone(&self, attempt: &Attempt) {
        let programs = self.programs.iter();
        // What a drill runs is not the guarded service's.
        let own = programs.filter(|((of, _), _)| !of.as_str().starts_with("drill-"));
        for ((_, other), program) in own {
            let runs = program.as_ref().is_some_and(|program| program.ends > self.now);
            let shifts = other.entering.is_some() || attempt.entering.is_some();
            assert!(!runs || !shifts, "{attempt:?} starts while {other:?} runs");
        }
    }

    /// Ends a program, or makes sure that it can never start.
    fn stop(&mut self, deployment: DeploymentId, attempt: Attempt) {
        let key = (deployment.clone(), attempt.clone());
        let takes = self.random.below(3 * SECOND);
        let program = self.programs.entry(key).or_insert(None);
        let (at, result) = match program {
            Some(program) if program.ends > self.now => {
                program.ends = program.ends.min(self.now + takes);
                (program.ends, StepResult::CalledOff)
            }
            Some(_) => (self.now, StepResult::Unknown),
            None => (self.now, StepResult::NotStarted),
        };
        self.answer(at, &deployment, &attempt, result);
    }

    /// The truth, a moment later; sometimes nothing, nothing sensible, or a lie.
    fn read_live(&mut self, number: u64) {
        self.asked = number;
        assert!(!self.lost, "the live version is read without a journal");
        let live = match self.random.below(if self.calm { 40 } else { 20 }) {
            0 | 1 => Live::unknown("no such file"),
            2 if !self.calm => Live::Version(version(self.random.below(6))),
            3 if !self.calm => return,
            _ => Live::Version(self.service.live.clone()),
        };
        let at = self.now + self.random.below(SECOND);
        let asked = self.moment().at;
        self.arrivals.push((at, self.life, Arrival::Read(number, asked, live)));
    }

    fn run_drill(&mut self, order: &Order) {
        assert!(!self.lost, "{:?} runs without a journal", order.attempt);
        self.check.drills(order, &self.durable);
        let key = (order.deployment.clone(), order.attempt.clone());
        assert!(!self.programs.contains_key(&key), "{key:?} is started twice");
        let (took, result, works) = self.fate(order.timeout);
        let ends = self.now + took;
        self.programs.insert(key.clone(), Some(Program { ends, works, brings: None }));
        self.drilled = Some(key);
        self.answer(ends, &order.deployment, &order.attempt, result);
    }

    /// It is ended, which may take longer than anybody waits.
    fn call_off(&mut self) {
        let Some((deployment, attempt)) = self.drilled.clone() else { return };
        let is_it = |arrival: &Arrival| match arrival {
            Arrival::Outcome(of) => of.deployment == deployment && of.attempt == attempt,
            Arrival::Scrape(_) | Arrival::Told(..) | Arrival::Read(..) => false,
        };
        let before = self.arrivals.len();
        self.arrivals.retain(|(_, _, arrival)| !is_it(arrival));
        if self.arrivals.len() < before {
            let at = self.now + self.random.below(5 * SECOND);
            self.answer(at, &deployment, &attempt, StepResult::Unknown);
        }
    }

    fn fate(&mut self, timeout: Duration) -> (u64, StepResult, bool) {
        let took = self.random.below(3 * SECOND);
        let timeout = u64::try_from(timeout.as_nanos()).unwrap();
        match self.random.below(11) {
            0 => (took, StepResult::Failed("exit status 1".to_owned()), false),
            1 => (timeout, StepResult::TimedOut, self.random.one_in(2)),
            // A lie: nothing was done.
            2 => (took, StepResult::Done, false),
            3 => (took, StepResult::Unknown, self.random.one_in(2)),
            5 if self.random.one_in(4) => (took, StepResult::Final("status 403".to_owned()), false),
            5 => {
                let after_ms = self.random.below(20_000);
                (took, StepResult::PutOff { why: "status 503".to_owned(), after_ms }, false)
            }
            4 => (timeout, StepResult::Done, true),
            _ => (took, StepResult::Done, true),
        }
    }

    fn inspect(&mut self, deployment: DeploymentId, attempt: Attempt) {
        let key = (deployment.clone(), attempt.clone());
        let program = self.programs.entry(key).or_insert(None);
        let (at, result) = match program {
            Some(program) => (program.ends.max(self.now), StepResult::Unknown),
            None => (self.now, StepResult::NotStarted),
        };
        let later = at + self.random.below(SECOND);
        self.answer(later, &deployment, &attempt, result);
    }

    fn answer(&mut self, at: u64, of: &DeploymentId, attempt: &Attempt, result: StepResult) {
        let (deployment, attempt) = (of.clone(), attempt.clone());
        let took = Duration::from_millis(7);
        let outcome = Outcome { deployment, attempt, result, output: String::new(), took };
        self.arrivals.push((at, self.life, Arrival::Outcome(outcome)));
    }

    fn tell(&mut self, notice: &Notice) {
        self.check.tells(notice);
        let failure = self.random.one_in(5).then(|| "unreachable".to_owned());
        let at = self.now + self.random.below(20 * SECOND);
        let told = Arrival::Told(notice.deployment.clone(), notice.hook.clone(), failure);
        self.arrivals.push((at, self.life, told));
    }

    /// What people, pipelines and clocks do at random moments.
    fn meddle(&mut self) -> Result<(), Killed> {
        match self.random.below(33) {
            0..=6 => self.deploy(),
            7 => self.command(Command::End { id: None, reason: "enough".to_owned() }),
            8 | 9 => {
                let force = self.random.one_in(2);
                self.check.insists(force);
                let (reason, force) = ("bad".to_owned(), Force::from(force));
                self.command(Command::Rollback { id: None, reason, force })
            }
            16 | 17 => {
                let span = Duration::from_secs(1 + self.random.below(30));
                self.command(Command::Pause { span, reason: "work".to_owned() })
            }
            18 => self.command(Command::Resume { reason: None }),
            19..=21 => self.command(Command::Approve { id: None, reason: None }),
            22 | 23 => self.command(Command::Deny { id: None, reason: "no".to_owned() }),
            27..=32 => {
                let name = *self.random.pick(&["canary", "half", "full", "lunch"]);
                let stage = StageName::new(name).unwrap();
                let force = Force::from(self.random.one_in(3));
                self.command(Command::Stage { id: None, stage, force })
            }
            10 => {
                self.skew_ms += i64::try_from(self.random.below(200_000)).unwrap() - 100_000;
                Ok(())
            }
            11 => {
                self.service.sick = true;
                Ok(())
            }
            12 => Err(Killed),
            13 | 14 => self.reload(),
            15 => self.reload_badly(),
            24..=26 => self.command(Command::Drill { hook: None, reach: Reach::default() }),
            _ => Ok(()),
        }
    }

    fn deploy(&mut self) -> Result<(), Killed> {
        let number = self.random.below(6);
        let version = version(number);
        let good = self.random.one_in(3).then(|| Version::new("v9").unwrap());
        let id = match self.random.below(3) {
            0 => None,
            1 => DeploymentId::new(&format!("d{}", self.random.below(4))).ok(),
            _ => DeploymentId::new(&format!("d{}", self.now)).ok(),
        };
        match self.random.below(4) {
            // It was sick already.
            0 => {}
            1 => (self.service.sick, self.service.sick_at) = (false, None),
            _ => {
                self.service.sick = false;
                self.service.sick_at = Some(self.now + self.random.below(20 * SECOND));
            }
        }
        // It is switched first, or later, or never.
        if self.random.one_in(2) {
            self.service.live = version.clone();
        }
        // Whoever only switches, leaves it to the guard to see that.
        if self.plan.deployment.arm == Arm::Detect && !self.random.one_in(4) {
            self.service.live = version;
            return Ok(());
        }
        let irreversible = self.random.one_in(8);
        let terms = Terms { irreversible, force: Force::from(self.random.one_in(2)) };
        self.command(Command::Begin { id, version, good, terms })
    }

    fn command(&mut self, command: Command) -> Result<(), Killed> {
        let now = self.moment();
        let Some(guard) = &mut self.guard else { return Ok(()) };
        let (answer, effects) = guard.command(now, command.clone(), PERSON);
        if answer.is_err() {
            let checks = |effect: &Effect| {
                matches!(effect, Effect::Append(entry)
                    if matches!(entry.event, Event::Live(LiveEvent::Checked { .. })))
            };
            assert!(effects.iter().all(checks), "a command that was refused did {effects:?}");
        }
        if answer.is_ok() {
            self.check.heard(&command);
        }
        self.check.said = Some(command);
        let done = self.perform(effects);
        self.check.said = None;
        done?;
        self.tell_who_waits();
        Ok(())
    }

    /// A file that is wrong is refused, and nothing else is different.
    fn reload_badly(&mut self) -> Result<(), Killed> {
        let now = self.moment();
        let Some(guard) = &mut self.guard else { return Ok(()) };
        let shown = |guard: &Guard| {
            let snapshot = guard.snapshot(now);
            (snapshot.mode, snapshot.state, snapshot.rules, snapshot.signals)
        };
        let before = shown(guard);
        let effects = guard.reload_refused(now, PERSON, 2, "no such key".to_owned());
        assert_eq!(shown(guard), before, "a bad file replaced a good one");
        self.perform(effects)
    }

    fn reload(&mut self) -> Result<(), Killed> {
        let now = self.moment();
        let Some(guard) = &mut self.guard else { return Ok(()) };
        if guard.is_rolling_back() {
            return Ok(());
        }
        self.plan = plans::any(&mut self.random);
        self.interval = SECOND;
        let effects = guard.reload(now, self.plan.clone(), PERSON);
        self.perform(effects)?;
        self.tell_who_waits();
        Ok(())
    }

    /// What must be true between any two turns.
    fn look(&mut self) {
        let Some(guard) = &self.guard else { return };
        if self.lost {
            return;
        }
        if self.check.is_news() {
            let replayed = Durable::replay(&self.durable);
            assert_eq!(replayed, *guard.durable(), "a restarted guard would know another story");
        }
        if self.comparing == Comparing::Always {
            let restarted = Guard::new(self.plan.clone(), &self.durable);
            assert_eq!(restarted.durable(), guard.durable());
            let shown = |guard: &Guard| durable_part(&guard.snapshot(self.moment()));
            assert_eq!(shown(&restarted), shown(guard));
        }
        if self.random.one_in(16) {
            let snapshot = guard.snapshot(self.moment());
            self.check.shows(&snapshot);
            self.check.fires_in_time(&snapshot);
            assert!(snapshot.mode != Mode::Auto || self.plan.mode == Mode::Auto);
        }
        if let Some(Entry { event: Event::Rollback(RollbackEvent::Decided(_)), .. }) =
            self.durable.last()
        {
            assert!(!self.is_settled(), "decided, and nothing is done");
        }
    }
}

fn version(number: u64) -> Version {
    Version::new(&format!("v{number}")).unwrap()
}

/// What a snapshot shows that must survive a restart. Verifying is rolling back until it is known
/// again that all steps are done.
fn durable_part(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug + use<> {
    let verifying = snapshot.state == GuardState::Verifying;
    let state = if verifying { GuardState::RollingBack } else { snapshot.state };
    let deployment = snapshot.deployment.clone().map(|shown| {
        let DeploymentStatus { id, version, good, begun, decision, decided_at, why, .. } = shown;
        // How long is left to answer is the clock's business.
        let asked = shown.approval.map(|asked| (asked.rule, asked.asked, asked.hook));
        let standings: Vec<_> = shown.stages.iter().map(|stage| stage.standing).collect();
        let terms = (shown.irreversible, shown.forced, shown.stage, standings);
        (id, version, good, begun, decision, decided_at, why, asked, terms)
    });
    let paused = snapshot.paused.clone().map(|pause| (pause.since, pause.by, pause.reason));
    let limits = (paused, snapshot.budget, snapshot.quarantine.clone());
    (state, deployment, snapshot.good.clone(), limits)
}
