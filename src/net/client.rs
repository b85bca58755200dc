//! One HTTP request and its answer, for whatever speaks to other people's APIs. It must never
//! follow a redirect or use a proxy (the answer would be somebody else's), never send a request
//! twice, never read more of a body than it was told to, and never name the URL in an error: a URL
//! may be a secret.
//!
//! Its errors tell what matters to whoever must not act twice: whether the request may have been
//! received.

#![expect(clippy::disallowed_methods, reason = "knows what a date in an answer means from now on")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, Url, redirect, retry};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::credential::aside;
use super::redact::neutral;
use super::tls::{Authorities, client_config, handshake};
use crate::model::hook::MAX_RETRY_AFTER;
use crate::model::time::format_duration;

/// A request. It cannot be shown: any part of it may be a secret.
pub(crate) struct Request {
    /// GET, POST and so on.
    pub(crate) method: Method,
    /// Where to, `http` or `https`.
    pub(crate) url: String,
    /// Headers, in addition to those that HTTP itself needs.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Option<Vec<u8>>,
    /// How long it may take, from connecting to the last byte of the answer.
    pub(crate) timeout: Duration,
    /// The most of the answer's body that is read, in bytes; 0: it is not read.
    pub(crate) max_body: usize,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status, from 100 to 599.
    pub(crate) status: u16,
    /// For how long the server asks to be left alone, at most [`MAX_RETRY_AFTER`].
    pub(crate) retry_after: Option<Duration>,
    /// The body, or why it is not whole.
    pub(crate) body: Result<Vec<u8>, String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// The text is not a URL that can be asked.
    #[error("{0}")]
    NotAUrl(String),
    /// It was certainly not sent: no connection came about.
    #[error("no answer: {0}")]
    NotSent(String),
    /// It may have been received, and nobody says so.
    #[error("no answer: {0}")]
    Unanswered(String),
    /// It may have been received; the answer did not come in time.
    #[error("no answer within {}", format_duration(*.0))]
    Late(Duration),
}

impl RequestError {
    /// Whether the server may have received the request.
    pub(crate) const fn may_be_received(&self) -> bool {
        match self {
            Self::NotAUrl(_) | Self::NotSent(_) => false,
            Self::Unanswered(_) | Self::Late(_) => true,
        }
    }
}

/// Sends requests. What TLS needs is read when it is first needed: reading the system's
/// certificates takes time, and a system that has none can still be asked without TLS.
#[derive(Debug, Default)]
pub(crate) struct Client {
    authorities: Arc<Authorities>,
}

impl Client {
    /// Sends a request, once, and reads the answer.
    ///
    /// # Errors
    /// There is no answer; the error never names the URL.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, RequestError> {
        let deadline = Instant::now() + request.timeout;
        let url = url(&request.url)?;
        let ready = timeout_at(deadline, self.client(&url, request.timeout)).await;
        let client = ready.map_err(|_| RequestError::NotSent("not ready in time".to_owned()))??;
        let mut sending = client.request(request.method, url).headers(request.headers);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let sent = timeout_at(deadline, sending.send()).await;
        let response = sent.map_err(|_| RequestError::Late(request.timeout))?.map_err(classify)?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = match request.max_body {
            0 => Ok(Vec::new()),
            most => timeout_at(deadline, body(response, most)).await.unwrap_or_else(|_| {
                Err(format!("the body did not end within {}", format_duration(request.timeout)))
            }),
        };
        Ok(Answer { status, retry_after, body })
    }

    /// Connects to the server of a URL, with TLS where the URL says so, and sends nothing: whom it
    /// reached.
    ///
    /// # Errors
    /// It was not reached; the error never names the URL.
    pub(crate) async fn reach(&self, text: &str, within: Duration) -> Result<String, String> {
        let url = url(text).map_err(|error| error.to_string())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let late = || format!("no connection within {}", format_duration(within));
        let deadline = Instant::now() + within;
        let connect = TcpStream::connect((host.as_str(), port));
        let stream = timeout_at(deadline, connect).await.map_err(|_| late())?;
        let stream = stream.map_err(|error| neutral(&error.to_string()))?;
        let peer = stream.peer_addr().map_err(|error| error.to_string())?;
        if url.scheme() == "http" {
            return Ok(format!("accepts connections at {peer}"));
        }
        let secure = async { handshake(self.tls().await?, &host, stream).await.map_err(refused) };
        timeout_at(deadline, secure).await.map_err(|_| late())??;
        Ok(format!("accepts connections at {peer}, its certificate is trusted"))
    }

    async fn client(&self, url: &Url, timeout: Duration) -> Result<reqwest::Client, RequestError> {
        let tls = match url.scheme() {
            "http" => Ok(client_config(RootCertStore::empty())),
            _ => self.tls().await.map(Arc::unwrap_or_clone),
        };
        tls.and_then(|tls| client(tls, timeout)).map_err(RequestError::NotSent)
    }

    async fn tls(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.authorities.loaded(None) {
            return Ok(config);
        }
        let authorities = self.authorities.clone();
        aside(move || authorities.load(None)).await
    }
}

