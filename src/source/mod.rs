//! Sampling: one module tree for the kinds of targets, today metrics pages over HTTP.
//!
//! One task a target keeps one connection, asks in fixed-rate slots and streams the body through
//! the exposition reader; what comes out is a `Scrape`, samples or a classified failure. A target
//! that hangs, drips, lies or dies costs its own slots and nothing else. Never: judging, keeping
//! whole bodies, following redirects, a secret in a message.

mod body;
mod connect;
mod failure;
mod late;
mod link;
mod request;
mod scraper;
pub(crate) mod secret;
mod slots;
mod sources;
mod tls;

pub use scraper::scrape_once;
pub(crate) use secret::secrets;
pub use sources::{Sources, Stats};
