//! What `rollguard status` prints. The first three lines say what is going on and what is to be
//! done; the rest says why. The sentences that an operator reads first are wrapped, never cut: half
//! an advice is worse than none.

use crate::engine::effect::Pace;
use crate::engine::view::health::{Health, colour, of_rule, of_rules};
use crate::engine::view::snapshot::{
    ApprovalStatus, DeploymentStatus, GuardState, LiveStatus, RuleStatus, SignalStatus, Snapshot,
    TargetStatus,
};
use crate::engine::view::stage::StageStanding;
use crate::model::deployment::Mode;
use crate::model::entry::{Decision, Refusal, RuleStanding, Trigger};
use crate::model::rule::Severity;
use crate::model::signal::Unit;
use crate::model::time::Timestamp;

use super::drill::last_drill;
use super::line::{
    Paint, Screen, Style, after, clip, count, duration_ms, list, more, names, pad, plain, span,
    span_ms, width,
};
use super::number::{comparisons, number, shown};
use super::people;

/// The most groups of a signal or a rule that are shown; the JSON has more.
const MAX_GROUPS: usize = 4;

/// The most rules that are named as seeing nothing; they tend to share one target.
const MAX_LOST: usize = 4;

/// Columns of the words at the left of the head.
const LABEL: usize = 9;

/// Columns that a name may take within a sentence.
const NAME: usize = 24;

/// The last steps of a story that a person may have to tell the guard.
const BY_HAND: &str = "`rollguard rollback --reason ...` rolls back at once";

/// The whole status.
pub fn status(snapshot: &Snapshot, style: Style) -> String {
    let mut page = Screen::new(style);
    let (now, deployment) = (snapshot.at, snapshot.deployment.as_ref());
    // Never silently: whoever looks at anything sees this first.
    let pause = snapshot.paused.as_ref().map(|pause| people::paused(pause, now));
    page.pair("PAUSED", pause, Paint::Yellow);
    head(&mut page, snapshot);
    if let Some(deployment) = deployment {
        about_deployment(&mut page, deployment, now);
    }
    if let Some(live) = &snapshot.live {
        about_live(&mut page, live, deployment);
    }
    let mode = match snapshot.mode {
        Mode::Observe => "observe: says what it would do, acts only when it is asked to",
        Mode::Notify => "notify: tells people, acts only when it is asked to",
        Mode::Confirm => "confirm: asks people, rolls back when one approves",
        Mode::Auto => "auto: rolls back by itself",
    };
    page.pair("mode", Some(mode), Paint::Plain);
    // What keeps rollguard from acting, or a version from being deployed.
    let budget = Some(snapshot.budget).filter(|budget| budget.spent > 0);
    page.pair("budget", budget.map(people::budget), Paint::Plain);
    let bad = people::quarantine(&snapshot.quarantine);
    page.pair("bad", bad.map(|bad| format!("rolled back: {bad}")), Paint::Plain);
    let drill = snapshot.drill.as_ref().map(|drill| last_drill(drill, now));
    page.pair("drill", drill, Paint::Plain);
    page.title("TARGET", "STATE");
    snapshot.targets.iter().for_each(|target| about_target(&mut page, target));
    page.title("SIGNAL", "READING");
    about_signals(&mut page, &snapshot.signals);
    page.title("RULE", "STATE");
    snapshot.rules.iter().for_each(|rule| about_rule(&mut page, rule, snapshot));
    page.into_text()
}

impl Screen {
    /// Adds a word of the head and what it stands for, where that is known, on as many lines as
    /// that takes.
    fn pair(&mut self, label: &str, value: Option<impl AsRef<str>>, paint: Paint) {
        if let Some(value) = value {
            self.beside(&[(Paint::Dim, &pad(label, LABEL))], value.as_ref(), paint);
        }
    }

    /// Adds the row of a rule: its state, `unknown` where nothing is seen of it, and `rest`.
    pub(super) fn rule(&mut self, rule: &RuleStatus, rest: &str) {
        let is_unknown = rule.evidence.state == RuleStanding::Inactive && rule.no_data.is_some();
        let state = rule.evidence.state.to_string();
        let state = if is_unknown { "unknown" } else { &state };
        self.row(rule.evidence.rule.as_str(), of_rule(rule).paint(), &pad(state, 8), rest);
    }
}

