//! Lints: what is allowed and will hardly do what was meant. They look at a finished plan, so they
//! say nothing while there are errors.

use std::collections::HashSet;
use std::time::Duration;

use crate::model::index::SignalIx;
use crate::model::plan::Plan;
use crate::model::rule::{Rule, Severity, Share, Then};
use crate::model::signal::{Signal, SignalKind};
use crate::model::target::Target;
use crate::model::time::format_duration;

use super::baselines::{Floors, never_taken};
use super::selectors::empty_good;
use super::steps::toggles;
use crate::config::syntax::diagnostic::{Diagnostic, Place};
use crate::config::syntax::errors::Sink;
use crate::config::tables::named::Declared;

/// A plan and where its parts stand, each list in the plan's order.
pub(crate) struct Origins<'p, 'a> {
    pub(crate) plan: &'p Plan,
    pub(crate) signals: Vec<&'p Declared<'a>>,
    pub(crate) rules: &'p [Declared<'a>],
    pub(crate) hooks: &'p [Declared<'a>],
}

impl Origins<'_, '_> {
    /// Lints that need nothing but rules and signals.
    pub(crate) fn rules_alone(&self, sink: &mut Sink) {
        let thin = self.thin();
        let floors = Floors::of(self.plan);
        for (rule, declared) in self.plan.rules.iter().zip(self.rules) {
            self.no_evidence_floor(rule, &thin, declared, sink);
            floors.check(rule, declared, sink);
        }
    }

    /// Lints of a whole configuration.
    pub(crate) fn whole(&self, root: Place, sink: &mut Sink) {
        self.rules_alone(sink);
        let intervals = self.plan.gathered(|ix, _| self.interval_of(ix), Option::max);
        for (rule, declared) in self.plan.rules.iter().zip(self.rules) {
            short_hold(rule, &intervals, declared, sink);
            no_hook(rule, declared, sink);
        }
        for (ix, declared) in self.written() {
            self.short_window(ix, declared, sink);
        }
        for (ix, declared) in self.signals.iter().enumerate() {
            never_taken(self.plan, SignalIx(ix), self.readings_of(SignalIx(ix)), declared, sink);
        }
        self.unused_signals(sink);
        toggles(self.plan, self.hooks, sink);
        empty_good(self.plan, self.hooks, sink);
        if self.plan.rules.is_empty() {
            let lint = Diagnostic::lint(root, "there is no rule, so nothing is judged");
            sink.report(lint.help("name files with rules, as in rules = [\"rules.d/*.toml\"]"));
        }
    }

    /// The signals that stand in a file, rather than follow from one that does.
    fn written(&self) -> impl Iterator<Item = (SignalIx, &Declared<'_>)> {
        let all = self.signals.iter().enumerate().map(|(ix, declared)| (SignalIx(ix), *declared));
        all.filter(|(ix, _)| !self.plan.signal(*ix).name.is_derived())
    }

    /// For each signal the first that it is made of and that little traffic makes jump.
    fn thin(&self) -> Vec<Option<SignalIx>> {
        let own = |ix, signal: &Signal| signal.kind.jumps_on_little_traffic().then_some(ix);
        self.plan.gathered(own, Option::or)
    }

    fn no_evidence_floor(
        &self,
        rule: &Rule,
        thin: &[Option<SignalIx>],
        declared: &Declared<'_>,
        sink: &mut Sink,
    ) {
        let mut found = None;
        rule.for_each_signal(&mut |ix| found = found.or(thin[ix.0]));
        let Some(signal) = found else { return };
        if rule.given.is_some() {
            return;
        }
        let name = &self.plan.signal(signal).name;
        let message = format!("rule `{}` has no `given`", declared.name);
        let lint = Diagnostic::lint(value_place(declared, "when"), message);
        let help = format!(
            "without an evidence floor one request decides what `{name}` is; add `given`, as in \
             \"requests > 1\""
        );
        sink.report(lint.help(help));
    }

    /// The targets that may feed the signal itself.
    fn feeding<'s>(&'s self, kind: &'s SignalKind) -> impl Iterator<Item = &'s Target> {
        let selects = |target: &Target| {
            kind.selections().any(|selection| selection.selector.may_match(target))
        };
        let is_about = |target: &Target| kind.up().is_some_and(|up| *up == target.name);
        self.plan.targets.iter().filter(move |target| selects(target) || is_about(target))
    }

    /// The longest interval of the targets that may feed the signal itself.
    fn interval_of(&self, ix: SignalIx) -> Option<Duration> {
        self.feeding(&self.plan.signal(ix).kind).map(|target| target.interval).max()
    }

