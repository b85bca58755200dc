//! A rule's clock in one group, told from every verdict since the group appeared.

use std::time::Duration;

use rollguard::model::entry::RuleStanding;
use rollguard::model::reading::Verdict;
use rollguard::model::rule::{OnNoData, Rule, Share};
use rollguard::model::time::Instant;

/// A verdict of a rule, as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) at: Instant,
    pub(super) verdict: Verdict,
    pub(super) fresh: bool,
}

/// Where a rule stands in a group.
pub(super) struct Clock {
    state: RuleStanding,
    /// For how long it was seen to hold; when it was last seen to.
    held: Duration,
    seen: Option<Instant>,
    held_last: Instant,
    /// Since when there is no data.
    dark: Option<Instant>,
    /// With a share: all observed time, each stretch with whether the condition held at both ends.
    observed: Vec<(Duration, bool)>,
    /// The last fresh verdict, unless there was no data since.
    last: Option<(Instant, bool)>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            state: RuleStanding::Inactive,
            held: Duration::ZERO,
            seen: None,
            held_last: Instant::ZERO,
            dark: None,
            observed: Vec::new(),
            last: None,
        }
    }
}

/// What a verdict comes to by a rule's `on_no_data`.
#[derive(Clone, Copy, PartialEq)]
enum Comes {
    Holds,
    Fails,
    Dark,
}

fn comes(rule: &Rule, verdict: Verdict) -> Comes {
    match (verdict, rule.on_no_data) {
        (Verdict::Holds, _) | (Verdict::NoData(_), OnNoData::Breach) => Comes::Holds,
        (Verdict::Fails, _) | (Verdict::NoData(_), OnNoData::Clear) => Comes::Fails,
        (Verdict::NoData(_), OnNoData::Hold) => Comes::Dark,
    }
}

/// How long a rule waits without data before it returns to inactive.
fn patience(rule: &Rule) -> Duration {
    rule.hold.max(Duration::from_secs(60))
}

impl Clock {
    pub(super) fn standing(&self) -> RuleStanding {
        self.state
    }

    pub(super) fn judge(&mut self, rule: &Rule, judged: Judged) {
        let Judged { at, verdict, fresh } = judged;
        // Where absence means something, it is what is observed.
        let absent = matches!(verdict, Verdict::NoData(_)) && rule.on_no_data != OnNoData::Hold;
        let seen = fresh || absent;
        match (comes(rule, verdict), rule.share == Share::ALL) {
            (Comes::Holds, true) => self.holds(rule, at, seen),
            (Comes::Fails, true) => self.fails(rule, at),
            (Comes::Dark, true) => self.goes_dark(rule, at),
            (Comes::Dark, false) => {
                self.last = None;
                self.goes_dark(rule, at);
                if self.state == RuleStanding::Inactive {
                    self.observed.clear();
                }
            }
            (comes, false) => self.weighs(rule, at, comes == Comes::Holds, seen),
        }
    }

    fn holds(&mut self, rule: &Rule, at: Instant, seen: bool) {
        use RuleStanding::{Firing, Inactive, Pending};
        match self.state {
            Inactive => {
                (self.state, self.held, self.seen) = (Pending, Duration::ZERO, Some(at));
                self.dark = None;
            }
            Pending if seen => {
                self.held += self.seen.map_or(Duration::ZERO, |last| at.since(last));
                self.seen = Some(self.seen.map_or(at, |last: Instant| last.max(at)));
                self.dark = None;
            }
            Pending => {}
            Firing => (self.held_last, self.dark) = (self.held_last.max(at), None),
        }
        if self.state == Pending && self.held >= rule.hold && (seen || self.held.is_zero()) {
            (self.state, self.held_last, self.dark) = (Firing, at, None);
        }
    }

    fn fails(&mut self, rule: &Rule, at: Instant) {
        self.dark = None;
        let keeps = at.since(self.held_last) < rule.keep_firing_for;
        if self.state != RuleStanding::Firing || !keeps {
            self.state = RuleStanding::Inactive;
        }
    }

    fn goes_dark(&mut self, rule: &Rule, at: Instant) {
        if self.state == RuleStanding::Inactive {
            return;
        }
        self.seen = None;
        let since = *self.dark.get_or_insert(at);
        if at.since(since) >= patience(rule) {
            (self.state, self.dark) = (RuleStanding::Inactive, None);
        }
    }

    /// A verdict of a rule that goes by a share of the observed time.
    fn weighs(&mut self, rule: &Rule, at: Instant, holds: bool, seen: bool) {
        use RuleStanding::{Firing, Inactive, Pending};
        if seen && self.last.is_none_or(|(last, _)| last < at) {
            if let Some((last, before)) = self.last {
                self.observed.push((at.since(last), before && holds));
            }
            self.last = Some((at, holds));
        }
        self.dark = None;
        let (whole, held) = self.window(rule.hold);
        let reached = whole >= rule.hold && held >= rule.share.of(rule.hold);
        let keeps = self.state == Firing && at.since(self.held_last) < rule.keep_firing_for;
        let begun = held > Duration::ZERO || self.last.is_some_and(|(_, holds)| holds);
        if reached {
            self.held_last = if self.state == Firing { self.held_last.max(at) } else { at };
        }
        self.state = match (reached || keeps, begun) {
            (true, _) => Firing,
            (false, true) => Pending,
            (false, false) => Inactive,
        };
    }

    /// The last of the observed time, at most `length` of it, and for how much of it it held.
    fn window(&self, length: Duration) -> (Duration, Duration) {
        let (mut whole, mut held) = (Duration::ZERO, Duration::ZERO);
        for (time, holds) in self.observed.iter().rev() {
            let inside = (*time).min(length - whole);
            whole += inside;
            held += if *holds { inside } else { Duration::ZERO };
        }
        (whole, held)
    }

    /// When time alone may change it, if the verdict stays.
    pub(super) fn deadline(&self, rule: &Rule, verdict: Verdict) -> Option<Instant> {
        use RuleStanding::{Firing, Inactive, Pending};
        let absent = matches!(verdict, Verdict::NoData(_));
        let (whole, held) = self.window(rule.hold);
        let missing =
            rule.hold.saturating_sub(whole).max(rule.share.of(rule.hold).saturating_sub(held));
        match (self.state, comes(rule, verdict)) {
            (Pending, Comes::Holds) if absent && rule.share == Share::ALL => {
                self.seen.map(|seen| seen.after(rule.hold.saturating_sub(self.held)))
            }
            (Pending, Comes::Holds) if absent => self.last.map(|(last, _)| last.after(missing)),
            (Firing, Comes::Fails) if rule.share != Share::ALL && missing.is_zero() => None,
            (Firing, Comes::Fails) => Some(self.held_last.after(rule.keep_firing_for)),
            (Pending | Firing, Comes::Dark) => self.dark.map(|dark| dark.after(patience(rule))),
            (Inactive | Pending | Firing, _) => None,
        }
    }
}
