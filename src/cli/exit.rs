//! Exit codes. Scripts and pipelines depend on them.

/// Done.
pub(super) const OK: u8 = 0;
/// It failed.
pub(super) const FAILED: u8 = 1;
/// Used wrongly.
pub(super) const USAGE: u8 = 2;
/// `deploy wait`: the deployment was rolled back.
pub(super) const ROLLED_BACK: u8 = 3;
/// `deploy wait`: the rollback failed.
pub(super) const ROLLBACK_FAILED: u8 = 4;
/// The daemon refused.
pub(super) const REFUSED: u8 = 5;
/// The daemon cannot be reached.
pub(super) const UNREACHABLE: u8 = 6;
/// Bad configuration.
pub(super) const BAD_CONFIG: u8 = 78;
