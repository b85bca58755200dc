//! What the guard does, told as scripts: what is seen and asked, second by second, and what
//! follows from it.

mod live;
mod owed;
mod people;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use rollguard::config::{Color, SourceFile, compile};
use rollguard::engine::command::{Command, Force, Terms};
use rollguard::engine::effect::{Announced, Occurrence};
use rollguard::engine::effect::{DrillEffect, Effect, Outcome};
use rollguard::engine::view::snapshot::Snapshot;
use rollguard::engine::{Durable, Guard};
use rollguard::model::alert::News;
use rollguard::model::drill::Reach;
use rollguard::model::entry::{
    Answer, ApprovalEvent, Attempt, AttemptEvent, Caller, DaemonEvent, Decision, DeploymentEvent,
    DrillEvent, Entry, Event, LiveEvent, NoticeEvent, PauseEvent, RollbackEvent, RuleEvent,
    StageEvent, StepResult, Trigger,
};
use rollguard::model::index::TargetIx;
use rollguard::model::live::Live;
use rollguard::model::name::{ChannelName, DeploymentId, StageName, Version};
use rollguard::model::plan::Plan;
use rollguard::model::scrape::{Failure, FailureClass, Page, Scrape};
use rollguard::model::time::{Instant, Moment, Timestamp, parse_duration};
use rollguard::record;

const PERSON: Caller = Caller::Process { pid: Some(7), uid: 1000 };

const EPOCH_MS: i64 = 1_700_000_000_000;

/// What every test starts from; each says only what is different.
const BASE: &str = r#"
mode = "auto"
[deployment]
service = "shop"
bake = "60s"
warmup = "3s"
then = "rollback"
notify = "tell"
[target.api]
scrape = "http://127.0.0.1:9000/metrics"
interval = "1s"
timeout = "800ms"
[hook.rollback]
steps = [ { run = ["switch", "{good}"], attempts = 2, backoff = "1s" } ]
on_failure = "page"
[hook.page]
steps = [ { run = ["page"] } ]
[hook.tell]
steps = [ { run = ["tell"] } ]
[signal.latency]
gauge = 'latency_seconds'
[rule.slow]
when = "latency > 2"
for = "2s"
"#;

/// The base with some of its text replaced.
fn plan(changes: &[(&str, &str)]) -> Arc<Plan> {
    let mut text = BASE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "nothing to change: {from}");
        text = text.replacen(from, to, 1);
    }
    let file = SourceFile { path: "guard.toml".to_owned(), text };
    let compiled = compile(&file, &[]);
    Arc::new(compiled.unwrap_or_else(|wrong| panic!("{}", wrong.render(Color::Plain))).plan)
}

/// A guard, its journal, and what it has done.
struct Bed {
    guard: Guard,
    plan: Arc<Plan>,
    now: Moment,
    skew_ms: i64,
    journal: Vec<Entry>,
    /// The attempt that is waited for.
    awaited: Option<(DeploymentId, Attempt)>,
    notices: Vec<(DeploymentId, Attempt)>,
    news: Vec<Arc<News>>,
    log: Vec<String>,
    /// What is live; `None`: no reading is answered.
    live: Option<Live>,
    /// The newest question for it.
    asked: u64,
}

impl Bed {
    fn new(plan: Arc<Plan>) -> Self {
        let guard = Guard::new(plan.clone(), &[]);
        let mut bed = Self {
            guard,
            plan,
            now: Moment::default(),
            skew_ms: 0,
            journal: Vec::new(),
            awaited: None,
            notices: Vec::new(),
            news: Vec::new(),
            log: Vec::new(),
            live: None,
            asked: 0,
        };
        bed.set(0.0);
        let effects = bed.guard.start(bed.now, "test", 1);
        bed.perform(effects);
        bed
    }

    /// Moves the clocks; every deadline on the way is kept.
    fn set(&mut self, second: f64) {
        let to = Instant::ZERO.after(Duration::from_secs_f64(second));
        for _ in 0..1000 {
            match self.guard.deadline().filter(|deadline| *deadline <= to) {
                Some(deadline) => self.tick(deadline.max(self.now.at)),
                None => return self.turn(to),
            }
        }
        panic!("the guard asks to be woken again and again");
    }

    fn turn(&mut self, at: Instant) {
        let wall = EPOCH_MS + i64::try_from(at.as_nanos() / 1_000_000).unwrap() + self.skew_ms;
        self.now = Moment { at, wall: Timestamp::from_millis(wall) };
    }

    fn tick(&mut self, at: Instant) {
        self.turn(at);
        let effects = self.guard.tick(self.now);
        self.perform(effects);
    }

