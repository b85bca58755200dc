//! The live version as the guard knows it: when it is read, what was read, and what scraped pages
//! say of it. Reading is the shell's business; what follows from a reading is `compare`'s and
//! `detect`'s. A reading that failed is never taken for one version or another.

use std::sync::Arc;
use std::time::Duration;

use crate::model::deployment::Arm;
use crate::model::live::{Live, LiveSettings, LiveSource};
use crate::model::name::Version;
use crate::model::scrape::{Page, Scrape};
use crate::model::selector::Selector;
use crate::model::target::Target;
use crate::model::time::{Instant, Moment};

use crate::engine::effect::Effect;
use crate::engine::guard::Guard;
use crate::engine::ingest::series::Identity;
use crate::engine::view::snapshot::LiveStatus;

/// How often it is read at most where nothing depends on it but what status shows.
const RELAXED: Duration = Duration::from_secs(10);

/// The most series of one page that are asked for their version: far more than the processes
/// behind one page, and read within a millisecond.
const MAX_SERIES: usize = 1000;

/// After how many time limits of a reading the shell is not waited for. It keeps them itself.
const OVERDUE: u32 = 2;

/// What is known of the live version, and what is being done about it.
#[derive(Debug, Default)]
pub(crate) struct LiveState {
    /// The newest reading, and when it was asked for.
    pub(crate) last: Option<(Instant, Live)>,
    /// The question under way.
    asked: Option<Asked>,
    /// The number of the newest question.
    number: u64,
    /// When it is to be read next, where nothing is under way.
    next: Option<Instant>,
    /// For each target what its pages say, where that is how it is read.
    seen: Vec<Seen>,
    /// What was read once, and is believed when it is read again.
    pub(crate) candidate: Option<Version>,
    /// When what is known to be live was last read.
    stood: Option<Instant>,
    /// The deployment that begins was live no earlier than this: it was detected afterwards.
    pub(crate) changed: Option<Instant>,
}

/// A question to the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    number: u64,
    at: Instant,
    /// When no answer is waited for any more.
    overdue: Instant,
    why: Why,
}

/// What a reading is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// To see changes.
    Look,
    /// To compare it before something is done.
    Compare,
}

/// What a target's pages say.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// When it was last sampled, and what it said; `None` within: that failed.
    last: Option<(Instant, Option<Said>)>,
    /// It said something once, so that its silence means something.
    spoke: bool,
}

/// What one page says.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Nothing,
    Version(Version),
    Unclear(String),
}

impl Guard {
    pub(crate) fn live_settings(&self) -> Option<&Arc<LiveSettings>> {
        self.plan().deployment.live.as_ref()
    }

    /// The metric that says it, where it is read from what is sampled.
    fn live_metric(&self) -> Option<(&Selector, &str)> {
        match &self.live_settings()?.source {
            LiveSource::Metric { of, label } => Some((of, label)),
            LiveSource::Symlink(_)
            | LiveSource::File { .. }
            | LiveSource::Http(_)
            | LiveSource::Run(_) => None,
        }
    }

    /// Begins to read it, with what is now the plan.
    pub(crate) fn watch_live(&mut self, now: Moment) {
        let seen = vec![Seen::default(); self.plan().targets.len()];
        let next = self.live_settings().map(|_| now.at);
        let number = self.live.number;
        self.live = LiveState { seen, next, number, ..LiveState::default() };
    }

    /// Reads it now rather than at the next regular time.
    pub(crate) fn look_soon(&mut self, at: Instant) {
        if self.live_settings().is_some() {
            self.live.next = Some(at);
        }
    }

    /// Takes in what a page says.
    pub(crate) fn note_live(&mut self, scrape: &Scrape) {
        let Some((of, label)) = self.live_metric() else { return };
        let Some(target) = self.plan().targets.get(scrape.target.0) else { return };
        if !of.may_match(target) {
            return;
        }
        let said = scrape.result.as_ref().ok().map(|page| said(page, of, label, target));
        if let Some(seen) = self.live.seen.get_mut(scrape.target.0) {
            seen.spoke |= said.as_ref().is_some_and(|said| *said != Said::Nothing);
            seen.last = Some((scrape.at, said));
        }
    }

