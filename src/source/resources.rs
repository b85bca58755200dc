//! What every kind of source is given.

use std::sync::Arc;

use crate::clock::Clock;
use crate::net::tls::Authorities;

/// What a source has, whatever its kind.
#[derive(Clone, Debug)]
pub(super) struct Resources {
    pub(super) clock: Clock,
    pub(super) authorities: Arc<Authorities>,
}
