//! Looks at the guard from outside, as an operator would: through its control socket and its
//! journal. It tells what changed and knows when the story is over.

use std::time::Duration;

use super::directory::DemoDirectory;
use super::tell::{DemoEvent, GuardReading, OutputFormat, failed};
use crate::cli::client::Client;
use crate::clock::Clock;
use crate::engine::view::snapshot::{GuardState, RuleStatus, Snapshot};
use crate::model::entry::{Entry, RuleStanding};
use crate::model::time::{Instant, Timestamp};
use crate::record;
use crate::render::{self, number};

/// How often it looks: half a sampling interval of the demo's guard.
const LOOK: Duration = Duration::from_millis(100);

/// How often a reading is told while nothing else happens.
const TELL: Duration = Duration::from_millis(500);

/// The rule that the story is about.
const RULE: &str = "error-rate";

/// The signal that is shown beside it.
const BESIDE: &str = "p95";

/// Looks at the guard, and tells what is new.
pub(super) struct GuardWatch {
    pub(super) client: Client,
    directory: DemoDirectory,
    clock: Clock,
    teller: OutputFormat,
    /// When the new release was there.
    deployed: Option<Timestamp>,
    /// Entries that were told.
    pub(super) entries: Vec<Entry>,
    standings: Vec<RuleStanding>,
    reading: Option<(Instant, GuardReading)>,
    /// The newest time told, so that the timeline never goes back.
    told: Option<Timestamp>,
}

impl GuardWatch {
    pub(super) fn new(directory: &DemoDirectory, clock: Clock, teller: OutputFormat) -> Self {
        Self {
            client: Client::new(&directory.at("control")),
            directory: directory.clone(),
            clock,
            teller,
            deployed: None,
            entries: Vec::new(),
            standings: Vec::new(),
            reading: None,
            told: None,
        }
    }

    /// The new release is there from now on; offsets count from here.
    pub(super) fn deployed(&mut self) -> Timestamp {
        *self.deployed.insert(self.clock.wall())
    }

    /// Tells something that happened at a time.
    pub(super) fn tell_at(&mut self, at: Timestamp, event: &DemoEvent) -> Result<(), String> {
        // What a scrape saw is known a moment after other things were told.
        let at = self.told.map_or(at, |told| told.max(at));
        self.told = Some(at);
        let offset = self.deployed.map(|deployed| at.as_millis() - deployed.as_millis());
        self.teller.tell(offset, event).map_err(failed("tell it"))
    }

    /// Tells something that happens now.
    pub(super) fn tell(&mut self, event: &DemoEvent) -> Result<(), String> {
        self.tell_at(self.clock.wall(), event)
    }

    /// Looks until the daemon answers and every rule can tell.
    pub(super) async fn until_ready(&self) -> Snapshot {
        loop {
            if let Ok(status) = self.client.status().await {
                let rules = &status.guard.rules;
                if !rules.is_empty() && rules.iter().all(|rule| rule.no_data.is_none()) {
                    return status.guard;
                }
            }
            self.pause().await;
        }
    }

    /// Looks and tells for a while.
    pub(super) async fn look_for(&mut self, span: Duration) -> Result<(), String> {
        let end = self.clock.now().after(span);
        while self.clock.now() < end {
            self.look().await?;
            self.pause().await;
        }
        Ok(())
    }

    /// Looks and tells until the deployment will not change any more.
    pub(super) async fn until_over(&mut self) -> Result<GuardState, String> {
        loop {
            let state = self.look().await?;
            if state.is_final() {
                // What ended it may have been recorded after this look.
                return self.look().await;
            }
            self.pause().await;
        }
    }

    async fn pause(&self) {
        self.clock.sleep_until(self.clock.now().after(LOOK)).await;
    }

    /// One look: what is new, in the order in which it happened.
    async fn look(&mut self) -> Result<GuardState, String> {
        let status = self.client.status().await;
        let snapshot = status.map_err(failed("ask the guard"))?.guard;
        let mut news = self.rules(&snapshot);
        news.extend(self.reading(&snapshot));
        news.extend(self.entries()?);
        news.sort_by_key(|(at, _)| *at);
        for (at, event) in &news {
            self.tell_at(*at, event)?;
        }
        Ok(snapshot.state)
    }

