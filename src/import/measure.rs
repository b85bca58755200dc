//! Numbers: series, functions, aggregations and arithmetic fitted to signals.

use std::time::Duration;

use crate::model::condition::{Arith, Extreme, Num};
use crate::model::place::SignalIx;

use super::ast::{Binary, Expr, Grouping, Kind as Of, Op, Selector, Series};
use super::fit::{Fitter, Measure, Shape};
use super::place::Spot;
use super::signal::{Across, Buckets, Kind, Over, Since};

/// The longest window of a signal.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The shortest.
const MIN_WINDOW: Duration = Duration::from_millis(100);

/// What is put together over series, and by which labels.
#[derive(Clone, Copy)]
struct Group<'g> {
    across: Across,
    labels: &'g [String],
}

impl Measure {
    fn new(num: Num, shape: Shape) -> Option<Self> {
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
                let num = match of.num {
                    Num::Const(number) => Num::Const(-number),
                    num => Num::Neg(Box::new(num)),
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

    fn call(&mut self, name: &str, args: &[Expr], spot: Spot) -> Option<Measure> {
        match name {
            "rate" | "increase" => self.counter(name, args, spot, None),
            "histogram_quantile" => self.quantile(args, spot),
            "abs" => {
                let [of] = args else { return self.arguments(name, spot) };
                let of = self.measure(of)?;
                Measure::new(Num::Abs(Box::new(of.num)), of.shape)
            }
            "clamp_min" | "clamp_max" => {
                let [of, limit] = args else { return self.arguments(name, spot) };
                let (of, limit) = (self.measure(of), self.measure(limit));
                let (of, limit) = (of?, limit?);
                let which = if name == "clamp_min" { Extreme::Max } else { Extreme::Min };
                Measure::new(Num::Extreme(which, vec![of.num, limit.num]), of.shape)
            }
            _ if over_time(name).is_some() || name == "quantile_over_time" => {
                self.over_time(name, args, spot, None)
            }
            _ => self.foreign(name, spot),
        }
    }

    fn arguments<T>(&mut self, name: &str, spot: Spot) -> Option<T> {
        self.flaw(spot, format!("`{name}` has other arguments than it takes"), "mend the alert")
    }

    /// A function that has no counterpart.
    fn foreign<T>(&mut self, name: &str, spot: Spot) -> Option<T> {
        let (why, instead) = match name {
            "irate" | "idelta" => (
                "looks at the last two samples only, so that a single scrape decides",
                "use `rate` over a short window",
            ),
            "predict_linear" => (
                "tells the future, which no rollback should wait for",
                "use a gauge with over = \"slope\" and a limit on its value",
            ),
            "label_replace" | "label_join" => {
                ("makes labels of its own", "select and group by the labels of the page")
            }
            "absent" | "absent_over_time" => (
                "is a condition here, not a number",
                "compare `count` of the series with 1: when = \"n < 1\"",
            ),
            "time" | "timestamp" => (
                "is fitted only as `time() - gauge` or `time() - timestamp(series)`",
                "use `age`",
            ),
            "changes" | "resets" => ("has no counterpart", "use the `increase` of a counter"),
            "last_over_time" | "present_over_time" | "count_over_time" => {
                ("has no counterpart", "use the gauge with a longer `stale`")
            }
            "scalar" | "vector" => ("has no counterpart", "write the number or the series itself"),
            _ => ("has no counterpart", "write the rule by hand with what the page has"),
        };
        self.flaw(spot, format!("`{name}` {why}"), instead)
    }

    /// The selector and window of a function over a range.
    fn ranged<'e>(&mut self, of: &'e Expr, name: &str) -> Option<(&'e Selector, Duration)> {
        let Of::Series(Series { selector, range: Some(window) }) = &of.kind else {
            return match &of.kind {
                Of::Shifted(..) => self.measure(of).and(None),
                _ => {
                    let why = format!("`{name}` of something other than a selector with a range");
                    self.flaw(of.spot, why, format!("write `{name}(metric[5m])`"))
                }
            };
        };
        if *window < MIN_WINDOW || *window > MAX_WINDOW {
            let why = "a window shorter than 100ms or longer than 24h";
            let instead = "a release is judged by what happened since it: use a shorter window";
            return self.flaw(of.spot, why, instead);
        }
        Some((selector, *window))
    }

    /// `rate` or `increase`, by itself or summed by labels.
    fn counter(
        &mut self,
        name: &str,
        args: &[Expr],
        spot: Spot,
        by: Option<&[String]>,
    ) -> Option<Measure> {
        let [of] = args else { return self.arguments(name, spot) };
        let (selector, window) = self.ranged(of, name)?;
        let kind = |of| match name {
            "rate" => Kind::Rate(of, window),
            _ => Kind::Increase(of, window),
        };
        let ix = self.signal(of.spot, selector, by.unwrap_or_default(), kind)?;
        Measure::new(Num::Signal(ix), self.shape(ix, by))
    }

    /// Without a grouping the signal means one series.
    fn shape(&mut self, ix: SignalIx, by: Option<&[String]>) -> Shape {
        match by {
            Some(labels) => Shape::Labels(labels.to_vec()),
            None => {
                self.singles.push(ix);
                Shape::Series
            }
        }
    }

    fn over_time(
        &mut self,
        name: &str,
        args: &[Expr],
        spot: Spot,
        group: Option<Group<'_>>,
    ) -> Option<Measure> {
        let (over, of) = match (over_time(name), args) {
            (Some(over), [of]) => (over, of),
            (None, [q, of]) if name == "quantile_over_time" => {
                if q.kind != Of::Number(0.5) {
                    let why = "`quantile_over_time` of another quantile than the median";
                    return self.flaw(q.spot, why, "use the median, `max` or `min` over time");
                }
                (Over::Median, of)
            }
            _ => return self.arguments(name, spot),
        };
        let (selector, window) = self.ranged(of, name)?;
        if let Some(group) = group.filter(|group| !over.commutes(group.across)) {
            let (across, over) = (group.across.text(), over.text());
            let why = format!("`{across}` over series of `{over}` over time is not what is judged");
            let instead = "series are put together first, then the sum, mean or extreme over time";
            return self.flaw(spot, why, instead);
        }
        if over == Over::Delta {
            self.note("`delta` is the last sample less the first, without extrapolation");
        }
        let (across, labels) = group.map_or((None, &[][..]), |g| (Some(g.across), g.labels));
        let kind = |of| Kind::Gauge { of, across, over: Some((over, window)) };
        let ix = self.signal(of.spot, selector, labels, kind)?;
        let shape = group.map_or(Shape::Series, |group| Shape::Labels(group.labels.to_vec()));
        Measure::new(Num::Signal(ix), shape)
    }

    fn quantile(&mut self, args: &[Expr], spot: Spot) -> Option<Measure> {
        let [q, of] = args else { return self.arguments("histogram_quantile", spot) };
        let q = match q.kind {
            Of::Number(q) if (0.0..=1.0).contains(&q) => q,
            _ => return self.flaw(q.spot, "a quantile that is no number from 0 to 1", "write it"),
        };
        let (rate, labels) = match &of.kind {
            Of::Aggregate { op, grouping, args: inner } if op == "sum" => {
                (&inner[0], Some(self.grouping(grouping)?))
            }
            _ => (of, None),
        };
        let Of::Call { name, args: inner } = &rate.kind else {
            let why = "the quantile of something other than a rate of buckets";
            let instead = "write `histogram_quantile(q, sum by (le) (rate(x_bucket[5m])))`";
            return self.flaw(rate.spot, why, instead);
        };
        let ("rate" | "increase", [ranged]) = (name.as_str(), &inner[..]) else {
            let why = format!("the quantile of `{name}`, not of a rate of buckets");
            return self.flaw(rate.spot, why, "use `rate` over a window");
        };
        let (selector, window) = self.ranged(ranged, name)?;
        let base = selector.metric.strip_suffix("_bucket");
        let buckets = if base.is_some() { Buckets::Classic } else { Buckets::Native };
        let by = match (labels, buckets) {
            (Some(labels), Buckets::Classic) => {
                if !labels.iter().any(|label| label == "le") {
                    let why = "`le` is not among the labels, so no quantile comes of it";
                    return self.flaw(of.spot, why, "write `sum by (le, …)`");
                }
                Some(labels.into_iter().filter(|label| label != "le").collect::<Vec<_>>())
            }
            (labels, Buckets::Classic | Buckets::Native) => labels,
        };
        let of = selector.named(base.unwrap_or(&selector.metric));
        let kind = |of| Kind::Quantile { q, of, window, buckets };
        let ix = self.signal(ranged.spot, &of, by.as_deref().unwrap_or_default(), kind)?;
        Measure::new(Num::Signal(ix), self.shape(ix, by.as_deref()))
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
                let why = "`up` of several targets";
                self.flaw(of.spot, why, "one rule for each target: [signal.x] up = \"TARGET\"")
            }
            Of::Call { name, args } if matches!(name.as_str(), "rate" | "increase") => {
                if across != Across::Sum {
                    let why = format!("`{op}` of `{name}`: counters are only ever added up");
                    return self.flaw(spot, why, "use `sum`, with `by` for one reading each");
                }
                self.counter(name, args, of.spot, Some(&labels))
            }
            Of::Call { name, args }
                if over_time(name).is_some() || name == "quantile_over_time" =>
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
            _ => {
                let why = format!("`{op}` of something other than series or their rate");
                let instead = "aggregate each series first, then calculate";
                self.flaw(of.spot, why, instead)
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
        let (Of::Series(series), Of::Number(limit)) = (&binary.left.kind, &binary.right.kind) else {
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
            && let (Num::Signal(of), Num::Signal(to)) = (&left.num, &right.num)
        {
            let (of, to) = (*of, *to);
            return self.quotient(of, to, shape, spot);
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
        let value = match binary.op {
            Op::Pow => a.powf(*b),
            Op::Mod => a % b,
            _ => a.atan2(*b),
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

    /// `time() - x`.
    fn age(&mut self, of: &Expr) -> Option<Measure> {
        let (of, labels) = match &of.kind {
            Of::Aggregate { op, grouping, args } if op == "max" => {
                (&args[0], Some(self.grouping(grouping)?))
            }
            _ => (of, None),
        };
        let (of, since) = match &of.kind {
            Of::Call { name, args } if name == "timestamp" && args.len() == 1 => {
                (&args[0], Since::Sample)
            }
            _ => (of, Since::Value),
        };
        let Of::Series(Series { selector, range: None }) = &of.kind else {
            let why = "the age of something other than a series or the `max` of some";
            return self.flaw(of.spot, why, "use `age`, which is that of the newest");
        };
        let kind = |of| Kind::Age { of, since };
        let ix = self.signal(of.spot, selector, labels.as_deref().unwrap_or_default(), kind)?;
        Measure::new(Num::Signal(ix), self.shape(ix, labels.as_deref()))
    }
}

fn over_time(name: &str) -> Option<Over> {
    Some(match name {
        "avg_over_time" => Over::Avg,
        "min_over_time" => Over::Min,
        "max_over_time" => Over::Max,
        "stddev_over_time" => Over::Stddev,
        "delta" => Over::Delta,
        "deriv" => Over::Slope,
        _ => return None,
    })
}
