//! The live version as the guard knows it: when it is read, what was read, and what scraped pages
//! say of it. The shell reads it where pages do not say it. What follows from a reading is decided
//! by `version_check` and `version_change`. A reading that failed is never taken for one version or
//! another.

use std::sync::Arc;
use std::time::Duration;

use crate::model::live::{Live, LiveSettings, LiveSource};
use crate::model::scrape::{Page, Scrape};
use crate::model::time::{Instant, Moment};
use crate::model::{
    deployment::Arm, name::Version, plan::Plan, selector::Selector, target::Target,
};

use crate::engine::context::{Cx, ReadCx};
use crate::engine::{effect::Effect, ingest::target::Identity, view::snapshot::LiveStatus};

/// How often it is read at most where nothing depends on it but what status shows.
const RELAXED: Duration = Duration::from_secs(10);

/// The most series of one page that are asked for their version: far more than the processes
/// behind one page, and read within a millisecond.
const MAX_SERIES: usize = 1000;

/// After how many time limits of a reading the shell is not waited for. It keeps them itself.
const OVERDUE: u32 = 2;

/// The readings of the live version.
#[derive(Debug, Default)]
pub(crate) struct LiveVersion {
    /// The newest reading, and when it was asked for.
    last: Option<(Instant, Live)>,
    /// What the shell was asked and has not answered.
    pending: Option<LiveRequest>,
    /// The number of the newest request.
    number: u64,
    /// When it is to be read next, where nothing is pending.
    next: Option<Instant>,
    /// For each target what its pages say, where that is how it is read.
    targets: Vec<TargetSays>,
    /// When what is known to be live was last read.
    stood: Option<Instant>,
}

/// A request to the shell to read the live version.
#[derive(Clone, Copy, Debug)]
struct LiveRequest {
    number: u64,
    /// When it was asked for.
    at: Instant,
    /// When no answer is waited for any more.
    overdue: Instant,
    purpose: ReadingPurpose,
}

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadingPurpose {
    /// To see changes.
    Watch,
    /// To compare it before something is done.
    Check,
}

/// What a target's pages say.
#[derive(Clone, Debug, Default)]
struct TargetSays {
    /// When it was last sampled for certain, and what it said, if anything.
    last: Option<(Instant, Option<Live>)>,
    /// It said something once, so that its silence means something.
    spoke: bool,
}

/// How the live version is read, where the plan says it.
pub(crate) fn settings(plan: &Plan) -> Option<&Arc<LiveSettings>> {
    plan.deployment.live.as_ref()
}

/// The metric that says it, where it is read from what is sampled.
fn metric(plan: &Plan) -> Option<(&Selector, &str)> {
    let LiveSource::Metric { of, label } = &settings(plan)?.source else { return None };
    Some((of, label))
}

impl LiveVersion {
    /// Begins to read it, with what is now the plan.
    pub(crate) fn watch(&mut self, plan: &Plan, at: Instant) {
        let targets = vec![TargetSays::default(); plan.targets.len()];
        let next = settings(plan).map(|_| at);
        *self = Self { targets, next, number: self.number, ..Self::default() };
    }

    /// Reads it now rather than at the next regular time.
    pub(crate) fn look_soon(&mut self, plan: &Plan, at: Instant) {
        if settings(plan).is_some() {
            self.next = Some(at);
        }
    }

    /// Takes in what a page says.
    pub(crate) fn on_scrape(&mut self, plan: &Plan, scrape: &Scrape) {
        let Some((of, label)) = metric(plan) else { return };
        let Some(target) = plan.targets.get(scrape.target.0) else { return };
        if !of.may_match(target) {
            return;
        }
        let page = scrape.result.as_ref().ok();
        let says = page.map(|page| (scrape.at, read_page(page, of, label, target)));
        if let Some(known) = self.targets.get_mut(scrape.target.0) {
            known.spoke |= says.as_ref().is_some_and(|(_, says)| says.is_some());
            known.last = says;
        }
    }

