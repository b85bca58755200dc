//! Recorded series replaced by what they record, because a page does not have them. It must never
//! replace one whose expression would then mean something else.

use std::collections::HashMap;

use super::alert::Record;
use super::ast::{Binary, Expr, Grouping, Kind, Matcher, Series};
use super::parser::parse;
use super::place::Spot;

/// How many recording rules may stand on each other; three is a lot.
const MAX_DEPTH: usize = 16;

/// The most recorded series that one alert may be replaced by: each stands for an expression, and
/// those for more.
const MAX_INLINED: usize = 256;

/// Recording rules by name.
pub(super) struct Records<'r> {
    by_name: HashMap<&'r str, Vec<&'r Record>>,
}

/// Why a recorded series cannot be replaced.
#[derive(Debug)]
pub(super) struct Stuck {
    pub(super) spot: Spot,
    pub(super) why: String,
    pub(super) instead: String,
}

impl<'r> Records<'r> {
    pub(super) fn new(records: &'r [Record]) -> Self {
        let mut by_name: HashMap<&str, Vec<&Record>> = HashMap::new();
        for record in records {
            by_name.entry(&record.name).or_default().push(record);
        }
        Self { by_name }
    }

    /// The expression with every recorded series replaced, and their names.
    pub(super) fn inline(&self, expr: Expr) -> Result<(Expr, Vec<String>), Stuck> {
        let mut inliner = Inliner { records: self, names: Vec::new(), left: MAX_INLINED };
        let expr = inliner.expr(expr, 0)?;
        Ok((expr, inliner.names))
    }
}

struct Inliner<'a, 'r> {
    records: &'a Records<'r>,
    names: Vec<String>,
    left: usize,
}

impl Inliner<'_, '_> {
    fn expr(&mut self, expr: Expr, depth: usize) -> Result<Expr, Stuck> {
        let Expr { spot, kind } = expr;
        let kind = match kind {
            Kind::Series(series) => return self.series(series, spot, depth),
            Kind::Number(_) | Kind::Text => kind,
            Kind::Call { name, args } => Kind::Call { name, args: self.all(args, depth)? },
            Kind::Aggregate { op, grouping, args } => {
                Kind::Aggregate { op, grouping, args: self.all(args, depth)? }
            }
            Kind::Neg(of) => Kind::Neg(Box::new(self.expr(*of, depth)?)),
            Kind::Shifted(what, of) => Kind::Shifted(what, Box::new(self.expr(*of, depth)?)),
            Kind::Binary(binary) => {
                let Binary { op, left, right, modifier } = *binary;
                let (left, right) = (self.expr(left, depth)?, self.expr(right, depth)?);
                Kind::Binary(Box::new(Binary { op, left, right, modifier }))
            }
        };
        Ok(Expr { spot, kind })
    }

    fn all(&mut self, args: Vec<Expr>, depth: usize) -> Result<Vec<Expr>, Stuck> {
        args.into_iter().map(|arg| self.expr(arg, depth)).collect()
    }

    fn series(&mut self, series: Series, spot: Spot, depth: usize) -> Result<Expr, Stuck> {
        let name = series.selector.metric.clone();
        let Some(records) = self.records.by_name.get(name.as_str()) else {
            return Ok(Expr { spot, kind: Kind::Series(series) });
        };
        let stuck = |why: String, instead: &str| Stuck { spot, why, instead: instead.to_owned() };
        let write = "write what is recorded into the alert";
        let [record] = records[..] else {
            return Err(stuck(format!("`{name}` is recorded by {} rules", records.len()), write));
        };
        if series.range.is_some() {
            let why = format!("it looks back over `{name}`, which is recorded");
            return Err(stuck(why, "a page has no recorded series; judge its sources instead"));
        }
        self.left = self.left.saturating_sub(1);
        if depth >= MAX_DEPTH || self.left == 0 {
            let why = format!("`{name}` stands on too many recording rules, or on itself");
            return Err(stuck(why, write));
        }
        let mut recorded = parse(&record.expr).map_err(|error| Stuck {
            spot: error.spot,
            why: error.why,
            instead: format!("mend the recording rule `{name}`"),
        })?;
        for matcher in &series.selector.matchers {
            let inside = !record.labels.contains(&matcher.label);
            if !inside || !restrict(&mut recorded, matcher) {
                let why = format!("`{name}` is recorded and matched by `{}`", matcher.label);
                return Err(stuck(why, write));
            }
        }
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        self.expr(recorded, depth + 1)
    }
}

/// Adds a matcher to every selector, where that selects the same: the label has to survive all the
/// way up. Answers whether it did.
fn restrict(expr: &mut Expr, matcher: &Matcher) -> bool {
    match &mut expr.kind {
        Kind::Number(_) => true,
        Kind::Text => false,
        Kind::Series(series) => {
            series.selector.matchers.push(matcher.clone());
            true
        }
        Kind::Call { name, args } => {
            const KEEPING: [&str; 6] =
                ["rate", "increase", "histogram_quantile", "avg_over_time", "delta", "deriv"];
            let keeps = KEEPING.contains(&name.as_str()) || name.ends_with("_over_time");
            keeps && args.iter_mut().all(|arg| restrict(arg, matcher))
        }
        Kind::Aggregate { grouping, args, .. } => match grouping {
            Grouping::By(labels) => {
                labels.contains(&matcher.label) && args.iter_mut().all(|a| restrict(a, matcher))
            }
            Grouping::All | Grouping::Without(_) => false,
        },
        Kind::Neg(of) | Kind::Shifted(_, of) => restrict(of, matcher),
        Kind::Binary(binary) => {
            binary.modifier.is_none()
                && restrict(&mut binary.left, matcher)
                && restrict(&mut binary.right, matcher)
        }
    }
}