fn head(page: &mut Screen, snapshot: &Snapshot) {
    let colour = colour(snapshot);
    let versions = snapshot.deployment.as_ref().map(versions).unwrap_or_default();
    page.line(&[
        (colour.paint(), &pad(&colour.name().to_uppercase(), LABEL)),
        (Paint::Bold, &clip(&snapshot.service, 24)),
        (Paint::Plain, ": "),
        (Paint::Bold, &snapshot.state.to_string()),
        (Paint::Plain, &versions),
    ]);
    page.pair("now", Some(what(snapshot)), Paint::Plain);
    // The rules that see nothing any more.
    let lost = snapshot.deployment.iter().flat_map(|deployment| &deployment.lost);
    let lost = names(lost.take(MAX_LOST)).map(|names| format!("no readings for {names}"));
    page.pair("unseen", lost, Paint::Bold);
    page.pair("to do", Some(advice(snapshot)), Paint::Bold);
}

fn versions(deployment: &DeploymentStatus) -> String {
    let version = clip(deployment.version.as_str(), 20);
    let stage = deployment.stage.as_ref().map(|stage| clip(stage.as_str(), 20));
    let good = deployment.good.as_ref().map_or("NO GOOD VERSION".to_owned(), |good| {
        format!("good version {}", clip(good.as_str(), 20))
    });
    format!("{}, version {version}, {good}", after(", stage ", stage))
}

fn about_deployment(page: &mut Screen, deployment: &DeploymentStatus, now: Timestamp) {
    let DeploymentStatus { id, begun, warm_at, withheld, bakes_at, why, .. } = deployment;
    let left = |until: Timestamp| format!("{} left", span(until.since(now)));
    page.line(&[]);
    page.pair("deploy", Some(id.as_str()), Paint::Plain);
    page.pair("begun", Some(format!("{begun}, {} ago", span(now.since(*begun)))), Paint::Plain);
    page.pair("terms", people::terms(deployment), Paint::Yellow);
    let warm = warm_at.map(|warm| format!("{}, until then no rule can fire", left(warm)));
    page.pair("warm-up", warm, Paint::Plain);
    about_stages(page, deployment);
    match withheld {
        Some(why) => page.pair("bake", Some(format!("over, but withheld: {why}")), Paint::Yellow),
        None => page.pair("bake", bakes_at.map(left), Paint::Plain),
    }
    let decided = deployment.decision.as_ref().zip(deployment.decided_at);
    let decided = decided.map(|(decision, at)| format!("{at}: {}", self::decided(decision)));
    page.pair("decided", decided, Paint::Plain);
    page.pair("why", why.as_ref(), Paint::Plain);
}

/// The stages that are done, the one that the deployment is in, and those to come.
fn about_stages(page: &mut Screen, deployment: &DeploymentStatus) {
    let all = |standing: StageStanding| {
        let all = deployment.stages.iter().filter(move |stage| stage.standing == standing);
        names(all.map(|stage| &stage.stage))
    };
    page.pair("done", all(StageStanding::Done), Paint::Plain);
    for stage in &deployment.stages {
        let (clean, hold) = (span_ms(stage.clean_ms), span_ms(stage.hold_ms));
        let why = after(", ", stage.why.as_ref());
        let (text, paint) = match stage.standing {
            StageStanding::Done | StageStanding::Next => continue,
            StageStanding::Passed => ("passed".to_owned(), Paint::Green),
            StageStanding::Watched => (format!("clean for {clean} of {hold}{why}"), Paint::Plain),
            StageStanding::Entering => (format!("{}{why}", stage.standing), Paint::Plain),
            StageStanding::NotEntered => (format!("NOT ENTERED{why}"), Paint::Yellow),
        };
        page.pair("stage", Some(format!("{}: {text}", stage.stage)), paint);
    }
    page.pair("next", all(StageStanding::Next), Paint::Plain);
}

/// The live version, and how it stands to the deployment.
fn about_live(page: &mut Screen, live: &LiveStatus, deployment: Option<&DeploymentStatus>) {
    let (mut why, mut paint) = (String::new(), Paint::Plain);
    let (version, other) = match (&live.version, deployment) {
        (None, _) => {
            why = format!(": {}", live.unknown.as_deref().unwrap_or("not read yet"));
            paint = Paint::Yellow;
            ("unknown", "")
        }
        (Some(version), Some(of)) if *version == of.version => (version.as_str(), ""),
        (Some(version), Some(of)) if Some(version) == of.good.as_ref() => {
            (version.as_str(), ", the good version")
        }
        (Some(version), Some(_)) => {
            paint = Paint::Yellow;
            (version.as_str(), ", neither the judged nor the good version")
        }
        (Some(version), None) => (version.as_str(), ""),
    };
    let age = ago(", read ", live.age_s);
    let waits = if live.comparing { "; a rollback waits for it to be read" } else { "" };
    page.pair("live", Some(format!("{version}{other}{age}{why}{waits}")), paint);
}

