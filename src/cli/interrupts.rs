//! Tells a command that whoever started it has seen enough.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use signal_hook::low_level::pipe;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Signals that end a command in an orderly way.
#[derive(Debug)]
pub(super) struct Interrupts(UnixStream);

impl Interrupts {
    /// Listens for these signals from now on; they do not end the process any more.
    ///
    /// # Errors
    /// The system does not hand out signals.
    pub(super) fn of(signals: &[i32]) -> io::Result<Self> {
        let (read, write) = StdStream::pair()?;
        for signal in signals {
            pipe::register(*signal, write.try_clone()?)?;
        }
        read.set_nonblocking(true)?;
        UnixStream::from_std(read).map(Self)
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) {
        // Where the pipe fails there is nothing to wait for, either.
        let _ = self.0.read(&mut [0]).await;
    }
}
