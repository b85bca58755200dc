//! What a signal reads in a group at an instant: what each target says, and what that is together.

use std::time::Duration;

use rollguard::model::index::SignalIx;
use rollguard::model::reading::{NoData, Reading};
use rollguard::model::signal::{AgeOf, Aggregation, OverTime, Reduction, SignalKind, Threshold};
use rollguard::model::target::Target;
use rollguard::model::time::Instant;

use super::arithmetic::{number, over_time, quantile};
use super::page::{ALL, Known, Number, Part, concerns};
use super::twin::Oracle;

/// What one target says of a signal.
enum Share {
    None,
    Missing(NoData),
    Spoiled(NoData),
    Known(Duration, Vec<(Part, f64)>),
}

/// What a target that can be read says: over how long, and what each part comes to.
type Said = (Duration, Vec<(Part, f64)>);

/// Which signal in which group, and when.
#[derive(Clone, Copy)]
struct Asked<'a> {
    index: usize,
    group: &'a str,
    at: Instant,
}

impl Oracle {
    /// The groups that a signal has now.
    pub(super) fn groups(&self, index: usize) -> Vec<String> {
        let signal = &self.plan.signals[index];
        if signal.by.is_empty() {
            return vec![ALL.to_owned()];
        }
        let mut groups = Vec::new();
        signal.kind.for_each_signal(&mut |inner| {
            groups.extend(self.readings(inner.0).keys().filter(|group| *group != ALL).cloned());
        });
        for (target, known) in self.plan.targets.iter().zip(&self.known) {
            if concerns(&signal.kind, target) {
                let reach = signal.kind.window() + self.stale(index, target);
                let mentioned = self.mentioned(index, known).into_iter();
                groups.extend(mentioned.filter(|group| lives(index, group, known, reach)));
            }
        }
        groups.sort();
        groups.dedup();
        groups
    }

    /// The groups that were ever seen on a target.
    pub(super) fn mentioned(&self, index: usize, known: &[Known]) -> Vec<String> {
        if self.plan.signals[index].by.is_empty() {
            return vec![ALL.to_owned()];
        }
        let mut groups: Vec<String> =
            known.iter().flat_map(|page| page.groups(index)).cloned().collect();
        groups.sort();
        groups.dedup();
        groups
    }

