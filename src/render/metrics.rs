//! The guard's own metrics, in the Prometheus text format.

use std::fmt::Write;

use crate::engine::view::snapshot::{GuardState, Snapshot};
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
#[must_use]
pub fn metrics(snapshot: &Snapshot, vitals: Vitals) -> String {
    let Vitals { started, turned, reload_ok, skipped_slots } = vitals;
    let mut page = Page::default();
    let help = "When the judging loop last finished a turn.";
    page.family("heartbeat_timestamp_seconds", "gauge", help);
    page.sample("heartbeat_timestamp_seconds", &[], seconds(turned));
    page.family("start_timestamp_seconds", "gauge", "When the daemon started.");
    page.sample("start_timestamp_seconds", &[], seconds(started));
    page.family("config_reload_successful", "gauge", "1 if the newest configuration is in force.");
    page.sample("config_reload_successful", &[], truth(reload_ok));
    page.family("journal_usable", "gauge", "1 if decisions can be put on record.");
    page.sample("journal_usable", &[], truth(snapshot.journal_ok));
    page.family("scrape_slots_skipped_total", "counter", "Scrapes that were due and not made.");
    page.sample("scrape_slots_skipped_total", &[], skipped_slots as f64);
    page.family("state", "gauge", "1 for the state that the guard is in.");
    for state in STATES {
        let name = state.to_string().replace(' ', "_");
        page.sample("state", &[("state", &name)], truth(state == snapshot.state));
    }
    people(&mut page, snapshot);
    stages(&mut page, snapshot);
    live(&mut page, snapshot);
    targets(&mut page, snapshot);
    page.family("signal", "gauge", "The reading of a signal; absent where there is none.");
    for signal in &snapshot.signals {
        if let Some(value) = signal.reading.value {
            let group = signal.reading.group.as_deref();
            let labels = [("signal", signal.reading.signal.as_str())];
            let group = group.map(|group| ("group", group));
            let labels: Vec<_> = labels.into_iter().chain(group).collect();
            page.sample("signal", &labels, value);
        }
    }
    page.family("rule_state", "gauge", "0 inactive, 1 pending, 2 firing.");
    for rule in &snapshot.rules {
        let state = match rule.evidence.state {
            RuleStanding::Inactive => 0.0,
            RuleStanding::Pending => 1.0,
            RuleStanding::Firing => 2.0,
        };
        page.sample("rule_state", &[("rule", rule.evidence.rule.as_str())], state);
    }
    page.text
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

/// How far each stage of a guarded deployment is.
fn stages(page: &mut Page, snapshot: &Snapshot) {
    let all: Vec<_> = snapshot.deployment.iter().flat_map(|current| &current.stages).collect();
    page.family("stage_standing", "gauge", "1 for where a stage stands.");
    for stage in &all {
        let standing = stage.standing.to_string().replace(' ', "_");
        let labels = [("stage", stage.stage.as_str()), ("standing", standing.as_str())];
        page.sample("stage_standing", &labels, 1.0);
    }
    page.family("stage_clean_seconds", "gauge", "For how long a stage was seen to be clean.");
    for stage in &all {
        let labels = [("stage", stage.stage.as_str())];
        page.sample("stage_clean_seconds", &labels, stage.clean_ms as f64 / 1000.0);
    }
    page.family("stage_hold_seconds", "gauge", "For how long a stage must be clean.");
    for stage in &all {
        let labels = [("stage", stage.stage.as_str())];
        page.sample("stage_hold_seconds", &labels, stage.hold_ms as f64 / 1000.0);
    }
}

/// What people decided, and what they are asked.
fn people(page: &mut Page, snapshot: &Snapshot) {
    page.family("paused", "gauge", "1 while nothing is rolled back automatically.");
    page.sample("paused", &[], truth(snapshot.paused.is_some()));
    let seconds = |at: Timestamp| at.as_millis() as f64 / 1000.0;
    page.family("pause_end_timestamp_seconds", "gauge", "When the pause ends.");
    if let Some(pause) = &snapshot.paused {
        page.sample("pause_end_timestamp_seconds", &[], seconds(pause.until));
    }
    page.family("approval_end_timestamp_seconds", "gauge", "When it is too late to answer.");
    let deployment = snapshot.deployment.as_ref();
    if let Some(asked) = deployment.and_then(|deployment| deployment.approval.as_ref()) {
        page.sample("approval_end_timestamp_seconds", &[], seconds(asked.until));
    }
    let irreversible = deployment.is_some_and(|deployment| deployment.irreversible);
    page.family("irreversible", "gauge", "1 if the deployment is not rolled back automatically.");
    page.sample("irreversible", &[], truth(irreversible));
    page.family("budget_rollbacks", "gauge", "Rollbacks that the budget allows within its time.");
    page.sample("budget_rollbacks", &[], f64::from(snapshot.budget.rollbacks));
    page.family("budget_rollbacks_spent", "gauge", "Rollbacks within the time of the budget.");
    page.sample("budget_rollbacks_spent", &[], f64::from(snapshot.budget.spent));
    page.family("quarantined_versions", "gauge", "Versions that were rolled back.");
    page.sample("quarantined_versions", &[], snapshot.quarantine.len() as f64);
}

/// Absent where the live version is not read.
fn live(page: &mut Page, snapshot: &Snapshot) {
    let Some(live) = &snapshot.live else { return };
    page.family("live_version_known", "gauge", "1 if the live version could be read.");
    page.sample("live_version_known", &[], truth(live.version.is_some()));
    page.family("live_version_info", "gauge", "1 for the live version; absent if unknown.");
    if let Some(version) = &live.version {
        page.sample("live_version_info", &[("version", version.as_str())], 1.0);
    }
}

fn targets(page: &mut Page, snapshot: &Snapshot) {
    page.family("target_up", "gauge", "1 if the target's last scrape succeeded.");
    for target in &snapshot.targets {
        if let Some(up) = target.up {
            page.sample("target_up", &[("name", &target.name)], truth(up));
        }
    }
    page.family("target_scrape_seconds", "gauge", "How long the target's last scrape took.");
    for target in &snapshot.targets {
        page.sample("target_scrape_seconds", &[("name", &target.name)], target.took_s);
    }
    page.family("target_interval_seconds", "gauge", "Time between two scrapes of the target now.");
    for target in &snapshot.targets {
        let interval = target.interval_ms as f64 / 1000.0;
        page.sample("target_interval_seconds", &[("name", &target.name)], interval);
    }
    page.family("target_malformed_lines", "gauge", "Unreadable lines of the last scrape.");
    for target in &snapshot.targets {
        let lines = target.malformed as f64;
        page.sample("target_malformed_lines", &[("name", &target.name)], lines);
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

const fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let text = format_args!("# HELP rollguard_{name} {help}\n# TYPE rollguard_{name} {kind}\n");
        self.write(text);
    }

    /// Label values are names of the configuration, which need no escapes.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let braces = if labels.is_empty() { "" } else { &format!("{{{}}}", labels.join(",")) };
        self.write(format_args!("rollguard_{name}{braces} {value}\n"));
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing into memory does not fail");
    }
}
