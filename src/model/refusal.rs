//! Why nothing is done: one enum, shown alike in status, journal, page and messages.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why nothing is done: the one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No deployment is guarded.
    NotArmed,
    /// Mode `observe`, or a rule that only reports.
    Observing,
    /// Mode `notify`, a rule that only notifies, or a warning.
    NotifyOnly,
    /// The deployment began too recently.
    WarmingUp,
    /// It held already when the deployment began.
    SetAside,
    /// The rule's `given` does not hold.
    EvidenceTooThin,
    /// The readings that it needs are not there.
    NoData,
    /// The hook names the good version and none is known.
    NoGoodVersion,
    /// The judged version is the good version: there is nothing to go back to.
    AlreadyAtGood,
    /// The live version is neither the judged nor the good one: somebody else changed it.
    LiveVersionChanged,
    /// The live version cannot be read.
    LiveVersionUnknown,
    /// The rule is not for the stage that the deployment is in.
    OtherStage,
    /// People were asked and have not answered yet.
    AwaitingApproval,
    /// A person, or nobody in time, said no.
    Denied,
    /// A person switched automatic rollbacks off for a while.
    Paused,
    /// The deployment was begun as one that is not rolled back automatically.
    Irreversible,
    /// There were too many rollbacks lately.
    BudgetSpent,
    /// This deployment has had its rollback.
    AlreadyRolledBack,
    /// The journal cannot be written, so that nothing could keep a rollback from running twice.
    JournalUnusable,
}

impl Refusal {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::NotArmed,
        Self::Observing,
        Self::NotifyOnly,
        Self::WarmingUp,
        Self::SetAside,
        Self::EvidenceTooThin,
        Self::NoData,
        Self::NoGoodVersion,
        Self::AlreadyAtGood,
        Self::LiveVersionChanged,
        Self::LiveVersionUnknown,
        Self::OtherStage,
        Self::AwaitingApproval,
        Self::Denied,
        Self::Paused,
        Self::Irreversible,
        Self::BudgetSpent,
        Self::AlreadyRolledBack,
        Self::JournalUnusable,
    ];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotArmed => "guard not armed",
            Self::Observing => "observing",
            Self::NotifyOnly => "notify only",
            Self::WarmingUp => "warming up",
            Self::SetAside => "set aside",
            Self::EvidenceTooThin => "evidence too thin",
            Self::NoData => "no data",
            Self::NoGoodVersion => "no good version",
            Self::AlreadyAtGood => "already at the good version",
            Self::LiveVersionChanged => "live version changed",
            Self::LiveVersionUnknown => "live version unknown",
            Self::OtherStage => "not in this stage",
            Self::AwaitingApproval => "awaiting approval",
            Self::Denied => "denied",
            Self::Paused => "paused",
            Self::Irreversible => "irreversible",
            Self::BudgetSpent => "budget spent",
            Self::AlreadyRolledBack => "already rolled back",
            Self::JournalUnusable => "journal unusable",
        })
    }
}