    /// The pages of the targets that may have a share of a group: those that showed it once, and
    /// those of which nothing could be read so far and whose labels do not rule it out.
    fn sharers<'a>(&'a self, asked: Asked<'a>) -> impl Iterator<Item = (&'a [Known], Duration)> {
        let Asked { index, group, .. } = asked;
        let targets = self.plan.targets.iter().zip(&self.known);
        let signal = &self.plan.signals[index];
        let may = move |target: &Target, known: &[Known]| {
            signal.by.is_empty()
                || known.iter().any(|page| page.mentions(index, group))
                || known.iter().all(|page| page.spoils(index, ALL).is_some())
                    && may_show(target, &signal.by, group)
        };
        targets
            .filter(move |(target, known)| concerns(&signal.kind, target) && may(target, known))
            .map(move |(target, known)| (&known[..], self.stale(index, target)))
    }

    pub(super) fn read(&mut self, index: usize, group: &str, at: Instant) -> Reading {
        let plan = self.plan.clone();
        let signal = &plan.signals[index];
        let asked = Asked { index, group, at };
        match &signal.kind {
            SignalKind::Value(value) => Reading::Value(*value),
            SignalKind::Expr(expr) => number(expr, &|inner| self.reading_in(inner, group)),
            SignalKind::Baseline { of, min_readings, .. } => {
                self.read_baseline(*of, group, *min_readings)
            }
            SignalKind::Before { of, window } => {
                let history = self.history[of.0].get(group);
                let earlier = history.and_then(|all| self.earlier(*of, *window, all, at));
                earlier.map_or(Reading::NoData(NoData::NoEarlierReading), |(_, reading)| reading)
            }
            SignalKind::Up(name) => {
                let place = plan.targets.iter().position(|target| target.name == *name).unwrap();
                match self.attempts[place].last() {
                    None => Reading::NoData(NoData::NeverScraped),
                    Some(last) if at.since(last.at) > self.stale(index, &plan.targets[place]) => {
                        Reading::NoData(NoData::Stale)
                    }
                    Some(last) => Reading::Value(if last.lines.is_some() { 1.0 } else { 0.0 }),
                }
            }
            SignalKind::Series { reduction, window, .. } => match reduction {
                Reduction::Count(value) => self.read_count(asked, *value),
                Reduction::Age(since) => self.read_age(asked, *since),
                Reduction::Gauge { across, over } => {
                    let now = self.read_across(asked, *across);
                    self.read_over(asked, *over, *window, now)
                }
                Reduction::Quantile(_) => {
                    let histogram = self.sharers(asked).flat_map(|(known, _)| known).any(|page| {
                        page.numbers(index, group).any(|n| matches!(n.part, Part::Bucket(_)))
                    });
                    if histogram {
                        self.read_counters(asked, reduction)
                    } else {
                        self.read_summary(asked)
                    }
                }
                Reduction::Rate
                | Reduction::Increase
                | Reduction::Ratio { .. }
                | Reduction::Mean => self.read_counters(asked, reduction),
            },
        }
    }

    /// Why a group that a signal does not have reads nothing.
    pub(super) fn absence(&mut self, index: usize, at: Instant) -> NoData {
        let plan = self.plan.clone();
        let signal = &plan.signals[index];
        if !signal.kind.is_sampled() {
            let Reading::NoData(why) = self.read(index, ALL, at) else { return NoData::NoSeries };
            return why;
        }
        let targets = plan.targets.iter().zip(&self.known);
        let concerned = targets.filter(|(target, _)| concerns(&signal.kind, target));
        let mut reasons = concerned.filter_map(|(_, known)| match known.last() {
            None => Some(NoData::NeverScraped),
            Some(page) => page.spoils(index, ALL),
        });
        reasons.next().unwrap_or(NoData::NoSeries)
    }

    fn read_baseline(&self, of: SignalIx, group: &str, needed: u32) -> Reading {
        let name = self.plan.signals[of.0].name.as_str();
        let mut frozen = self.frozen.iter().filter(|each| each.signal == name).peekable();
        if frozen.peek().is_none() {
            return Reading::NoData(NoData::NotFrozen);
        }
        let own = frozen.find(|each| each.group == group);
        match own.map(|own| (own.value, own.readings)) {
            Some((Some(value), _)) => Reading::Value(value),
            Some((None, found)) => Reading::NoData(NoData::BaselineTooThin { found, needed }),
            None => Reading::NoData(NoData::BaselineTooThin { found: 0, needed }),
        }
    }

    /// How much older than its window the reading of a window ago may be.
    pub(super) fn stale_before(&self, of: SignalIx, window: Duration) -> Duration {
        let targets = self.plan.targets.iter().enumerate();
        let fed = targets.filter(|(target, _)| self.is_news(of.0, *target, true));
        let slowest = fed.map(|(_, target)| target.interval * 3 + target.timeout).max();
        self.plan.signals[of.0].stale.or(slowest).unwrap_or(window)
    }

    /// The reading of a window ago, unless it is too old, and when it was read.
    pub(super) fn earlier(
        &self,
        of: SignalIx,
        window: Duration,
        history: &[(Instant, Reading)],
        at: Instant,
    ) -> Option<(Instant, Reading)> {
        // As of the newest reading, where a target that was slow to answer is taken in after it.
        let at = history.last().map_or(at, |(newest, _)| at.max(*newest));
        let (time, reading) = history.iter().rfind(|(time, _)| time.after(window) <= at)?;
        let fresh = at.since(*time) <= window + self.stale_before(of, window);
        fresh.then_some((*time, *reading))
    }

    /// What each target says, or the reason that spoils all; and why a share is missing.
    fn shares(
        &self,
        asked: Asked<'_>,
        instant: bool,
    ) -> Result<(Vec<Said>, Option<NoData>), NoData> {
        let (mut shares, mut missing, mut stale) = (Vec::new(), None, false);
        let window = self.plan.signals[asked.index].kind.window();
        for (known, stale_after) in self.sharers(asked) {
            match share(asked, window, stale_after, known, instant) {
                Share::None => {}
                Share::Spoiled(why) => return Err(why),
                Share::Missing(NoData::Stale) => stale = true,
                Share::Missing(why) => missing = missing.or(Some(why)),
                Share::Known(elapsed, parts) => shares.push((elapsed, parts)),
            }
        }
        let missing = if stale { Some(NoData::Stale) } else { missing };
        if shares.is_empty() {
            return Err(missing.unwrap_or(NoData::NoSeries));
        }
        Ok((shares, missing))
    }

    fn read_counters(&self, asked: Asked<'_>, reduction: &Reduction) -> Reading {
        let (shares, missing) = match self.shares(asked, false) {
            Ok(shares) => shares,
            Err(why) => return Reading::NoData(why),
        };
        let gained = |share: &[(Part, f64)], wanted: Part| -> f64 {
            share.iter().filter(|(part, _)| *part == wanted).map(|(_, gain)| gain).sum()
        };
        let all = |wanted: Part| shares.iter().map(|(_, share)| gained(share, wanted)).sum::<f64>();
        let sum = |sum| match missing {
            None => Reading::Value(sum),
            Some(_) => Reading::AtLeast(sum),
        };
        let share = |nothing| {
            if all(Part::Counter(1)) > 0.0 {
                Reading::Value(all(Part::Counter(0)) / all(Part::Counter(1)))
            } else {
                Reading::NoData(nothing)
            }
        };
        match reduction {
            Reduction::Rate => sum(shares
                .iter()
                .map(|(elapsed, share)| gained(share, Part::Counter(0)) / elapsed.as_secs_f64())
                .sum()),
            Reduction::Increase => sum(all(Part::Counter(0))),
            Reduction::Ratio { .. } => share(NoData::NoTraffic),
            Reduction::Mean => share(NoData::NoObservations),
            Reduction::Quantile(q) => {
                let mut bounds: Vec<f64> = Vec::new();
                for (part, _) in shares.iter().flat_map(|(_, share)| share) {
                    if let Part::Bucket(bound) = part
                        && !bounds.contains(bound)
                    {
                        bounds.push(*bound);
                    }
                }
                bounds.sort_by(f64::total_cmp);
                let counts = bounds.iter().map(|bound| all(Part::Bucket(*bound))).collect();
                quantile(*q, &bounds, counts)
            }
            Reduction::Gauge { .. } | Reduction::Count(_) | Reduction::Age(_) => {
                panic!("not over counters")
            }
        }
    }

    fn read_summary(&self, asked: Asked<'_>) -> Reading {
        match self.shares(asked, true) {
            Err(why) => Reading::NoData(why),
            Ok((shares, missing)) => {
                let values = shares.iter().flat_map(|(_, share)| share).map(|(_, value)| *value);
                match (values.reduce(f64::max), missing) {
                    (None, why) => Reading::NoData(why.unwrap_or(NoData::NoObservations)),
                    (Some(max), None) => Reading::Value(max),
                    (Some(max), Some(_)) => Reading::AtLeast(max),
                }
            }
        }
    }

    fn read_across(&self, asked: Asked<'_>, across: Option<Aggregation>) -> Reading {
        let (shares, missing) = match self.shares(asked, true) {
            Ok(shares) => shares,
            Err(why) => return Reading::NoData(why),
        };
        let values: Vec<f64> =
            shares.iter().flat_map(|(_, share)| share).map(|(_, value)| *value).collect();
        let count = values.len() as f64;
        let Some(max) = values.iter().copied().reduce(f64::max) else {
            return Reading::NoData(missing.unwrap_or(NoData::NoSeries));
        };
        let sum: f64 = values.iter().sum();
        match (across, missing) {
            (None, _) if values.len() > 1 => {
                Reading::NoData(NoData::SeveralSeries(u32::try_from(values.len()).unwrap()))
            }
            (Some(Aggregation::Max), Some(_)) => Reading::AtLeast(max),
            (Some(Aggregation::Count), Some(_)) => Reading::AtLeast(count),
            (_, Some(why)) => Reading::NoData(why),
            (Some(Aggregation::Max), None) => Reading::Value(max),
            (Some(Aggregation::Count), None) => Reading::Value(count),
            (None | Some(Aggregation::Sum), None) => Reading::Value(sum),
            (Some(Aggregation::Avg), None) => Reading::Value(sum / count),
            (Some(Aggregation::Min), None) => {
                Reading::Value(values.into_iter().fold(max, f64::min))
            }
        }
    }

    /// A count is known where anything is; what is missing can only add to it.
    fn read_count(&self, asked: Asked<'_>, limit: Option<Threshold>) -> Reading {
        let (mut count, mut targets, mut known) = (0.0, 0, false);
        let (mut missing, mut stale) = (None, false);
        for (pages, stale_after) in self.sharers(asked) {
            targets += 1;
            match share(asked, Duration::ZERO, stale_after, pages, true) {
                Share::Spoiled(why) => return Reading::NoData(why),
                Share::Missing(NoData::Stale) => stale = true,
                Share::Missing(why) => missing = missing.or(Some(why)),
                Share::None => known = true,
                Share::Known(_, values) => {
                    known = true;
                    let passes = |value| limit.is_none_or(|limit| limit.op.test(value, limit.than));
                    count += values.iter().filter(|(_, value)| passes(*value)).count() as f64;
                }
            }
        }
        match if stale { Some(NoData::Stale) } else { missing } {
            None if targets == 0 => Reading::NoData(NoData::NoSeries),
            None => Reading::Value(count),
            Some(_) if known => Reading::AtLeast(count),
            Some(why) => Reading::NoData(why),
        }
    }

    /// The time since the newest sample, or since the newest time that the gauges hold.
    fn read_age(&self, asked: Asked<'_>, since: AgeOf) -> Reading {
        let Asked { index, group, at } = asked;
        let mut ages = Vec::new();
        let (mut missing, mut stale) = (None, false);
        for (pages, stale_after) in self.sharers(asked) {
            // As of its newest sample, where a target that was slow to answer is taken in after it.
            let sampled = |page: &&Known| page.numbers(index, group).next().is_some();
            let as_of = pages.iter().rfind(sampled).map_or(at, |newest| at.max(newest.at));
            match (share(asked, Duration::ZERO, stale_after, pages, true), since) {
                (Share::Missing(NoData::NeverScraped), _) => missing = Some(NoData::NeverScraped),
                (_, AgeOf::Sample) => ages.extend(pages.iter().flat_map(|page| {
                    let numbers = page.numbers(index, group);
                    numbers.map(|number| number.age + as_of.since(page.at))
                })),
                (Share::Spoiled(why), AgeOf::Value) => return Reading::NoData(why),
                (Share::Missing(_), AgeOf::Value) => stale = true,
                (Share::None, AgeOf::Value) => {}
                (Share::Known(..), AgeOf::Value) => {
                    let said = |page: &&Known| {
                        page.spoils(index, group).is_none() && page.matches(index, group)
                    };
                    let last = pages.iter().rfind(said);
                    ages.extend(last.into_iter().flat_map(|page| {
                        let numbers = page.numbers(index, group);
                        numbers.map(|number| number.ago + at.since(page.at))
                    }));
                }
            }
        }
        match (if stale { Some(NoData::Stale) } else { missing }, ages.into_iter().min()) {
            (Some(why), _) => Reading::NoData(why),
            (None, Some(age)) => Reading::Value(age.as_secs_f64()),
            (None, None) => Reading::NoData(NoData::NoSeries),
        }
    }

    fn read_over(
        &mut self,
        asked: Asked<'_>,
        over: OverTime,
        window: Duration,
        now: Reading,
    ) -> Reading {
        let value = match (over, now) {
            (OverTime::Last, _) | (_, Reading::NoData(_)) => return now,
            (_, Reading::AtLeast(_)) => return Reading::NoData(NoData::Stale),
            (_, Reading::Value(value)) => value,
        };
        let Asked { index, group, at } = asked;
        let readable = |page: &&Known| page.spoils(index, group).is_none();
        let sharers = self.sharers(asked).filter_map(|(known, _)| known.iter().rfind(readable));
        let sampled = sharers.map(|page| page.at).max().unwrap_or(at);
        let all = self.across[index].entry(group.to_owned()).or_default();
        if all.last().is_none_or(|(last, _)| *last < sampled) {
            all.push((sampled, value));
        }
        over_time(over, window, all)
    }
}

