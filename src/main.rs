//! The `rollguard` binary.

fn main() {}