    /// Carries out a script: `SECOND WHAT` or `FIRST..LAST SEEN`, separated by semicolons.
    fn play(&mut self, script: &str) -> &mut Self {
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let (when, what) = line.split_once(' ').unwrap();
            let (first, last) = when.split_once("..").unwrap_or((when, when));
            let (first, last): (f64, f64) = (first.parse().unwrap(), last.parse().unwrap());
            let mut second = first;
            while second <= last {
                self.set(second);
                let effects = self.act(what);
                self.perform(effects);
                second += 1.0;
            }
        }
        self
    }

    fn act(&mut self, what: &str) -> Vec<Effect> {
        let words: Vec<&str> = what.split(' ').collect();
        let now = self.now;
        match words[0] {
            "fine" => self.scrape(Some(0.5)),
            "warm" => self.scrape(Some(1.5)),
            "sick" => self.scrape(Some(5.0)),
            "worst" => self.scrape(Some(9.0)),
            "dark" => self.scrape(None),
            "blank" => self.scrape_page(Ok(Page::default())),
            "begin" => {
                let named = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
                let id = named("id=").map(|id| DeploymentId::new(id).unwrap());
                let good = named("good=").map(|good| Version::new(good).unwrap());
                let version = Version::new(words[1]).unwrap();
                let force = Force::from(words.contains(&"force"));
                let terms = Terms { irreversible: words.contains(&"irreversible"), force };
                self.command(Command::Begin { id, version, good, terms })
            }
            "stage" => {
                let stage = StageName::new(words[1]).unwrap();
                let force = Force::from(words.contains(&"force"));
                self.command(Command::Stage { id: None, stage, force })
            }
            "end" => self.command(Command::End { id: None, reason: "enough".to_owned() }),
            "rollback" => {
                let reason = words.get(1).copied().unwrap_or("bad").to_owned();
                let force = Force::from(words.contains(&"force"));
                self.command(Command::Rollback { id: None, reason, force })
            }
            "approve" => {
                let id = words.get(1).map(|id| DeploymentId::new(id).unwrap());
                self.command(Command::Approve { id, reason: None })
            }
            "deny" => self.command(Command::Deny { id: None, reason: "no".to_owned() }),
            "pause" => {
                let span = parse_duration(words[1]).unwrap();
                self.command(Command::Pause { span, reason: "work".to_owned() })
            }
            "resume" => self.command(Command::Resume { reason: None }),
            "off" => self.settle(StepResult::CalledOff),
            "drill" => self.command(Command::Drill { hook: None, reach: Reach::default() }),
            "stop" => self.guard.stop(now, PERSON),
            "done" => self.settle(StepResult::Done),
            "failed" => self.settle(StepResult::Failed("exit status 1".to_owned())),
            "final" => self.settle(StepResult::Final("status 404".to_owned())),
            "busy" => {
                self.settle(StepResult::PutOff { why: "status 503".to_owned(), after_ms: 7000 })
            }
            "timeout" => self.settle(StepResult::TimedOut),
            "unknown" => self.settle(StepResult::Unknown),
            "unstarted" => self.settle(StepResult::NotStarted),
            "restart" => {
                self.guard = Guard::new(self.plan.clone(), &self.journal);
                self.guard.start(now, "test", 1)
            }
            "lost" => self.guard.journal_lost(now),
            "told" => {
                let (deployment, attempt) = self.notices.last().cloned().unwrap();
                self.guard.notified(now, deployment, attempt.hook, None)
            }
            "heard" => {
                let news = self.news.last().unwrap();
                let announced = Announced {
                    channel: ChannelName::new(words[1]).unwrap(),
                    change: news.change,
                    news: news.seq,
                    deployment: news.deployment.clone(),
                    opened: true,
                    reference: None,
                    failure: None,
                };
                self.guard.announced(now, announced)
            }
            "live" => {
                self.live = match words[1..].join(" ").as_str() {
                    "never" => None,
                    "?" => Some(Live::unknown("no such file")),
                    version => Some(Live::Version(Version::new(version).unwrap())),
                };
                Vec::new()
            }
            "answer" => {
                let live = Live::Version(Version::new(words[1]).unwrap());
                self.guard.live(now, self.asked, live)
            }
            "late" => self.scrape_sent(Duration::from_millis(700), 5.0),
            "tick" => self.guard.tick(now),
            other => panic!("what is {other}?"),
        }
    }

    fn scrape(&mut self, latency: Option<f64>) -> Vec<Effect> {
        let result = match latency {
            Some(latency) => {
                let mut page = Page::default();
                page.push("latency_seconds", latency, None);
                Ok(page)
            }
            None => Err(Failure { class: FailureClass::TimedOut, detail: String::new() }),
        };
        self.scrape_page(result)
    }

    /// A page that was asked for a while ago comes in now.
    fn scrape_sent(&mut self, ago: Duration, latency: f64) -> Vec<Effect> {
        let mut page = Page::default();
        page.push("latency_seconds", latency, None);
        let (at, wall) = (self.now.at.before(ago), self.now.wall.before(ago));
        let (target, took) = (TargetIx(0), ago);
        self.guard.observe(self.now, &Scrape { target, at, wall, took, result: Ok(page) })
    }

    fn scrape_page(&mut self, result: Result<Page, Failure>) -> Vec<Effect> {
        let Moment { at, wall } = self.now;
        let took = Duration::ZERO;
        self.guard.observe(self.now, &Scrape { target: TargetIx(0), at, wall, took, result })
    }

    fn command(&mut self, command: Command) -> Vec<Effect> {
        let (answer, effects) = self.guard.command(self.now, command, PERSON);
        if let Err(rejection) = answer {
            let checks = |effect: &Effect| {
                let Effect::Append(entry) = effect else { return false };
                matches!(entry.event, Event::Live(LiveEvent::Checked { .. }))
            };
            assert!(effects.iter().all(checks), "{effects:?}");
            self.log.push(format!("({rejection})"));
        }
        effects
    }

    fn settle(&mut self, result: StepResult) -> Vec<Effect> {
        let (deployment, attempt) = self.awaited.clone().expect("nothing was run");
        let (output, took) = (String::new(), Duration::ZERO);
        self.guard.settle(self.now, &Outcome { deployment, attempt, result, output, took })
    }

    fn reload(&mut self, second: f64, plan: Arc<Plan>) -> &mut Self {
        self.set(second);
        self.plan = plan.clone();
        let effects = self.guard.reload(self.now, plan, PERSON);
        self.perform(effects);
        self
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let before = self.asked;
        for effect in effects {
            match effect {
                Effect::ReadLive { number, .. } => self.asked = number,
                Effect::Append(entry) => {
                    let line = record::encode(1, &record::Hash::GENESIS, &entry);
                    assert!(line.is_ok(), "{}", line.unwrap_err());
                    self.log.extend(word(&entry.event));
                    self.journal.push(*entry);
                }
                Effect::Run(order) => {
                    let Attempt { step, number, ref entering, .. } = order.attempt;
                    let what = entering.as_ref().map(|stage| format!("enter {stage}"));
                    let what = what.unwrap_or_else(|| "run".to_owned());
                    self.log.push(format!("{what} {step}.{number}"));
                    self.awaited = Some((order.deployment, order.attempt));
                }
                Effect::Inspect { deployment, attempt, .. } => {
                    let Attempt { step, number, .. } = attempt;
                    self.log.push(format!("inspect {step}.{number}"));
                    self.awaited = Some((deployment, attempt));
                }
                Effect::CallOff { deployment, attempt } => {
                    self.log.push(format!("call off {}.{}", attempt.step, attempt.number));
                    self.awaited = Some((deployment, attempt));
                }
                Effect::GoAlong(notice) => self.log.push(format!("along {}", notice.hook)),
                Effect::Notify(notice) => {
                    self.log.push(format!("notify {}", notice.hook));
                    let attempt = notice.steps[0].order.attempt.clone();
                    self.notices.push((notice.deployment, attempt));
                }
                Effect::Tell(telling) => {
                    let word = telling.news.change.word();
                    self.log.push(match &telling.occurrence {
                        Occurrence::First => format!("news {word}"),
                        Occurrence::Again(told) => format!("again {word} told to {}", told.len()),
                    });
                    self.news.push(telling.news);
                }
                Effect::Report(incident) => self.log.push(format!("report {}", incident.ended)),
                Effect::Pace { interval, .. } => self.log.push(format!("pace {interval:?}")),
                Effect::Drill(DrillEffect::Run(order)) => {
                    let Attempt { step, number, .. } = order.attempt;
                    self.log.push(format!("try {step}.{number}"));
                    self.awaited = Some((order.deployment, order.attempt));
                }
                Effect::Drill(DrillEffect::CallOff) => self.log.push("call off".to_owned()),
            }
        }
        if let Some(answer) = self.guard.take_answer() {
            self.log.push(answer.map_or_else(|why| format!("({why})"), |told| told.message));
        }
        if self.asked != before
            && let Some(live) = self.live.clone()
        {
            let effects = self.guard.live(self.now, self.asked, live);
            self.perform(effects);
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.guard.snapshot(self.now)
    }

    /// What happened since this was asked last.
    #[track_caller]
    fn expect(&mut self, expected: &str) -> &mut Self {
        assert_eq!(std::mem::take(&mut self.log).join(", "), expected);
        self
    }

    /// Why the first rule would not be acted on.
    fn refusal(&self) -> String {
        self.snapshot().rules[0].refusal.map_or("none".to_owned(), |refusal| refusal.to_string())
    }
}

/// What an entry says, in a word or two; steps show as they are run.
fn word(event: &Event) -> Option<String> {
    Some(match event {
        Event::Daemon(DaemonEvent::Started { .. } | DaemonEvent::Stopped { .. })
        | Event::Attempt(AttemptEvent::Intent { .. }) => return None,
        Event::Attempt(AttemptEvent::Outcome { result, .. }) => result.to_string(),
        Event::Deployment(DeploymentEvent::Begun(begun)) => match &begun.good {
            Some(good) => format!("begun {} over {good}", begun.version),
            None => format!("begun {}", begun.version),
        },
        Event::Deployment(DeploymentEvent::Baked { version }) => format!("baked {version}"),
        Event::Stage(event) => stage_word(event),
        Event::Rule(RuleEvent::SetAside { evidence }) => format!("{} set aside", evidence.rule),
        Event::Rule(RuleEvent::Refused { refusal, evidence }) => {
            format!("{}: {refusal}", evidence.rule)
        }
        Event::Rule(RuleEvent::Cleared { rule }) => format!("cleared {rule}"),
        Event::Approval(event) => approval_word(event),
        Event::Pause(PauseEvent::Resumed { by: Caller::Guard, .. }) => "pause over".to_owned(),
        Event::Live(LiveEvent::Checked { refusal: None, .. }) => "compared".to_owned(),
        Event::Live(LiveEvent::Checked { live, refusal: Some(refusal), .. }) => {
            format!("{refusal} ({live})")
        }
        Event::Live(LiveEvent::Seen { version }) => format!("{version} is live"),
        Event::Rollback(RollbackEvent::Decided(decision)) => decision_word(decision),
        Event::Rollback(RollbackEvent::Failed { why, .. }) => format!("gave up: {why}"),
        Event::Drill(DrillEvent::Begun(start)) => format!("drill of {}", start.hook),
        Event::Drill(DrillEvent::Done(end)) => format!("drill {}", end.result),
        Event::Notice(NoticeEvent::HookBegun { on, .. }) => on.to_string(),
        Event::Notice(NoticeEvent::Told { channel, change, .. }) => {
            format!("told {channel} {}", change.word())
        }
        Event::Daemon(_)
        | Event::Deployment(_)
        | Event::Rule(_)
        | Event::Pause(_)
        | Event::Rollback(_)
        | Event::Notice(_) => kind(event),
    })
}

