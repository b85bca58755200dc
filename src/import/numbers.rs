//! Converts numbers: series, aggregations and arithmetic. `functions` converts calls.

use super::algebra::{arith, scaled};
use super::converter::{Converter, Number, ValueLabels};
use super::promql::{Binary, Expr, ExprKind, Grouping, Op, SeriesSelector};
use super::signal::{ImportedKind, ImportedSignal, OverTime, across_named};
use super::spot::Spot;
use crate::model::condition::{Arith, Num};
use crate::model::index::SignalIx;
use crate::model::signal::Aggregation;
use crate::toml_text::MatcherText;

impl Converter {
    pub(super) fn number(&mut self, expr: &Expr) -> Option<Number> {
        let spot = expr.spot;
        match &expr.kind {
            ExprKind::Number(number) if number.is_finite() => {
                Some(Number { num: Num::Const(*number), labels: ValueLabels::Constant })
            }
            ExprKind::Number(_) => self.flaw(spot, "a number that is not finite", "name a limit"),
            ExprKind::Text => self.flaw(spot, "a text where a number belongs", "mend the alert"),
            ExprKind::Series(_, Some(_)) => {
                self.flaw(spot, "a range where a number belongs", "mend the alert")
            }
            ExprKind::Series(selector, None) if selector.metric == "up" => self.up(selector, spot),
            // Exactly one series may match, else there is no reading.
            ExprKind::Series(selector, None) => {
                let kind = ImportedKind::Gauge { across: None, over: None };
                self.reading(spot, selector, None, kind, None)
            }
            ExprKind::Call { .. } => self.call(expr),
            ExprKind::Aggregate { op, grouping, args } => self.aggregate(op, grouping, args, spot),
            ExprKind::Neg(of) => {
                let Number { num, labels } = self.number(of)?;
                let neg = |num| Num::Neg(Box::new(num));
                let num = if let Num::Const(num) = num { Num::Const(-num) } else { neg(num) };
                Some(Number { num, labels })
            }
            ExprKind::Shifted(what, _) => {
                let why = format!("{what} looks at another time than now");
                let instead = "compare with a baseline: `x > 2 * x.before` is one window ago";
                self.flaw(spot, why, instead)
            }
            ExprKind::Binary(binary) => self.binary(binary),
        }
    }

    /// Both sides of an operator. Both are looked at even if one cannot be converted, so that
    /// everything is said at once.
    pub(super) fn both(&mut self, left: &Expr, right: &Expr) -> Option<(Number, Number)> {
        let (left, right) = (self.number(left), self.number(right));
        left.zip(right)
    }

    fn up(&mut self, selector: &SeriesSelector, spot: Spot) -> Option<Number> {
        let job = selector.matchers.iter().find(|m| m.label == "job" && m.op == "=");
        let job = job.map(|m| m.value.as_str());
        let Some(target) = self.options.target_of(job).map(str::to_owned) else {
            let why = "`up` is about a target, and it is not known which one is meant";
            let instead = format!("name it: --target {}=TARGET", job.unwrap_or("JOB"));
            return self.flaw(spot, why, instead);
        };
        for matcher in selector.matchers.iter().filter(|m| m.label != "job") {
            let MatcherText { label, op, value } = matcher;
            self.note(format!("left out, `up` has no labels here: {label}{op}\"{value}\""));
        }
        let (kind, of, target) = (ImportedKind::Up, SeriesSelector::default(), Some(target));
        let ix = self.add(ImportedSignal { kind, of, window: None, by: Vec::new(), target });
        Some(Number { num: Num::Signal(ix), labels: ValueLabels::Every })
    }

    /// The labels of a grouping.
    pub(super) fn grouping(&mut self, grouping: &Grouping) -> Option<Vec<String>> {
        match grouping {
            Grouping::All => Some(Vec::new()),
            Grouping::By(labels) => Some(labels.clone()),
            Grouping::Without(spot) => {
                let why = "`without` groups by labels that it does not name";
                self.flaw(*spot, why, "name the labels to keep: `by (…)`")
            }
        }
    }

    fn aggregate(&mut self, op: &str, by: &Grouping, args: &[Expr], spot: Spot) -> Option<Number> {
        let (Some(across), [of]) = (across_named(op), args) else {
            let why = format!("`{op}` has no counterpart");
            let instead = "use sum, avg, min, max or count, or one reading each with `by`";
            return self.flaw(spot, why, instead);
        };
        let labels = self.grouping(by)?;
        match (&of.kind, across) {
            (ExprKind::Series(selector, _), _) if selector.metric == "up" => {
                self.flaw(of.spot, "`up` of several targets", "write one rule for each target")
            }
            (ExprKind::Series(selector, None), _) => {
                let kind = ImportedKind::Gauge { across: Some(across), over: None };
                self.reading(of.spot, selector, Some(&labels), kind, None)
            }
            (ExprKind::Call { name, .. }, _) if ["rate", "increase"].contains(&&**name) => {
                match across {
                    Aggregation::Sum => self.counter(of, Some(&labels)),
                    Aggregation::Avg => self.mean_rate(of, &labels),
                    Aggregation::Min | Aggregation::Max | Aggregation::Count => {
                        let why = format!("`{op}` of `{name}`: counters are only added up");
                        self.flaw(spot, why, "use `sum`, with `by` for one reading each")
                    }
                }
            }
            (ExprKind::Call { name, .. }, _) if OverTime::named(name).is_some() => {
                self.over_time(of, Some((across, &labels)))
            }
            // A sum of sums is a sum.
            (ExprKind::Aggregate { op: inner, grouping: finer, args }, Aggregation::Sum)
                if inner == "sum" && is_finer(finer, &labels) =>
            {
                self.aggregate(op, by, args, of.spot)
            }
            (ExprKind::Binary(binary), Aggregation::Count)
                if matches!(binary.op, Op::Compare(_)) =>
            {
                self.count(binary, &labels)
            }
            (_, _) => {
                let why = format!("`{op}` of something other than series or their rate");
                self.flaw(of.spot, why, "aggregate each series first, then calculate")
            }
        }
    }

