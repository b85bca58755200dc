//! The guard's own metrics, in the Prometheus text format.

use crate::engine::view::snapshot::{
    BudgetStatus, GuardState, RuleStatus, SignalStatus, Snapshot, TargetStatus,
};
use crate::engine::view::stage::StageStatus;
use crate::model::entry::RuleStanding;
use crate::model::time::Timestamp;

/// The page's content type.
pub const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the page says of the daemon around the guard.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// When it started.
    pub started: Timestamp,
    /// When its loop last finished a turn.
    pub turned: Timestamp,
    /// Whether the newest configuration is in force.
    pub reload_ok: bool,
    /// Scrape slots passed over since the start.
    pub skipped_slots: u64,
}

/// The guard as a metrics page.
pub fn metrics(snapshot: &Snapshot, vitals: Vitals) -> String {
    let page = &mut String::new();
    let help = "When the judging loop last finished a turn.";
    gauge(page, "heartbeat_timestamp_seconds", help, seconds(vitals.turned));
    let help = "When the daemon started.";
    gauge(page, "start_timestamp_seconds", help, seconds(vitals.started));
    let help = "1 if the newest configuration is in force.";
    gauge(page, "config_reload_successful", help, truth(vitals.reload_ok));
    let help = "1 if decisions can be put on record.";
    gauge(page, "journal_usable", help, truth(snapshot.journal_ok));
    let help = "Scrapes that were due and not made.";
    gauge(page, "scrape_slots_skipped_total", help, vitals.skipped_slots as f64);
    let state = |(_, state)| (label("state", &word(state)), truth(state == snapshot.state));
    let states = GuardState::ALL.map(state);
    family(page, "state", "1 for the state that the guard is in.", states);
    people(page, snapshot);
    stages(page, snapshot);
    live(page, snapshot);
    targets(page, &snapshot.targets);
    let signals = snapshot.signals.iter().filter_map(|SignalStatus { reading, .. }| {
        let group = reading.group.as_ref().map(|group| format!(",group=\"{group}\""));
        let labels = format!("{{signal=\"{}\"{}}}", reading.signal, group.unwrap_or_default());
        Some((labels, reading.value?))
    });
    family(page, "signal", "The reading of a signal; absent where there is none.", signals);
    let states = snapshot.rules.iter().map(|RuleStatus { evidence, .. }| {
        let state = match evidence.state {
            RuleStanding::Inactive => 0.0,
            RuleStanding::Pending => 1.0,
            RuleStanding::Firing => 2.0,
        };
        (label("rule", evidence.rule.as_str()), state)
    });
    family(page, "rule_state", "0 inactive, 1 pending, 2 firing.", states);
    std::mem::take(page)
}

/// How far each stage of a guarded deployment is.
fn stages(page: &mut String, snapshot: &Snapshot) {
    let all = || snapshot.deployment.iter().flat_map(|current| &current.stages);
    let standings = all().map(|StageStatus { stage, standing, .. }| {
        (format!("{{stage=\"{stage}\",standing=\"{}\"}}", word(standing)), 1.0)
    });
    family(page, "stage_standing", "1 for where a stage stands.", standings);
    let each = |millis: fn(&StageStatus) -> u64| {
        all().map(move |stage| (label("stage", stage.stage.as_str()), in_seconds(millis(stage))))
    };
    let help = "For how long a stage was seen to be clean.";
    family(page, "stage_clean_seconds", help, each(|stage| stage.clean_ms));
    let help = "For how long a stage must be clean.";
    family(page, "stage_hold_seconds", help, each(|stage| stage.hold_ms));
}

/// What people decided, and what they are asked.
fn people(page: &mut String, snapshot: &Snapshot) {
    let help = "1 while nothing is rolled back automatically.";
    gauge(page, "paused", help, truth(snapshot.paused.is_some()));
    let pause_end = snapshot.paused.as_ref().map(|pause| seconds(pause.until));
    gauge(page, "pause_end_timestamp_seconds", "When the pause ends.", pause_end);
    let deployment = snapshot.deployment.as_ref();
    let asked = deployment.and_then(|deployment| deployment.approval.as_ref());
    let (help, until) = ("When it is too late to answer.", asked.map(|asked| seconds(asked.until)));
    gauge(page, "approval_end_timestamp_seconds", help, until);
    let irreversible = deployment.is_some_and(|deployment| deployment.irreversible);
    let help = "1 if the deployment is not rolled back automatically.";
    gauge(page, "irreversible", help, truth(irreversible));
    let BudgetStatus { rollbacks, spent, .. } = snapshot.budget;
    let help = "Rollbacks that the budget allows within its time.";
    gauge(page, "budget_rollbacks", help, f64::from(rollbacks));
    let help = "Rollbacks within the time of the budget.";
    gauge(page, "budget_rollbacks_spent", help, f64::from(spent));
    let versions = snapshot.quarantine.len() as f64;
    gauge(page, "quarantined_versions", "Versions that were rolled back.", versions);
}

/// Absent where the live version is not read.
fn live(page: &mut String, snapshot: &Snapshot) {
    let Some(live) = &snapshot.live else { return };
    let help = "1 if the live version could be read.";
    gauge(page, "live_version_known", help, truth(live.version.is_some()));
    let version = live.version.iter().map(|version| (label("version", version.as_str()), 1.0));
    family(page, "live_version_info", "1 for the live version; absent if unknown.", version);
}

fn targets(page: &mut String, targets: &[TargetStatus]) {
    let each = |value: fn(&TargetStatus) -> Option<f64>| {
        targets.iter().filter_map(move |target| Some((label("name", &target.name), value(target)?)))
    };
    let up = each(|target| target.up.map(truth));
    family(page, "target_up", "1 if the target's last scrape succeeded.", up);
    let took = each(|target| Some(target.took_s));
    family(page, "target_scrape_seconds", "How long the target's last scrape took.", took);
    let interval = each(|target| Some(in_seconds(target.interval_ms)));
    let help = "Time between two scrapes of the target now.";
    family(page, "target_interval_seconds", help, interval);
    let malformed = each(|target| Some(target.malformed as f64));
    family(page, "target_malformed_lines", "Unreadable lines of the last scrape.", malformed);
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

fn in_seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

const fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

fn word(state: impl ToString) -> String {
    state.to_string().replace(' ', "_")
}

/// The label of a sample. Its value is a name of the configuration, which needs no escapes.
fn label(name: &str, value: &str) -> String {
    format!("{{{name}=\"{value}\"}}")
}

/// Adds a family without labels; its sample is absent where there is no value.
fn gauge(page: &mut String, name: &str, help: &str, value: impl Into<Option<f64>>) {
    family(page, name, help, value.into().map(|value| (String::new(), value)));
}

/// Adds a family of samples, each with its labels.
fn family(
    page: &mut String,
    name: &str,
    help: &str,
    samples: impl IntoIterator<Item = (String, f64)>,
) {
    let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
    *page += &format!("# HELP rollguard_{name} {help}\n# TYPE rollguard_{name} {kind}\n");
    let samples = samples.into_iter();
    page.extend(samples.map(|(labels, value)| format!("rollguard_{name}{labels} {value}\n")));
}
