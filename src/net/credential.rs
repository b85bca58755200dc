//! Reads secrets from where the configuration says they are, and makes headers of them. They are
//! read for every use, so that a rotated token needs no reload. A message names the header and the
//! place, never the value.

#![expect(clippy::disallowed_methods, reason = "secrets may come from the environment")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use tokio::task::spawn_blocking;

use crate::model::target::Secret;

/// The longest value in bytes: what common servers accept for a whole head.
const MAX_SECRET: u64 = 8 << 10;

/// Reads secrets on a thread of its own, as a file may be on a disk that hangs.
///
/// # Errors
/// Those of `read`.
pub(crate) async fn aside<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = spawn_blocking(read).await;
    read.unwrap_or_else(|error| Err(format!("failed to read a secret: {error}")))
}

/// Whether reading these headers may block.
pub(crate) fn may_block(headers: &[(String, Secret)]) -> bool {
    headers.iter().any(|(_, secret)| matches!(secret, Secret::File(_)))
}

/// The configured headers with their values.
///
/// # Errors
/// A value is not there or cannot stand in a header.
pub(crate) fn headers(headers: &[(String, Secret)]) -> Result<HeaderMap, String> {
    headers.iter().map(|(name, secret)| header(name, value(secret))).collect()
}

/// A header, whose value is marked as sensitive.
///
/// # Errors
/// The value could not be read, or name or value cannot stand in a header.
pub(crate) fn header(
    name: &str,
    value: Result<String, String>,
) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = |why: &str| format!("failed to set header {name}: {why}");
    let key = HeaderName::try_from(name).map_err(|_| wrong("not a header name"))?;
    let text = value.map_err(|why| wrong(&why))?;
    let value = HeaderValue::try_from(text);
    let mut value = value.map_err(|_| wrong("the value cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok((key, value))
}

/// What a secret is now; the error names its place, never its value.
///
/// # Errors
/// It is not there, or too long to be one.
pub(crate) fn value(secret: &Secret) -> Result<String, String> {
    match secret {
        Secret::Literal(text) => Ok(text.clone()),
        Secret::File(path) => read(path).map_err(|why| format!("{}: {why}", path.display())),
        Secret::Env(name) => {
            std::env::var(name).map_err(|_| format!("no text in the environment variable {name}"))
        }
    }
}

/// The text of a regular file (a pipe could block for ever), less the newline at its end.
fn read(path: &Path) -> io::Result<String> {
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_SECRET + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SECRET {
        return Err(io::Error::other(format!("longer than {MAX_SECRET} bytes")));
    }
    let end = text.strip_suffix('\n').map_or(text.len(), |t| t.trim_end_matches('\r').len());
    text.truncate(end);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(secret: Secret) -> Result<HeaderMap, String> {
        headers(&[("Authorization".to_owned(), secret)])
    }

    #[test]
    fn a_file_is_read_again_for_every_use_without_its_last_newline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (content, expected) in [("a\n", "a"), ("b\r\n", "b"), ("c", "c"), ("d \n", "d ")] {
            std::fs::write(&path, content).unwrap();
            let map = one(Secret::File(path.clone())).unwrap();
            assert_eq!(map["authorization"], expected);
            assert!(map["authorization"].is_sensitive());
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_telling_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "hunter2\nhunter3\n").unwrap();
        let refused = [
            one(Secret::File(path.clone())),
            one(Secret::Literal("hunter2\n".to_owned())),
            one(Secret::File(dir.path().join("absent"))),
            one(Secret::File(dir.path().to_owned())),
            one(Secret::Env("ROLLGUARD_TEST_NO_SUCH_VARIABLE".to_owned())),
        ];
        for result in refused {
            let why = result.unwrap_err();
            assert!(!why.contains("hunter"), "{why}");
        }
        std::fs::write(&path, "x".repeat(9 << 10)).unwrap();
        assert!(one(Secret::File(path)).unwrap_err().contains("longer than"));
    }
}
