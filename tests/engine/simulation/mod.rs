//! The guard's whole life, simulated thousands of times: a service that goes bad or dark, hooks
//! that fail, hang and lie, operators who interfere, clocks that step, disks that fill up, and
//! death between any two effects. A run is its seed: `ROLLGUARD_SEED=n` repeats one,
//! `ROLLGUARD_SEEDS=n` says how many there are, from there on where both are given.

mod check;
mod disk;
mod pair;
mod plans;
mod random;
mod stages;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use pair::Pair;
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
        eprintln!("to see it again: ROLLGUARD_SEED={seed} cargo test --test engine simulation::");
        resume_unwind(panic);
    }
}

fn run_pair(seed: u64) {
    let mut pair = Pair::new(seed);
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| pair.run())) {
        pair.tell_the_story();
        eprintln!("to see it again: ROLLGUARD_SEED={seed} cargo test --test engine simulation::");
        resume_unwind(panic);
    }
}

/// The seeds that were asked for, or else so many; said, so that a log tells what was run.
fn seeds(unasked: u64) -> Range<u64> {
    let from = number("ROLLGUARD_SEED");
    let count = number("ROLLGUARD_SEEDS").or(from.map(|_| 1)).unwrap_or(unasked);
    let from = from.unwrap_or(0);
    println!("seeds {from} to {}", from + count);
    from..from + count
}

#[test]
fn two_guards_of_one_story_bring_a_version_back_once_and_undo_nobodys_work() {
    seeds(SEEDS / 6).for_each(run_pair);
}

#[test]
fn whatever_happens_at_most_one_rollback_runs_and_it_comes_to_its_end() {
    seeds(SEEDS).for_each(|seed| run(seed, Comparing::News));
}

#[test]
fn replaying_the_journal_gives_the_same_guard() {
    seeds(SEEDS / 10).for_each(|seed| run(seed, Comparing::Always));
}
