//! What is allocated, counted. The counting allocator is one for the whole process, so these tests
//! are in a binary of their own and run one at a time.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod evaluator;
mod exposition;

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Keeps other tests from allocating while one counts.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}
