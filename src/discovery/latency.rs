//! How long requests take: a limit that the page's own buckets can tell apart, and that is not
//! exceeded as it is.

use super::config_writer::{ConfigSection, ConfigWriter, rule_table, signal_table};
use super::conventions::{IN_MILLISECONDS, LATENCY};
use super::family::{FamilyKind, PageFamilies};
use super::recognized::{Recognized, recognized};
use super::text::{quoted_names, seconds, shown};
use super::traffic::Candidate;
use crate::model::signal::Unit;
use crate::render::number;
use crate::toml_text::{Table, selector_literal};

/// The limits wished for, in seconds: nobody waits longer for a page.
const SLOW: f64 = 2.0;
const SLOW_MEAN: f64 = 1.0;

/// The bounds that a limit is chosen from, in seconds: a microsecond to a day. No request to be
/// judged while it matters takes less or more.
const BOUNDS: std::ops::RangeInclusive<f64> = 1e-6..=86_400.0;

/// The highest limit on a mean, in seconds.
const MOST_MEAN: f64 = 3600.0;

/// How far apart the ends of a bucket may be for a limit within it to be told well enough.
const NARROW: f64 = 1.5;

/// The quantiles that stand for "slow", the best first.
const QUANTILES: [f64; 4] = [0.95, 0.99, 0.98, 0.9];

/// How many other timings are named.
const MAX_NAMED: usize = 5;

/// What can be said of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// A quantile from buckets, and the limit in seconds.
    Buckets(f64),
    /// Buckets that cannot tell: they are too few or the service is beyond them.
    Blunt,
    /// A summary's own quantile.
    Quantile(f64),
    /// Sum by count.
    Mean,
    /// A gauge that is an average already.
    Average,
}

/// Writes signals and rules of the best timing and names the others.
pub(super) fn write(
    families: &PageFamilies,
    service: &str,
    traffic: Option<&Candidate<'_>>,
    writer: &mut ConfigWriter,
) {
    let timed = timed(families, service);
    let Some(best) = timed.first() else {
        return writer.note("Nothing on the page says how long requests take.");
    };
    let way = best.way();
    let prose = std::iter::once(best.what(way)).chain(best.limits(way)).collect();
    let (floor, mut tables) = best.floor(way, traffic, writer);
    tables.extend(best.tables(way, floor, writer));
    writer.section(&ConfigSection { prose, tables, active: way != Way::Blunt });
    let others = timed.iter().skip(1).take(MAX_NAMED);
    let others = quoted_names(others.map(|other| other.family.name.as_str()));
    if !others.is_empty() {
        writer.note(&format!("Not used, because the one above comes first: {others}."));
    }
}

/// Everything on the page that times requests, the best first.
fn timed<'f>(families: &'f PageFamilies, service: &str) -> Vec<Recognized<'f>> {
    recognized(LATENCY, families, service, |family, convention| match family.kind {
        FamilyKind::Histogram | FamilyKind::Summary => family.series > 0,
        FamilyKind::Gauge | FamilyKind::Unknown => convention.by_proxy,
        FamilyKind::Counter => false,
    })
}

