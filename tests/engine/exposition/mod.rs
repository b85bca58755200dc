//! The reader of metrics pages.

mod properties;
mod protobuf;