    /// How many readings fit into the window of a baseline: one for each scrape that feeds it.
    fn readings_of(&self, ix: SignalIx) -> u128 {
        let SignalKind::Baseline { of, window, .. } = &self.plan.signal(ix).kind else { return 0 };
        let kind = &self.plan.signal(*of).kind;
        // The window is open at its start, but a scrape may come early.
        let scrapes = |t: &Target| window.as_nanos() / t.interval.as_nanos().max(1) + 1;
        if kind.is_sampled() {
            return self.feeding(kind).map(scrapes).sum();
        }
        self.plan.targets.iter().map(scrapes).sum()
    }

    fn short_window(&self, ix: SignalIx, declared: &Declared<'_>, sink: &mut Sink) {
        let signal = self.plan.signal(ix);
        let window = signal.kind.window();
        let Some(interval) = self.interval_of(ix) else {
            return self.never_fed(&signal.kind, declared, sink);
        };
        if signal.stale.is_some_and(|stale| stale <= interval) {
            let place = value_place(declared, "stale");
            let lint = Diagnostic::lint(place, "every sample is stale before the next one comes");
            let target = format_duration(interval);
            sink.report(lint.help(format!("give `stale` more than the interval of {target}")));
        }
        if window.is_zero() || window >= interval * 4 {
            return;
        }
        let message =
            format!("the window is shorter than four intervals of {}", format_duration(interval));
        let lint = Diagnostic::lint(value_place(declared, "window"), message);
        sink.report(lint.help("one missed scrape leaves too little to judge by"));
    }

    /// A signal that looks only at targets that are not there never has a reading.
    fn never_fed(&self, kind: &SignalKind, declared: &Declared<'_>, sink: &mut Sink) {
        if kind.selections().next().is_some() {
            let message = format!("no target feeds signal `{}`", declared.name);
            let lint = Diagnostic::lint(declared.place.clone(), message);
            let help = "its selector excludes every target by `target` or by a target's label";
            sink.report(lint.help(help));
        }
    }

    fn unused_signals(&self, sink: &mut Sink) {
        let used = self.plan.reached(|add| {
            self.plan.rules.iter().for_each(|rule| rule.for_each_signal(add));
            for limit in self.plan.stages.iter().flat_map(|stage| &stage.limits) {
                limit.cond.for_each_signal(&mut |ix| add(ix));
            }
            for given in self.plan.stages.iter().filter_map(|stage| stage.given.as_ref()) {
                given.cond.for_each_signal(&mut |ix| add(ix));
            }
            for cure in self.plan.hooks.iter().filter_map(|hook| hook.cure.as_ref()) {
                cure.when.cond.for_each_signal(&mut |ix| add(ix));
            }
        });
        let used: HashSet<SignalIx> = used.into_iter().collect();
        for (ix, declared) in self.written() {
            if !used.contains(&ix) {
                let message = format!("no rule uses signal `{}`", declared.name);
                sink.report(Diagnostic::lint(declared.place.clone(), message));
            }
        }
    }
}

/// A rule that one or two samples decide. Of its `for` only its share must hold.
fn short_hold(
    rule: &Rule,
    intervals: &[Option<Duration>],
    declared: &Declared<'_>,
    sink: &mut Sink,
) {
    let mut longest = None;
    rule.for_each_signal(&mut |ix| longest = longest.max(intervals[ix.0]));
    let Some(interval) = longest else { return };
    let needed = rule.share.of(rule.hold);
    if needed.is_zero() || needed >= interval * 2 {
        return;
    }
    let what = if rule.share == Share::ALL { "`for`" } else { "the `share` of `for`" };
    let message = format!("{what} is shorter than two intervals of {}", format_duration(interval));
    let lint = Diagnostic::lint(value_place(declared, "for"), message);
    sink.report(if rule.share == Share::ALL {
        lint.help("a single sample decides; write \"0s\" if that is meant")
    } else {
        let needed = format_duration(needed);
        lint.help(format!("a single sample decides: it is enough that it held for {needed}"))
    });
}

fn value_place(declared: &Declared<'_>, key: &str) -> Place {
    declared.section.get(key).map_or(declared.place.clone(), |item| item.place())
}

/// A critical rule after which nothing is done, and a warning that names a hook all the same.
fn no_hook(rule: &Rule, declared: &Declared<'_>, sink: &mut Sink) {
    let then = declared.section.get("then");
    match (rule.severity, rule.then, then) {
        (Severity::Critical, Then::Notify, None) => {
            let message = format!("no hook follows rule `{}`, it only notifies", declared.name);
            let lint = Diagnostic::lint(declared.place.clone(), message);
            sink.report(lint.help(
                "name a hook with `then`, here or in [deployment]; write then = \"notify\" if \
                 that is meant",
            ));
        }
        (Severity::Warning, _, Some(item))
            if !matches!(item.value().as_str(), Some("notify" | "report")) =>
        {
            let lint = Diagnostic::lint(item.place(), "a warning never rolls back");
            sink.report(lint.label("this hook is not run"));
        }
        (
            Severity::Critical | Severity::Warning,
            Then::Rollback(_) | Then::Notify | Then::Report,
            Some(_) | None,
        ) => {}
    }
}
