//! The report: what targets, signals and rules were after the targets were sampled for a while, and
//! what each lacks. The field names are documented and stable.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::engine::Evaluator;
use crate::engine::view::snapshot::{RuleStatus, SignalStatus};
use crate::model::condition::{Compare, Cond, Num};
use crate::model::entry::SignalEvidence;
use crate::model::group::Group;
use crate::model::index::{RuleIx, SignalIx};
use crate::model::name::SignalName;
use crate::model::reading::{NoData, Reading, Telemetry};
use crate::model::rule::Rule;
use crate::model::scrape::{Failure, FailureClass};
use crate::model::signal::{Selection, Unit};
use crate::model::target::Target;
use crate::model::time::Moment;

use super::explain::{ProblemKind, SelectorProblem, count, explain};
use super::lints;
use super::page::PageContents;
use super::wanted::text;

/// Scrapes that a window needs.
const FILLED: u64 = 2;

/// The most groups of a rule that are shown: the nearest to their limits tell the story.
const MAX_GROUPS: usize = 16;

/// What was tried and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatchReport {
    /// Whether every target answers, every selector finds something, and every signal has a
    /// reading or will have one.
    pub ok: bool,
    /// For how long the targets were sampled, in seconds.
    pub watched_s: f64,
    /// The longest window of any signal, in seconds.
    pub longest_window_s: f64,
    /// Every target.
    pub targets: Vec<TargetMatch>,
    /// Every signal.
    pub signals: Vec<SignalMatch>,
    /// Every rule.
    pub rules: Vec<RuleMatch>,
    /// What can be done and will hardly do what was meant.
    pub lints: Vec<String>,
    /// What keeps `ok` from being true, a sentence each.
    pub problems: Vec<String>,
}

/// A target.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TargetMatch {
    /// Its name.
    pub target: String,
    /// Where it is.
    pub url: String,
    /// Whether the last scrape succeeded; `None` if there was none.
    pub up: Option<bool>,
    /// Why the last scrape failed.
    pub failure: Option<Failure>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Scrapes that ended.
    pub scrapes: u64,
    /// Those of them that failed.
    pub failed_scrapes: u64,
    /// How long the last one took, in seconds.
    pub took_s: f64,
    /// Samples on the whole page; `None` if it could not be looked at.
    pub samples: Option<u64>,
    /// Samples that signals want.
    pub wanted_samples: u64,
    /// Lines of wanted metrics that could not be read.
    pub malformed: u64,
    /// The first of them.
    pub first_malformed: Option<String>,
    /// The size of the page in bytes, after decompression, of the last successful scrape.
    pub bytes: u64,
    /// Seconds since the last scrape, which a window that fills has waited already.
    #[serde(skip)]
    pub since_last: Duration,
}

impl TargetMatch {
    /// A target that was not scraped yet.
    pub fn unscraped(target: &Target) -> Self {
        let (target, url) = (target.name.to_string(), target.kind.to_string());
        Self { target, url, ..Self::default() }
    }
}

/// A signal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SignalMatch {
    /// Its reading; of a signal that is read by labels, why it has none where no group is known.
    #[serde(flatten)]
    pub status: SignalStatus,
    /// The labels that it is read by.
    pub by: Vec<String>,
    /// Its readings by these labels; bounded.
    pub groups: Vec<SignalEvidence>,
    /// How many groups there are.
    pub group_count: usize,
    /// That there is no reading is nothing to worry about: no traffic, or a window that fills.
    pub benign: bool,
    /// Seconds until its window can be full enough.
    pub needs_s: Option<f64>,
    /// What it looks at.
    pub selectors: Vec<SelectorMatch>,
}

/// A selector of a signal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SelectorMatch {
    /// The key that holds it: `rate`, `of`, `to`…
    pub key: String,
    /// The selector, with what the signal's `target` and `labels` add.
    pub selector: String,
    /// How many series it finds on each page that could be looked at.
    pub series: Vec<SeriesCount>,
    /// Why it finds none at all.
    pub problem: Option<SelectorProblem>,
}

