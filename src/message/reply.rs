//! What a system's answer means: taken, to be tried again, or never to be taken.

use std::time::Duration;

use serde_json::Value;

use crate::model::channel::System;

/// The longest identifier of another system that is kept.
const MAX_REFERENCE: usize = 128;

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Taken,
    /// Not now; not before this long, where the system says so.
    Again(Option<Duration>),
    /// It was refused, and would be again.
    Refused,
}

/// What a status means; `retry_after` as the system gave it.
pub fn fate(status: u16, retry_after: Option<Duration>) -> Fate {
    match status {
        200..=299 => Fate::Taken,
        // 420 is how Statuspage says that there were too many.
        408 | 420 | 425 | 429 | 500..=599 => Fate::Again(retry_after),
        _ => Fate::Refused,
    }
}

/// What a system calls what it made of a request.
pub fn reference(system: &System, body: &[u8]) -> Option<String> {
    if !matches!(system, System::Grafana { .. } | System::Statuspage { .. }) {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    let id = body.get("id")?;
    let text = id.as_str().map(str::to_owned);
    let id = text.or_else(|| Some(id.as_u64()?.to_string()))?;
    // It becomes part of a path.
    let safe = !id.is_empty()
        && id.len() <= MAX_REFERENCE
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    safe.then_some(id)
}