    /// Rules whose state changed.
    fn rules(&mut self, snapshot: &Snapshot) -> Vec<Timed> {
        self.standings.resize(snapshot.rules.len(), RuleStanding::Inactive);
        let rules = snapshot.rules.iter().map(|rule| &rule.evidence);
        let changed =
            self.standings.iter_mut().zip(rules).filter(|(known, rule)| **known != rule.state);
        changed
            .map(|(known, rule)| {
                *known = rule.state;
                let at = rule.since.filter(|_| rule.state == RuleStanding::Pending);
                let event = DemoEvent::Rule { rule: rule.rule.clone(), state: rule.state };
                (at.unwrap_or(snapshot.at), event)
            })
            .collect()
    }

    /// Entries that the journal has more than before.
    fn entries(&mut self) -> Result<Vec<Timed>, String> {
        let bytes = std::fs::read(self.directory.journal());
        let bytes = bytes.map_err(failed("read the journal"))?;
        let (entries, _) = record::read(&bytes).map_err(failed("read the journal"))?;
        let new: Vec<Entry> = entries.into_iter().skip(self.entries.len()).collect();
        self.entries.extend(new.iter().cloned());
        let root = format!("{}/", self.directory.root.display());
        let news = new.into_iter().map(|entry| {
            // The directory is told once and would fill every line.
            let text = render::event(&entry.event).replace(&root, "");
            (entry.at, DemoEvent::Recorded { entry: Box::new(entry), text })
        });
        Ok(news.collect())
    }

    /// What is read now, where it is due.
    fn reading(&mut self, snapshot: &Snapshot) -> Option<Timed> {
        let rule = snapshot.rules.iter().find(|rule| rule.evidence.rule.as_str() == RULE)?;
        let reading = reading(rule, snapshot);
        let now = self.clock.now();
        let due = self.reading.as_ref().is_none_or(|(at, last)| {
            now.since(*at) >= TELL && *last != reading || last.guard != reading.guard
        });
        due.then(|| {
            self.reading = Some((now, reading.clone()));
            (snapshot.at, DemoEvent::Reading(reading))
        })
    }
}

/// Something to be told, and when it happened.
type Timed = (Timestamp, DemoEvent);

fn reading(rule: &RuleStatus, snapshot: &Snapshot) -> GuardReading {
    let unit =
        |name: &_| snapshot.signals.iter().find(|signal| signal.reading.signal == *name)?.unit;
    let evidence = &rule.evidence;
    let compared = render::comparisons(evidence, unit).into_iter().next();
    let compared = compared.as_ref();
    let text = compared.map(|compared| {
        let name = compared.signal.map(|name| format!("{name} ")).unwrap_or_default();
        let (left, right) = compared.sides();
        let between = if compared.holds() == Some(true) { ">" } else { "of" };
        format!("{name}{left} {between} {right}")
    });
    let share = compared.and_then(render::Compared::share).unwrap_or(0.0);
    let held = evidence.held_ms as f64 / evidence.for_ms.max(1) as f64;
    let progress = match evidence.state {
        RuleStanding::Inactive | RuleStanding::Firing => share,
        RuleStanding::Pending => held,
    };
    GuardReading {
        rule: evidence.rule.clone(),
        signal: compared.and_then(|compared| compared.signal).cloned(),
        value: compared.and_then(|compared| compared.left),
        limit: compared.and_then(|compared| compared.right),
        state: evidence.state,
        guard: snapshot.state,
        held_ms: evidence.held_ms,
        for_ms: evidence.for_ms,
        text: text.or_else(|| rule.no_data.clone()).unwrap_or_default(),
        progress: progress.min(1.0),
        also: beside(snapshot),
    }
}

fn beside(snapshot: &Snapshot) -> String {
    let signal = snapshot.signals.iter().find(|signal| signal.reading.signal.as_str() == BESIDE);
    let shown = signal.and_then(|signal| {
        Some(format!("{BESIDE} {}", number(signal.reading.value?, signal.unit)))
    });
    shown.unwrap_or_default()
}