/// How long ago something was read; empty where that is not known.
fn ago(before: &str, age_s: Option<f64>) -> String {
    after(before, age_s.map(|age| format!("{} ago", number(age, Some(Unit::Seconds)))))
}

fn decided(decision: &Decision) -> String {
    let by = match decision.trigger.rule() {
        Some(rule) => format!("rule {}", rule.rule),
        None => format!("a person, {}", decision.trigger.reason()),
    };
    let approved = after(", ", decision.approval.as_ref().map(people::approved));
    format!("hook {} by {by}{approved}", decision.hook)
}

fn about_target(page: &mut Screen, target: &TargetStatus) {
    let age = ago(", ", target.age_s);
    match (target.up, &target.failure) {
        (None, _) => page.row(&target.name, Paint::Grey, "not scraped yet", ""),
        (Some(_), Some(failure)) => {
            page.row(&target.name, Paint::Red, "DOWN", &format!("{age}: {}", failure.class));
            page.below(&failure.detail);
        }
        (Some(_), None) => {
            let took = number(target.took_s, Some(Unit::Seconds));
            let malformed = Some(target.malformed).filter(|count| *count > 0);
            let malformed = malformed.map(|count| format!(", {count} malformed"));
            let malformed = malformed.unwrap_or_default();
            let rest = format!("{age}, took {took}, {} samples{malformed}", target.samples);
            page.row(&target.name, Paint::Green, "up", &rest);
        }
    }
    // How often it is sampled, where that is not as configured or not as wanted.
    let sharpened = format!("sharpened to {}", duration_ms(target.interval_ms));
    match target.pace {
        Pace::Plain => {}
        Pace::Sharpened => page.below(&sharpened),
        Pace::Slow if target.sharpened => page.below(&format!("{sharpened}: {}", target.pace)),
        Pace::Slow | Pace::Failing => page.below(&format!("not sharpened: {}", target.pace)),
    }
}

/// A signal that is read by labels has a line of its own and some for its groups. Those of what is
/// derived from it are left out: they are as many again, and rules show what they are compared
/// with.
fn about_signals(page: &mut Screen, signals: &[SignalStatus]) {
    for same in signals.chunk_by(|a, b| a.reading.signal == b.reading.signal) {
        let Some(first) = same.first() else { continue };
        let name = &first.reading.signal;
        if first.reading.group.is_none() {
            about_signal(page, name.as_str(), first);
            continue;
        }
        page.row(name.as_str(), Paint::Plain, &count(same.len(), "group"), "");
        let shown = if name.is_derived() { 0 } else { MAX_GROUPS };
        for signal in same.iter().take(shown) {
            let group = signal.reading.group.as_deref().unwrap_or_default();
            about_signal(page, &format!("  {group}"), signal);
        }
        if same.len() > shown && shown > 0 {
            page.below(more(same.len() - shown).trim_start());
        }
    }
}

fn about_signal(
    page: &mut Screen,
    name: &str,
    SignalStatus { reading, unit, description }: &SignalStatus,
) {
    let shown = plain(&shown(reading, *unit));
    let paint = if reading.value.is_some() { Paint::Plain } else { Paint::Grey };
    let text = after("  ", description.as_ref());
    page.row(name, paint, &pad(&shown, 12.max(width(&shown))), &text);
}

fn about_rule(page: &mut Screen, rule: &RuleStatus, snapshot: &Snapshot) {
    let evidence = &rule.evidence;
    let (held, hold) = (span_ms(evidence.held_ms), span_ms(evidence.for_ms));
    page.rule(rule, &format!(" {held} of {hold}  {}", readings(rule, snapshot)));
    for group in evidence.groups.iter().take(MAX_GROUPS) {
        page.below(&format!("{}: {} {}", group.group, group.state, span_ms(group.held_ms)));
    }
    let refusal = rule.refusal.map(|refusal| refusal.to_string());
    let new = rule.no_data.as_ref().filter(|why| Some(*why) != refusal.as_ref());
    let why = new.map(|why| format!(" ({why})")).unwrap_or_default();
    let then = match (refusal, snapshot.mode) {
        (Some(refusal), _) => format!("nothing would be done: {refusal}"),
        (None, Mode::Confirm) => "asks for a rollback when it fires".to_owned(),
        (None, Mode::Observe | Mode::Notify | Mode::Auto) => "rolls back when it fires".to_owned(),
    };
    page.below(&format!("{then}{why}"));
}