/// Whether a target's series can be in a group, by the labels that it gives to all of them.
fn may_show(target: &Target, by: &[String], group: &str) -> bool {
    let own = |label: &str| match label {
        "target" => Some(target.name.as_str()),
        _ => target.labels.iter().find(|(name, _)| name == label).map(|(_, value)| value.as_str()),
    };
    let named = |label: &str, value: &str| {
        group.split(',').any(|pair| pair == format!("{label}={value:?}"))
    };
    by.iter().all(|label| own(label).is_none_or(|value| named(label, value)))
}

/// Whether a group was there lately enough to have a share still.
fn lives(index: usize, group: &str, known: &[Known], reach: Duration) -> bool {
    let Some(matched) = known.iter().rfind(|page| page.matches(index, group)) else {
        return false;
    };
    let closed = known.iter().rfind(|page| page.spoils(index, group).is_none());
    closed.is_none_or(|closed| closed.at.since(matched.at) <= reach)
}

/// What one target says of a signal at an instant, or over the window that ends there.
fn share(
    asked: Asked<'_>,
    window: Duration,
    stale: Duration,
    pages: &[Known],
    instant: bool,
) -> Share {
    let Asked { index, group, at } = asked;
    let Some(newest) = pages.last() else { return Share::Missing(NoData::NeverScraped) };
    if let Some(why) = newest.spoils(index, group) {
        return Share::Spoiled(why);
    }
    if newest.is_outdated(index, group) {
        return Share::Missing(NoData::Stale);
    }
    let Some(matched) = pages.iter().rfind(|page| page.matches(index, group)) else {
        return Share::None;
    };
    if at.since(newest.at) > stale {
        return Share::Missing(NoData::Stale);
    }
    if newest.at.since(matched.at) > window + stale {
        return Share::None;
    }
    if instant {
        let is_instant = |n: &Number| matches!(n.part, Part::Gauge | Part::Count | Part::Age);
        let numbers = newest.numbers(index, group).filter(is_instant);
        return Share::Known(Duration::ZERO, numbers.map(|n| (n.part, n.value)).collect());
    }
    let at = at.max(newest.at);
    let age = |row: &usize| at.since(pages[*row].at);
    let rows = (0..pages.len()).filter(|row| pages[*row].spoils(index, group).is_none());
    let (before, inside): (Vec<usize>, Vec<usize>) = rows.partition(|row| age(row) >= window);
    let before = before.last().filter(|row| age(row) - window <= stale);
    let used: Vec<usize> = before.into_iter().chain(&inside).copied().collect();
    if used.len() < 2 || inside.is_empty() {
        return Share::Missing(NoData::WindowFilling);
    }
    let (first, last) = (used[0], used[used.len() - 1]);
    // A bucket that was ever there has a count, if only of zero.
    let ever = pages[..=first].iter().flat_map(|page| page.numbers(index, group));
    let ever = ever.map(|n| (n.part, 0.0));
    let gains = pages[first + 1..=last].iter().flat_map(|page| page.numbers(index, group));
    let gains = gains.map(|n| (n.part, n.gain));
    Share::Known(pages[last].at.since(pages[first].at), ever.chain(gains).collect())
}