    /// `count(gauge > 5)`.
    fn count(&mut self, binary: &Binary, labels: &[String]) -> Option<Number> {
        let why = "`count` of a comparison other than `gauge > number`";
        let (ExprKind::Series(selector, range), ExprKind::Number(limit)) =
            (&binary.left.kind, &binary.right.kind)
        else {
            return self.flaw(binary.spot, why, "compare the series itself with a number");
        };
        let plain = range.is_none() && binary.modifier.is_none() && limit.is_finite();
        if !plain || selector.metric == "up" {
            let instead = "compare the series itself; for targets write a rule for each";
            return self.flaw(binary.spot, why, instead);
        }
        let value = Some(format!("{} {limit}", binary.op.text()));
        let kind = ImportedKind::Count { value };
        self.reading(binary.left.spot, selector, Some(labels), kind, None)
    }

    fn binary(&mut self, binary: &Binary) -> Option<Number> {
        let spot = binary.spot;
        self.unmodified(binary)?;
        let op = match binary.op {
            Op::Arith(op) => op,
            Op::Pow => return self.folded(binary, f64::powf),
            Op::Mod => return self.folded(binary, |a, b| a % b),
            Op::Atan2 => return self.folded(binary, f64::atan2),
            Op::Or | Op::And | Op::Unless => {
                let why = format!("`{}` within arithmetic", binary.op.text());
                return self.flaw(spot, why, "join whole comparisons");
            }
            Op::Compare(_) => {
                let why = "a comparison within arithmetic or another comparison";
                return self.flaw(spot, why, "join comparisons with `and`");
            }
        };
        if let (Arith::Sub, Some(("time", _))) = (op, binary.left.call()) {
            return self.age(&binary.right);
        }
        let (left, right) = self.both(&binary.left, &binary.right)?;
        let labels = self.agree(spot, left.labels, right.labels)?;
        if op == Arith::Div
            && let (Some((of, factor)), Num::Signal(to)) = (scaled(&left.num), &right.num)
        {
            // `100 * a / b` is read from the left, and means a hundred times the ratio.
            let num = self.quotient(spot, of, *to, &labels)?;
            let num = match factor {
                Some(factor) => arith(Arith::Mul, factor, num),
                None => num,
            };
            return Some(Number { num, labels });
        }
        Some(Number { num: arith(op, left.num, right.num), labels })
    }

    /// Refuses an operator with a modifier.
    pub(super) fn unmodified(&mut self, binary: &Binary) -> Option<()> {
        match binary.modifier {
            None => Some(()),
            Some(("bool", spot)) => {
                self.flaw(spot, "`bool` makes a number of a comparison", "compare directly")
            }
            Some((word, spot)) => {
                let why = format!("`{word}` pairs series by some of their labels");
                self.flaw(spot, why, "aggregate both sides by the same labels")
            }
        }
    }

    /// Computes an operator that only constants have.
    fn folded(&mut self, binary: &Binary, compute: fn(f64, f64) -> f64) -> Option<Number> {
        let (left, right) = self.both(&binary.left, &binary.right)?;
        let (Num::Const(a), Num::Const(b)) = (&left.num, &right.num) else {
            let why = format!("`{}` of series has no counterpart", binary.op.text());
            return self.flaw(binary.spot, why, "use + - * / and a limit that fits");
        };
        let value = compute(*a, *b);
        if !value.is_finite() {
            return self.flaw(binary.spot, "a number that is not finite", "name a limit");
        }
        Some(Number { num: Num::Const(value), labels: ValueLabels::Constant })
    }

    /// One signal divided by another: a ratio or a mean, where it is one.
    fn quotient(
        &mut self,
        spot: Spot,
        of: SignalIx,
        to: SignalIx,
        by: &ValueLabels,
    ) -> Option<Num> {
        let (part, whole) = (self.signals[of.0].clone(), self.signals[to.0].clone());
        let counters = matches!(part.kind, ImportedKind::Rate | ImportedKind::Increase);
        let like = (&part.kind, part.window, &part.target);
        if !counters || like != (&whole.kind, whole.window, &whole.target) {
            return Some(arith(Arith::Div, Num::Signal(of), Num::Signal(to)));
        }
        let single = *by == ValueLabels::Every;
        if single && part.of.metric == whole.of.metric {
            let why = "every series is divided by itself, since nothing is summed";
            return self.flaw(spot, why, "write `sum(rate(…)) / sum(rate(…))`");
        }
        let base = part.of.metric.strip_suffix("_sum");
        let mean = base.is_some()
            && base == whole.of.metric.strip_suffix("_count")
            && part.of.matchers == whole.of.matchers;
        let signal = match base.filter(|_| mean) {
            Some(base) => {
                ImportedSignal { kind: ImportedKind::Mean, of: part.of.named(base), ..part }
            }
            None => ImportedSignal { kind: ImportedKind::Ratio { to: whole.of }, ..part },
        };
        let ix = self.add(signal);
        if single {
            self.singles.retain(|single| *single != of && *single != to);
            self.singles.push(ix);
        }
        Some(Num::Signal(ix))
    }
}

/// Whether a grouping keeps at least these labels.
fn is_finer(grouping: &Grouping, labels: &[String]) -> bool {
    match grouping {
        Grouping::By(finer) => labels.iter().all(|label| finer.contains(label)),
        Grouping::All => labels.is_empty(),
        Grouping::Without(_) => false,
    }
}
