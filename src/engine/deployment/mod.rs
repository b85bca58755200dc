//! What is guarded: warm-up, bake and stages, and which version is live.

pub(crate) mod bake;
pub(crate) mod live_version;
pub(crate) mod stages;
pub(crate) mod telemetry;
pub(crate) mod version_change;
pub(crate) mod version_check;
pub(crate) mod warmup;
