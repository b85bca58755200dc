//! Signals, with who sent them.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use tokio::sync::mpsc;

use crate::model::entry::Caller;

/// What a signal asks for.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// End cleanly.
    Stop(Caller),
    /// Read the configuration again.
    Reload(Caller),
}

/// Signals that may wait to be handled. A person does not send more before the first is handled.
const MAX_WAITING: usize = 16;

/// Listens for TERM, INT and HUP from here on.
///
/// # Errors
/// The system said no.
pub(super) fn listen() -> io::Result<mpsc::Receiver<Request>> {
    let mut signals = SignalsInfo::<WithOrigin>::new([SIGTERM, SIGINT, SIGHUP])?;
    let (send, requests) = mpsc::channel(MAX_WAITING);
    // A thread of its own, because waiting for a signal blocks; it ends with the process.
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for origin in signals.forever() {
            let by = origin.process.map_or(Caller::Guard, |process| Caller::Process {
                pid: Some(process.pid),
                uid: process.uid,
            });
            let request = match origin.signal {
                SIGHUP => Request::Reload(by),
                _ => Request::Stop(by),
            };
            if send.blocking_send(request).is_err() {
                return;
            }
        }
    })?;
    Ok(requests)
}