/// The kind's own name, in words.
fn kind(event: impl serde::Serialize) -> String {
    let record = serde_json::to_value(event).unwrap();
    record["kind"].as_str().unwrap().replace('_', " ")
}

fn stage_word(event: &StageEvent) -> String {
    if let StageEvent::Staged { stage, .. } = event {
        return format!("in stage {stage}");
    }
    if let StageEvent::NotEntered { why, .. } = event {
        return format!("not entered: {why}");
    }
    if let StageEvent::Overdue { why, .. } = event {
        return format!("overdue: {why}");
    }
    let record = serde_json::to_value(event).unwrap();
    let stage = record["data"]["stage"].as_str().unwrap();
    format!("{} {stage}", kind(event).trim_start_matches("stage "))
}

fn approval_word(event: &ApprovalEvent) -> String {
    match event {
        ApprovalEvent::Asked { .. } => "asked".to_owned(),
        ApprovalEvent::Denied { rule, answer: Answer::TimeLimit } => {
            format!("{rule}: denied by nobody")
        }
        ApprovalEvent::Denied { rule, answer: Answer::Person { .. } } => format!("{rule}: denied"),
        ApprovalEvent::DenialLifted { rule } => format!("{rule}: denial lifted"),
        ApprovalEvent::Lapsed { why, .. } => format!("lapsed: {why}"),
    }
}

fn decision_word(decision: &Decision) -> String {
    match &decision.trigger {
        Trigger::Rule(rule) => match decision.approval.as_ref().map(|yes| &yes.answer) {
            None => format!("decided by {}", rule.rule),
            Some(Answer::Person { .. }) => format!("decided by {}, approved", rule.rule),
            Some(Answer::TimeLimit) => format!("decided by {}, by default", rule.rule),
        },
        Trigger::Person { .. } => "decided by a person".to_owned(),
    }
}

fn check(changes: &[(&str, &str)], script: &str, expected: &str) {
    let mut bed = Bed::new(plan(changes));
    bed.play(script);
    assert_eq!(bed.log.join(", "), expected, "{script}");
}

