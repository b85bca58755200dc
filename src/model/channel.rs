//! Channels: where people and other systems are told of what happens to a deployment, beside the
//! critical path. A secret is only ever named here, never held.

use serde::{Deserialize, Serialize};

use super::name::ChannelName;
use super::target::Secret;

/// `[notify.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// What it tells of. What closes a matter that it told of is told as well.
    pub on: Vec<Change>,
    /// Whom it tells.
    pub system: System,
}

impl Channel {
    /// Whether it was asked to tell of such a change.
    pub fn wants(&self, change: Change) -> bool {
        self.on.contains(&change)
    }
}

/// A system that can be told, and what it takes to reach it. Every URL is `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum System {
    /// An incoming webhook of Slack, or of what is compatible with it.
    Slack {
        /// The webhook; it is the secret.
        url: Secret,
    },
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// Where events go; ends in `/v2/enqueue`.
        url: String,
        /// The integration.
        routing_key: Secret,
        /// Whether beginnings and bakes are sent as change events.
        changes: Sends,
    },
    /// Opsgenie, or its successor in Jira Service Management.
    Opsgenie {
        /// Where alerts are created.
        url: String,
        /// The integration.
        key: Secret,
    },
    /// Alertmanager's API v2.
    Alertmanager {
        /// Every peer of the cluster, without a path of the API.
        urls: Vec<String>,
        /// Headers of each request.
        headers: Vec<(String, Secret)>,
    },
    /// Annotations of Grafana.
    Grafana {
        /// Grafana's own address.
        url: String,
        /// A service account's token.
        token: Secret,
        /// The dashboard's UID; `None`: on all that ask for the tags.
        dashboard: Option<String>,
        /// Tags beside the service's own.
        tags: Vec<String>,
    },
    /// A public status page of Atlassian Statuspage.
    Statuspage {
        /// The API's address.
        url: String,
        /// An API key.
        key: Secret,
        /// The page.
        page: String,
        /// Components that suffer while a rollback runs.
        components: Vec<String>,
        /// Whether subscribers get mails and messages.
        subscribers: Sends,
    },
    /// A JSON document of rollguard's own.
    Webhook {
        /// Where it is posted.
        url: Secret,
        /// Headers of the request.
        headers: Vec<(String, Secret)>,
    },
    /// A CloudEvent 1.0 in structured JSON.
    CloudEvent {
        /// Where it is posted.
        url: Secret,
        /// Its `source`.
        source: String,
        /// Headers of the request.
        headers: Vec<(String, Secret)>,
    },
}

/// Whether something is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sends {
    /// It is not.
    #[default]
    No,
    /// It is.
    Yes,
}

/// A change of state that may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A deployment is guarded from now on.
    Begun,
    /// It is in another stage.
    Stage,
    /// The stage was clean for its time.
    StagePassed,
    /// The stage was not entered, or has not passed in time.
    StageStuck,
    /// A rule fires, and only `observe` or `report` keep rollguard from acting.
    Observed,
    /// A warning fires.
    Firing,
    /// A critical rule fires and nothing is done.
    Refused,
    /// A rule that was told of does not fire any more.
    Cleared,
    /// A rollback waits for a person's yes.
    AwaitingApproval,
    /// It is not rolled back: a person said so, or nobody answered in time.
    Denied,
    /// A rollback begins.
    Decided,
    /// The cure was seen.
    RolledBack,
    /// The rollback did not help or could not be done: a person is needed.
    Failed,
    /// The version survived its bake.
    Baked,
    /// Guarding ended without a verdict.
    Ended,
    /// A newer deployment took its place.
    Superseded,
    /// Nothing is rolled back automatically for a while.
    Paused,
    /// Automatic rollbacks are on again.
    Resumed,
    /// Rules see nothing.
    TelemetryLost,
    /// They see again.
    TelemetryBack,
    /// The journal cannot be written: nothing is done any more.
    JournalLost,
    /// A new configuration is refused, the old one stays.
    ReloadRefused,
    /// A configuration was taken after one that was refused.
    Reloaded,
}

impl Change {
    /// Every change and its word in the configuration.
    pub const ALL: [(&'static str, Self); 23] = [
        ("begun", Self::Begun),
        ("stage", Self::Stage),
        ("stage_passed", Self::StagePassed),
        ("stage_stuck", Self::StageStuck),
        ("observed", Self::Observed),
        ("firing", Self::Firing),
        ("refused", Self::Refused),
        ("cleared", Self::Cleared),
        ("awaiting_approval", Self::AwaitingApproval),
        ("denied", Self::Denied),
        ("decided", Self::Decided),
        ("rolled_back", Self::RolledBack),
        ("failed", Self::Failed),
        ("baked", Self::Baked),
        ("ended", Self::Ended),
        ("superseded", Self::Superseded),
        ("paused", Self::Paused),
        ("resumed", Self::Resumed),
        ("telemetry_lost", Self::TelemetryLost),
        ("telemetry_back", Self::TelemetryBack),
        ("journal_lost", Self::JournalLost),
        ("reload_refused", Self::ReloadRefused),
        ("reloaded", Self::Reloaded),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, change)| *change == self);
        known.map_or("", |(word, _)| word)
    }
}

/// What a person must know of.
const MUST_KNOW: &[Change] = &[
    Change::StageStuck,
    Change::Firing,
    Change::Refused,
    Change::Cleared,
    Change::AwaitingApproval,
    Change::Denied,
    Change::Decided,
    Change::RolledBack,
    Change::Failed,
    Change::Paused,
    Change::Resumed,
    Change::TelemetryLost,
    Change::TelemetryBack,
    Change::JournalLost,
    Change::ReloadRefused,
    Change::Reloaded,
];

/// What is worth waking somebody.
const WORTH_WAKING: &[Change] = &[
    Change::Refused,
    Change::AwaitingApproval,
    Change::Decided,
    Change::Failed,
    Change::TelemetryLost,
    Change::JournalLost,
];

/// What stays wrong for a while.
const STANDING: &[Change] = &[
    Change::Firing,
    Change::Refused,
    Change::AwaitingApproval,
    Change::Decided,
    Change::Failed,
    Change::Paused,
    Change::TelemetryLost,
    Change::JournalLost,
    Change::ReloadRefused,
];

/// What explains a curve.
const ON_A_CURVE: &[Change] =
    &[Change::Begun, Change::Decided, Change::RolledBack, Change::Failed, Change::Baked];

/// What customers feel.
const FELT: &[Change] = &[Change::Decided, Change::Failed];

impl System {
    /// The key of the configuration.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Slack { .. } => "slack",
            Self::PagerDuty { .. } => "pagerduty",
            Self::Opsgenie { .. } => "opsgenie",
            Self::Alertmanager { .. } => "alertmanager",
            Self::Grafana { .. } => "grafana",
            Self::Statuspage { .. } => "statuspage",
            Self::Webhook { .. } => "webhook",
            Self::CloudEvent { .. } => "cloudevent",
        }
    }

    /// What it is told of where the configuration does not say.
    pub const fn default_changes(&self) -> &'static [Change] {
        match self {
            Self::Slack { .. } | Self::Webhook { .. } | Self::CloudEvent { .. } => MUST_KNOW,
            Self::PagerDuty { .. } | Self::Opsgenie { .. } => WORTH_WAKING,
            Self::Alertmanager { .. } => STANDING,
            Self::Grafana { .. } => ON_A_CURVE,
            Self::Statuspage { .. } => FELT,
        }
    }
}
