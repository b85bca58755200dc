//! Sends lines to a Unix socket as one attempt at a step. It must never send a line that holds
//! another one, never wait for a reply without end, and never take silence for a reply: a socket
//! that does not close has not answered.

#![expect(clippy::disallowed_methods, reason = "an attempt ends at one instant for all its lines")]

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use crate::engine::effect::Rerun;
use crate::hook::expect::check_text;
use crate::hook::marker::{self, Claim};
use crate::hook::output::Output;
use crate::model::entry::StepResult;
use crate::model::step::{Connections, UnixCall};
use crate::net::redact::{Secrets, neutral};

/// The longest reply that is read, in bytes. A long table of servers has some ten KiB.
const MAX_REPLY: usize = 64 * 1024;

/// Why a connection did not do what it should.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// Nothing was sent on it.
    NotSent(String),
    /// It was answered, and not as expected.
    Answered(String),
    /// It may have been received, and nobody says so.
    Lost(String),
}

/// Sends the lines: what became of it, and what was replied.
pub(super) async fn send(
    path: &Path,
    call: &UnixCall<String>,
    rerun: Rerun,
    timeout: Duration,
) -> (StepResult, String) {
    let deadline = Instant::now() + timeout;
    if call.send.iter().any(|line| line.chars().any(char::is_control)) {
        let why = "a line holds a control character".to_owned();
        return (StepResult::Final(why), String::new());
    }
    let claim = match marker::claim_here(path) {
        Ok(claim) => claim,
        Err(result) => return (result, String::new()),
    };
    let mut output = Output::default();
    let batches: Vec<&[String]> = match call.connections {
        Connections::Each => call.send.chunks(1).collect(),
        Connections::One => vec![&call.send],
    };
    for (at, batch) in batches.into_iter().enumerate() {
        let said = converse(call, batch, deadline).await.and_then(|reply| {
            let checked = check_text(&reply, &call.expect, &Secrets::default());
            checked.map(|()| reply).map_err(Failure::Answered)
        });
        match said {
            Ok(reply) => output.push(reply.as_bytes()),
            Err(failure) => {
                let began = if at == 0 { Some(claim) } else { None };
                return (fail(failure, batch, began, rerun), output.text());
            }
        }
    }
    (StepResult::Done, output.text())
}

/// What a failure means; `untouched` is the claim while nothing was sent before.
fn fail(failure: Failure, batch: &[String], untouched: Option<Claim>, rerun: Rerun) -> StepResult {
    let line = batch.first().map_or("", String::as_str);
    let told = |why: &str| neutral(&format!("`{line}`: {why}"));
    match failure {
        Failure::NotSent(why) => {
            if let Some(claim) = untouched {
                // Where this fails, the attempt counts as sent: the safe side.
                let _ = claim.note_failure(&why);
            }
            StepResult::Failed(told(&why))
        }
        Failure::Answered(why) => StepResult::Failed(told(&why)),
        Failure::Lost(_) if rerun == Rerun::Never => StepResult::Unknown,
        Failure::Lost(why) => StepResult::Failed(told(&why)),
    }
}

/// Sends lines over one connection and reads what is replied to its end.
async fn converse(
    call: &UnixCall<String>,
    lines: &[String],
    deadline: Instant,
) -> Result<String, Failure> {
    let not_sent = |error: io::Error| Failure::NotSent(format!("no connection: {error}"));
    let connecting = timeout_at(deadline, UnixStream::connect(&call.path)).await;
    let late = |_| Failure::NotSent("no connection in time".to_owned());
    let mut socket = connecting.map_err(late)?.map_err(not_sent)?;
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut reply = Vec::new();
    let ended = timeout_at(deadline, exchange(&mut socket, &text, &mut reply)).await;
    let text = String::from_utf8_lossy(&reply).into_owned();
    match ended {
        Ok(Ok(())) if reply.len() > MAX_REPLY => {
            Err(Failure::Answered(format!("the reply is longer than {MAX_REPLY} bytes")))
        }
        Ok(Ok(())) => Ok(text),
        Ok(Err(error)) => Err(Failure::Lost(format!("the connection broke: {error}"))),
        // A server that keeps its connections open has answered all the same.
        Err(_) if !text.trim().is_empty() && call.expect.accepts(&text) => Ok(text),
        Err(_) => Err(Failure::Lost("the reply did not end in time".to_owned())),
    }
}

async fn exchange(socket: &mut UnixStream, text: &str, reply: &mut Vec<u8>) -> io::Result<()> {
    socket.write_all(text.as_bytes()).await?;
    // Whoever reads to the end of what is asked is to answer now. A server that has closed by now
    // has answered.
    let _ = socket.shutdown().await;
    let most = u64::try_from(MAX_REPLY).unwrap_or(u64::MAX) + 1;
    socket.take(most).read_to_end(reply).await.map(drop)
}
