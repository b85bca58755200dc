//! L1: what is on a metrics page, by the conventions of the common client libraries, and the
//! configuration that fits it.
//!
//! For whoever meets a service for the first time: one look at its page becomes a file that passes
//! `check` and says why it watches what it watches. A table says what each library calls things;
//! nothing else knows a metric's name. Whatever stands on the page, what is written means that and
//! nothing more. Never: I/O, a guess about a number that is not there, a client's own calls taken
//! for the service's traffic.

mod config_writer;
mod configuration;
mod conventions;
mod family;
mod gauges;
mod latency;
mod recognized;
mod scope;
mod status;
mod text;
mod traffic;

pub use configuration::{ConfigRequest, Configuration, RequestsFound, configuration};
pub use family::{FamilyKind, LabelValues, MetricFamily, PageFamilies};
