//! Looks at the guard from outside, as an operator would: through its control socket and its
//! journal. It tells what changed and knows when the story is over.

use std::io;
use std::time::Duration;

use super::place::Place;
use super::tell::{Happening, Reading, Teller};
use crate::cli::client::{Client, ClientError};
use crate::clock::Clock;
use crate::engine::snapshot::{GuardState, RuleStatus, Snapshot};
use crate::model::entry::{Entry, RuleStanding};
use crate::model::time::{Instant, Timestamp};
use crate::record;
use crate::render::{self, number, unit_named};

/// How often it looks: half a sampling interval of the demo's guard.
const LOOK: Duration = Duration::from_millis(100);

/// How often a reading is told while nothing else happens.
const TELL: Duration = Duration::from_millis(500);

/// The rule that the story is about.
const RULE: &str = "error-rate";

/// The signal that is shown beside it.
const BESIDE: &str = "p95";

/// Why nothing can be seen or told any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum WatchError {
    /// The daemon does not answer.
    #[error("ask the guard: {0}")]
    Guard(#[from] ClientError),
    /// The journal cannot be read.
    #[error("read the journal: {0}")]
    Journal(String),
    /// Nobody reads what is told.
    #[error("tell it: {0}")]
    Tell(#[source] io::Error),
}

/// Who looks.
pub(super) struct Watch {
    client: Client,
    place: Place,
    clock: Clock,
    teller: Teller,
    /// When the new release was there.
    deployed: Option<Timestamp>,
    /// Entries that were told.
    pub(super) entries: Vec<Entry>,
    standings: Vec<RuleStanding>,
    told: Option<(Instant, Reading)>,
}

impl Watch {
    pub(super) fn new(place: &Place, clock: Clock, teller: Teller) -> Self {
        Self {
            client: Client::new(&place.control()),
            place: place.clone(),
            clock,
            teller,
            deployed: None,
            entries: Vec::new(),
            standings: Vec::new(),
            told: None,
        }
    }

    /// The daemon's control socket.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// The new release is there from now on; offsets count from here.
    pub(super) fn deployed(&mut self) -> Timestamp {
        *self.deployed.insert(self.clock.wall())
    }

    /// Tells something that happens now.
    pub(super) fn tell(&self, happening: &Happening) -> Result<(), WatchError> {
        self.tell_at(self.clock.wall(), happening)
    }

    fn tell_at(&self, at: Timestamp, happening: &Happening) -> Result<(), WatchError> {
        let offset = self.deployed.map(|deployed| at.as_millis() - deployed.as_millis());
        self.teller.tell(offset, happening).map_err(WatchError::Tell)
    }

    /// Looks until the daemon answers and every rule can tell.
    pub(super) async fn until_ready(&self) {
        loop {
            if let Ok(status) = self.client.status().await {
                let rules = &status.guard.rules;
                if !rules.is_empty() && rules.iter().all(|rule| rule.no_data.is_none()) {
                    return;
                }
            }
            self.pause().await;
        }
    }

    /// Looks and tells for a while.
    pub(super) async fn look_for(&mut self, span: Duration) -> Result<(), WatchError> {
        let end = self.clock.now().after(span);
        while self.clock.now() < end {
            self.look().await?;
            self.pause().await;
        }
        Ok(())
    }

    /// Looks and tells until the deployment will not change any more.
    pub(super) async fn until_over(&mut self) -> Result<GuardState, WatchError> {
        loop {
            let state = self.look().await?;
            if state.is_final() {
                // What was recorded last may have come after the look at the journal.
                self.tell_entries()?;
                return Ok(state);
            }
            self.pause().await;
        }
    }

    async fn pause(&self) {
        self.clock.sleep_until(self.clock.now().after(LOOK)).await;
    }

    async fn look(&mut self) -> Result<GuardState, WatchError> {
        let snapshot = self.client.status().await?.guard;
        self.tell_rules(&snapshot)?;
        self.tell_entries()?;
        self.tell_reading(&snapshot)?;
        Ok(snapshot.state)
    }

    fn tell_rules(&mut self, snapshot: &Snapshot) -> Result<(), WatchError> {
        self.standings.resize(snapshot.rules.len(), RuleStanding::Inactive);
        for (index, rule) in snapshot.rules.iter().enumerate() {
            let (rule, since) = (&rule.evidence, rule.evidence.since);
            if self.standings[index] != rule.state {
                self.standings[index] = rule.state;
                let at = since.filter(|_| rule.state == RuleStanding::Pending);
                let changed = Happening::Rule { rule: rule.rule.clone(), state: rule.state };
                self.tell_at(at.unwrap_or(snapshot.at), &changed)?;
            }
        }
        Ok(())
    }

    fn tell_entries(&mut self) -> Result<(), WatchError> {
        let journal = self.place.journal();
        let bytes = std::fs::read(journal).map_err(|e| WatchError::Journal(e.to_string()))?;
        let read = record::read(&bytes).map_err(|e| WatchError::Journal(e.to_string()))?;
        for entry in read.entries.into_iter().skip(self.entries.len()) {
            let text = render::event(&entry.event);
            let recorded = Happening::Recorded { entry: Box::new(entry.clone()), text };
            self.tell_at(entry.at, &recorded)?;
            self.entries.push(entry);
        }
        Ok(())
    }

    fn tell_reading(&mut self, snapshot: &Snapshot) -> Result<(), WatchError> {
        let Some(rule) = snapshot.rules.iter().find(|r| r.evidence.rule.as_str() == RULE) else {
            return Ok(());
        };
        let reading = reading(rule, snapshot);
        let now = self.clock.now();
        let due = self.told.as_ref().is_none_or(|(at, told)| {
            now.since(*at) >= TELL && *told != reading || told.state != reading.state
        });
        if due {
            self.tell(&Happening::Reading(reading.clone()))?;
            self.told = Some((now, reading));
        }
        Ok(())
    }
}

fn reading(rule: &RuleStatus, snapshot: &Snapshot) -> Reading {
    let unit = |name: &_| {
        let signal = snapshot.signals.iter().find(|signal| signal.reading.signal == *name)?;
        unit_named(signal.unit.as_deref()?)
    };
    let evidence = &rule.evidence;
    let compared = render::comparisons(evidence, unit).into_iter().next();
    let name = compared.as_ref().and_then(|compared| compared.signal);
    let text = compared.as_ref().map_or_else(
        || rule.no_data.clone().unwrap_or_default(),
        |compared| {
            let name = name.map(|name| format!("{name} ")).unwrap_or_default();
            let (left, right) = compared.sides();
            let between = if compared.holds() == Some(true) { ">" } else { "of" };
            format!("{name}{left} {between} {right}")
        },
    );
    let share = compared.as_ref().and_then(render::Compared::share).unwrap_or(0.0);
    let held = evidence.held_ms as f64 / evidence.for_ms.max(1) as f64;
    let progress = match evidence.state {
        RuleStanding::Inactive | RuleStanding::Firing => share,
        RuleStanding::Pending => held,
    };
    Reading {
        rule: evidence.rule.clone(),
        signal: name.cloned(),
        value: compared.as_ref().and_then(|compared| compared.left),
        limit: compared.as_ref().and_then(|compared| compared.right),
        state: evidence.state,
        held_ms: evidence.held_ms,
        for_ms: evidence.for_ms,
        text,
        progress: progress.min(1.0),
        also: beside(snapshot),
    }
}

fn beside(snapshot: &Snapshot) -> String {
    let signal = snapshot.signals.iter().find(|signal| signal.reading.signal.as_str() == BESIDE);
    let shown = signal.and_then(|signal| {
        let unit = signal.unit.as_deref().and_then(unit_named);
        Some(format!("{BESIDE} {}", number(signal.reading.value?, unit)))
    });
    shown.unwrap_or_default()
}
