//! The guard's whole life, simulated thousands of times: a service that goes bad or dark, hooks
//! that fail, hang and lie, operators who interfere, clocks that step, disks that fill up, and
//! death between any two effects. A run is its seed: `ROLLGUARD_SEED=n` repeats one,
//! `ROLLGUARD_SEEDS=n` says how many there are.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

#[path = "simulation/check.rs"]
mod check;
#[path = "simulation/plans.rs"]
mod plans;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/stages.rs"]
mod stages;
#[path = "simulation/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{Comparing, World};

/// Enough to meet every pair of accidents many times, and done while one waits.
const SEEDS: u64 = 3000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn run(seed: u64, comparing: Comparing) {
    let mut world = World::new(seed, comparing);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| world.run())) {
        world.tell_the_story();
        eprintln!("to see it again: ROLLGUARD_SEED={seed} cargo test --test simulation");
        resume_unwind(panic);
    }
}

#[test]
fn whatever_happens_at_most_one_rollback_runs_and_it_comes_to_its_end() {
    if let Some(seed) = number("ROLLGUARD_SEED") {
        return run(seed, Comparing::News);
    }
    (0..number("ROLLGUARD_SEEDS").unwrap_or(SEEDS)).for_each(|seed| run(seed, Comparing::News));
}

#[test]
fn replaying_the_journal_gives_the_same_guard() {
    let one = number("ROLLGUARD_SEED").map(|seed| seed..seed + 1);
    one.unwrap_or(0..SEEDS / 10).for_each(|seed| run(seed, Comparing::Always));
}