    /// When it must be read, or compared, at the latest.
    pub(crate) fn live_deadline(&self) -> Option<Instant> {
        if self.log.is_halted() {
            return None;
        }
        let overdue = self.live.asked.map(|asked| asked.overdue);
        let look = overdue.or(self.live.next);
        look.into_iter().chain(self.check.deadline()).min()
    }

    /// Reads it where its time has come.
    pub(crate) fn pursue_live(&mut self, now: Moment) {
        if self.log.is_halted() || self.live_settings().is_none() {
            return;
        }
        self.pursue_check(now);
        if self.live.asked.is_some_and(|asked| asked.overdue <= now.at) {
            self.live.asked = None;
            self.take_look(now, now.at, Live::unknown("no answer within its time"));
        }
        let due = self.live.asked.is_none() && self.live.next.is_some_and(|next| next <= now.at);
        if !due {
            return;
        }
        self.live.next = Some(now.at.after(self.pause_between_looks()));
        if self.live_metric().is_some() {
            let live = self.live_on_pages(Instant::ZERO, now.at);
            self.take_look(now, now.at, live);
        } else {
            self.ask_live(now, Why::Look);
        }
    }

    /// As often as configured where something depends on it.
    fn pause_between_looks(&self) -> Duration {
        let interval = self.live_settings().map_or(RELAXED, |live| live.interval);
        let needed = self.rollback.is_verifying() || self.plan().deployment.arm == Arm::Detect;
        if needed { interval } else { interval.max(RELAXED) }
    }

    /// Reads it for a comparison: from pages at once, else the shell is asked.
    pub(crate) fn read_for_check(&mut self, now: Moment) {
        if self.live_metric().is_some() {
            let live = self.live_on_pages(Instant::ZERO, now.at);
            self.note_reading(now.at, &live);
            self.settle_check(now, live);
        } else {
            self.ask_live(now, Why::Compare);
        }
    }

    /// Asks the shell. What it answers to an earlier question is not waited for any more.
    fn ask_live(&mut self, now: Moment, why: Why) {
        let Some(settings) = self.live_settings().cloned() else { return };
        let number = self.live.number + 1;
        self.live.number = number;
        let overdue = now.at.after(settings.timeout * OVERDUE);
        self.live.asked = Some(Asked { number, at: now.at, overdue, why });
        self.push(Effect::ReadLive { number, settings });
    }

    /// Takes in what the shell read, by the number of the question.
    pub fn live(&mut self, now: Moment, number: u64, live: Live) -> Vec<Effect> {
        let Some(asked) = self.live.asked.filter(|asked| asked.number == number) else {
            return self.finish(now);
        };
        self.live.asked = None;
        if !self.log.is_halted() {
            match asked.why {
                Why::Look => self.take_look(now, asked.at, live),
                Why::Compare => {
                    if self.live.candidate.as_ref() != live.version() {
                        self.live.candidate = None;
                    }
                    self.note_reading(asked.at, &live);
                    self.settle_check(now, live);
                }
            }
            self.pursue_live(now);
            self.wake_rollback(now, None);
            self.keep_pace(now.at);
        }
        self.finish(now)
    }

    fn take_look(&mut self, now: Moment, at: Instant, live: Live) {
        self.note_reading(at, &live);
        self.heed_change(now, &live);
    }

    fn note_reading(&mut self, at: Instant, live: &Live) {
        self.live.last = Some((at, live.clone()));
        if self.log.state().live.as_ref().is_some_and(|known| live.is(known)) {
            self.live.stood = Some(at);
        }
    }

    /// Until when the version before was live for certain; the origin, if that was before the
    /// guard was started.
    pub(crate) fn stood_until(&self) -> Instant {
        self.live.stood.unwrap_or(Instant::ZERO)
    }