impl Recognized<'_> {
    /// What one of its units is in seconds.
    fn factor(&self) -> f64 {
        let name = self.family.name.as_str();
        let millis = ["_milliseconds", "_ms"].iter().any(|end| name.ends_with(end));
        if millis || IN_MILLISECONDS.contains(&name) { 1e-3 } else { 1.0 }
    }

    fn way(&self) -> Way {
        let family = self.family;
        match family.kind {
            FamilyKind::Histogram if !family.alike => Way::Mean,
            FamilyKind::Histogram => self.limit().map_or(Way::Blunt, Way::Buckets),
            FamilyKind::Summary => {
                let own = QUANTILES.into_iter().find(|q| family.quantiles.contains(q));
                own.map_or(Way::Mean, Way::Quantile)
            }
            FamilyKind::Gauge | FamilyKind::Counter | FamilyKind::Unknown => Way::Average,
        }
    }

    /// The bounds in seconds that a limit may be chosen from.
    fn bounds(&self) -> Vec<f64> {
        let bounds = self.family.bounds.iter().map(|(bound, _)| bound * self.factor());
        bounds.filter(|bound| BOUNDS.contains(bound)).collect()
    }

    /// The bound below which 95 of 100 requests were so far, in seconds; 0 where there were none.
    fn usual(&self) -> f64 {
        let all = self.family.bounds.last().map_or(0.0, |(_, count)| *count);
        let within = |(_, count): &&(f64, f64)| *count >= 0.95 * all;
        let bound = self.family.bounds.iter().find(within).filter(|_| all > 0.0);
        bound.map_or(0.0, |(bound, _)| bound * self.factor())
    }

    /// A limit that the buckets resolve, above what is usual and below the last finite bound.
    fn limit(&self) -> Option<f64> {
        let bounds = self.bounds();
        let (top, below) = bounds.split_last()?;
        let usual = self.usual();
        let wanted = SLOW.max(2.0 * usual);
        let lower = below.iter().rev().find(|bound| **bound <= wanted).copied();
        let upper = bounds.iter().find(|bound| **bound >= wanted).copied();
        if let (Some(lower), Some(upper)) = (lower, upper)
            && upper < lower * NARROW
            && wanted < *top
        {
            return Some(wanted);
        }
        // Else the bound that is the fewest times larger or smaller.
        let distance = |bound: &f64| (bound / wanted).ln().abs();
        let told = below.iter().filter(|bound| **bound > usual).copied();
        told.min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    fn what(&self, way: Way) -> String {
        let name = shown(&self.family.name);
        let unit = if self.factor() < 1.0 { ", in milliseconds" } else { "" };
        let what = match way {
            Way::Buckets(_) | Way::Blunt => "is a histogram of how long requests take",
            Way::Quantile(_) => "is a summary of how long requests take, with quantiles of its own",
            Way::Mean if self.family.kind == FamilyKind::Histogram => {
                "is a histogram of how long requests take, but its series do not have the same \
                 buckets, so the mean is used"
            }
            Way::Mean => "is a summary of how long requests take, without quantiles",
            Way::Average => "is how long requests took on average",
        };
        format!("`{name}` {what}{unit}.{}", self.scope.remarks())
    }

    fn limits(&self, way: Way) -> Option<String> {
        let top = self.bounds().last().copied().unwrap_or_default();
        match way {
            Way::Buckets(limit) => {
                let usual = Some(self.usual()).filter(|usual| usual.is_finite() && *usual > 0.0);
                let so_far = usual.map_or(String::new(), |usual| {
                    format!("Of all on the page so far 95 in 100 took at most {}. ", rounded(usual))
                });
                let told = if self.bounds().contains(&limit) {
                    "is the bound of a bucket, so that it is told exactly"
                } else {
                    "lies within a narrow bucket"
                };
                Some(format!(
                    "{so_far}The limit of {} {told}; the largest finite bound is {}, and a limit \
                     there or above could never be seen to be passed. With a baseline it could be \
                     said relative to the version before.",
                    seconds(limit),
                    rounded(top)
                ))
            }
            Way::Blunt => Some(
                "Its buckets cannot tell a slow release from what is usual: there are too few, or \
                 the service is beyond them already. The mean is switched off below; better \
                 buckets are the cure."
                    .to_owned(),
            ),
            Way::Quantile(_) | Way::Mean | Way::Average => None,
        }
    }

    /// The name of the signal that says how many requests were timed, and its table if it is new.
    fn floor(
        &self,
        way: Way,
        traffic: Option<&Candidate<'_>>,
        writer: &mut ConfigWriter,
    ) -> (Option<String>, Vec<Table>) {
        let metric = format!("{}_count", self.family.name);
        let known = traffic.is_some_and(|traffic| {
            let same = traffic.metric == metric && traffic.matchers == self.scope.matchers;
            traffic.limit().is_some() && (way == Way::Average || same)
        });
        if known || way == Way::Average {
            return (known.then(|| "requests".to_owned()), Vec::new());
        }
        let name = writer.signal("timed_requests");
        let table = signal_table(&name, "timed requests per second")
            .raw("rate", selector_literal(&metric, &self.scope.matchers))
            .text("unit", "per_second")
            .text("window", "1m");
        (Some(name), vec![table])
    }

    fn tables(&self, way: Way, floor: Option<String>, writer: &mut ConfigWriter) -> Vec<Table> {
        let (base, what, limit) = match way {
            Way::Buckets(limit) => ("p95", "95th percentile", limit),
            Way::Quantile(0.95) => ("p95", "95th percentile", SLOW),
            Way::Quantile(0.9) => ("p90", "90th percentile", SLOW),
            Way::Quantile(0.98) => ("p98", "98th percentile", SLOW),
            Way::Quantile(_) => ("p99", "99th percentile", SLOW),
            Way::Mean | Way::Blunt => ("mean_latency", "mean", self.mean_limit()),
            Way::Average => ("average_latency", "average", self.mean_limit()),
        };
        let what = format!("{what} of the time that a request takes");
        let name = writer.signal(base);
        let (mut tables, mut signal) = (Vec::new(), signal_table(&name, &what));
        if self.factor() < 1.0 {
            let millis = writer.signal(&format!("{base}_ms"));
            let measured = signal_table(&millis, &format!("{what}, in milliseconds"));
            tables.push(self.measured(measured, way));
            signal = signal.text("expr", &format!("{millis} / 1000"));
        } else {
            signal = self.measured(signal, way);
        }
        tables.push(signal.text("unit", "seconds"));
        let limit = seconds(limit);
        let description = format!("the {what} was above {limit} for 5 minutes");
        let rule = writer.rule(&format!("{}-slow", base.replace('_', "-")));
        let rule = rule_table(&rule, &description, &format!("{name} > {limit}"));
        let given = floor.map(|floor| format!("{floor} > 1"));
        tables.push(rule.optional("given", given).text("for", "5m"));
        tables
    }

    fn measured(&self, table: Table, way: Way) -> Table {
        let selector = selector_literal(&self.family.name, &self.scope.matchers);
        match way {
            Way::Buckets(_) => {
                table.raw("quantile", "0.95").raw("of", selector).text("window", "1m")
            }
            Way::Quantile(q) => table.raw("quantile", q.to_string()).raw("of", selector),
            Way::Mean | Way::Blunt => table.raw("mean", selector).text("window", "1m"),
            Way::Average => table
                .raw("gauge", selector)
                .text("across", "max")
                .text("over", "avg")
                .text("window", "1m"),
        }
    }

    /// Above three times the mean so far, in whole seconds.
    fn mean_limit(&self) -> f64 {
        let family = self.family;
        let mean = match family.kind {
            FamilyKind::Histogram | FamilyKind::Summary => family.sum / family.total,
            FamilyKind::Gauge | FamilyKind::Counter | FamilyKind::Unknown => {
                family.total / family.series as f64
            }
        };
        let thrice = (3.0 * mean * self.factor()).ceil();
        if thrice.is_nan() { SLOW_MEAN } else { thrice.clamp(SLOW_MEAN, MOST_MEAN) }
    }
}

