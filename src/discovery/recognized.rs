//! Finds the families on a page that a table of conventions knows.

use super::conventions::{Convention, NEVER_BEGINS, NEVER_PART, OUTGOING, is_end, row};
use super::family::{FamilyKind, MetricFamily, PageFamilies};
use super::scope::{Scope, scope};

/// A family that a convention knows.
#[derive(Clone, Debug)]
pub(super) struct Recognized<'f> {
    pub(super) family: &'f MetricFamily,
    pub(super) convention: &'static Convention,
    /// Which of its series are about the service.
    pub(super) scope: Scope,
}

/// The families that the rows of a table know and `fits` accepts, the best first: in the order of
/// the table, the busiest first where one row knows several.
pub(super) fn recognized<'f>(
    table: &'static [Convention],
    families: &'f PageFamilies,
    service: &str,
    fits: impl Fn(&MetricFamily, &Convention) -> bool,
) -> Vec<Recognized<'f>> {
    let mut all: Vec<(usize, Recognized<'f>)> = Vec::new();
    for family in families.iter() {
        let known =
            |convention: &Convention| is_own(convention.name, family) && fits(family, convention);
        if let Some(rank) = row(table, &family.name, known) {
            let convention = &table[rank];
            let scope = scope(family, convention, service);
            all.push((rank, Recognized { family, convention, scope }));
        }
    }
    all.sort_by(|(a, x), (b, y)| a.cmp(b).then(y.family.total.total_cmp(&x.family.total)));
    all.into_iter().map(|(_, recognized)| recognized).collect()
}

/// Whether a family of that name counts the service's own requests, and not calls that go out.
pub(super) fn is_own(name: &str, family: &MetricFamily) -> bool {
    let outgoing = OUTGOING.iter().any(|(label, value)| {
        family.labels.get(*label).is_some_and(|values| values.seen.contains_key(*value))
    });
    let foreign = NEVER_BEGINS.iter().any(|start| family.name.starts_with(start))
        || family.name.split('_').any(|part| NEVER_PART.contains(&part));
    !(outgoing || is_end(name) && foreign)
}

impl MetricFamily {
    /// The metric that counts what the family is about, as a selector names it.
    pub(super) fn counting_metric(&self) -> String {
        let observed = matches!(self.kind, FamilyKind::Histogram | FamilyKind::Summary);
        format!("{}{}", self.name, if observed { "_count" } else { "" })
    }
}