/// What is going on.
fn what(snapshot: &Snapshot) -> String {
    if !snapshot.journal_ok {
        return "the journal cannot be written, so nothing will be done any more".to_owned();
    }
    let deployment = snapshot.deployment.as_ref();
    let known = deployment.and_then(|deployment| match snapshot.state {
        GuardState::RollingBack => {
            let step = deployment.step.map(|(step, of)| format!(", step {step} of {of}"));
            let step = step.unwrap_or_default();
            Some(format!("rolling back{step}, because {}", cause(deployment)))
        }
        GuardState::Verifying => {
            Some(format!("rolled back, looking for the cure, because {}", cause(deployment)))
        }
        GuardState::RollbackFailed => {
            let why = deployment.why.as_deref().unwrap_or("see below");
            Some(format!("the rollback failed: {why}"))
        }
        GuardState::AwaitingApproval => Some(asks(deployment.approval.as_ref()?, snapshot.at)),
        GuardState::RolledBack => {
            Some(format!("it was rolled back, because {}", cause(deployment)))
        }
        GuardState::Idle | GuardState::Guarding | GuardState::Baked | GuardState::Ended => None,
    });
    known.unwrap_or_else(|| of_worst_rule(snapshot))
}

fn worst_rule(snapshot: &Snapshot) -> Option<&RuleStatus> {
    // The first of equals: `max_by_key` would take the last.
    snapshot.rules.iter().rev().max_by_key(|rule| (of_rule(rule), rule.evidence.state as u8))
}

fn of_worst_rule(snapshot: &Snapshot) -> String {
    let Some(rule) = worst_rule(snapshot) else { return "no rules are configured".to_owned() };
    let evidence = &rule.evidence;
    let (name, readings) = (clip(evidence.rule.as_str(), NAME), readings(rule, snapshot));
    match evidence.state {
        RuleStanding::Inactive if of_rule(rule) == Health::Unknown => {
            format!("rule {name} cannot tell: {}", rule.no_data.as_deref().unwrap_or("no data"))
        }
        RuleStanding::Inactive if snapshot.rules.len() == 1 => "the rule does not hold".to_owned(),
        RuleStanding::Inactive => format!("none of the {} rules holds", snapshot.rules.len()),
        RuleStanding::Pending => {
            let (held, hold) = (span_ms(evidence.held_ms), span_ms(evidence.for_ms));
            format!("rule {name} has held {held} of {hold}: {readings}")
        }
        RuleStanding::Firing => format!("rule {name} fires: {readings}"),
    }
}

/// A rule's comparisons in a row, each cut so that one of them cannot take the line.
fn readings(rule: &RuleStatus, snapshot: &Snapshot) -> String {
    let unit =
        |name: &_| snapshot.signals.iter().find(|signal| signal.reading.signal == *name)?.unit;
    let all = list(comparisons(&rule.evidence, unit).iter().map(|all| clip(&all.named(), 46)));
    if all.is_empty() { rule.evidence.when.clone() } else { all }
}

fn cause(deployment: &DeploymentStatus) -> String {
    match deployment.decision.as_ref().map(|decision| &decision.trigger) {
        Some(Trigger::Rule(rule)) => {
            format!("rule {} held for {}", clip(rule.rule.as_str(), NAME), span_ms(rule.for_ms))
        }
        Some(Trigger::Person { reason, .. }) => format!("a person said so: {}", clip(reason, 60)),
        None => "it was decided so".to_owned(),
    }
}