/// How many series a selector finds on a page. The buckets of one histogram count once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeriesCount {
    /// The target.
    pub target: String,
    /// How many.
    pub count: usize,
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleMatch {
    /// The rule with its readings.
    #[serde(flatten)]
    pub status: RuleStatus,
    /// The comparisons of `when`; of a rule over groups, those of its worst group.
    pub limits: Vec<LimitUse>,
    /// The comparisons of `given`.
    pub floors: Vec<LimitUse>,
    /// The same by groups, nearest to its limit first; bounded.
    pub by_group: Vec<GroupMatch>,
    /// How many groups there are.
    pub group_count: usize,
}

/// A rule's comparisons in one of its groups.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupMatch {
    /// The group.
    pub group: String,
    /// The comparisons of `when`.
    pub limits: Vec<LimitUse>,
    /// The comparisons of `given`.
    pub floors: Vec<LimitUse>,
}

/// A comparison, the reading on its left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LimitUse {
    /// The signal, where that side is one and nothing else.
    pub signal: Option<SignalName>,
    /// What it measures.
    pub unit: Option<Unit>,
    /// What it reads.
    pub reading: Option<f64>,
    /// The operator.
    pub op: String,
    /// What it is compared with.
    pub limit: Option<f64>,
    /// How far the reading has gone towards its limit: 1 at the limit. `None` where no such share
    /// means anything.
    pub used: Option<f64>,
    /// Whether the comparison holds.
    pub holds: Option<bool>,
    /// The operator, for those who print it.
    #[serde(skip)]
    pub compare: Compare,
}

/// Puts the report together. `targets` are in the plan's order, `pages` those of the pages that
/// could be looked at.
pub fn match_report(
    judge: &Evaluator,
    mut targets: Vec<TargetMatch>,
    pages: &[PageContents],
    now: Moment,
    watched: Duration,
) -> MatchReport {
    let plan = judge.plan();
    for (shown, target) in targets.iter_mut().zip(&plan.targets) {
        shown.hint = shown.failure.as_ref().map(|failure| hint(failure, target).to_owned());
        let page = pages.iter().find(|page| page.target == shown.target);
        shown.samples = page.map(|page| page.samples);
    }
    let unseen = pages.len() < targets.len();
    let signals = (0..plan.signals.len()).map(SignalIx);
    let signals: Vec<_> = signals.map(|ix| signal(judge, ix, &targets, pages, unseen)).collect();
    let kinds = plan.signals.iter().flat_map(|signal| lints::kinds(signal, pages));
    let problems = problems(&targets, &signals, judge);
    let windows = plan.signals.iter().map(|signal| signal.kind.window());
    MatchReport {
        ok: problems.is_empty(),
        watched_s: watched.as_secs_f64(),
        longest_window_s: windows.max().unwrap_or_default().as_secs_f64(),
        rules: (0..plan.rules.len()).map(|ix| rule(judge, RuleIx(ix), now)).collect(),
        lints: kinds.chain(lints::limits(plan, pages)).collect(),
        targets,
        signals,
        problems,
    }
}

/// What to do about a target that fails.
fn hint(failure: &Failure, target: &Target) -> &'static str {
    let code = failure.detail.split(' ').next().unwrap_or_default();
    match (failure.class, code) {
        (FailureClass::Refused, _) => "nothing listens there: is it running, and on this port?",
        (FailureClass::TimedOut, _) => {
            "give the target a longer `timeout` or `interval`, or make the page faster"
        }
        (FailureClass::Dns, _) => "does this machine know the name?",
        (FailureClass::Tls, _) if !target.kind.names_authorities() => {
            "is its certificate signed by your own authority? name that with `ca_file`"
        }
        (FailureClass::Tls, _) => "does the certificate of `ca_file` sign for this host?",
        (FailureClass::Status, "401" | "403") => "the page wants a secret: give it with `headers`",
        (FailureClass::Status, "404") => "is the path right? /metrics is the usual one",
        (FailureClass::Status, _) => "see the service's own log",
        (FailureClass::Malformed, _) => "is this the metrics page? look at it with curl",
        (FailureClass::TooLarge, _) => "look at the page with curl; `max_body` bounds its size",
        (FailureClass::Broken, _) => "see the service's own log, and any proxy's before it",
    }
}

