//! What test binaries share: servers and processes, a guarded service, steps and their server,
//! systems that are told, an evaluator in few words.

pub(crate) mod bed;
pub(crate) mod bench;
pub(crate) mod common;
pub(crate) mod dice;
pub(crate) mod native;
pub(crate) mod protobuf;
pub(crate) mod systems;
pub(crate) mod world;
