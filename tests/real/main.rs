//! Against other people's programs: Prometheus and its promtool and client, HAProxy, nginx, etcd,
//! systemd. A test whose program is not installed says so and is skipped, unless
//! `ROLLGUARD_REQUIRE_REAL=1`.

#![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod alertmanager;
mod differences;
mod exposition;
mod haproxy;
mod import;
mod native;
mod promtool;
mod servers;
mod systemd;

// `CARGO_BIN_EXE_rollguard` exists for the package's own test binaries only, so what they share
// cannot be a crate. This is the one module that is found by its path.
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "each of the test binaries needs a part of it")]
mod support;