    /// When it must be read at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pending.map(|request| request.overdue).or(self.next)
    }

    /// Stops waiting for an answer whose time is over. Returns what is read then: that it is
    /// unknown.
    pub(crate) fn expire(&mut self, cx: ReadCx<'_>) -> Option<Live> {
        self.pending.filter(|request| request.overdue <= cx.now.at)?;
        self.pending = None;
        let live = Live::unknown("no answer within its time");
        self.note(cx, cx.now.at, &live);
        Some(live)
    }

    /// Reads it where its time has come: as often as configured where something depends on it.
    /// Returns what was read, unless the shell has to.
    pub(crate) fn look(&mut self, cx: &mut Cx<'_>, is_verifying: bool) -> Option<Live> {
        let due = self.pending.is_none() && self.next.is_some_and(|next| next <= cx.now.at);
        if !due {
            return None;
        }
        let interval = settings(cx.plan()).map_or(RELAXED, |live| live.interval);
        let needed = is_verifying || cx.plan().deployment.arm == Arm::Detect;
        let pause = if needed { interval } else { interval.max(RELAXED) };
        self.next = Some(cx.now.at.after(pause));
        self.read(cx, ReadingPurpose::Watch)
    }

    /// Reads it: from pages at once, else the shell is asked. What the shell answers to an earlier
    /// request is not waited for any more.
    pub(crate) fn read(&mut self, cx: &mut Cx<'_>, purpose: ReadingPurpose) -> Option<Live> {
        let settings = settings(cx.plan())?.clone();
        if metric(cx.plan()).is_some() {
            let live = self.on_pages(cx.read(), Instant::ZERO);
            self.note(cx.read(), cx.now.at, &live);
            return Some(live);
        }
        self.number += 1;
        let (number, at) = (self.number, cx.now.at);
        let overdue = at.after(settings.timeout * OVERDUE);
        self.pending = Some(LiveRequest { number, at, overdue, purpose });
        cx.push(Effect::ReadLive { number, settings });
        None
    }

    /// Takes in what the shell read. Returns what it is for, if it is waited for.
    pub(crate) fn answer(
        &mut self,
        cx: ReadCx<'_>,
        number: u64,
        live: &Live,
    ) -> Option<ReadingPurpose> {
        let request = self.pending.filter(|request| request.number == number)?;
        self.pending = None;
        if !cx.log.is_halted() {
            self.note(cx, request.at, live);
        }
        Some(request.purpose)
    }

    fn note(&mut self, cx: ReadCx<'_>, at: Instant, live: &Live) {
        self.last = Some((at, live.clone()));
        if cx.state().live.as_ref().is_some_and(|known| live.is(known)) {
            self.stood = Some(at);
        }
    }

    /// The newest reading.
    pub(crate) fn last(&self) -> Option<&Live> {
        self.last.as_ref().map(|(_, live)| live)
    }

    /// Until when the version before was live for certain; the origin, if that was before the
    /// guard was started.
    pub(crate) fn stood_until(&self) -> Instant {
        self.stood.unwrap_or(Instant::ZERO)
    }

    /// What was read of the live version after an instant; `None`: nothing yet.
    pub(crate) fn since(&self, cx: ReadCx<'_>, since: Instant) -> Option<Live> {
        if metric(cx.plan()).is_some() {
            return Some(self.on_pages(cx, since));
        }
        let last = self.last.as_ref().filter(|(at, _)| *at >= since);
        last.map(|(_, live)| live.clone())
    }

    /// The live version, as status shows it.
    pub(crate) fn status(&self, plan: &Plan, now: Moment, comparing: bool) -> Option<LiveStatus> {
        settings(plan)?;
        let age_s = self.last.as_ref().map(|(at, _)| now.at.since(*at).as_secs_f64());
        let (version, unknown) = match self.last() {
            Some(Live::Version(version)) => (Some(version.clone()), None),
            Some(Live::Unknown(why)) => (None, Some(why.clone())),
            None => (None, Some("it was not read yet".to_owned())),
        };
        Some(LiveStatus { version, unknown, age_s, comparing })
    }

    /// What the pages that were sampled after an instant say together. A target that is silent
    /// may run anything: only that the judged version is live somewhere is known without it.
    fn on_pages(&self, cx: ReadCx<'_>, since: Instant) -> Live {
        let Some((of, _)) = metric(cx.plan()) else { return Live::unknown("it is not sampled") };
        let targets = cx.plan().targets.iter().zip(&self.targets);
        let (mut version, mut silent): (Option<&Version>, Option<&Target>) = (None, None);
        for (target, known) in targets.filter(|(target, _)| of.may_match(target)) {
            let recent = |at: Instant| at >= since && cx.now.at.since(at) <= target.stale();
            let last = known.last.as_ref().filter(|(at, _)| recent(*at));
            match last.map(|(_, says)| says) {
                Some(Some(Live::Version(says))) if version.is_none_or(|known| known == says) => {
                    version = Some(says);
                }
                Some(Some(Live::Version(says))) => {
                    let other = version.map_or("", Version::as_str);
                    return Live::unknown(&format!("targets disagree: {other} and {says}"));
                }
                Some(Some(Live::Unknown(why))) => {
                    return Live::unknown(&format!("target {}: {why}", target.name));
                }
                Some(None) if !known.spoke => {}
                Some(None) | None => silent = silent.or(Some(target)),
            }
        }
        let judged = cx.current().map(|current| &current.version);
        match (version, silent) {
            (Some(version), None) => Live::Version(version.clone()),
            (Some(version), Some(_)) if Some(version) == judged => Live::Version(version.clone()),
            (Some(version), Some(target)) => Live::unknown(&format!(
                "target {} is silent, the others say {version}",
                target.name
            )),
            (None, Some(target)) => Live::unknown(&format!("target {} is silent", target.name)),
            (None, None) => Live::unknown(&format!("no target has {}", of.metric)),
        }
    }
}

/// What a page says of the live version.
fn read_page(page: &Page, of: &Selector, label: &str, target: &Target) -> Option<Live> {
    let unclear = |why: String| Some(Live::Unknown(why));
    let concerns = |name: &Option<String>| name.as_ref().is_none_or(|name| *name == of.metric);
    if page.malformed().iter().any(|line| concerns(&line.name)) {
        return unclear(format!("a line of {} cannot be read", of.metric));
    }
    let mut says = None;
    let named = page.samples().filter(|sample| sample.series.contains(of.metric.as_str()));
    for (count, sample) in named.enumerate() {
        if count == MAX_SERIES {
            return unclear(format!("more than {MAX_SERIES} series of {}", of.metric));
        }
        let identity = Identity::read(sample.series, target);
        let counts = sample.value != 0.0 && !sample.value.is_nan();
        if !counts || !identity.is_of(&of.metric) || !of.accepts(|name| identity.label(name)) {
            continue;
        }
        match (Version::new(identity.label(label)), &says) {
            (Err(_), _) if identity.label(label).is_empty() => {
                return unclear(format!("{} has no label {label}", of.metric));
            }
            (Err(error), _) => return unclear(error.to_string()),
            (Ok(version), Some(Live::Version(known))) if version != *known => {
                return unclear(format!("{known} and {version} at once"));
            }
            (Ok(version), _) => says = Some(Live::Version(version)),
        }
    }
    says
}
