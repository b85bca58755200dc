//! Which daemon is meant: the one of a configuration, unless its socket is named.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::check::DEFAULT_FILE;
use super::{exit, out};
use crate::config::Color;
use crate::load::{LoadError, Loaded, load};

/// A configuration and its daemon
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// The daemon's configuration
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(super) config: PathBuf,
    /// Its control socket [default: as configured]
    #[arg(long, value_name = "PATH", env = "ROLLGUARD_CONTROL")]
    control: Option<PathBuf>,
}

impl Place {
    /// The configuration.
    ///
    /// # Errors
    /// It is not in order.
    pub(super) fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.config)
    }

    /// The socket of its daemon.
    pub(super) fn socket(&self, loaded: &Loaded) -> PathBuf {
        self.control.clone().unwrap_or_else(|| loaded.places.control.clone())
    }

    /// The socket where it is named, whatever the configuration says.
    pub(super) fn named_socket(&self) -> Option<PathBuf> {
        self.control.clone()
    }
}

/// Shows what is wrong with a configuration.
pub(super) fn bad_config(error: &LoadError) -> ExitCode {
    let colour = out::may_colour(&std::io::stderr());
    let colour = if colour { Color::Ansi } else { Color::Plain };
    out::note(&if let LoadError::Wrong(wrong) = error {
        wrong.render(colour)
    } else {
        format!("error: failed to {error}")
    });
    ExitCode::from(exit::BAD_CONFIG)
}