    /// What was read of the live version after an instant; `None`: nothing yet.
    pub(crate) fn live_since(&self, since: Instant, now: Instant) -> Option<Live> {
        if self.live_metric().is_some() {
            return Some(self.live_on_pages(since, now));
        }
        let last = self.live.last.as_ref().filter(|(at, _)| *at >= since);
        last.map(|(_, live)| live.clone())
    }

    /// What may be seen of it.
    pub(crate) fn live_status(&self, now: Moment) -> Option<LiveStatus> {
        self.live_settings()?;
        let (at, live) = self.live.last.as_ref().map_or_else(
            || (None, Live::unknown("it was not read yet")),
            |(at, live)| (Some(*at), live.clone()),
        );
        let (version, unknown) = match live {
            Live::Version(version) => (Some(version), None),
            Live::Unknown(why) => (None, Some(why)),
        };
        let age_s = at.map(|at| now.at.since(at).as_secs_f64());
        Some(LiveStatus { version, unknown, age_s, comparing: self.check.is_under_way() })
    }

    /// What the pages that were sampled after an instant say together. A target that is silent
    /// may run anything: only that the judged version is live somewhere is known without it.
    fn live_on_pages(&self, since: Instant, now: Instant) -> Live {
        let Some((of, _)) = self.live_metric() else { return Live::unknown("it is not sampled") };
        let targets = self.plan().targets.iter().zip(&self.live.seen);
        let (mut version, mut silent): (Option<&Version>, Option<&Target>) = (None, None);
        for (target, seen) in targets.filter(|(target, _)| of.may_match(target)) {
            let recent = |at: Instant| at >= since && now.since(at) <= target.stale();
            let last = seen.last.as_ref().filter(|(at, _)| recent(*at));
            match last.and_then(|(_, said)| said.as_ref()) {
                Some(Said::Version(said)) if version.is_none_or(|known| known == said) => {
                    version = Some(said);
                }
                Some(Said::Version(said)) => {
                    let other = version.map_or("", Version::as_str);
                    return Live::unknown(&format!("targets disagree: {other} and {said}"));
                }
                Some(Said::Unclear(why)) => {
                    return Live::unknown(&format!("target {}: {why}", target.name));
                }
                Some(Said::Nothing) if !seen.spoke => {}
                Some(Said::Nothing) | None => silent = silent.or(Some(target)),
            }
        }
        let judged = self.log.state().current.as_ref().map(|current| &current.version);
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

/// What a page says.
fn said(page: &Page, of: &Selector, label: &str, target: &Target) -> Said {
    let concerns = |name: &Option<String>| name.as_ref().is_none_or(|name| *name == of.metric);
    if page.malformed().iter().any(|line| concerns(&line.name)) {
        return Said::Unclear(format!("a line of {} cannot be read", of.metric));
    }
    let mut said = Said::Nothing;
    let named = page.samples().filter(|sample| sample.series.contains(of.metric.as_str()));
    for (count, sample) in named.enumerate() {
        if count == MAX_SERIES {
            return Said::Unclear(format!("more than {MAX_SERIES} series of {}", of.metric));
        }
        let identity = Identity::read(sample.series, target);
        let counts = sample.value != 0.0 && !sample.value.is_nan();
        if !counts || !identity.is_of(&of.metric) || !of.accepts(|name| identity.label(name)) {
            continue;
        }
        match (Version::new(identity.label(label)), &said) {
            (Err(_), _) if identity.label(label).is_empty() => {
                return Said::Unclear(format!("{} has no label {label}", of.metric));
            }
            (Err(error), _) => return Said::Unclear(error.to_string()),
            (Ok(version), Said::Version(known)) if version != *known => {
                return Said::Unclear(format!("{known} and {version} at once"));
            }
            (Ok(version), Said::Version(_) | Said::Nothing | Said::Unclear(_)) => {
                said = Said::Version(version);
            }
        }
    }
    said
}
