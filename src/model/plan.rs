//! The plan: a whole configuration after it was checked. The core is driven by one of these, and a
//! reload replaces it whole.

use std::time::Duration;

use super::channel::Channel;
use super::deployment::{DeploymentSettings, Mode};
use super::drill::DrillSettings;
use super::hook::Hook;
use super::index::{HookIx, RuleIx, SignalIx, TargetIx};
use super::name::StageName;
use super::rule::Rule;
use super::secrecy::RegisteredSecret;
use super::signal::Signal;
use super::stage::Stage;
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
    /// The stages of a rollout, in their order; none: their names are free.
    pub stages: Vec<Stage>,
    /// Who is told of changes.
    pub channels: Vec<Channel>,
    /// What hooks are drilled with.
    pub drill: Option<DrillSettings>,
    /// Every secret that the configuration names.
    pub secrets: Vec<RegisteredSecret>,
}

impl Plan {
    /// The target at a place.
    pub fn target(&self, ix: TargetIx) -> &Target {
        &self.targets[ix.0]
    }

    /// The signal at a place.
    pub fn signal(&self, ix: SignalIx) -> &Signal {
        &self.signals[ix.0]
    }

    /// How many signals were written: what is derived from one, as its baseline, is not counted.
    pub fn written_signals(&self) -> usize {
        self.signals.iter().filter(|signal| !signal.name.is_derived()).count()
    }

    /// The rule at a place.
    pub fn rule(&self, ix: RuleIx) -> &Rule {
        &self.rules[ix.0]
    }

    /// The hook at a place.
    pub fn hook(&self, ix: HookIx) -> &Hook {
        &self.hooks[ix.0]
    }

    /// The place of a stage in their order, and the stage.
    pub fn stage(&self, name: &StageName) -> Option<(usize, &Stage)> {
        self.stages.iter().enumerate().find(|(_, stage)| stage.name == *name)
    }

    /// The signal and all that it is computed from.
    pub fn signals_below(&self, signal: SignalIx) -> Vec<SignalIx> {
        self.reached(|add| add(signal))
    }

    /// The signals that a rule reads, directly and through expressions.
    pub fn signals_of(&self, rule: &Rule) -> Vec<SignalIx> {
        self.reached(|add| rule.for_each_signal(add))
    }

    /// Signals and all that they are computed from, each once: the first, what is below it, the
    /// next.
    pub fn reached(&self, each: impl FnOnce(&mut dyn FnMut(SignalIx))) -> Vec<SignalIx> {
        let mut all: Vec<SignalIx> = Vec::new();
        let mut seen = vec![false; self.signals.len()];
        let mut next = 0;
        each(&mut |start| {
            let mut add = |ix: SignalIx, all: &mut Vec<SignalIx>| {
                if !std::mem::replace(&mut seen[ix.0], true) {
                    all.push(ix);
                }
            };
            add(start, &mut all);
            while let Some(ix) = all.get(next).copied() {
                next += 1;
                self.signal(ix).kind.for_each_signal(&mut |inner| add(inner, &mut all));
            }
        });
        all
    }

    /// What is so of each signal together with all that it is computed from, by place: its own
    /// value, joined with theirs. Each signal is looked at once, however many lead to it.
    pub fn gathered<T: Copy>(
        &self,
        own: impl Fn(SignalIx, &Signal) -> T,
        join: impl Fn(T, T) -> T,
    ) -> Vec<T> {
        let mut all: Vec<T> = Vec::with_capacity(self.signals.len());
        for (place, signal) in self.signals.iter().enumerate() {
            let mut value = own(SignalIx(place), signal);
            // All of them come before it.
            signal.kind.for_each_signal(&mut |ix| value = join(value, all[ix.0]));
            all.push(value);
        }
        all
    }

    /// How long a rule needs before it can fire on what happens from now on: its longest window
    /// and its `for`.
    pub fn reach(&self, rule: &Rule) -> Duration {
        let windows = self.signals_of(rule).into_iter().map(|ix| self.signal(ix).kind.window());
        windows.max().unwrap_or(Duration::ZERO).saturating_add(rule.hold)
    }

    /// The longest [`reach`](Self::reach) of any rule.
    pub fn longest_reach(&self) -> Duration {
        self.slowest().map_or(Duration::ZERO, |(_, reach)| reach)
    }

    /// The first rule with the longest [`reach`](Self::reach), and that.
    pub fn slowest(&self) -> Option<(&Rule, Duration)> {
        let windows = self.gathered(|_, signal| signal.kind.window(), Duration::max);
        let reach = |rule: &Rule| {
            let mut longest = Duration::ZERO;
            rule.for_each_signal(&mut |ix| longest = longest.max(windows[ix.0]));
            longest.saturating_add(rule.hold)
        };
        let all = self.rules.iter().map(|rule| (rule, reach(rule)));
        all.reduce(|slowest, next| if next.1 > slowest.1 { next } else { slowest })
    }
}
