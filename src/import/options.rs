//! How alerts are to be read: what Prometheus adds to a page, and which target a job is.

/// Which target a job of Prometheus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetOf {
    /// The job; `None` stands for every job.
    pub job: Option<String>,
    /// The target's name.
    pub target: String,
}

/// How alerts are to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Labels that Prometheus adds and no page has.
    pub drop_labels: Vec<String>,
    /// Which target a job is.
    pub targets: Vec<TargetOf>,
}

impl Options {
    /// The target of a job; of any job where none is named.
    pub(super) fn target_of(&self, job: Option<&str>) -> Option<&str> {
        let named = self.targets.iter().find(|of| job.is_some() && of.job.as_deref() == job);
        let any = || self.targets.iter().find(|of| of.job.is_none());
        named.or_else(any).map(|of| of.target.as_str())
    }

    /// Whether Prometheus adds the label, so that no page has it.
    pub(super) fn drops(&self, label: &str) -> bool {
        self.drop_labels.iter().any(|dropped| dropped == label)
    }
}
