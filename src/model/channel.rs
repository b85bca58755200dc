//! Channels: where people and other systems are told of what happens to a deployment, beside the
//! critical path. A secret is only ever named here, never held.

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

words! {
    /// A change of state that may be told.
    pub enum Change {
        /// A deployment is guarded from now on.
        Begun = "begun",
        /// It is in another stage.
        Stage = "stage",
        /// The stage was clean for its time.
        StagePassed = "stage_passed",
        /// The stage was not entered, or has not passed in time.
        StageStuck = "stage_stuck",
        /// A rule fires, and only `observe` or `report` keep rollguard from acting.
        Observed = "observed",
        /// A warning fires.
        Firing = "firing",
        /// A critical rule fires and nothing is done.
        Refused = "refused",
        /// A rule that was told of does not fire any more.
        Cleared = "cleared",
        /// A rollback waits for a person's yes.
        AwaitingApproval = "awaiting_approval",
        /// It is not rolled back: a person said so, or nobody answered in time.
        Denied = "denied",
        /// A rollback begins.
        Decided = "decided",
        /// The cure was seen.
        RolledBack = "rolled_back",
        /// The rollback did not help or could not be done: a person is needed.
        Failed = "failed",
        /// The version survived its bake.
        Baked = "baked",
        /// Guarding ended without a verdict.
        Ended = "ended",
        /// A newer deployment took its place.
        Superseded = "superseded",
        /// Nothing is rolled back automatically for a while.
        Paused = "paused",
        /// Automatic rollbacks are on again.
        Resumed = "resumed",
        /// Rules see nothing.
        TelemetryLost = "telemetry_lost",
        /// They see again.
        TelemetryBack = "telemetry_back",
        /// The journal cannot be written: nothing is done any more.
        JournalLost = "journal_lost",
        /// A new configuration is refused, the old one stays.
        ReloadRefused = "reload_refused",
        /// A configuration was taken after one that was refused.
        Reloaded = "reloaded",
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