/// What is to be done.
fn advice(snapshot: &Snapshot) -> String {
    if !snapshot.journal_ok {
        return "watch the service yourself; make room on the disk, then restart rollguard".into();
    }
    let good = snapshot.deployment.as_ref().and_then(|deployment| deployment.good.as_ref());
    let good = good.map_or("the good version".to_owned(), |good| clip(good.as_str(), NAME));
    let bad = matches!(of_rules(snapshot), Health::Yellow | Health::Red);
    match snapshot.state {
        GuardState::Idle if bad => {
            "look into it: no deployment is guarded, so rollguard will do nothing".to_owned()
        }
        GuardState::Baked | GuardState::Ended if bad => {
            format!("decide: it is not guarded any more, so rollguard does nothing; {BY_HAND}")
        }
        GuardState::RolledBack if bad => {
            "look into it: the cure was seen, and now a rule holds again or still".to_owned()
        }
        GuardState::Idle => "nothing; `rollguard deploy begin` starts the guarding".to_owned(),
        GuardState::Guarding => while_guarding(snapshot, &good),
        GuardState::AwaitingApproval => how_to_answer(snapshot, &good),
        GuardState::RollingBack | GuardState::Verifying => {
            format!("wait; rollguard is bringing {good} back and looks whether it helps")
        }
        GuardState::RolledBack => {
            "nothing now; read the report, and find out why the version was bad".to_owned()
        }
        GuardState::RollbackFailed => {
            format!("act now: bring {good} back by hand; rollguard will not try a second time")
        }
        GuardState::Baked => format!("nothing; if it turns out bad after all, {BY_HAND}"),
        GuardState::Ended => "nothing; this deployment is not guarded any more".to_owned(),
    }
}

fn while_guarding(snapshot: &Snapshot, good: &str) -> String {
    match colour(snapshot) {
        Health::Green => return "nothing".to_owned(),
        Health::Unknown => {
            return "find out why there is no data: what is not seen is not guarded".to_owned();
        }
        Health::Yellow | Health::Red => {}
    }
    let worst = worst_rule(snapshot);
    let Some(rule) = worst.filter(|rule| rule.evidence.severity == Severity::Critical) else {
        return format!("watch it: warnings never roll back; {BY_HAND}");
    };
    let rest = span_ms(rule.evidence.for_ms.saturating_sub(rule.evidence.held_ms));
    let then = match rule.refusal {
        None if snapshot.mode == Mode::Confirm => {
            return format!("be ready; rollguard asks for a rollback if this goes on for {rest}");
        }
        None => return format!("nothing; rollguard brings {good} back if this goes on for {rest}"),
        Some(Refusal::SetAside) => {
            return "look into it: it held before this deployment, which is not to blame"
                .to_owned();
        }
        Some(Refusal::NoGoodVersion) => {
            "; bring one back by hand, and begin the next deployment with `--good`".to_owned()
        }
        Some(Refusal::Paused) => format!(" until the pause ends; {BY_HAND}"),
        Some(Refusal::Irreversible) => {
            "; if going back does less harm, `rollguard rollback --force \
                                        --reason ...` goes back"
                .to_owned()
        }
        Some(_) => format!("; {BY_HAND}"),
    };
    let refusal = rule.refusal.map(|refusal| refusal.to_string()).unwrap_or_default();
    format!("decide: rollguard will do nothing ({refusal}){then}")
}

/// What a rule asks, for a status.
fn asks(approval: &ApprovalStatus, now: Timestamp) -> String {
    let name = clip(approval.rule.as_str(), NAME);
    let holds = match approval.holds {
        Some(true) => "still holds",
        Some(false) => "does NOT hold any more",
        None => "cannot be judged now",
    };
    let ago = span(now.since(approval.asked));
    format!("rule {name} asked for a rollback {ago} ago, and {holds}")
}