/// A time as people say it; not for conditions.
fn rounded(value: f64) -> String {
    number(value, Some(Unit::Seconds))
}

#[cfg(test)]
mod tests {
    use super::super::family::tests::families;
    use super::*;

    /// A histogram with these bounds and, of 100 observations, so many at or below each.
    fn page(name: &str, bounds: &[(f64, u32)]) -> PageFamilies {
        let line =
            |(bound, count): &(f64, u32)| format!("{name}_bucket{{le=\"{bound}\"}} {count}\n");
        let lines: String = bounds.iter().map(line).collect();
        families(&format!(
            "{lines}{name}_bucket{{le=\"+Inf\"}} 100\n{name}_sum 1\n{name}_count 100\n"
        ))
    }

    #[track_caller]
    fn check(name: &str, bounds: &[(f64, u32)], expected: Way) {
        let page = page(name, bounds);
        assert_eq!(timed(&page, "app")[0].way(), expected, "{bounds:?}");
    }

    #[test]
    fn the_limit_is_one_that_the_buckets_resolve() {
        const NAME: &str = "http_request_duration_seconds";
        let default = [(0.5, 99), (1.0, 99), (2.5, 100), (5.0, 100), (10.0, 100)];
        // 2 s lies between 1 s and 2.5 s, which cannot be told apart.
        check(NAME, &default, Way::Buckets(2.5));
        check(NAME, &[(0.5, 100), (2.0, 100), (5.0, 100)], Way::Buckets(2.0));
        check(NAME, &[(0.5, 100), (1.79, 100), (2.15, 100), (5.0, 100)], Way::Buckets(2.0));
        check(NAME, &[(0.05, 100), (0.1, 100), (0.25, 100)], Way::Buckets(0.1));
        check(NAME, &[(0.1, 100), (0.25, 100)], Way::Blunt);
        check(NAME, &[(5.0, 100), (10.0, 100)], Way::Blunt);
        check(NAME, &[(1.0, 10), (4.0, 99), (6.0, 99), (20.0, 99)], Way::Buckets(6.0));
        check(NAME, &[(1.0, 10)], Way::Blunt);
        check(NAME, &[(1.0, 10), (2.0, 10)], Way::Blunt);
        let millis = [(500.0, 99), (1000.0, 99), (5000.0, 100), (10_000.0, 100)];
        check("envoy_cluster_upstream_rq_time", &millis, Way::Buckets(1.0));
    }
}