fn signal(
    judge: &Evaluator,
    ix: SignalIx,
    targets: &[TargetMatch],
    pages: &[PageContents],
    unseen: bool,
) -> SignalMatch {
    let plan = judge.plan().signal(ix);
    let selectors = plan.kind.selections().map(|asked| selector(&asked, pages, unseen));
    let selectors: Vec<SelectorMatch> = selectors.collect();
    let readings: Vec<Reading> = match judge.readings(ix) {
        [] => vec![judge.reading(ix)],
        groups => groups.iter().map(|(_, reading)| *reading).collect(),
    };
    let filling = |reading: &Reading| *reading == Reading::NoData(NoData::WindowFilling);
    let needs = readings.iter().any(filling).then(|| needs(judge, &selectors, targets)).flatten();
    let mut statuses = judge.signal_status(ix);
    let mut status = statuses.swap_remove(0);
    let mut groups = Vec::new();
    if status.reading.group.is_some() {
        let first = status.reading.clone();
        let reading = &mut status.reading;
        (reading.group, reading.value, reading.at_least, reading.no_data) =
            (None, None, false, None);
        groups = statuses.into_iter().map(|status| status.reading).collect();
        groups.push(first);
        groups.sort_by(|a, b| a.group.cmp(&b.group));
    }
    SignalMatch {
        status,
        by: plan.by.clone(),
        group_count: if groups.is_empty() { 0 } else { readings.len() },
        groups,
        // The service, and not the configuration, is why there is none.
        benign: readings.iter().any(|reading| reading.telemetry() == Telemetry::There),
        needs_s: needs,
        selectors,
    }
}

/// Seconds until each target that the signal finds something on was scraped often enough; `None`
/// where more scrapes change nothing.
fn needs(judge: &Evaluator, selectors: &[SelectorMatch], targets: &[TargetMatch]) -> Option<f64> {
    let feeds = |target: &TargetMatch| {
        let on = |count: &SeriesCount| count.target == target.target && count.count > 0;
        selectors.is_empty() || selectors.iter().any(|selector| selector.series.iter().any(on))
    };
    let missing = targets.iter().zip(&judge.plan().targets).filter(|(seen, _)| feeds(seen));
    let missing = missing.filter_map(|(seen, target)| {
        let good = seen.scrapes - seen.failed_scrapes;
        let rest = u32::try_from(FILLED.checked_sub(good).filter(|rest| *rest > 0)?).ok()?;
        Some((target.interval * rest).saturating_sub(seen.since_last))
    });
    missing.max().map(|rest| rest.as_secs_f64())
}

fn selector(asked: &Selection<'_>, pages: &[PageContents], unseen: bool) -> SelectorMatch {
    let count = |page: &PageContents| SeriesCount {
        target: page.target.clone(),
        count: count(asked, page),
    };
    let series: Vec<SeriesCount> = pages.iter().map(count).collect();
    let nothing = series.iter().all(|found| found.count == 0);
    SelectorMatch {
        key: asked.key.to_owned(),
        selector: text(asked.selector),
        series,
        problem: nothing.then(|| explain(asked, pages, unseen)),
    }
}

/// What keeps a trial from being good.
fn problems(targets: &[TargetMatch], signals: &[SignalMatch], judge: &Evaluator) -> Vec<String> {
    let mut all = Vec::new();
    for target in targets.iter().filter(|target| target.up != Some(true)) {
        let why = target.failure.as_ref().map_or("not scraped".to_owned(), |f| f.class.to_string());
        all.push(format!("target {}: {why}", target.target));
    }
    for (signal, plan) in signals.iter().zip(&judge.plan().signals) {
        let mut found = signal.selectors.iter().filter(|each| each.is_wrong(signal)).peekable();
        let mut computed = false;
        plan.kind.for_each_signal(&mut |_| computed = true);
        if found.peek().is_none() && !signal.benign && !computed {
            let why = signal.status.reading.no_data.as_deref().unwrap_or("no reading");
            all.push(format!("signal {}: {why}", plan.name));
        }
        for problem in found.filter_map(|selector| selector.problem.as_ref()) {
            all.push(format!("signal {}: {}", plan.name, problem.text));
        }
    }
    all
}

