//! Checks whether servers and sockets accept a connection. Nothing is sent beyond a TLS handshake.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use crate::model::step::Wording;
use crate::net::client::Client;
use crate::net::credential;
use crate::net::redact::Secrets;
use crate::preflight::{Finding, FindingLevel};

/// Whether the server of a URL accepts a connection.
pub(super) async fn server(
    client: &Client,
    url: Wording<String>,
    on_failure: FindingLevel,
    within: Duration,
) -> Finding {
    let is_secret = url.open().is_none();
    let read = move || Secrets::default().reveal(&url);
    let Ok(text) = credential::aside(read).await else {
        let what = "the server of the secret URL was not looked at";
        return Finding::warn(what, "let its URL be read, see its own finding");
    };
    let place = if is_secret { "the server of the secret URL".to_owned() } else { shown(&text) };
    match client.reach(text.trim(), within).await {
        Ok(reached) => Finding::ok(format!("{place} {reached}; nothing was sent")),
        Err(why) => failed(format!("{place}: {why}"), on_failure),
    }
}

/// A URL without a user and a password.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}

fn failed(what: String, on_failure: FindingLevel) -> Finding {
    let remedy = "see name, port, firewall and certificate from this host";
    match on_failure {
        FindingLevel::Fail => Finding::fail(what, remedy),
        FindingLevel::Ok | FindingLevel::Warn => {
            Finding::warn(what, "fine where it comes up only in a rollback")
        }
    }
}

/// Whether something accepts connections at `host:port`. What a probe waits for may come later.
pub(super) async fn address(address: &str) -> Finding {
    match TcpStream::connect(address).await {
        Ok(_) => Finding::ok(format!("{address} accepts connections")),
        Err(error) => failed(format!("{address}: {error}"), FindingLevel::Warn),
    }
}

/// Whether a Unix socket accepts connections.
pub(super) async fn socket(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) => {
            let remedy = "start what owns it; BindPaths= where the daemon does not see it";
            return Finding::fail(format!("{shown}: {error}"), remedy);
        }
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Finding::fail(format!("{shown} is no socket"), "name the socket");
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => Finding::ok(format!("{shown} accepts connections; nothing was sent")),
        Err(error) => {
            let remedy = "start what owns it; SupplementaryGroups= where it may not be used";
            Finding::fail(format!("{shown}: {error}"), remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, UnixListener};

    use super::*;
    use crate::model::step::SecretText;

    #[tokio::test]
    async fn a_server_is_connected_to_and_nothing_is_sent() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/order", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            socket.read_to_end(&mut bytes).await.unwrap();
            bytes
        });
        let within = Duration::from_secs(30);
        let found =
            server(&Client::default(), Wording::Open(url.clone()), FindingLevel::Fail, within)
                .await;
        assert_eq!(found.level, FindingLevel::Ok, "{found:?}");
        assert_eq!(served.await.unwrap(), b"");
        let found =
            server(&Client::default(), Wording::Open(url), FindingLevel::Fail, within).await;
        assert_eq!(found.level, FindingLevel::Fail, "{found:?}");
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        assert_eq!(shown("https://user:hunter2@h.example:8443"), "https://h.example:8443");
        assert_eq!(shown("http://h.example"), "http://h.example");
    }

    #[tokio::test]
    async fn a_secret_url_is_not_shown() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/hunter2", listener.local_addr().unwrap().port());
        let from = crate::model::target::Secret::Literal(url);
        let url = Wording::Secret(SecretText { prefix: String::new(), from });
        let within = Duration::from_secs(30);
        let found = server(&Client::default(), url, FindingLevel::Fail, within).await;
        assert!(found.level == FindingLevel::Ok && !found.what.contains("hunter2"), "{found:?}");
        assert!(found.what.contains("the server of the secret URL accepts"), "{found:?}");
    }

    #[tokio::test]
    async fn a_socket_must_be_one_and_be_listened_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(socket(&path).await.level, FindingLevel::Fail);
        std::fs::write(&path, "").unwrap();
        assert!(socket(&path).await.what.contains("no socket"));
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(socket(&path).await.level, FindingLevel::Ok);
        drop(listener);
        assert_eq!(socket(&path).await.level, FindingLevel::Fail);
    }
}
