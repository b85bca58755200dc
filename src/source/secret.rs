//! The values of a request's configured headers, from where the configuration says they are. They
//! are read for every scrape, so that a rotated token needs no reload, and go nowhere but into
//! the request: a message names the header and the place, never the value.

#![expect(clippy::disallowed_methods, reason = "headers may come from the environment")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::failure::failure;
use crate::model::scrape::{Failure, FailureClass};
use crate::model::target::Secret;

/// The longest value in bytes: what common servers accept for a whole head.
const MAX_SECRET: u64 = 8 << 10;

/// Whether reading these may block.
pub(super) fn may_block(headers: &[(String, Secret)]) -> bool {
    headers.iter().any(|(_, secret)| matches!(secret, Secret::File(_)))
}

/// The configured headers with their values, read beside whatever else is going on.
///
/// # Errors
/// As [`resolve`].
pub(crate) async fn secrets(headers: &[(String, Secret)]) -> Result<HeaderMap, Failure> {
    if !may_block(headers) {
        return resolve(headers);
    }
    let headers = headers.to_vec();
    let resolving = tokio::task::spawn_blocking(move || resolve(&headers)).await;
    resolving.unwrap_or_else(|_| {
        Err(failure(FailureClass::Broken, format_args!("failed to read the headers")))
    })
}

/// The configured headers with their values.
///
/// # Errors
/// A value is not there or cannot stand in a header.
pub(super) fn resolve(headers: &[(String, Secret)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, secret) in headers {
        let refuse = |why: &str| {
            failure(FailureClass::Broken, format_args!("failed to set header {name}: {why}"))
        };
        let key = HeaderName::try_from(name).map_err(|_| refuse("not a header name"))?;
        let text = value(secret).map_err(|why| refuse(&why))?;
        let value = HeaderValue::try_from(text);
        let mut value = value.map_err(|_| refuse("the value cannot stand in a header"))?;
        value.set_sensitive(true);
        map.append(key, value);
    }
    Ok(map)
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

    fn one(secret: Secret) -> Result<HeaderMap, Failure> {
        resolve(&[("Authorization".to_owned(), secret)])
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
            let failure = result.unwrap_err();
            assert_eq!(failure.class, FailureClass::Broken);
            assert!(!failure.detail.contains("hunter"), "{}", failure.detail);
        }
        std::fs::write(&path, "x".repeat(9 << 10)).unwrap();
        assert!(one(Secret::File(path)).unwrap_err().detail.contains("longer than"));
    }
}