/// With something to drill on, and a hook that may be drilled.
const DRILLED: [(&str, &str); 2] = [
    ("[target.api]", "[drill]\nservice = \"gym\"\nversion = \"v9\"\ngood = \"v8\"\n[target.api]"),
    (r#"["switch", "{good}"]"#, r#"["switch", "{service}", "{good}"]"#),
];

#[test]
fn a_drill_tries_its_steps_as_a_rollback_does() {
    let drilled = "drill of rollback, try 0.1, ";
    let script = "0..2 fine; 2.5 drill; 3 done";
    check(&DRILLED, script, &format!("{drilled}done, drill done"));
    let script = "0..2 fine; 2.5 drill; 3 failed; 3..4 fine; 5 failed";
    let twice = "failed: exit status 1, try 0.2, failed: exit status 1, drill failed";
    check(&DRILLED, script, &format!("{drilled}{twice}"));
    // Nobody can see a cure of a drill: a step that may not be run again is not.
    check(
        &DRILLED,
        "0..2 fine; 2.5 drill; 3 unknown",
        &format!("{drilled}unknown, nobody saw its end, drill failed"),
    );
}

#[test]
fn a_rollback_waits_for_the_drill_that_it_calls_off_and_no_longer_than_its_grace() {
    let drilling = format!("{BEGUN}; 6.5 drill; 7..9 sick");
    let mut bed = Bed::new(plan(&DRILLED));
    bed.play(&drilling);
    bed.expect("begun v2 over v1, drill of rollback, try 0.1, decided by slow, call off");
    bed.play("10..11 sick; 11.9 tick").expect("");
    bed.play("12 tick").expect("drill called off, run 0.1");
    let mut bed = Bed::new(plan(&DRILLED));
    bed.play(&drilling).play("9.2 unknown");
    bed.expect(
        "begun v2 over v1, drill of rollback, try 0.1, decided by slow, call off, \
         failed: called off, drill called off, run 0.1",
    );
    // Between two attempts there is nothing to wait for.
    let mut bed =
        Bed::new(plan(&[&DRILLED[..], &[("backoff = \"1s\"", "backoff = \"30s\"")]].concat()));
    bed.play(&format!("{BEGUN}; 6.5 drill; 6.6 failed; 7..9 sick"));
    bed.expect(
        "begun v2 over v1, drill of rollback, try 0.1, failed: exit status 1, decided by slow, \
         drill called off, run 0.1",
    );
}

#[test]
fn a_persons_rollback_calls_a_drill_off_too_and_no_drill_begins_while_it_runs() {
    let script = format!("{BEGUN}; 6.5 drill; 7 rollback; 7.5 done; 8 drill");
    let expected = "begun v2 over v1, drill of rollback, try 0.1, decided by a person, call off, \
         done, drill called off, run 0.1, (deployment d1 is being rolled back)";
    let named = script.replace("begin v2", "begin v2 id=d1");
    check(&DRILLED, &named, expected);
}

#[test]
fn a_drill_that_a_restart_or_a_stop_interrupts_is_called_off() {
    let begun = "drill of rollback, try 0.1, ";
    let script = "0..2 fine; 2.5 drill; 3 restart; 4 drill; 4.5 done";
    let again = "inspect 0.1, drill called off, drill of rollback, try 0.1, done, drill done";
    check(&DRILLED, script, &format!("{begun}{again}"));
    let script = "0..2 fine; 2.5 drill; 3 stop; 4 unknown; 5 drill";
    let stopped = "call off, failed: called off, drill called off, (the daemon is stopping)";
    check(&DRILLED, script, &format!("{begun}{stopped}"));
    check(&DRILLED, "0..2 fine; 2.5 drill; 3 lost", &format!("{begun}call off"));
}

#[test]
fn drills_are_numbered_on_and_never_share_an_id_with_a_deployment() {
    let mut bed = Bed::new(plan(&DRILLED));
    bed.play("0..2 fine; 2.5 drill; 3 done; 4 restart; 5 drill; 6 done");
    assert_eq!(bed.snapshot().drill.unwrap().drill.as_str(), "drill-2");
    bed.log.clear();
    bed.play("7 begin v2 id=drill-3");
    bed.expect("(deployment id drill-3 is one of a drill, take another)");
    assert_eq!(bed.guard.durable(), &Durable::replay(&bed.journal));
}

/// A deployment that is about to be rolled back.
const BEGUN: &str = "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine";

#[test]
fn a_rule_that_fires_runs_the_steps_once_and_the_cure_is_seen_afterwards() {
    let script = format!("{BEGUN}; 7..12 sick; 12.5 done; 13..14 sick; 15..20 fine");
    let expected = "begun v2 over v1, decided by slow, run 0.1, done, cured, report rolled back";
    check(&[], &script, expected);
}

#[test]
fn a_bake_that_is_withheld_waits_for_a_scrape_and_not_for_time() {
    let silent = "0..2 fine; 2.5 begin v2 good=v1; 3..50 fine; 100 tick; 200 tick";
    let lost = "begun v2 over v1, telemetry lost, notify tell";
    check(&[], silent, lost);
    check(&[], &format!("{silent}; 201 fine"), &format!("{lost}, telemetry back, baked v2"));
}

#[test]
fn no_two_notices_share_an_attempt_not_even_when_the_journal_was_lost() {
    let rule = "[rule.note]\nwhen = \"latency > 1\"\nthen = \"notify\"\n[rule.slow]";
    let mut bed = Bed::new(plan(&[("[rule.slow]", rule)]));
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..6 fine");
    let durable = bed.journal.clone();
    bed.play("7 sick; 7.5 lost; 8 sick");
    bed.expect("begun v2 over v1, note: notify only, notify tell, notify tell");
    bed.journal = durable;
    bed.play("20 restart; 21..22 fine; 23 sick; 23.5 told");
    bed.expect("note: notify only, notify tell, notified");
    let mut attempts = bed.notices.clone();
    attempts.remove(0); // of a record that the disk never had: nothing was run for it
    attempts.sort_by_key(|(_, attempt)| attempt.number);
    attempts.dedup();
    assert_eq!(attempts.len(), 2);
}

/// A rollback whose first attempt is under way.
const RUNNING: &str = "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine; 7..9 sick";
const RAN: &str = "begun v2 over v1, decided by slow, run 0.1";

#[test]
fn without_a_journal_no_outcome_is_awaited_any_more() {
    let mut bed = Bed::new(plan(&[]));
    bed.play(&format!("{RUNNING}; 10 lost"));
    assert!(!bed.guard.is_attempting());
    bed.play("11 done").expect(&format!("{RAN}, notify page"));
    assert!(!bed.guard.is_attempting() && !bed.guard.has_steps_to_run());
}

#[test]
fn after_a_reload_people_are_told_by_the_hook_of_that_name() {
    let page = "[hook.page]\nsteps = [ { run = [\"page\"] } ]\n";
    let first = format!("{page}[hook.rollback]");
    let mut bed = Bed::new(plan(&[(page, ""), ("[hook.rollback]", &first)]));
    bed.play(&format!("{RUNNING}; 9.5 done; 10..11 fine"));
    bed.expect(&format!("{RAN}, done, cured, report rolled back"));
    bed.reload(12.0, plan(&[])).play("13 lost").expect("reloaded, notify page");
}

#[test]
fn that_no_rule_holds_does_not_show_that_a_persons_rollback_took_effect() {
    let script = "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine; 7 rollback; 7.5 restart; 7.6 unknown";
    let ran = "begun v2 over v1, decided by a person, run 0.1, inspect 0.1, \
               unknown, nobody saw its end";
    let why = "gave up: step 1 was interrupted, nobody knows whether it took effect, the cure was \
               not seen and the step is not `idempotent`";
    let expected = format!("{ran}, {why}, notify page, report rollback failed");
    check(&[], &format!("{script}; 8..12 fine"), &expected);
    let again = [("attempts = 2", "idempotent = true")];
    let expected = format!("{ran}, run 0.2, done, cured, report rolled back");
    check(&again, &format!("{script}; 8 done; 9..12 fine"), &expected);
}

#[test]
fn a_sidecar_that_is_started_with_another_version_guards_it() {
    let sidecar = |version: &str| {
        let version = format!("arm = \"always\"\nversion = \"{version}\"\nbake");
        plan(&[("bake", &version)])
    };
    let mut bed = Bed::new(sidecar("v1"));
    bed.play("0..70 fine; 71 restart; 72..74 fine").expect("begun v1, baked v1");
    bed.plan = sidecar("v2");
    bed.play("80 restart; 81..84 fine").expect("begun v2 over v1");
    bed.play("85..87 sick; 87.5 done; 88..89 fine");
    bed.expect("decided by slow, run 0.1, done, cured, report rolled back");
    // What was rolled back stays so, whatever is restarted, and what a pipeline said holds.
    bed.play("90 restart; 91..99 sick").expect("");
    bed.play("100 begin v3; 101 restart; 102..104 fine").expect("begun v3 over v1");
}

#[test]
fn a_bake_gives_rules_that_are_new_the_time_that_they_need() {
    let slow = ("for = \"2s\"", "for = \"20s\"");
    let mut bed = Bed::new(plan(&[slow]));
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..50 fine; 51..62 sick");
    let changed = plan(&[slow, ("'latency_seconds'", "'latency_seconds{target=\"api\"}'")]);
    bed.reload(62.2, changed).play("62.8 tick; 63..84 sick");
    bed.expect("begun v2 over v1, reloaded, decided by slow, run 0.1");
}

#[test]
fn a_reload_that_changes_nothing_does_not_put_off_the_bake() {
    let slow = ("for = \"2s\"", "for = \"20s\"");
    let mut bed = Bed::new(plan(&[slow]));
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..62 fine");
    bed.reload(62.2, plan(&[slow])).play("63 fine");
    bed.expect("begun v2 over v1, reloaded, baked v2");
}

#[test]
fn the_guards_own_restarts_never_crowd_out_the_deployments_story() {
    let mut bed = Bed::new(plan(&[]));
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..8 fine");
    for _ in 0..1000 {
        bed.play("9 restart");
    }
    bed.play("10..12 sick");
    bed.set(12.5);
    let effects = bed.settle(StepResult::Done);
    bed.perform(effects);
    bed.set(13.0);
    let report = bed.scrape(Some(0.5)).into_iter().find_map(|effect| match effect {
        Effect::Report(incident) => Some(incident),
        Effect::Append(_) | Effect::Run(_) | Effect::Inspect { .. } => None,
        Effect::CallOff { .. }
        | Effect::GoAlong(_)
        | Effect::Notify(_)
        | Effect::Tell(_)
        | Effect::Pace { .. }
        | Effect::ReadLive { .. }
        | Effect::Drill(_) => None,
    });
    let told: Vec<String> = report.unwrap().entries.iter().filter_map(|e| word(&e.event)).collect();
    assert_eq!(told.join(", "), "begun v2 over v1, decided by slow, done, cured");
}

#[test]
fn a_hook_that_was_edited_to_need_what_is_not_known_is_not_gone_on_with() {
    let mut bed = Bed::new(plan(&[("\"{good}\"", "\"{version}\"")]));
    bed.play("0..5 fine; 5.5 begin v2; 6..9 fine; 10 rollback bad");
    bed.expect("begun v2, decided by a person, run 0.1");
    bed.plan = plan(&[]);
    bed.play("11 restart").expect(
        "gave up: hook rollback as it is now cannot be run: no good version, notify page, \
         report rollback failed",
    );
}

#[test]
fn a_version_that_is_rolled_back_is_not_good_any_more() {
    let hook = ("\"{good}\"", "\"{version}\"");
    let script = "0..3 fine; 3.5 begin v1; 4..70 fine; 71 begin v1; 72..75 fine; 76..78 sick; \
                  78.5 done; 79 fine; 80 begin v2";
    let rolled_back = "decided by slow, run 0.1, done, cured, report rolled back";
    check(
        &[hook],
        script,
        &format!("begun v1, baked v1, begun v1 over v1, {rolled_back}, begun v2"),
    );
}

#[test]
fn every_reason_not_to_act_can_be_given() {
    let refusal = |changes: &[(&str, &str)], script: &str| {
        let mut bed = Bed::new(plan(changes));
        bed.play(script);
        bed.refusal()
    };
    let idle = "0..3 sick";
    assert_eq!(refusal(&[], "0 tick"), "no data");
    assert_eq!(refusal(&[], idle), "guard not armed");
    assert_eq!(refusal(&[], &format!("{idle}; 4 begin v2 good=v1; 5 sick")), "warming up");
    assert_eq!(refusal(&[], &format!("{idle}; 4 begin v2 good=v1; 5..8 sick")), "set aside");
    let given = ("for = \"2s\"", "for = \"2s\"\ngiven = \"latency > 100\"");
    assert_eq!(refusal(&[given], &format!("{BEGUN}; 7 sick")), "evidence too thin");
    let mode = |mode: &'static str| ("mode = \"auto\"", mode);
    assert_eq!(refusal(&[mode("mode = \"observe\"")], BEGUN), "observing");
    assert_eq!(refusal(&[mode("mode = \"notify\"")], BEGUN), "notify only");
    let report = ("for = \"2s\"", "for = \"2s\"\nthen = \"report\"");
    assert_eq!(refusal(&[report], BEGUN), "observing");
    let notify = ("for = \"2s\"", "for = \"2s\"\nthen = \"notify\"");
    assert_eq!(refusal(&[notify], BEGUN), "notify only");
    assert_eq!(refusal(&[], "0..2 fine; 2.5 begin v2; 3..6 fine"), "no good version");
    let good = "0..2 fine; 2.5 begin v2 good=v2; 3..6 fine";
    assert_eq!(refusal(&[], good), "already at the good version");
    assert_eq!(refusal(&[], &format!("{RUNNING}; 10 sick")), "already rolled back");
    assert_eq!(refusal(&[], &format!("{BEGUN}; 7 lost")), "journal unusable");
    assert_eq!(refusal(&[], &format!("{BEGUN}; 7 end")), "guard not armed");
    assert_eq!(refusal(&[], BEGUN), "none");
}

#[test]
fn a_refusal_is_told_once_for_each_rule_and_reason_and_recorded_again_after_it_cleared() {
    let report = "report not rolled back";
    let sick = "0..2 fine; 2.5 begin v2; 3..6 fine; 7..12 sick; 13..14 fine; 15..20 sick";
    let told = format!(
        "begun v2, slow: no good version, notify tell, {report}, cleared slow, \
         slow: no good version"
    );
    check(&[], sick, &told);
    check(&[], &format!("{sick}; 21 restart; 22..25 sick"), &told);
    let observe = ("mode = \"auto\"", "mode = \"observe\"");
    check(&[observe], sick, &format!("begun v2, slow: observing, {report}"));
    let mut bed = Bed::new(plan(&[("mode = \"auto\"", "mode = \"notify\"")]));
    let told = format!("begun v2, slow: notify only, notify tell, {report}");
    bed.play(sick).expect(&format!("{told}, cleared slow, slow: notify only"));
    bed.reload(21.0, plan(&[])).play("22..24 sick");
    bed.expect("reloaded, slow: no good version, notify tell");
}

#[test]
fn what_held_before_the_deployment_began_is_set_aside_and_a_relative_rule_is_not() {
    let sick = "0..4 sick; 4.5 begin v2 good=v1; 5..9 sick; 10 fine; 11..15 sick";
    check(&[], sick, "begun v2 over v1, slow set aside");
    check(&[], &format!("{sick}; 16 restart; 17..25 sick"), "begun v2 over v1, slow set aside");
    let relative = ("for = \"2s\"", "for = \"2s\"\nrelative = true");
    check(&[relative], sick, "begun v2 over v1, decided by slow, run 0.1");
    let recovers = "0..4 sick; 4.5 begin v2 good=v1; 5 fine; 6..9 sick";
    check(&[], recovers, "begun v2 over v1, decided by slow, run 0.1");
    let no_warmup = ("warmup = \"3s\"", "warmup = \"0s\"");
    check(&[no_warmup], sick, "begun v2 over v1, slow set aside");
    // Another deployment, another chance.
    let again = "30..32 fine; 32.5 begin v3 good=v1; 33..36 fine; 37..39 sick";
    let decided = "begun v2 over v1, slow set aside, superseded, begun v3 over v1, decided by slow";
    check(&[], &format!("{sick}; {again}"), &format!("{decided}, run 0.1"));
}

#[test]
fn what_a_page_of_before_the_deployment_shows_is_set_aside_although_it_came_in_later() {
    let no_warmup = ("warmup = \"3s\"", "warmup = \"0s\"");
    let late = "0..3 fine; 4.2 begin v2 good=v1; 4.5 late; 5..9 sick";
    check(&[no_warmup], late, "begun v2 over v1, slow set aside");
    let in_time = "0..3 fine; 4.2 begin v2 good=v1; 5..9 sick";
    check(&[no_warmup], in_time, "begun v2 over v1, decided by slow, run 0.1");
}

#[test]
fn no_rule_fires_in_warm_up_and_one_that_held_since_fires_at_its_end() {
    let script = "0..2 fine; 2.5 begin v2 good=v1; 3..5 sick";
    check(&[], script, "begun v2 over v1");
    check(&[], &format!("{script}; 5.6 tick"), RAN);
    check(&[], &format!("{script}; 5.2 fine; 5.6 tick"), "begun v2 over v1");
    // A guard that was away has warmed up meanwhile, but it has seen nothing.
    check(&[], &format!("{script}; 5.3 restart; 5.6 tick; 6..7 sick"), "begun v2 over v1");
    check(&[], &format!("{script}; 5.3 restart; 5.6 tick; 6..8 sick"), RAN);
}

#[test]
fn a_version_counts_as_good_only_once_it_was_seen_to_be_fine_at_the_end_of_its_bake() {
    let slow = ("for = \"2s\"", "for = \"10s\"");
    let begun = "0..2 fine; 2.5 begin v2 good=v1; 3..55 fine";
    let baked = "begun v2 over v1, baked v2";
    check(&[slow], &format!("{begun}; 56..63 fine"), baked);
    check(&[slow], &format!("{begun}; 56..61 dark; 62..66 dark"), "begun v2 over v1");
    check(&[slow], &format!("{begun}; 56..61 dark; 62..66 dark; 67 fine"), baked);
    check(&[slow], &format!("{begun}; 56..62 sick; 63 fine"), baked);
    check(&[slow], &format!("{begun}; 56..65 sick"), "begun v2 over v1");
    check(&[slow], &format!("{begun}; 56..66 sick"), RAN);
    // At the same instant, against.
    let instant = "0..2 fine; 2 begin v2 good=v1; 3..51 fine; 52..62 sick";
    check(&[slow], instant, RAN);
    // A restart cannot shorten what every rule must have had time to see.
    let away = format!("{begun}; 61 restart; 62..70 fine");
    check(&[slow], &away, "begun v2 over v1");
    check(&[slow], &format!("{away}; 71..72 fine"), baked);
}

#[test]
fn a_version_that_no_rule_could_judge_does_not_count_as_good() {
    let blank = "0..2 fine; 2.5 begin v2 good=v1; 3..70 blank";
    let lost = "begun v2 over v1, telemetry lost, notify tell";
    check(&[], blank, lost);
    check(&[], &format!("{blank}; 71 fine"), &format!("{lost}, telemetry back, baked v2"));
    // What was judged once and is quiet now was judged.
    check(
        &[],
        "0..2 fine; 2.5 begin v2 good=v1; 3 fine; 4..63 blank",
        "begun v2 over v1, telemetry lost, notify tell, baked v2",
    );
}

#[test]
fn deployments_follow_each_other_and_no_id_is_used_twice() {
    let used = "(deployment id a was used before; at most one rollback runs for an id, \
                so take another)";
    let script = "0 fine; 1 begin v1 id=a; 2 begin v1 id=a; 3 begin v2 id=a; 4 begin v2 id=b; \
                  5 begin v1 id=a; 6 end; 7 begin v2 id=b; 8 end";
    let twice = used.replace(" a ", " b ");
    let over = "(deployment b is not guarded any more: enough)";
    let expected =
        format!("begun v1, {used}, superseded, begun v2, {used}, ended, {twice}, {over}");
    check(&[], script, &expected);
    check(&[], &format!("{script}; 9 restart; 10 begin v1 id=a"), &format!("{expected}, {used}"));
    // Two of one version in one instant get ids of their own.
    let mut bed = Bed::new(plan(&[]));
    bed.play("1 begin v1; 1 begin v1; 1 begin v1")
        .expect("begun v1, superseded, begun v1, superseded, begun v1");
}

#[test]
fn a_rollback_under_way_cannot_be_ended_begun_over_or_rolled_back_again() {
    let begin = format!("{RUNNING}; 10 begin v3 id=x; 10 end; 10 rollback");
    let mut bed = Bed::new(plan(&[]));
    bed.play(&begin);
    let id = bed.guard.deployment_id().unwrap();
    let busy = format!("(deployment {id} is being rolled back)");
    bed.expect(&format!("{RAN}, {busy}, {busy}, (refused: already rolled back)"));
    bed.play("11 done; 12 fine; 13 rollback");
    bed.expect("done, cured, report rolled back, (refused: already rolled back)");
}

#[test]
fn a_person_may_roll_back_in_every_mode_in_warm_up_and_after_the_bake() {
    let rolls = "decided by a person, run 0.1";
    for mode in ["observe", "notify", "auto"] {
        let mode = format!("mode = \"{mode}\"");
        let mode = ("mode = \"auto\"", mode.as_str());
        let begun = "0 fine; 1 begin v2 good=v1";
        check(&[mode], &format!("{begun}; 2 rollback"), &format!("begun v2 over v1, {rolls}"));
        let ended = format!("{begun}; 2 end; 3 rollback");
        check(&[mode], &ended, &format!("begun v2 over v1, ended, {rolls}"));
        let baked = format!("{begun}; 2..62 fine; 63 rollback");
        check(&[mode], &baked, &format!("begun v2 over v1, baked v2, {rolls}"));
    }
    check(&[], "0 rollback", "(no deployment has begun)");
    check(&[], "0 begin v2; 1 rollback", "begun v2, (refused: no good version)");
    check(
        &[("then = \"rollback\"", "")],
        "0 begin v2; 1 rollback",
        &format!("begun v2, ({})", "no hook to roll back with: set `then` in [deployment]"),
    );
    let control = "0 begin v2 good=v1; 1 rollback \u{1b}[2J";
    let reason = "begun v2 over v1, (a reason must be 1 to 1000 bytes of text without control \
                  characters)";
    check(&[], control, reason);
}

#[test]
fn a_cure_must_be_seen_in_time_for_its_time_and_on_samples_after_the_steps() {
    let cure = |within: &str| {
        format!(
            "cure = {{ when = \"latency < 1\", for = \"3s\", within = \"{within}\" }}\non_failure"
        )
    };
    let (cure, short) = (cure("20s"), cure("6s"));
    let (cure, short) = (("on_failure", cure.as_str()), ("on_failure", short.as_str()));
    let cured = format!("{RAN}, done, cured, report rolled back");
    check(&[cure], &format!("{RUNNING}; 9.5 done; 10..12 fine"), &format!("{RAN}, done"));
    check(&[cure], &format!("{RUNNING}; 9.5 done; 10..13 fine"), &cured);
    let flaps = format!("{RUNNING}; 9.5 done; 10..12 fine; 13 sick; 14..16 fine");
    check(&[cure], &flaps, &format!("{RAN}, done"));
    check(&[cure], &format!("{flaps}; 17 fine"), &cured);
    let failed = "gave up: the cure `latency < 1` was not seen within 6s, notify page, \
                  report rollback failed";
    let late = format!("{RUNNING}; 9.5 done; 10..14 sick; 15.6 tick; 16..30 fine");
    check(&[short], &late, &format!("{RAN}, done, {failed}"));
    let dark = format!("{RUNNING}; 9.5 done; 10..20 dark");
    check(&[short], &dark, &format!("{RAN}, done, {failed}"));
    // What was fine before the steps were done does not count, and neither does silence.
    let before = format!("{RUNNING}; 9.1 fine; 9.5 done; 10..20 dark");
    check(&[], &before, &format!("{RAN}, done"));
    let never = "gave up: the rules did not clear within 5m, notify page, report rollback failed";
    check(&[], &format!("{before}; 309.6 tick"), &format!("{RAN}, done, {never}"));
}

#[test]
fn steps_are_tried_again_only_as_far_as_they_say_so() {
    let failed = "failed: exit status 1";
    let again = format!("{RUNNING}; 9.2 failed; 10 tick");
    check(&[], &again, &format!("{RAN}, {failed}"));
    check(&[], &format!("{again}; 10.3 tick"), &format!("{RAN}, {failed}, run 0.2"));
    let gave_up = "gave up: step 1 timed out, notify page, report rollback failed";
    let twice = format!("{again}; 10.3 timeout; 11..40 sick");
    check(&[], &twice, &format!("{RAN}, {failed}, run 0.2, timed out, {gave_up}"));
    // The same outcome twice, and one of an attempt that is long over.
    let mut bed = Bed::new(plan(&[]));
    bed.play(RUNNING);
    let first = bed.awaited.clone();
    bed.play("9.2 failed; 9.3 failed; 10.3 tick").expect(&format!("{RAN}, {failed}, run 0.2"));
    bed.awaited = first;
    bed.play("10.4 done").expect("");
}

#[test]
fn a_step_cut_short_is_inspected_and_the_cure_looked_for_before_it_is_run_again() {
    let unknown = "unknown, nobody saw its end";
    let died = format!("{RUNNING}; 10 restart");
    check(&[], &died, &format!("{RAN}, inspect 0.1"));
    let never = format!("{died}; 10.5 unstarted");
    check(&[], &never, &format!("{RAN}, inspect 0.1, never started, run 0.2"));
    let there = format!("{died}; 10.5 unknown; 11 fine");
    check(&[], &there, &format!("{RAN}, inspect 0.1, {unknown}, done"));
    let cured = format!("{RAN}, inspect 0.1, {unknown}, done, cured, report rolled back");
    check(&[], &format!("{there}; 12 fine"), &cured);
    let not_there = format!("{died}; 10.5 unknown; 11..40 sick; 310.6 tick");
    let why = "step 1 was interrupted, nobody knows whether it took effect, the cure was not seen \
               and the step is not `idempotent`";
    let failed = format!("gave up: {why}, notify page, report rollback failed");
    check(&[], &not_there, &format!("{RAN}, inspect 0.1, {unknown}, {failed}"));
    // Where running it again is safe, it is soon run again.
    let again = ("attempts = 2", "idempotent = true");
    let soon = format!("{died}; 10.5 unknown; 11..20 sick; 20.6 tick");
    check(&[again], &soon, &format!("{RAN}, inspect 0.1, {unknown}, run 0.2"));
    check(&[], &soon, &format!("{RAN}, inspect 0.1, {unknown}"));
}

#[test]
fn nothing_is_begun_once_the_time_of_the_whole_hook_is_over() {
    let limit = ("[hook.rollback]", "[hook.rollback]\ntimeout = \"5s\"");
    let many = ("attempts = 2", "attempts = 9");
    let (failed, over) =
        ("failed: exit status 1", "and the hook's time limit of 5s leaves no time");
    let gave_up = |how: &str| {
        format!(
            "gave up: step 1 {how}, {over} for another attempt, notify page, report rollback failed"
        )
    };
    let tried = format!("{RUNNING}; 9.2 failed; 11 tick");
    check(&[limit, many], &tried, &format!("{RAN}, {failed}, run 0.2"));
    // A pause that would outlast the limit is not waited for.
    let late = format!("{RAN}, {failed}, run 0.2, {failed}, {}", gave_up(failed));
    check(&[limit, many], &format!("{tried}; 13.8 failed"), &late);
    // What is done is done, however late.
    let done = format!("{RAN}, {failed}, run 0.2, done, cured, report rolled back");
    check(&[limit, many], &format!("{tried}; 14.5 done; 15..16 fine"), &done);
    // The time goes on while the guard is away.
    let away = format!("{RUNNING}; 14.5 restart; 14.6 unstarted");
    let ended = format!("{RAN}, inspect 0.1, never started, {}", gave_up("never started"));
    check(&[limit, many], &away, &ended);
    let back = format!("{RUNNING}; 12 restart; 12.1 unstarted");
    let again = format!("{RAN}, inspect 0.1, never started, run 0.2");
    check(&[limit, many], &back, &again);
    // A clock that was set back gives no more than the limit once more.
    let mut bed = Bed::new(plan(&[limit, many]));
    bed.play(RUNNING);
    bed.skew_ms = -3_600_000;
    bed.play("12 restart; 12.1 unstarted").expect(&again);
    bed.play("17.5 failed").expect(&format!("{failed}, {}", gave_up(failed)));
    // What was recorded before the decision does not count, whatever the clock said then.
    let mut bed = Bed::new(plan(&[limit, many]));
    bed.play("0..2 fine; 2.5 begin v2 good=v1");
    bed.skew_ms = -3_600_000;
    bed.play("3 rollback; 4 restart; 4.1 unstarted");
    bed.expect(
        "begun v2 over v1, decided by a person, run 0.1, inspect 0.1, never started, run 0.2",
    );
}

#[test]
fn what_can_never_succeed_is_not_tried_again_and_who_asks_for_a_pause_gets_it() {
    let many = ("attempts = 2", "attempts = 9");
    let gave_up = "gave up: step 1 failed: status 404, notify page, report rollback failed";
    let never = format!("{RUNNING}; 9.2 final; 30 tick");
    check(&[many], &never, &format!("{RAN}, failed: status 404, {gave_up}"));
    let busy = format!("{RUNNING}; 9.2 busy");
    check(&[many], &format!("{busy}; 16 tick"), &format!("{RAN}, failed: status 503"));
    check(&[many], &format!("{busy}; 16.3 tick"), &format!("{RAN}, failed: status 503, run 0.2"));
    // Also across a restart, which begins it anew.
    let restarted = format!("{busy}; 12 restart; 18.9 tick");
    check(&[many], &restarted, &format!("{RAN}, failed: status 503"));
    check(
        &[many],
        &format!("{restarted}; 19.1 tick"),
        &format!("{RAN}, failed: status 503, run 0.2"),
    );
}

#[test]
fn a_notification_belongs_to_the_deployment_that_it_was_about() {
    let note = ("for = \"2s\"", "for = \"2s\"\nthen = \"notify\"");
    let mut bed = Bed::new(plan(&[note]));
    bed.play("0..2 fine; 2.5 begin v2 id=a; 3..6 fine; 7..9 sick; 9.5 begin v3 id=b; 10 told");
    let last = bed.journal.last().unwrap();
    assert_eq!(last.deployment.as_ref().unwrap().as_str(), "a");
    assert_eq!(Guard::new(bed.plan.clone(), &bed.journal).durable(), bed.guard.durable());
}

#[test]
fn a_guard_that_lost_its_journal_does_nothing_any_more_and_says_so() {
    let mut bed = Bed::new(plan(&[]));
    bed.play(&format!("{BEGUN}; 7 lost; 8 lost; 9..70 sick; 71 begin v3; 72 rollback"));
    let refused = "(refused: journal unusable)";
    bed.expect(&format!("begun v2 over v1, notify tell, {refused}, {refused}"));
    assert!(!bed.snapshot().journal_ok);
    // Nor does it spin at the end of its bake.
    bed.play("100 fine; 200 tick").expect("");
}

#[test]
fn a_restart_in_warm_up_does_not_forget_what_held_before_the_deployment_began() {
    let begun = "0..4 sick; 4.5 begin v2 good=v1; 5 sick; 5.5 restart";
    let aside = "begun v2 over v1, slow set aside";
    check(&[], &format!("{begun}; 6..20 sick"), aside);
    // However long nothing is seen of it.
    check(&[], &format!("{begun}; 6..10 dark; 11..20 sick"), aside);
    // What recovered meanwhile may speak.
    check(&[], &format!("{begun}; 6 fine; 7..10 sick"), RAN);
    let relative = ("for = \"2s\"", "for = \"2s\"\nrelative = true");
    check(&[relative], &format!("{begun}; 6..10 sick"), RAN);
    // So may what began to hold afterwards.
    let later = "0..4 fine; 4.5 begin v2 good=v1; 5 sick; 5.5 restart; 6..10 sick";
    check(&[], later, RAN);
}

#[test]
fn a_rule_that_still_fires_but_does_not_hold_now_rolls_nothing_back() {
    let keep = ("for = \"2s\"", "for = \"0s\"\nkeep_firing_for = \"1m\"");
    let begun = "0..2 fine; 2.5 begin v2 good=v1; 3..4 sick";
    check(&[keep], &format!("{begun}; 5 fine; 5.6 tick; 6..10 fine"), "begun v2 over v1");
    let at_once = ("for = \"2s\"", "for = \"0s\"");
    let blind = format!("{begun}; 5 blank; 5.6 tick; 6..10 blank");
    check(&[at_once], &blind, "begun v2 over v1");
    // What holds, or holds again, is acted on.
    check(&[at_once], &format!("{begun}; 5.6 tick"), RAN);
    check(&[at_once], &format!("{blind}; 11 sick"), RAN);
    // So is an absence that counts as holding.
    let breach = ("for = \"2s\"", "for = \"0s\"\non_no_data = \"breach\"");
    check(&[breach], &format!("{begun}; 5 blank; 5.6 tick"), RAN);
}

#[test]
fn a_restarted_guard_takes_a_window_that_is_filling_for_no_cure() {
    let window = ("'latency_seconds'", "'latency_seconds'\nover = \"avg\"\nwindow = \"10s\"");
    let running = "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine; 7..16 sick";
    let cut = format!("{running}; 20 restart; 20.5 unknown");
    let ran = format!("{RAN}, inspect 0.1, {}", StepResult::Unknown);
    let cured = "done, cured, report rolled back";
    check(&[window], &format!("{cut}; 21..29 fine"), &ran);
    check(&[window], &format!("{cut}; 21..40 fine"), &format!("{ran}, {cured}"));
    // What may be run again is run again rather than long looked at.
    let again = ("attempts = 2", "attempts = 2, idempotent = true");
    check(&[window, again], &format!("{cut}; 21..31 fine"), &format!("{ran}, run 0.2"));
    let done = format!("{running}; 17 done; 20 restart");
    check(&[window], &format!("{done}; 21..29 fine"), &format!("{RAN}, done"));
    check(&[window], &format!("{done}; 21..40 fine"), &format!("{RAN}, {cured}"));
}

#[test]
fn a_reload_in_warm_up_does_not_forget_what_held_before_the_deployment_began() {
    let held = |script: &str, expected: &str| {
        let mut bed = Bed::new(plan(&[]));
        bed.play("0..4 sick; 4.5 begin v2 good=v1; 5 sick");
        bed.reload(5.2, plan(&[("for = \"2s\"", "for = \"1s\"")]));
        bed.play(script).expect(expected);
    };
    held("6..20 sick", "begun v2 over v1, reloaded, slow set aside");
    held("6 fine; 7..10 sick", "begun v2 over v1, reloaded, decided by slow, run 0.1");
    // What began to hold afterwards may speak.
    let mut bed = Bed::new(plan(&[]));
    bed.play("0..4 fine; 4.5 begin v2 good=v1; 5 sick");
    bed.reload(5.2, plan(&[("for = \"2s\"", "for = \"1s\"")]));
    bed.play("6..20 sick").expect("begun v2 over v1, reloaded, decided by slow, run 0.1");
}

#[test]
fn a_guard_that_was_held_up_does_not_take_its_own_absence_for_that_of_data() {
    let check = |hold: &str, before: &str, since: &str, expected: &str| {
        let breach = format!("for = \"{hold}\"\non_no_data = \"breach\"");
        let mut bed = Bed::new(plan(&[("for = \"2s\"", &breach)]));
        bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..7 fine").play(before);
        // Neither scrapes nor ticks: the disk hung, or the machine stood still.
        bed.tick(Instant::from_millis(30_000));
        bed.play(since);
        assert_eq!(bed.log.join(", "), expected, "{hold} {before} {since}");
    };
    let nothing = "begun v2 over v1";
    check("0s", "8 fine", "30.1 fine; 31..40 fine", nothing);
    check("10s", "8..9 sick", "30.1 fine; 31..40 fine", nothing);
    check("10s", "8..9 sick", "30.1 sick; 31..38 sick", nothing);
    check("10s", "8..9 sick", "30.1 sick; 31..40 sick", RAN);
    // Whoever looks again and sees nothing has seen that there is nothing.
    check("0s", "8 fine", "30.1 dark", RAN);
    check("10s", "8..9 sick", "30.1 dark; 31..40 dark", RAN);
}

/// A page of one gauge for each of `groups`, whose names are about `long` bytes.
fn grouped(groups: usize, long: usize, latency: f64) -> Page {
    let mut page = Page::default();
    for group in 0..groups {
        let path = format!("{group:04}{}", "\\\\\\\"".repeat(long / 2));
        page.push(&format!("latency_seconds{{path=\"{path}\"}}"), latency, None);
    }
    page
}

#[test]
fn what_a_rollback_rests_on_fits_the_journal_however_many_rules_and_groups_there_are() {
    let many = |count: usize| -> String {
        let rules = (0..count).map(|n| format!("[rule.slow-{n}]\nwhen = \"latency > 2\"\n"));
        rules.collect()
    };
    let rules = format!("[rule.slow]{}\n{}[rule.last]", "\nwhen = \"latency > 2\"", many(3_900));
    let rules = ("[rule.slow]", rules.as_str());
    let decided = "begun v2 over v1, decided by slow, run 0.1";
    check(&[rules], "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine; 7..9 sick", decided);

    let by = "'latency_seconds'\nby = [\"path\"]\nacross = \"max\"\n\
              [signal.latency.baseline]\nmin_readings = 1";
    let needs = "latency > 2 && latency > latency.baseline + 1";
    let rules = format!("[rule.slow]\nwhen = \"{needs}\"\n{}[rule.last]", many(100));
    let plan = plan(&[("'latency_seconds'", by), ("[rule.slow]", &rules)]);
    // What is known of so many groups with such names is too much to be kept, and not acted on.
    for (long, decided_by) in [(20, "slow"), (900, "slow-0")] {
        let mut bed = Bed::new(plan.clone());
        for second in 0..12 {
            bed.set(f64::from(second));
            let latency = if second < 8 { 0.5 } else { 5.0 };
            let effects = bed.scrape_page(Ok(grouped(600, long, latency)));
            bed.perform(effects);
            if second == 3 {
                bed.play("3.5 begin v2 good=v1");
            }
        }
        bed.expect(&format!("begun v2 over v1, decided by {decided_by}, run 0.1"));
    }
}

#[test]
fn what_held_before_the_deployment_began_is_set_aside_in_later_stages_too() {
    let staged = ("for = \"2s\"", "for = \"2s\"\nstages = [\"full\"]");
    let begun = "0..4 sick; 4.5 begin v2 good=v1; 5..8 sick";
    let aside = "begun v2 over v1, slow set aside, in stage full";
    check(&[staged], &format!("{begun}; 9 stage full; 10..20 sick"), aside);
    // Entered in warm-up, without one, and by a guard that was restarted.
    let early = "0..4 sick; 4.5 begin v2 good=v1; 5 sick; 6 stage full; 7..20 sick";
    check(&[staged], early, "begun v2 over v1, in stage full, slow set aside");
    let no_warmup = ("warmup = \"3s\"", "warmup = \"0s\"");
    check(&[staged, no_warmup], &format!("{begun}; 9 stage full; 10..20 sick"), aside);
    check(&[staged], &format!("{begun}; 8.5 restart; 9 stage full; 10..20 sick"), aside);
    let early = "0..4 sick; 4.5 begin v2 good=v1; 5 stage full; 6 sick; 6.5 restart; 7..20 sick";
    check(&[staged], early, "begun v2 over v1, in stage full, slow set aside");
    // What recovered before may speak in its stage, and so may what began to hold afterwards.
    let recovers = "0..4 sick; 4.5 begin v2 good=v1; 5..8 fine; 9 stage full; 10..12 sick";
    check(&[staged], recovers, "begun v2 over v1, in stage full, decided by slow, run 0.1");
    let later = "0..4 fine; 4.5 begin v2 good=v1; 5..8 sick; 9 stage full; 10..12 sick";
    check(&[staged], later, "begun v2 over v1, in stage full, decided by slow, run 0.1");
}

/// The base with its signal read by path.
fn by_path(rule: &str) -> Arc<Plan> {
    plan(&[
        ("'latency_seconds'", "'latency_seconds'\nby = [\"path\"]\nacross = \"max\""),
        ("for = \"2s\"", rule),
    ])
}

impl Bed {
    /// Takes in a page of these paths and latencies.
    fn paths(&mut self, second: f64, paths: &[(&str, f64)]) -> &mut Self {
        self.set(second);
        let mut page = Page::default();
        for (path, latency) in paths {
            page.push(&format!("latency_seconds{{path=\"{path}\"}}"), *latency, None);
        }
        let effects = self.scrape_page(Ok(page));
        self.perform(effects);
        self
    }
}

#[test]
fn that_a_rule_fired_in_one_group_and_holds_in_another_rolls_nothing_back() {
    let begin = |rule: &str| {
        let mut bed = Bed::new(by_path(rule));
        bed.paths(0.0, &[("/a", 0.5)]).play("2.5 begin v2 good=v1");
        // It fires for one in warm-up.
        bed.paths(3.0, &[("/a", 5.0)]).paths(4.0, &[("/a", 5.0)]);
        bed
    };
    let mut vanished = begin("for = \"1s\"");
    vanished.paths(5.0, &[("/b", 5.0)]).play("5.6 tick").paths(6.0, &[("/b", 0.5)]);
    vanished.expect("begun v2 over v1");
    let mut kept = begin("for = \"1s\"\nkeep_firing_for = \"1m\"");
    kept.paths(5.0, &[("/a", 0.5), ("/b", 5.0)]).play("5.6 tick").expect("begun v2 over v1");
    kept.paths(6.0, &[("/a", 0.5), ("/b", 5.0)]).expect("decided by slow, run 0.1");
}

#[test]
fn a_restart_or_a_reload_does_not_bring_lost_telemetry_back() {
    let lost = "begun v2 over v1, telemetry lost, notify tell";
    let begun = "0..2 fine; 2.5 begin v2 good=v1; 3..6 fine";
    for dark in ["dark", "blank"] {
        let script = format!("{begun}; 7..40 {dark}");
        check(&[], &format!("{script}; 40.5 restart; 41..59 {dark}"), lost);
        let mut bed = Bed::new(plan(&[]));
        bed.play(&script).reload(40.5, plan(&[("latency > 2", "latency > 3")]));
        bed.play(&format!("41..59 {dark}")).expect(&format!("{lost}, reloaded"));
        bed.play("60 fine").expect("telemetry back");
    }
}

#[test]
fn a_rule_that_changes_back_has_its_baseline_again() {
    let before = "'latency_seconds'\n[signal.latency.baseline]\nmin_readings = 2";
    let needs = ("latency > 2", "latency > 2 && latency > 2 * latency.baseline");
    let good = plan(&[("'latency_seconds'", before), needs]);
    let other = before.replace("latency_seconds'", "other'");
    let bad = plan(&[("'latency_seconds'", &other), needs]);
    let mut bed = Bed::new(good.clone());
    bed.play("0..2 fine; 2.5 begin v2 good=v1; 3..6 fine");
    bed.reload(7.0, bad).play("8..9 sick").reload(10.0, good).play("11..14 sick");
    bed.expect("begun v2 over v1, reloaded, reloaded, decided by slow, run 0.1");
}

/// Two channels; without a hook that tells people.
const CHANNELS: (&str, &str) = (
    "notify = \"tell\"",
    "[notify.one]\nwebhook = { url = \"http://h/1\" }\n[notify.two]\nwebhook = { url = \"http://h/2\" }",
);

#[test]
fn every_change_is_told_once_and_after_it_is_on_record() {
    let script = format!("{BEGUN}; 7..9 sick; 9.5 done; 10..20 fine");
    let expected = "begun v2 over v1, news begun, decided by slow, news decided, run 0.1, done, \
                    cured, news rolled_back, report rolled back";
    check(&[CHANNELS], &script, expected);
    let ends = "0 fine; 1 begin v2 good=v1; 2 fine; 3 stage canary; 4 end; 5 begin v3; 6 begin v4";
    let expected = "begun v2 over v1, news begun, in stage canary, news stage, ended, news ended, \
                    begun v3, news begun, superseded, news superseded, begun v4, news begun";
    check(&[CHANNELS], ends, expected);
}

#[test]
fn a_restarted_guard_tells_again_what_is_fresh_or_still_open_and_knows_who_heard() {
    let failed = format!("{BEGUN}; 7..9 sick; 9.5 failed; 10..11 sick; 11.5 failed");
    let mut bed = Bed::new(plan(&[CHANNELS]));
    bed.play(&failed).play("12 heard one; 13 heard two; 13.5 told");
    bed.log.clear();
    bed.play("14 restart");
    bed.expect("again begun told to 0, again decided told to 0, again failed told to 2");
    // Long after it only what is still wrong is worth telling.
    bed.play("5000 restart").expect("again failed told to 2");
    // Who is new hears of it too; what is over is not told.
    bed.reload(5001.0, plan(&[CHANNELS]));
    bed.expect("reloaded, again failed told to 2");
    bed.play("5002 begin v3 good=v1; 5003 restart");
    bed.expect("begun v3 over v1, news begun, again begun told to 0");
}

#[test]
fn a_rule_that_comes_and_goes_is_told_eight_times() {
    let warning = ("for = \"2s\"", "for = \"0s\"\nseverity = \"warning\"");
    let mut bed = Bed::new(plan(&[CHANNELS, warning]));
    bed.play(BEGUN);
    for turn in 0..20 {
        bed.play(&format!("{} sick; {} fine", 7 + 2 * turn, 8 + 2 * turn));
    }
    let count = |word: &str| bed.log.iter().filter(|entry| *entry == word).count();
    assert_eq!((count("news firing"), count("news cleared")), (8, 8));
}

#[test]
fn a_journal_that_is_lost_is_told_and_nothing_after_it() {
    let lost = format!("{BEGUN}; 7 lost; 8..12 sick");
    check(&[CHANNELS], &lost, "begun v2 over v1, news begun, news journal_lost");
}
