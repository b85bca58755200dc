//! Replaces recorded series by what they record, because a page does not have them. A series is
//! never replaced where its expression would then mean something else.

use std::collections::HashMap;

use super::promql::{Expr, ExprKind, Grouping, SeriesSelector, parse};
use super::rule_files::RecordingRule;
use super::spot::{Flaw, Spot};
use crate::toml_text::MatcherText;

/// How many recording rules may stand on each other; three is a lot.
const MAX_DEPTH: usize = 16;

/// The most recorded series that one alert may be replaced by: each stands for an expression, and
/// those for more.
const MAX_INLINED: usize = 256;

/// What to do about a series that cannot be replaced.
const INSTEAD: &str = "write what is recorded into the alert";

/// Recording rules by name.
pub(super) type Records<'r> = HashMap<&'r str, Vec<&'r RecordingRule>>;

/// Replaces every recorded series of an expression; answers their names.
pub(super) fn inline(records: &Records<'_>, expr: &mut Expr) -> Result<Vec<String>, Flaw> {
    let mut inliner = Inliner { records, names: Vec::new(), left: MAX_INLINED };
    inliner.replace(expr, 0)?;
    Ok(inliner.names)
}

struct Inliner<'a, 'r> {
    records: &'a Records<'r>,
    names: Vec<String>,
    left: usize,
}

impl Inliner<'_, '_> {
    fn replace(&mut self, expr: &mut Expr, depth: usize) -> Result<(), Flaw> {
        if let ExprKind::Series(selector, range) = &expr.kind
            && let Some(records) = self.records.get(selector.metric.as_str())
        {
            let name = &selector.metric;
            if let (Some(_), [_]) = (range, &records[..]) {
                let why = format!("it looks back over `{name}`, which is recorded");
                let instead = "a page has no recorded series; judge its sources instead";
                return Err(Flaw::new(expr.spot, why, instead));
            }
            *expr = self.recorded(selector, records, expr.spot, depth)?;
            return self.replace(expr, depth + 1);
        }
        expr.children_mut().into_iter().try_for_each(|child| self.replace(child, depth))
    }

    /// What is recorded under a name, restricted by the matchers.
    fn recorded(
        &mut self,
        of: &SeriesSelector,
        records: &[&RecordingRule],
        spot: Spot,
        depth: usize,
    ) -> Result<Expr, Flaw> {
        let stuck = |why: String| Flaw::new(spot, why, INSTEAD);
        let name = &of.metric;
        let [record] = records else {
            return Err(stuck(format!("`{name}` is recorded by {} rules", records.len())));
        };
        self.left = self.left.saturating_sub(1);
        if depth >= MAX_DEPTH || self.left == 0 {
            let why = "stands on too many recording rules, or on itself";
            return Err(stuck(format!("`{name}` {why}")));
        }
        let mend = format!("mend the recording rule `{name}`");
        let mut recorded = parse(&record.expr, &mend)?;
        for matcher in &of.matchers {
            let added = record.labels.contains(&matcher.label);
            if added || !restrict(&mut recorded, matcher) {
                let why = format!("`{name}` is recorded and matched by `{}`", matcher.label);
                return Err(stuck(why));
            }
        }
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.clone());
        }
        Ok(recorded)
    }
}

/// Adds a matcher to every selector, where that selects the same: the label has to survive all the
/// way up. Answers whether it did.
fn restrict(expr: &mut Expr, matcher: &MatcherText) -> bool {
    const KEEPING: [&str; 5] = ["rate", "increase", "histogram_quantile", "delta", "deriv"];
    let keeps = match &mut expr.kind {
        ExprKind::Series(selector, _) => {
            selector.matchers.push(matcher.clone());
            true
        }
        ExprKind::Text => false,
        ExprKind::Call { name, .. } => {
            KEEPING.contains(&name.as_str()) || name.ends_with("_over_time")
        }
        ExprKind::Aggregate { grouping, .. } => {
            matches!(grouping, Grouping::By(labels) if labels.contains(&matcher.label))
        }
        ExprKind::Binary(binary) => binary.modifier.is_none(),
        ExprKind::Number(_) | ExprKind::Neg(_) | ExprKind::Shifted(..) => true,
    };
    keeps && expr.children_mut().into_iter().all(|child| restrict(child, matcher))
}