fn refused(error: std::io::Error) -> String {
    format!("TLS: {}", neutral(&error.to_string()))
}

fn url(text: &str) -> Result<Url, RequestError> {
    let url = Url::parse(text).map_err(|why| RequestError::NotAUrl(format!("not a URL: {why}")))?;
    match url.scheme() {
        "http" | "https" => Ok(url),
        other => {
            let why = format!("cannot ask `{other}` URLs, only http and https");
            Err(RequestError::NotAUrl(neutral(&why)))
        }
    }
}

/// A client for one request: that a new one can connect is part of being healthy.
///
/// A TLS configuration is given even where none is needed: left to itself the client wants a
/// process-wide crypto provider and the system's certificates, and panics or fails without.
fn client(tls: ClientConfig, timeout: Duration) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .pool_max_idle_per_host(0)
        // Less than the whole, so that a host that cannot be reached, to which nothing was sent,
        // is told from one that does not answer.
        .connect_timeout(timeout * 4 / 5)
        .user_agent(concat!("rollguard/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("could not set up HTTP: {}", root_cause(&error.without_url())))
}

fn classify(error: reqwest::Error) -> RequestError {
    let error = error.without_url();
    let why = match (error.is_connect(), error.is_timeout()) {
        (true, true) => "no connection in time".to_owned(),
        (_, _) => root_cause(&error),
    };
    if error.is_connect() || error.is_builder() {
        RequestError::NotSent(why)
    } else {
        RequestError::Unanswered(why)
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let broken =
        |error: reqwest::Error| format!("the body broke off: {}", root_cause(&error.without_url()));
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > most {
            return Err(format!("the body is longer than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Seconds, or a date, which counts from the answer's own date where it has one, as the two clocks
/// may differ. See RFC 9110, section 10.2.3.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = |text: &str| httpdate::parse_http_date(text).ok();
            let now = headers.get(DATE).and_then(|now| date(now.to_str().ok()?));
            date(text)?.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default()
        }
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

/// What is at the bottom of it; the layers above only say that a request failed.
fn root_cause(error: &dyn Error) -> String {
    error.source().map_or_else(|| neutral(&error.to_string()), root_cause)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn request(url: String, timeout: Duration) -> Request {
        let (method, headers, body) = (Method::POST, HeaderMap::new(), Some(b"{}".to_vec()));
        Request { method, url, headers, body, timeout, max_body: 1024 }
    }

    /// A server that answers one request with this, and how often it was asked.
    async fn serve(answer: &'static str) -> (String, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hunter2", listener.local_addr().unwrap());
        let served = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            socket.write_all(answer.as_bytes()).await.unwrap();
            drop(socket);
            let again = tokio::time::timeout(Duration::from_millis(200), listener.accept());
            1 + usize::from(again.await.is_ok())
        });
        (url, served)
    }

    #[tokio::test]
    async fn an_answer_is_read_once_and_whole() {
        let answer = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy";
        let (url, served) = serve(answer).await;
        let answer = Client::default().send(request(url, PATIENCE)).await.unwrap();
        let retry_after = Some(Duration::from_secs(7));
        assert_eq!(answer, Answer { status: 429, retry_after, body: Ok(b"busy".to_vec()) });
        assert_eq!(served.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer() {
        let answer = "HTTP/1.1 307 Go\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n";
        let (url, served) = serve(answer).await;
        assert_eq!(Client::default().send(request(url, PATIENCE)).await.unwrap().status, 307);
        assert_eq!(served.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_leaves_the_status() {
        let (url, _) = serve("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf").await;
        let answer = Client::default().send(request(url, PATIENCE)).await.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body.unwrap_err().starts_with("the body broke off"));
    }

    #[tokio::test]
    async fn errors_tell_whether_it_may_have_been_received_and_never_the_url() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (hangs_up, served) = serve("").await;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = silent.local_addr().unwrap();
        let short = Duration::from_secs(1);
        let cases = [
            (format!("http://{closed}/hunter2"), PATIENCE, false),
            ("hunter2".to_owned(), PATIENCE, false),
            ("ftp://h/hunter2".to_owned(), PATIENCE, false),
            (hangs_up, PATIENCE, true),
            (format!("http://{at}/hunter2"), short, true),
        ];
        for (url, timeout, may) in cases {
            let error = Client::default().send(request(url.clone(), timeout)).await.unwrap_err();
            assert_eq!(error.may_be_received(), may, "{url}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert_eq!(served.await.unwrap(), 1);
    }

    #[test]
    fn how_long_to_wait_is_told_in_seconds_or_by_a_date_and_is_bounded() {
        let check = |after: &str, date: &str, seconds: Option<u64>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            headers.insert(DATE, date.parse().unwrap());
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{after}");
        };
        let now = "Sun, 06 Nov 1994 08:49:37 GMT";
        check("2", now, Some(2));
        check("Sun, 06 Nov 1994 08:50:07 GMT", now, Some(30));
        check("Sun, 06 Nov 1994 08:49:07 GMT", now, Some(0));
        check("99999999", now, Some(MAX_RETRY_AFTER.as_secs()));
        check("soon", now, None);
        check("-1", now, None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
