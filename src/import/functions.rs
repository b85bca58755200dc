//! Functions: of counters, of gauges over time, of histograms and of time. Each that has no
//! counterpart is answered with the reason and with what comes nearest.

use std::time::Duration;

use crate::model::condition::{Arith, Extreme, Num};
use crate::model::index::SignalIx;

use super::ast::{Expr, Kind as Of, Selector, Series};
use super::fit::{Fitter, Measure, Shape};
use super::measure::Group;
use super::place::Spot;
use super::signal::{Across, Buckets, Kind, Over, Since};

/// The longest window of a signal.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// The shortest.
const MIN_WINDOW: Duration = Duration::from_millis(100);

impl Fitter<'_> {
    pub(super) fn call(&mut self, name: &str, args: &[Expr], spot: Spot) -> Option<Measure> {
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
            _ if named_over(name).is_some() || name == "quantile_over_time" => {
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
            "time" | "timestamp" => {
                ("is fitted only as `time() - gauge` or `time() - timestamp(series)`", "use `age`")
            }
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
            if matches!(of.kind, Of::Shifted(..)) {
                return self.measure(of).and(None);
            }
            let why = format!("`{name}` of something other than a selector with a range");
            return self.flaw(of.spot, why, format!("write `{name}(metric[5m])`"));
        };
        if *window < MIN_WINDOW || *window > MAX_WINDOW {
            let why = "a window shorter than 100ms or longer than 24h";
            let instead = "a release is judged by what happened since it: use a shorter window";
            return self.flaw(of.spot, why, instead);
        }
        Some((selector, *window))
    }

    /// `rate` or `increase`, by itself or summed by labels.
    pub(super) fn counter(
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

    /// `avg` of `rate`: the sum by the number of series.
    pub(super) fn mean_rate(
        &mut self,
        name: &str,
        args: &[Expr],
        spot: Spot,
        labels: &[String],
    ) -> Option<Measure> {
        let sum = self.counter(name, args, spot, Some(labels))?;
        let (selector, _) = self.ranged(&args[0], name)?;
        let kind = |of| Kind::Gauge { of, across: Some(Across::Count), over: None };
        let count = self.signal(args[0].spot, selector, labels, kind)?;
        let num = Num::Arith(Arith::Div, Box::new(sum.num), Box::new(Num::Signal(count)));
        Measure::new(num, sum.shape)
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

    pub(super) fn over_time(
        &mut self,
        name: &str,
        args: &[Expr],
        spot: Spot,
        group: Option<Group<'_>>,
    ) -> Option<Measure> {
        let (over, of) = match (named_over(name), args) {
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
        let Some(q) = number(q).filter(|q| (0.0..=1.0).contains(q)) else {
            return self.flaw(q.spot, "a quantile that is no number from 0 to 1", "write it");
        };
        let mut rate = of;
        let mut labels = None;
        if let Of::Aggregate { op, grouping, args: inner } = &of.kind
            && op == "sum"
        {
            (rate, labels) = (&inner[0], Some(self.grouping(grouping)?));
        }
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

    /// `time() - x`.
    pub(super) fn age(&mut self, of: &Expr) -> Option<Measure> {
        let (mut of, mut labels, mut since) = (of, None, Since::Value);
        if let Of::Aggregate { op, grouping, args } = &of.kind
            && op == "max"
        {
            (of, labels) = (&args[0], Some(self.grouping(grouping)?));
        }
        if let Of::Call { name, args } = &of.kind
            && let ("timestamp", [inner]) = (name.as_str(), &args[..])
        {
            (of, since) = (inner, Since::Sample);
        }
        let Of::Series(Series { selector, range: None }) = &of.kind else {
            let why = "the age of something other than a series or the `max` of some";
            return self.flaw(of.spot, why, "use `age`, which is that of the newest");
        };
        let kind = |of| Kind::Age { of, since };
        let ix = self.signal(of.spot, selector, labels.as_deref().unwrap_or_default(), kind)?;
        Measure::new(Num::Signal(ix), self.shape(ix, labels.as_deref()))
    }
}

fn number(expr: &Expr) -> Option<f64> {
    if let Of::Number(number) = expr.kind { Some(number) } else { None }
}

pub(super) fn named_over(name: &str) -> Option<Over> {
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
