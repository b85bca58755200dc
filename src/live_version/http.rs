//! The live version as an HTTP endpoint tells it: an API of the service, of a load balancer, or
//! etcd's gateway, whose values are base64.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;

use crate::model::live::{Live, LiveEncoding, LiveHttp, LiveMethod};
use crate::net::client::{Client, Request};
use crate::net::credential;

/// The longest answer that is read, in bytes: a status page with a version on it.
const MAX_BODY: usize = 1 << 20;

/// Asks once. Only an answer with a status from 200 to 299 tells anything.
pub(super) async fn read(client: &Client, request: &LiveHttp, timeout: Duration) -> Live {
    let headers = match headers(request).await {
        Ok(headers) => headers,
        Err(why) => return Live::unknown(&why),
    };
    let sent = client.send(Request {
        method: match request.method {
            LiveMethod::Get => Method::GET,
            LiveMethod::Post => Method::POST,
        },
        url: request.url.clone(),
        headers,
        body: request.json.as_ref().map(|json| json.to_string().into_bytes()),
        timeout,
        max_body: MAX_BODY,
    });
    let answer = match sent.await {
        Ok(answer) => answer,
        Err(error) => return Live::unknown(&error.to_string()),
    };
    if !(200..300).contains(&answer.status) {
        return Live::unknown(&format!("status {}", answer.status));
    }
    match answer.body {
        Ok(body) => understood(&body, request),
        Err(why) => Live::unknown(&why),
    }
}

async fn headers(request: &LiveHttp) -> Result<HeaderMap, String> {
    let configured = request.headers.clone();
    let mut headers = credential::aside(move || credential::headers(&configured)).await?;
    if request.json.is_some() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(headers)
}

fn understood(body: &[u8], request: &LiveHttp) -> Live {
    let text = match &request.pointer {
        None => String::from_utf8(body.to_vec()).map_err(|_| "the answer is not a text".to_owned()),
        Some(pointer) => match serde_json::from_slice::<Value>(body) {
            Ok(document) => match (document.pointer(pointer), request.encoding) {
                (Some(Value::String(text)), LiveEncoding::Base64) => Ok(text.clone()),
                (_, LiveEncoding::Plain) => return Live::of_json(&document, pointer),
                (Some(_), LiveEncoding::Base64) => Err(format!("at {pointer} stands no string")),
                (None, LiveEncoding::Base64) => Err(format!("nothing stands at {pointer}")),
            },
            Err(error) => Err(format!("the answer is not JSON: {error}")),
        },
    };
    let text = text.and_then(|text| match request.encoding {
        LiveEncoding::Plain => Ok(text),
        LiveEncoding::Base64 => decoded(&text),
    });
    text.map_or_else(|why| Live::unknown(&why), |text| Live::of_text(&text))
}

fn decoded(text: &str) -> Result<String, String> {
    let bytes = STANDARD.decode(text.trim()).map_err(|error| format!("not base64: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "the answer is not a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::Version;

    fn check(body: &str, pointer: Option<&str>, encoding: LiveEncoding, expected: Option<&str>) {
        let request = LiveHttp {
            url: "http://127.0.0.1/".to_owned(),
            method: LiveMethod::Get,
            headers: Vec::new(),
            json: None,
            pointer: pointer.map(str::to_owned),
            encoding,
        };
        let live = understood(body.as_bytes(), &request);
        let expected = expected.map(|version| Version::new(version).unwrap());
        assert_eq!(live.version(), expected.as_ref(), "{body}: {live}");
    }

    #[test]
    fn an_answer_is_a_text_or_a_document_plain_or_in_base64() {
        check("v2\n", None, LiveEncoding::Plain, Some("v2"));
        check("djI=", None, LiveEncoding::Base64, Some("v2"));
        let etcd = r#"{"kvs":[{"key":"bGl2ZQ==","value":"djI="}],"count":"1"}"#;
        check(etcd, Some("/kvs/0/value"), LiveEncoding::Base64, Some("v2"));
        check(etcd, Some("/count"), LiveEncoding::Plain, Some("1"));
        check(r#"{"count":"0"}"#, Some("/kvs/0/value"), LiveEncoding::Base64, None);
        check(r#"{"version":7}"#, Some("/version"), LiveEncoding::Base64, None);
        check("not json", Some("/version"), LiveEncoding::Plain, None);
        check("*", None, LiveEncoding::Base64, None);
        check("<html>", None, LiveEncoding::Plain, None);
    }
}
