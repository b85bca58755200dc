//! The daemon that a command is about: the one of a configuration, unless its socket is named.

use std::path::PathBuf;

use clap::Args;

use super::check::DEFAULT_FILE;
use crate::load::{LoadError, Loaded, load};

/// A configuration and its daemon
#[derive(Args, Clone, Debug)]
pub(super) struct TargetDaemon {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(super) config: PathBuf,
    /// Its control socket [default: as configured]
    #[arg(long, value_name = "PATH", env = "ROLLGUARD_CONTROL")]
    control: Option<PathBuf>,
}

impl TargetDaemon {
    /// The socket of its daemon.
    pub(super) fn socket_of(&self, loaded: &Loaded) -> PathBuf {
        self.control.clone().unwrap_or_else(|| loaded.places.control.clone())
    }

    /// The same, where the configuration is read only if the socket is not named.
    ///
    /// # Errors
    /// The configuration is not in order.
    pub(super) fn socket(&self) -> Result<PathBuf, LoadError> {
        match &self.control {
            Some(socket) => Ok(socket.clone()),
            None => load(&self.config).map(|loaded| loaded.places.control),
        }
    }
}
