//! Totals of series over time, and what a window of them reads: counters, gauges, native
//! histograms, quantiles, and the readings of a signal in the past. Knows nothing of
//! signals or rules.

pub(crate) mod counter;
pub(crate) mod gauge;
pub(crate) mod history;
pub(crate) mod native;
pub(crate) mod native_window;
pub(crate) mod quantile;
