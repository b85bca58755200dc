//! Sampling. One task a target reads it in fixed-rate slots; what comes out is a `Scrape`, samples
//! or a classified failure. A target that hangs, drips, lies or dies costs its own slots and
//! nothing else. Never: judging, keeping whole bodies, following redirects, a secret in a message.
//!
//! How a target is read is the business of its `kind`; everything else here knows no kind.

mod failure;
mod kind;
mod late;
mod resources;
mod sampler;
mod slots;
mod sources;

pub use sampler::scrape_once;
pub use sources::{SourceStats, Sources};
