//! Indices into a plan: how signals, rules, hooks and targets refer to each other once a
//! configuration was checked. Only `config` makes them, so they are always in range for the plan
//! that they belong to.

/// A signal's index in [`Plan::signals`](super::plan::Plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalIx(pub usize);

/// A rule's index in [`Plan::rules`](super::plan::Plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIx(pub usize);

/// A hook's index in [`Plan::hooks`](super::plan::Plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookIx(pub usize);

/// A target's index in [`Plan::targets`](super::plan::Plan).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetIx(pub usize);
