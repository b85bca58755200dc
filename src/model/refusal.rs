//! Why nothing is done: one enum, shown alike in status, journal, page and messages.

words! {
    /// Why nothing is done: the one reason.
    pub enum Refusal {
        /// No deployment is guarded.
        NotArmed = "guard not armed",
        /// Mode `observe`, or a rule that only reports.
        Observing = "observing",
        /// Mode `notify`, a rule that only notifies, or a warning.
        NotifyOnly = "notify only",
        /// The deployment began too recently.
        WarmingUp = "warming up",
        /// It held already when the deployment began.
        SetAside = "set aside",
        /// The rule's `given` does not hold.
        EvidenceTooThin = "evidence too thin",
        /// The readings that it needs are not there.
        NoData = "no data",
        /// The hook names the good version and none is known.
        NoGoodVersion = "no good version",
        /// The judged version is the good version: there is nothing to go back to.
        AlreadyAtGood = "already at the good version",
        /// The live version is neither the judged nor the good one: somebody else changed it.
        LiveVersionChanged = "live version changed",
        /// The live version cannot be read.
        LiveVersionUnknown = "live version unknown",
        /// The rule is not for the stage that the deployment is in.
        OtherStage = "not in this stage",
        /// People were asked and have not answered yet.
        AwaitingApproval = "awaiting approval",
        /// A person, or nobody in time, said no.
        Denied = "denied",
        /// A person switched automatic rollbacks off for a while.
        Paused = "paused",
        /// The deployment was begun as one that is not rolled back automatically.
        Irreversible = "irreversible",
        /// There were too many rollbacks lately.
        BudgetSpent = "budget spent",
        /// This deployment has had its rollback.
        AlreadyRolledBack = "already rolled back",
        /// The journal cannot be written, so that nothing could keep a rollback from running twice.
        JournalUnusable = "journal unusable",
    }
}
