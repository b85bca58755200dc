//! Converts calls of functions: of counters, of gauges over time, of histograms and of time. A
//! function without a counterpart is answered with the reason and with what comes nearest.

use std::time::Duration;

use super::algebra::arith;
use super::converter::{Converter, Number};
use super::promql::{Expr, ExprKind, SeriesSelector};
use super::signal::{ImportedKind, OverTime};
use super::spot::Spot;
use crate::model::condition::{Arith, Extreme, Num};
use crate::model::signal::{AgeOf, Aggregation};

/// The shortest and the longest window of a signal.
const WINDOWS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(100)..=Duration::from_secs(24 * 3600);

impl Converter {
    pub(super) fn call(&mut self, call: &Expr) -> Option<Number> {
        match call.call()? {
            ("rate" | "increase", _) => self.counter(call, None),
            ("histogram_quantile", [q, of]) => self.quantile(q, of),
            ("abs", [of]) => {
                let Number { num, labels } = self.number(of)?;
                Some(Number { num: Num::Abs(Box::new(num)), labels })
            }
            (name @ ("clamp_min" | "clamp_max"), [of, limit]) => {
                let (of, limit) = self.both(of, limit)?;
                let which = if name == "clamp_min" { Extreme::Max } else { Extreme::Min };
                Some(Number { num: Num::Extreme(which, vec![of.num, limit.num]), ..of })
            }
            ("abs" | "clamp_min" | "clamp_max" | "histogram_quantile", _) => self.arguments(call),
            (name, _) if OverTime::named(name).is_some() => self.over_time(call, None),
            (name, _) => self.foreign(name, call.spot),
        }
    }

    fn arguments<T>(&mut self, call: &Expr) -> Option<T> {
        let (name, _) = call.call()?;
        let why = format!("`{name}` has other arguments than it takes");
        self.flaw(call.spot, why, "mend the alert")
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
    fn ranged<'e>(&mut self, of: &'e Expr, name: &str) -> Option<(&'e SeriesSelector, Duration)> {
        let ExprKind::Series(selector, Some(window)) = &of.kind else {
            if matches!(of.kind, ExprKind::Shifted(..)) {
                return self.number(of).and(None);
            }
            let why = format!("`{name}` of something other than a selector with a range");
            return self.flaw(of.spot, why, format!("write `{name}(metric[5m])`"));
        };
        if !WINDOWS.contains(window) {
            let why = "a window shorter than 100ms or longer than 24h";
            let instead = "a release is judged by what happened since it: use a shorter window";
            return self.flaw(of.spot, why, instead);
        }
        Some((selector, *window))
    }

    /// `rate` or `increase`, by itself or summed by labels.
    pub(super) fn counter(&mut self, call: &Expr, by: Option<&[String]>) -> Option<Number> {
        let Some((name, [of])) = call.call() else { return self.arguments(call) };
        let (selector, window) = self.ranged(of, name)?;
        let kind = if name == "rate" { ImportedKind::Rate } else { ImportedKind::Increase };
        self.reading(of.spot, selector, by, kind, Some(window))
    }

    /// `avg` of `rate`: the sum by the number of series.
    pub(super) fn mean_rate(&mut self, call: &Expr, labels: &[String]) -> Option<Number> {
        let sum = self.counter(call, Some(labels))?;
        let (name, args) = call.call()?;
        let (selector, _) = self.ranged(&args[0], name)?;
        let kind = ImportedKind::Gauge { across: Some(Aggregation::Count), over: None };
        let count = self.signal(args[0].spot, selector, labels, kind, None)?;
        Some(Number { num: arith(Arith::Div, sum.num, Num::Signal(count)), ..sum })
    }

    /// A gauge over time, by itself or put together by labels.
    pub(super) fn over_time(
        &mut self,
        call: &Expr,
        group: Option<(Aggregation, &[String])>,
    ) -> Option<Number> {
        let Some((name, [parameters @ .., of])) = call.call() else { return self.arguments(call) };
        let over = OverTime::named(name)?;
        if parameters.len() != usize::from(over == OverTime::Median) {
            return self.arguments(call);
        }
        if let [q] = parameters
            && q.kind != ExprKind::Number(0.5)
        {
            let why = "`quantile_over_time` of another quantile than the median";
            return self.flaw(q.spot, why, "use the median, `max` or `min` over time");
        }
        let (selector, window) = self.ranged(of, name)?;
        let (across, by) = group.unzip();
        if let Some(across) = across.filter(|across| !over.commutes(*across)) {
            let (across, over) = (across.word(), over.word());
            let why = format!("`{across}` over series of `{over}` over time is not what is judged");
            let instead = "series are put together first, then the sum, mean or extreme over time";
            return self.flaw(call.spot, why, instead);
        }
        if over == OverTime::Delta {
            self.note("`delta` is the last sample less the first, without extrapolation");
        }
        let kind = ImportedKind::Gauge { across, over: Some(over) };
        self.reading(of.spot, selector, by, kind, Some(window))
    }

    /// `histogram_quantile` of a rate, or of a sum of rates.
    fn quantile(&mut self, q: &Expr, of: &Expr) -> Option<Number> {
        let number = if let ExprKind::Number(number) = q.kind { Some(number) } else { None };
        let Some(q) = number.filter(|q| (0.0..=1.0).contains(q)) else {
            return self.flaw(q.spot, "a quantile that is no number from 0 to 1", "write it");
        };
        let (mut rate, mut by) = (of, None);
        if let ExprKind::Aggregate { op, grouping, args: inner } = &of.kind
            && op == "sum"
        {
            (rate, by) = (&inner[0], Some(self.grouping(grouping)?));
        }
        let Some((name, inner)) = rate.call() else {
            let why = "the quantile of something other than a rate of buckets";
            let instead = "write `histogram_quantile(q, sum by (le) (rate(x_bucket[5m])))`";
            return self.flaw(rate.spot, why, instead);
        };
        let ("rate" | "increase", [ranged]) = (name, inner) else {
            let why = format!("the quantile of `{name}`, not of a rate of buckets");
            return self.flaw(rate.spot, why, "use `rate` over a window");
        };
        let (selector, window) = self.ranged(ranged, name)?;
        let base = selector.metric.strip_suffix("_bucket");
        if let (Some(labels), Some(_)) = (&mut by, base) {
            let all = labels.len();
            labels.retain(|label| label != "le");
            if labels.len() == all {
                let why = "`le` is not among the labels, so no quantile comes of it";
                return self.flaw(of.spot, why, "write `sum by (le, …)`");
            }
        }
        let of = selector.named(base.unwrap_or(&selector.metric));
        let kind = ImportedKind::Quantile { q, native: base.is_none() };
        self.reading(ranged.spot, &of, by.as_deref(), kind, Some(window))
    }

    /// `time() - x`.
    pub(super) fn age(&mut self, of: &Expr) -> Option<Number> {
        let (mut of, mut labels, mut since) = (of, None, AgeOf::Value);
        if let ExprKind::Aggregate { op, grouping, args } = &of.kind
            && op == "max"
        {
            (of, labels) = (&args[0], Some(self.grouping(grouping)?));
        }
        if let Some(("timestamp", [inner])) = of.call() {
            (of, since) = (inner, AgeOf::Sample);
        }
        let ExprKind::Series(selector, None) = &of.kind else {
            let why = "the age of something other than a series or the `max` of some";
            return self.flaw(of.spot, why, "use `age`, which is that of the newest");
        };
        self.reading(of.spot, selector, labels.as_deref(), ImportedKind::Age(since), None)
    }
}
