//! Numbers: series, functions, aggregations and arithmetic fitted to signals.

use crate::model::condition::{Arith, Num};
use crate::model::index::SignalIx;

use super::ast::{Binary, Expr, Grouping, Kind as Of, Op, Selector, Series};
use super::compare::constant;
use super::fit::{Fitter, Measure, Shape};
use super::functions::named_over;
use super::place::Spot;
use super::signal::{Across, Kind};

/// What is put together over series, and by which labels.
#[derive(Clone, Copy)]
pub(super) struct Group<'g> {
    pub(super) across: Across,
    pub(super) labels: &'g [String],
}

impl Measure {
    pub(super) fn new(num: Num, shape: Shape) -> Option<Self> {
        Some(Self { num, shape })
    }
}

impl Fitter<'_> {
    /// A number.
    pub(super) fn measure(&mut self, expr: &Expr) -> Option<Measure> {
        match &expr.kind {
            Of::Number(number) if number.is_finite() => {
                Measure::new(Num::Const(*number), Shape::Scalar)
            }
            Of::Number(_) => self.flaw(expr.spot, "a number that is not finite", "name a limit"),
            Of::Text => self.flaw(expr.spot, "a text where a number belongs", "mend the alert"),
            Of::Series(series) => self.gauge(series, expr.spot),
            Of::Call { name, args } => self.call(name, args, expr.spot),
            Of::Aggregate { op, grouping, args } => self.aggregate(op, grouping, args, expr.spot),
            Of::Neg(of) => {
                let of = self.measure(of)?;
                let num = if let Num::Const(number) = of.num {
                    Num::Const(-number)
                } else {
                    Num::Neg(Box::new(of.num))
                };
                Measure::new(num, of.shape)
            }
            Of::Shifted(what, _) => {
                let why = format!("{what} looks at another time than now");
                let instead = "compare with a baseline: `x > 2 * x.before` is one window ago";
                self.flaw(expr.spot, why, instead)
            }
            Of::Binary(binary) => self.binary(binary, expr.spot),
        }
    }

    /// A plain series: exactly one may match, else there is no reading.
    fn gauge(&mut self, series: &Series, spot: Spot) -> Option<Measure> {
        if series.range.is_some() {
            return self.flaw(spot, "a range where a number belongs", "mend the alert");
        }
        if series.selector.metric == "up" {
            return self.up(&series.selector, spot);
        }
        let over = None;
        let kind = |of| Kind::Gauge { of, across: None, over };
        let ix = self.signal(spot, &series.selector, &[], kind)?;
        Measure::new(Num::Signal(ix), Shape::Series)
    }

    fn up(&mut self, selector: &Selector, spot: Spot) -> Option<Measure> {
        let job = selector.matchers.iter().find(|m| m.label == "job" && m.op == "=");
        let target = self.options.target_of(job.map(|m| m.value.as_str())).map(str::to_owned);
        let Some(target) = target else {
            let job = job.map_or("JOB", |m| m.value.as_str());
            let why = "`up` is about a target, and it is not known which one is meant";
            return self.flaw(spot, why, format!("name it: --target {job}=TARGET"));
        };
        let others = selector.matchers.iter().filter(|m| m.label != "job");
        for matcher in others {
            let written = format!("{}{}\"{}\"", matcher.label, matcher.op, matcher.value);
            self.note(format!("left out, `up` has no labels here: {written}"));
        }
        let target = Some(target);
        let ix = self.add(super::signal::Signal { kind: Kind::Up, by: Vec::new(), target });
        Measure::new(Num::Signal(ix), Shape::Series)
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

    fn aggregate(
        &mut self,
        op: &str,
        grouping: &Grouping,
        args: &[Expr],
        spot: Spot,
    ) -> Option<Measure> {
        let (Some(across), [of]) = (Across::named(op), args) else {
            let why = format!("`{op}` has no counterpart");
            let instead = "use sum, avg, min, max or count, or one reading each with `by`";
            return self.flaw(spot, why, instead);
        };
        let labels = self.grouping(grouping)?;
        let group = Group { across, labels: &labels };
        match &of.kind {
            Of::Series(series) if series.range.is_none() && series.selector.metric != "up" => {
                let kind = |of| Kind::Gauge { of, across: Some(across), over: None };
                let ix = self.signal(of.spot, &series.selector, &labels, kind)?;
                Measure::new(Num::Signal(ix), Shape::Labels(labels))
            }
            Of::Series(series) if series.selector.metric == "up" => {
                self.flaw(of.spot, "`up` of several targets", "write one rule for each target")
            }
            Of::Call { name, args } if matches!(name.as_str(), "rate" | "increase") => {
                self.summed(name, args, (spot, of.spot), group)
            }
            Of::Call { name, args }
                if named_over(name).is_some() || name == "quantile_over_time" =>
            {
                self.over_time(name, args, of.spot, Some(group))
            }
            // A sum of sums is a sum.
            Of::Aggregate { op: inner, grouping: finer, args }
                if op == "sum" && inner == "sum" && self.is_finer(finer, &labels) =>
            {
                self.aggregate(op, grouping, args, of.spot)
            }
            Of::Binary(binary) if across == Across::Count && binary.op.tightness() == 3 => {
                self.count(binary, of.spot, labels)
            }
            Of::Number(_)
            | Of::Text
            | Of::Series(_)
            | Of::Call { .. }
            | Of::Aggregate { .. }
            | Of::Neg(_)
            | Of::Binary(_)
            | Of::Shifted(..) => {
                let why = format!("`{op}` of something other than series or their rate");
                let instead = "aggregate each series first, then calculate";
                self.flaw(of.spot, why, instead)
            }
        }
    }

    /// A rate over several series: counters are only ever added up.
    fn summed(
        &mut self,
        name: &str,
        args: &[Expr],
        (spot, inner): (Spot, Spot),
        Group { across, labels }: Group<'_>,
    ) -> Option<Measure> {
        match across {
            Across::Sum => self.counter(name, args, inner, Some(labels)),
            Across::Avg => self.mean_rate(name, args, inner, labels),
            Across::Min | Across::Max | Across::Count => {
                let why = format!("`{}` of `{name}`: counters are only added up", across.text());
                self.flaw(spot, why, "use `sum`, with `by` for one reading each")
            }
        }
    }

    fn is_finer(&self, grouping: &Grouping, labels: &[String]) -> bool {
        match grouping {
            Grouping::By(finer) => labels.iter().all(|label| finer.contains(label)),
            Grouping::All => labels.is_empty(),
            Grouping::Without(_) => false,
        }
    }

    /// `count(gauge > 5)`.
    fn count(&mut self, binary: &Binary, spot: Spot, labels: Vec<String>) -> Option<Measure> {
        let (Of::Series(series), Of::Number(limit)) = (&binary.left.kind, &binary.right.kind)
        else {
            let why = "`count` of a comparison other than `gauge > number`";
            return self.flaw(spot, why, "compare the series itself with a number");
        };
        let up = series.selector.metric == "up";
        if series.range.is_some() || binary.modifier.is_some() || up || !limit.is_finite() {
            let why = "`count` of a comparison other than `gauge > number`";
            let instead = "compare the series itself; for targets write a rule for each";
            return self.flaw(spot, why, instead);
        }
        let value = Some(format!("{} {limit}", binary.op.text()));
        let kind = |of| Kind::Count { of, value };
        let ix = self.signal(binary.left.spot, &series.selector, &labels, kind)?;
        Measure::new(Num::Signal(ix), Shape::Labels(labels))
    }

    fn binary(&mut self, binary: &Binary, spot: Spot) -> Option<Measure> {
        if let Some((word, spot)) = binary.modifier {
            return self.modifier(word, spot);
        }
        let arith = match binary.op {
            Op::Add => Arith::Add,
            Op::Sub => Arith::Sub,
            Op::Mul => Arith::Mul,
            Op::Div => Arith::Div,
            Op::Pow | Op::Mod | Op::Atan2 => return self.folded(binary, spot),
            Op::Or | Op::And | Op::Unless => {
                let why = format!("`{}` within arithmetic", binary.op.text());
                return self.flaw(spot, why, "join whole comparisons");
            }
            Op::Equal
            | Op::NotEqual
            | Op::Less
            | Op::LessOrEqual
            | Op::Greater
            | Op::GreaterOrEqual => {
                let why = "a comparison within arithmetic or another comparison";
                return self.flaw(spot, why, "join comparisons with `and`");
            }
        };
        if let (Arith::Sub, Of::Call { name, .. }) = (arith, &binary.left.kind)
            && name == "time"
        {
            return self.age(&binary.right);
        }
        // Both are looked at even if one does not fit, so that everything is said at once.
        let (left, right) = (self.measure(&binary.left), self.measure(&binary.right));
        let (left, right) = (left?, right?);
        let shape = self.agree(spot, left.shape, right.shape)?;
        if arith == Arith::Div
            && let (Some((of, factor)), Num::Signal(to)) = (scaled(&left.num), &right.num)
        {
            // `100 * a / b` is read from the left, and means a hundred times the ratio.
            let Measure { num, shape } = self.quotient(of, *to, shape, spot)?;
            let times = |factor| Num::Arith(Arith::Mul, Box::new(factor), Box::new(num.clone()));
            let num = factor.map_or_else(|| num.clone(), times);
            return Measure::new(num, shape);
        }
        let num = Num::Arith(arith, Box::new(left.num), Box::new(right.num));
        Measure::new(num, shape)
    }

    pub(super) fn modifier<T>(&mut self, word: &'static str, spot: Spot) -> Option<T> {
        match word {
            "bool" => self.flaw(spot, "`bool` makes a number of a comparison", "compare directly"),
            _ => self.flaw(
                spot,
                format!("`{word}` pairs series by some of their labels"),
                "aggregate both sides by the same labels",
            ),
        }
    }

    /// Operators that are only known to constants.
    fn folded(&mut self, binary: &Binary, spot: Spot) -> Option<Measure> {
        let (left, right) = (self.measure(&binary.left), self.measure(&binary.right));
        let (left, right) = (left?, right?);
        let (Num::Const(a), Num::Const(b)) = (&left.num, &right.num) else {
            let why = format!("`{}` of series has no counterpart", binary.op.text());
            return self.flaw(spot, why, "use + - * / and a limit that fits");
        };
        let value = if binary.op == Op::Pow {
            a.powf(*b)
        } else if binary.op == Op::Mod {
            a % b
        } else {
            a.atan2(*b)
        };
        if !value.is_finite() {
            return self.flaw(spot, "a number that is not finite", "name a limit");
        }
        Measure::new(Num::Const(value), Shape::Scalar)
    }

    /// One signal divided by another: a ratio or a mean, where it is one.
    fn quotient(
        &mut self,
        of: SignalIx,
        to: SignalIx,
        shape: Shape,
        spot: Spot,
    ) -> Option<Measure> {
        let plain = Num::Arith(Arith::Div, Box::new(Num::Signal(of)), Box::new(Num::Signal(to)));
        let (part, whole) = (self.signals[of.0].clone(), self.signals[to.0].clone());
        let (a, b, window) = match (&part.kind, &whole.kind) {
            (Kind::Rate(a, w), Kind::Rate(b, v)) | (Kind::Increase(a, w), Kind::Increase(b, v))
                if w == v =>
            {
                (a.clone(), b.clone(), *w)
            }
            _ => return Measure::new(plain, shape),
        };
        if part.target != whole.target {
            return Measure::new(plain, shape);
        }
        let single = shape == Shape::Series;
        if single && a.metric == b.metric {
            let why = "every series is divided by itself, since nothing is summed";
            return self.flaw(spot, why, "write `sum(rate(…)) / sum(rate(…))`");
        }
        let bases = (a.metric.strip_suffix("_sum"), b.metric.strip_suffix("_count"));
        let kind = match bases {
            (Some(base), Some(other)) if base == other && a.matchers == b.matchers => {
                Kind::Mean(a.named(base), window)
            }
            _ => Kind::Ratio { of: a, to: b, window },
        };
        let ix = self.add(super::signal::Signal { kind, ..part });
        if single {
            self.singles.retain(|single| *single != of && *single != to);
            self.singles.push(ix);
        }
        Measure::new(Num::Signal(ix), shape)
    }
}

/// A signal, or a constant times a signal.
fn scaled(num: &Num) -> Option<(SignalIx, Option<Num>)> {
    if let Num::Signal(ix) = num {
        return Some((*ix, None));
    }
    let Num::Arith(Arith::Mul, left, right) = num else { return None };
    let pair = |factor: &Num, of: &Num| match (constant(factor), of) {
        (Some(_), Num::Signal(ix)) => Some((*ix, Some(factor.clone()))),
        _ => None,
    };
    pair(left, right).or_else(|| pair(right, left))
}
