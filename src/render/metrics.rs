//! The guard's own metrics, in the Prometheus text format.

use std::fmt::Write;

use crate::engine::view::snapshot::{BudgetStatus, GuardState, RuleStatus, Snapshot, TargetStatus};
use crate::model::entry::{RuleStanding, SignalEvidence};
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
    let Vitals { started, turned, reload_ok, skipped_slots } = vitals;
    let mut page = MetricsPage::default();
    let help = "When the judging loop last finished a turn.";
    page.gauge("heartbeat_timestamp_seconds", help, seconds(turned));
    page.gauge("start_timestamp_seconds", "When the daemon started.", seconds(started));
    let help = "1 if the newest configuration is in force.";
    page.gauge("config_reload_successful", help, truth(reload_ok));
    let help = "1 if decisions can be put on record.";
    page.gauge("journal_usable", help, truth(snapshot.journal_ok));
    let help = "Scrapes that were due and not made.";
    page.family("scrape_slots_skipped_total", "counter", help);
    page.sample("scrape_slots_skipped_total", &[], skipped_slots as f64);
    page.family("state", "gauge", "1 for the state that the guard is in.");
    for state in STATES {
        let name = state.to_string().replace(' ', "_");
        page.sample("state", &[("state", &name)], truth(state == snapshot.state));
    }
    people(&mut page, snapshot);
    stages(&mut page, snapshot);
    live(&mut page, snapshot);
    targets(&mut page, &snapshot.targets);
    page.family("signal", "gauge", "The reading of a signal; absent where there is none.");
    for SignalEvidence { signal, group, value, .. } in snapshot.signals.iter().map(|s| &s.reading) {
        if let Some(value) = value {
            let labels = std::iter::once(("signal", signal.as_str()));
            let labels: Vec<_> = labels.chain(group.as_deref().map(|g| ("group", g))).collect();
            page.sample("signal", &labels, *value);
        }
    }
    let states = snapshot.rules.iter().map(|RuleStatus { evidence, .. }| {
        let state = match evidence.state {
            RuleStanding::Inactive => 0.0,
            RuleStanding::Pending => 1.0,
            RuleStanding::Firing => 2.0,
        };
        (evidence.rule.as_str(), state)
    });
    page.gauges("rule_state", "0 inactive, 1 pending, 2 firing.", "rule", states);
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
fn stages(page: &mut MetricsPage, snapshot: &Snapshot) {
    let all = || snapshot.deployment.iter().flat_map(|current| &current.stages);
    page.family("stage_standing", "gauge", "1 for where a stage stands.");
    for stage in all() {
        let standing = stage.standing.to_string().replace(' ', "_");
        let labels = [("stage", stage.stage.as_str()), ("standing", standing.as_str())];
        page.sample("stage_standing", &labels, 1.0);
    }
    let clean = all().map(|stage| (stage.stage.as_str(), stage.clean_ms as f64 / 1000.0));
    let help = "For how long a stage was seen to be clean.";
    page.gauges("stage_clean_seconds", help, "stage", clean);
    let hold = all().map(|stage| (stage.stage.as_str(), stage.hold_ms as f64 / 1000.0));
    page.gauges("stage_hold_seconds", "For how long a stage must be clean.", "stage", hold);
}

/// What people decided, and what they are asked.
fn people(page: &mut MetricsPage, snapshot: &Snapshot) {
    let help = "1 while nothing is rolled back automatically.";
    page.gauge("paused", help, truth(snapshot.paused.is_some()));
    let pause_end = snapshot.paused.as_ref().map(|pause| seconds(pause.until));
    page.gauge("pause_end_timestamp_seconds", "When the pause ends.", pause_end);
    let deployment = snapshot.deployment.as_ref();
    let asked = deployment.and_then(|deployment| deployment.approval.as_ref());
    let help = "When it is too late to answer.";
    page.gauge("approval_end_timestamp_seconds", help, asked.map(|asked| seconds(asked.until)));
    let irreversible = deployment.is_some_and(|deployment| deployment.irreversible);
    let help = "1 if the deployment is not rolled back automatically.";
    page.gauge("irreversible", help, truth(irreversible));
    let BudgetStatus { rollbacks, spent, .. } = snapshot.budget;
    let help = "Rollbacks that the budget allows within its time.";
    page.gauge("budget_rollbacks", help, f64::from(rollbacks));
    let help = "Rollbacks within the time of the budget.";
    page.gauge("budget_rollbacks_spent", help, f64::from(spent));
    let versions = snapshot.quarantine.len() as f64;
    page.gauge("quarantined_versions", "Versions that were rolled back.", versions);
}

/// Absent where the live version is not read.
fn live(page: &mut MetricsPage, snapshot: &Snapshot) {
    let Some(live) = &snapshot.live else { return };
    let help = "1 if the live version could be read.";
    page.gauge("live_version_known", help, truth(live.version.is_some()));
    let version = live.version.iter().map(|version| (version.as_str(), 1.0));
    let help = "1 for the live version; absent if unknown.";
    page.gauges("live_version_info", help, "version", version);
}

fn targets(page: &mut MetricsPage, targets: &[TargetStatus]) {
    let each = |value: fn(&TargetStatus) -> Option<f64>| {
        targets.iter().filter_map(move |target| Some((target.name.as_str(), value(target)?)))
    };
    let up = each(|target| target.up.map(truth));
    page.gauges("target_up", "1 if the target's last scrape succeeded.", "name", up);
    let help = "How long the target's last scrape took.";
    page.gauges("target_scrape_seconds", help, "name", each(|target| Some(target.took_s)));
    let interval = each(|target| Some(target.interval_ms as f64 / 1000.0));
    let help = "Time between two scrapes of the target now.";
    page.gauges("target_interval_seconds", help, "name", interval);
    let malformed = each(|target| Some(target.malformed as f64));
    let help = "Unreadable lines of the last scrape.";
    page.gauges("target_malformed_lines", help, "name", malformed);
}

fn seconds(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1000.0
}

const fn truth(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

#[derive(Default)]
struct MetricsPage {
    text: String,
}

impl MetricsPage {
    /// A gauge without labels; its sample is absent where there is no value.
    fn gauge(&mut self, name: &str, help: &str, value: impl Into<Option<f64>>) {
        self.family(name, "gauge", help);
        if let Some(value) = value.into() {
            self.sample(name, &[], value);
        }
    }

    /// A gauge with one label, whose values come with the samples.
    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        samples: impl Iterator<Item = (&'a str, f64)>,
    ) {
        self.family(name, "gauge", help);
        samples.for_each(|(value, sample)| self.sample(name, &[(label, value)], sample));
    }

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