impl SelectorMatch {
    /// Whether it finds nothing although it should. The part of a ratio may find nothing, as a
    /// healthy service has no series of errors yet, and so may a count.
    pub fn is_wrong(&self, signal: &SignalMatch) -> bool {
        let ratio = self.key == "of" && signal.selectors.iter().any(|other| other.key == "to");
        let may_be_none = ratio || self.key == "count";
        let excused = |kind| kind == ProblemKind::NoValue && may_be_none && signal.benign;
        self.problem.as_ref().is_some_and(|problem| !excused(problem.kind))
    }
}

fn rule(judge: &Evaluator, ix: RuleIx, now: Moment) -> RuleMatch {
    let rule = judge.plan().rule(ix);
    let in_group = |group: &Group| GroupMatch {
        group: group.to_string(),
        limits: limits(judge, &rule.when.cond, group),
        floors: rule.given.as_ref().map(|g| limits(judge, &g.cond, group)).unwrap_or_default(),
    };
    let groups = groups_of(judge, rule);
    let mut by_group: Vec<GroupMatch> = groups.iter().map(in_group).collect();
    by_group.sort_by(|a, b| nearness(b).total_cmp(&nearness(a)));
    by_group.truncate(MAX_GROUPS);
    let all = by_group.first().cloned().unwrap_or_else(|| in_group(&Group::ALL));
    RuleMatch {
        status: judge.rule_status(ix, now),
        limits: all.limits,
        floors: all.floors,
        by_group,
        group_count: groups.len(),
    }
}

/// The groups of the signals that a rule's condition reads.
fn groups_of(judge: &Evaluator, rule: &Rule) -> BTreeSet<Group> {
    let signals = judge.plan().signals_of(rule).into_iter();
    let groups = signals.flat_map(|ix| judge.readings(ix)).map(|(group, _)| group.clone());
    groups.filter(|group| *group != Group::ALL).collect()
}

/// How near a group is to its limits: the most that it uses of any.
fn nearness(group: &GroupMatch) -> f64 {
    group.limits.iter().filter_map(|limit| limit.used).fold(-1.0, f64::max)
}

/// A condition's comparisons in a group, with the signals that they read.
fn limits(judge: &Evaluator, cond: &Cond, group: &Group) -> Vec<LimitUse> {
    let mut sides: Vec<(&Num, Compare, &Num)> = Vec::new();
    cond.for_each_comparison(&mut |left, op, right| sides.push((left, op, right)));
    let signal = |num: &Num| if let Num::Signal(ix) = num { Some(*ix) } else { None };
    let values = judge.comparisons(cond, group);
    let limits = sides.into_iter().zip(values).map(|((left, op, right), values)| {
        match (signal(left), signal(right)) {
            (None, Some(ix)) => limit(judge, Some(ix), values.right, op.turned(), values.left),
            (ix, _) => limit(judge, ix, values.left, op, values.right),
        }
    });
    limits.collect()
}

fn limit(
    judge: &Evaluator,
    signal: Option<SignalIx>,
    reading: Option<f64>,
    compare: Compare,
    limit: Option<f64>,
) -> LimitUse {
    let both = reading.zip(limit);
    LimitUse {
        signal: signal.map(|ix| judge.plan().signal(ix).name.clone()),
        unit: signal.and_then(|ix| judge.signal_status(ix).swap_remove(0).unit),
        reading,
        op: compare.to_string(),
        limit,
        used: both.and_then(|(reading, limit)| compare.used(reading, limit)),
        holds: both.map(|(reading, limit)| compare.test(reading, limit)),
        compare,
    }
}
