//! L2: what everything that speaks to other processes shares: TLS, HTTP connections, an HTTP
//! client for APIs, and secrets, which are read here and kept out of whatever is shown. Nothing
//! here knows what is asked or what an answer means.

pub(crate) mod client;
pub(crate) mod credential;
pub(crate) mod link;
pub(crate) mod redact;
pub(crate) mod tls;