/// What people can do about it.
fn how_to_answer(snapshot: &Snapshot, good: &str) -> String {
    let deployment = snapshot.deployment.as_ref();
    let version = deployment.map(|known| clip(known.version.as_str(), NAME)).unwrap_or_default();
    let approval = deployment.and_then(|known| known.approval.as_ref());
    let otherwise = approval.map(|ApprovalStatus { until, default, .. }| {
        let rest = span(until.since(snapshot.at));
        format!("; without an answer in {rest} {}", people::otherwise(*default))
    });
    format!(
        "decide: `rollguard approve` brings {good} back, `rollguard deny --reason ...` keeps \
         {version}{}",
        otherwise.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::Comparison;
    use crate::model::name::{DeploymentId, HookName, RuleName, SignalName, Version};
    use crate::model::scrape::{Failure, FailureClass};
    use crate::render::line::WIDTH;
    use crate::render::tests::{rule, rule_status, signal, snapshot};
    use proptest::prelude::*;

    fn pending() -> Snapshot {
        let mut seen = snapshot();
        let evidence =
            rule("error_rate > 5%", &[signal("error_rate", 0.198)], &[(0.198, ">", 0.05)]);
        seen.rules[0] = RuleStatus { evidence, ..rule_status() };
        seen.rules[0].evidence.state = RuleStanding::Pending;
        seen.rules[0].evidence.held_ms = 2_000;
        let target = &mut seen.targets[0];
        (target.interval_ms, target.sharpened, target.pace) = (100, true, Pace::Sharpened);
        seen
    }

    fn top(snapshot: &Snapshot) -> Vec<String> {
        status(snapshot, Style::Plain).lines().take(3).map(str::to_owned).collect()
    }

    #[test]
    fn a_healthy_deployment_reads_like_this() {
        let golden = include_str!("../../tests/golden/status-green.txt");
        assert_eq!(status(&snapshot(), Style::Plain), golden);
    }

    #[test]
    fn a_deployment_in_trouble_reads_like_this() {
        let mut seen = pending();
        seen.targets[0].failure = Some(Failure {
            class: FailureClass::Refused,
            detail: "connect to 127.0.0.1:9000: Connection refused".to_owned(),
        });
        seen.signals[1].reading.value = None;
        seen.signals[1].reading.no_data = Some("stale".to_owned());
        seen.targets[0].pace = Pace::Failing;
        let golden = include_str!("../../tests/golden/status-yellow.txt");
        assert_eq!(status(&seen, Style::Plain), golden);
    }

    #[test]
    fn a_signal_by_labels_has_a_header_and_the_first_of_its_groups() {
        let mut seen = snapshot();
        let grouped = |name: &str, n: u32| {
            let mut signal = seen.signals[0].clone();
            signal.reading = super::super::tests::signal(name, f64::from(n) / 100.0);
            signal.reading.group = Some(format!("instance=\"a:{n}\""));
            signal
        };
        let own = (1..=6).map(|n| grouped("errors", n));
        seen.signals = own.chain((1..=6).map(|n| grouped("errors.baseline", n))).collect();
        let text = status(&seen, Style::Plain);
        let lines = text.lines().skip_while(|line| !line.starts_with("SIGNAL")).skip(1);
        let lines: Vec<_> = lines.take_while(|line| !line.is_empty()).map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "errors                      6 groups",
                "  instance=\"a:1\"            1%",
                "  instance=\"a:2\"            2%",
                "  instance=\"a:3\"            3%",
                "  instance=\"a:4\"            4%",
                "                            and 2 more",
                "errors.baseline             6 groups",
            ]
        );
    }

    #[test]
    fn it_is_said_how_often_a_target_is_sampled_where_that_is_not_its_interval() {
        let check = |pace: Pace, interval_ms: u64, expected: &str| {
            let mut seen = snapshot();
            let target = &mut seen.targets[0];
            (target.interval_ms, target.sharpened) = (interval_ms, interval_ms < 1_000);
            target.pace = pace;
            let text = status(&seen, Style::Plain);
            let mut lines = text.lines().skip_while(|line| !line.starts_with("api "));
            assert_eq!(lines.nth(1).unwrap().trim(), expected);
        };
        check(Pace::Plain, 1_000, "");
        check(Pace::Sharpened, 100, "sharpened to 100ms");
        check(Pace::Slow, 400, "sharpened to 400ms: its scrapes take too long");
        check(Pace::Slow, 1_000, "not sharpened: its scrapes take too long");
        check(Pace::Failing, 1_000, "not sharpened: it failed a short while ago");
    }

    #[test]
    fn the_live_version_is_shown_with_what_it_means_or_why_it_is_unknown() {
        let check = |version: Option<&str>, unknown: Option<&str>, expected: &str| {
            let mut seen = pending();
            seen.live = Some(LiveStatus {
                version: version.map(|text| Version::new(text).unwrap()),
                unknown: unknown.map(str::to_owned),
                age_s: Some(0.5),
                comparing: unknown.is_some(),
            });
            let text = status(&seen, Style::Plain);
            let lines = text.lines().skip_while(|line| !line.starts_with("live "));
            let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("mode ")).collect();
            let shown = lines.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(shown, format!("live {expected}"));
        };
        check(Some("v2"), None, "v2, read 500 ms ago");
        check(Some("v1"), None, "v1, the good version, read 500 ms ago");
        let other = "v3, neither the judged nor the good version, read 500 ms ago";
        check(Some("v3"), None, other);
        let unknown = "unknown, read 500 ms ago: no such file; a rollback waits for it to be read";
        check(None, Some("no such file"), unknown);
    }

    #[test]
    fn the_first_three_lines_say_what_goes_on_and_what_to_do() {
        assert_eq!(
            top(&pending()),
            [
                "YELLOW   api: guarding, version v2, good version v1",
                "now      rule error-rate has held 2 s of 3 s: error_rate 19.8% > 5%",
                "to do    nothing; rollguard brings v1 back if this goes on for 1 s",
            ]
        );
        let mut failed = snapshot();
        failed.state = GuardState::RollbackFailed;
        failed.deployment.as_mut().unwrap().why = Some("step 1 timed out".to_owned());
        assert_eq!(
            top(&failed),
            [
                "RED      api: rollback failed, version v2, good version v1",
                "now      the rollback failed: step 1 timed out",
                "to do    act now: bring v1 back by hand; rollguard will not try a second time",
            ]
        );
    }

    #[test]
    fn a_guard_that_would_not_act_says_so_and_what_a_person_can_do() {
        let mut seen = pending();
        seen.rules[0].refusal = Some(Refusal::Observing);
        let text = status(&seen, Style::Plain);
        assert!(text.contains("rollguard will do nothing (observing)"), "{text}");
        assert!(text.contains("nothing would be done: observing"), "{text}");
    }

    #[test]
    fn a_reason_is_not_said_twice() {
        let mut seen = pending();
        seen.rules[0].refusal = Some(Refusal::EvidenceTooThin);
        seen.rules[0].no_data = Some("evidence too thin".to_owned());
        let text = status(&seen, Style::Plain);
        assert!(text.contains("nothing would be done: evidence too thin\n"), "{text}");
    }

    #[test]
    fn what_is_to_be_done_follows_from_state_and_rules() {
        let check = |change: fn(&mut Snapshot), expected: &str| {
            let mut seen = pending();
            change(&mut seen);
            let text = status(&seen, Style::Plain);
            let todo: Vec<&str> = text.lines().skip(2).take_while(|l| !l.is_empty()).collect();
            let todo = todo.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(todo, format!("to do {expected}"), "{text}");
        };
        check(|seen| seen.journal_ok = false, JOURNAL_LOST);
        check(
            |seen| seen.rules[0] = RuleStatus { no_data: Some("stale".into()), ..rule_status() },
            "find out why there is no data: what is not seen is not guarded",
        );
        check(
            |seen| seen.rules[0].refusal = Some(Refusal::SetAside),
            "look into it: it held before this deployment, which is not to blame",
        );
        check(
            |seen| seen.rules[0].refusal = Some(Refusal::NoGoodVersion),
            "decide: rollguard will do nothing (no good version); bring one back by hand, and \
             begin the next deployment with `--good`",
        );
        check(
            |seen| seen.rules[0].evidence.severity = Severity::Warning,
            "watch it: warnings never roll back; `rollguard rollback --reason ...` rolls back at \
             once",
        );
        check(
            |seen| seen.state = GuardState::Baked,
            "decide: it is not guarded any more, so rollguard does nothing; `rollguard rollback \
             --reason ...` rolls back at once",
        );
        check(
            |seen| seen.state = GuardState::Verifying,
            "wait; rollguard is bringing v1 back and looks whether it helps",
        );
    }

    const JOURNAL_LOST: &str =
        "watch the service yourself; make room on the disk, then restart rollguard";

    #[test]
    fn without_colour_there_is_no_escape_code() {
        assert!(!status(&pending(), Style::Plain).contains('\x1b'));
        assert!(status(&pending(), Style::Health).starts_with("\x1b[1;33mYELLOW"));
    }

    /// The hook of a stage, a drill and a rollback that a person orders run in every mode.
    #[test]
    fn a_mode_that_does_not_roll_back_by_itself_does_not_promise_that_nothing_is_done() {
        for (mode, expected) in [
            (
                Mode::Observe,
                "mode     observe: says what it would do, acts only when it is asked to",
            ),
            (Mode::Notify, "mode     notify: tells people, acts only when it is asked to"),
        ] {
            let shown = status(&Snapshot { mode, ..pending() }, Style::Plain);
            assert!(shown.lines().any(|line| line == expected), "{shown}");
        }
    }

    const STATES: [GuardState; 9] = [
        GuardState::Idle,
        GuardState::Guarding,
        GuardState::AwaitingApproval,
        GuardState::RollingBack,
        GuardState::Verifying,
        GuardState::RolledBack,
        GuardState::RollbackFailed,
        GuardState::Baked,
        GuardState::Ended,
    ];

    const STANDINGS: [RuleStanding; 3] =
        [RuleStanding::Inactive, RuleStanding::Pending, RuleStanding::Firing];

    proptest! {
        #[test]
        fn no_line_is_wider_than_a_terminal_whatever_the_names(
            state in 0..STATES.len(),
            standing in 0..STANDINGS.len(),
            name in "[a-z]{1,128}",
            version in "[a-z0-9:/@-]{0,127}",
            text in ".{0,200}",
            value in proptest::num::f64::NORMAL,
        ) {
            let mut seen = pending();
            seen.state = STATES[state];
            seen.service = name.clone();
            let deployment = seen.deployment.as_mut().unwrap();
            deployment.id = DeploymentId::new(&name).unwrap();
            deployment.version = Version::new(&format!("v{version}")).unwrap();
            deployment.good = Some(deployment.version.clone());
            deployment.why = Some(text.clone());
            deployment.withheld = Some(text.clone());
            seen.targets[0].name = name.clone();
            let class = FailureClass::Broken;
            seen.targets[0].failure = Some(Failure { class, detail: text.clone() });
            seen.signals[0].reading.signal = SignalName::new(&name).unwrap();
            seen.signals[0].reading.value = Some(value);
            seen.signals[0].description = Some(text.clone());
            seen.signals[1].reading.group = Some(text.clone());
            let evidence = &mut seen.rules[0].evidence;
            evidence.rule = RuleName::new(&name).unwrap();
            evidence.state = STANDINGS[standing];
            evidence.when = format!("{name} > 1");
            evidence.signals[0] = seen.signals[0].reading.clone();
            let compared = Comparison { left: Some(value), op: ">".into(), right: Some(1.0) };
            evidence.comparisons = vec![compared; 16];
            seen.rules[0].no_data = Some(text);
            let shown = status(&seen, Style::Plain);
            for line in shown.lines() {
                prop_assert!(width(line) <= WIDTH, "{line}");
                prop_assert!(!line.contains(char::is_control), "{line}");
            }
        }
    }

    #[test]
    fn a_rule_turns_yellow_at_once_and_red_when_it_fires() {
        let check = |state, severity, held, colour| {
            let mut rule = rule_status();
            rule.evidence.state = state;
            rule.evidence.severity = severity;
            (rule.evidence.held_ms, rule.evidence.for_ms) = (held, 3_000);
            assert_eq!(of_rule(&rule), colour, "{state} for {held} ms");
        };
        check(RuleStanding::Inactive, Severity::Critical, 0, Health::Green);
        check(RuleStanding::Pending, Severity::Critical, 1, Health::Yellow);
        check(RuleStanding::Pending, Severity::Critical, 2_999, Health::Yellow);
        check(RuleStanding::Firing, Severity::Critical, 3_000, Health::Red);
        check(RuleStanding::Pending, Severity::Warning, 2_999, Health::Yellow);
        check(RuleStanding::Firing, Severity::Warning, 3_000, Health::Yellow);
    }

    #[test]
    fn what_cannot_be_told_is_neither_healthy_nor_bad() {
        let mut seen = snapshot();
        assert_eq!(colour(&seen), Health::Green);
        seen.rules[0].no_data = Some("stale".to_owned());
        assert_eq!(colour(&seen), Health::Unknown);
        seen.rules.clear();
        assert_eq!(colour(&seen), Health::Unknown);
    }

    #[test]
    fn a_rule_that_was_set_aside_is_no_reason_for_red() {
        let mut rule = rule_status();
        rule.evidence.state = RuleStanding::Firing;
        rule.refusal = Some(Refusal::SetAside);
        assert_eq!(of_rule(&rule), Health::Yellow);
    }

    #[test]
    fn a_failed_rollback_is_red_whatever_the_rules_say() {
        let mut seen = snapshot();
        seen.state = GuardState::RollbackFailed;
        assert_eq!(colour(&seen), Health::Red);
    }

    #[test]
    fn a_version_that_a_rule_rolled_back_stays_red() {
        let mut seen = snapshot();
        seen.state = GuardState::RolledBack;
        assert_eq!(colour(&seen), Health::Green);
        let decision = Decision {
            trigger: Trigger::Rule(Box::new(seen.rules[0].evidence.clone())),
            hook: HookName::new("rollback").unwrap(),
            version: Version::new("v2").unwrap(),
            good: None,
            approval: None,
            cure: String::new(),
            rules: Vec::new(),
            signals: Vec::new(),
        };
        seen.deployment.as_mut().unwrap().decision = Some(decision);
        assert_eq!((colour(&seen), of_rules(&seen)), (Health::Red, Health::Green));
    }
}
