//! TLS for https targets. Authorities are read when the first target needs them (a container with
//! plain targets only may have none) and again after a failed handshake, because a rotated
//! authority must not need a restart. Certificates are always verified.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::failure::failure;
use super::late::Late;
use crate::model::scrape::{Failure, FailureClass};

/// The configurations in use, one a file of authorities; `None` stands for those of the system.
#[derive(Debug, Default)]
pub(super) struct Authorities {
    configs: Mutex<HashMap<Option<PathBuf>, Arc<ClientConfig>>>,
}

impl Authorities {
    fn get(&self, file: Option<&PathBuf>) -> Option<Arc<ClientConfig>> {
        let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.get(&file.cloned()).cloned()
    }

    fn put(&self, file: Option<&PathBuf>, config: Arc<ClientConfig>) {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.insert(file.cloned(), config);
    }

    fn forget(&self, file: Option<&PathBuf>) {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        configs.remove(&file.cloned());
    }
}

/// The TLS side of one target.
#[derive(Debug)]
pub(super) struct Tls {
    host: String,
    ca_file: Option<PathBuf>,
    authorities: Arc<Authorities>,
    loading: Late<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    pub(super) fn new(host: &str, ca_file: Option<PathBuf>, authorities: Arc<Authorities>) -> Self {
        Self { host: host.to_owned(), ca_file, authorities, loading: Late::default() }
    }

    /// Shakes hands.
    ///
    /// # Errors
    /// Of class TLS whatever happens, for what broke was the handshake.
    pub(super) async fn shake(&mut self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let refuse = |why: &dyn std::fmt::Display| failure(FailureClass::Tls, why);
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| refuse(&"failed to use the host as the name in a certificate"))?;
        let config = self.config().await.map_err(|why| refuse(&why))?;
        let shaken = TlsConnector::from(config).connect(name, tcp).await;
        shaken.map_err(|error| {
            self.authorities.forget(self.ca_file.as_ref());
            refuse(&format_args!("failed to shake hands with {}: {error}", self.host))
        })
    }

    async fn config(&mut self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.authorities.get(self.ca_file.as_ref()) {
            return Ok(config);
        }
        let file = self.ca_file.clone();
        let config = self.loading.run(move || load(file.as_deref()).map(Arc::new)).await?;
        self.authorities.put(self.ca_file.as_ref(), config.clone());
        Ok(config)
    }
}

fn load(file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(file) => {
            let refuse = |why: &dyn std::fmt::Display| {
                format!("failed to read authorities from {}: {why}", file.display())
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|e| refuse(&e))? {
                let certificate = certificate.map_err(|e| refuse(&e))?;
                roots.add(certificate).map_err(|e| refuse(&e))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        let place =
            file.map_or_else(|| "on this system".to_owned(), |f| format!("in {}", f.display()));
        return Err(format!("failed to find certificate authorities {place}"));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the default versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
