//! How often targets are sampled: at their interval, or more often while a rule is near its limit.

pub(crate) mod interval;
