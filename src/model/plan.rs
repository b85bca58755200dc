//! The plan: a whole configuration after it was checked. The core is driven by one of these, and a
//! reload replaces it whole.

use std::time::Duration;

use super::deployment::{DeploymentSettings, Mode};
use super::hook::Hook;
use super::place::{HookIx, RuleIx, SignalIx, TargetIx};
use super::rule::Rule;
use super::signal::Signal;
use super::target::Target;

/// Everything the core needs to know, cross-references resolved to places in these lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How much rollguard may do.
    pub mode: Mode,
    /// What is guarded.
    pub deployment: DeploymentSettings,
    /// What is sampled.
    pub targets: Vec<Target>,
    /// Signals; one that is computed from others comes after them.
    pub signals: Vec<Signal>,
    /// Rules, in the order of their files.
    pub rules: Vec<Rule>,
    /// Hooks.
    pub hooks: Vec<Hook>,
}

impl Plan {
    /// The target at a place.
    #[must_use]
    pub fn target(&self, ix: TargetIx) -> &Target {
        &self.targets[ix.0]
    }

    /// The signal at a place.
    #[must_use]
    pub fn signal(&self, ix: SignalIx) -> &Signal {
        &self.signals[ix.0]
    }

    /// The rule at a place.
    #[must_use]
    pub fn rule(&self, ix: RuleIx) -> &Rule {
        &self.rules[ix.0]
    }

    /// The hook at a place.
    #[must_use]
    pub fn hook(&self, ix: HookIx) -> &Hook {
        &self.hooks[ix.0]
    }

    /// The signal and all that it is computed from.
    #[must_use]
    pub fn signals_below(&self, signal: SignalIx) -> Vec<SignalIx> {
        Self::below(&self.signals, signal)
    }

    /// The same among signals that are not yet a plan.
    #[must_use]
    pub fn below(signals: &[Signal], signal: SignalIx) -> Vec<SignalIx> {
        let mut all = vec![signal];
        let mut seen = vec![false; signals.len()];
        let mut next = 0;
        while let Some(ix) = all.get(next).copied() {
            next += 1;
            signals[ix.0].kind.for_each_signal(&mut |inner| {
                if !std::mem::replace(&mut seen[inner.0], true) {
                    all.push(inner);
                }
            });
        }
        all
    }

    /// The signals that a rule reads, directly and through expressions.
    #[must_use]
    pub fn signals_of(&self, rule: &Rule) -> Vec<SignalIx> {
        let mut all: Vec<SignalIx> = Vec::new();
        let mut add = |signal| {
            for ix in self.signals_below(signal) {
                if !all.contains(&ix) {
                    all.push(ix);
                }
            }
        };
        rule.when.cond.for_each_signal(&mut add);
        if let Some(given) = &rule.given {
            given.cond.for_each_signal(&mut add);
        }
        all
    }

    /// How long a rule needs before it can fire on what happens from now on: its longest window
    /// and its `for`.
    #[must_use]
    pub fn reach(&self, rule: &Rule) -> Duration {
        let windows = self.signals_of(rule).into_iter().map(|ix| self.signal(ix).kind.window());
        windows.max().unwrap_or(Duration::ZERO) + rule.hold
    }

    /// The longest [`reach`](Self::reach) of any rule.
    #[must_use]
    pub fn longest_reach(&self) -> Duration {
        self.rules.iter().map(|rule| self.reach(rule)).max().unwrap_or(Duration::ZERO)
    }
}
