//! TLS as a client. Authorities are read when the first server needs them (a host that speaks plain
//! HTTP only may have none) and again after a failed handshake, because a rotated authority must
//! not need a restart. Certificates are always verified.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

type Configs = HashMap<Option<PathBuf>, Arc<ClientConfig>>;

/// The configurations in use, one a file of authorities; `None` stands for those of the system.
#[derive(Debug, Default)]
pub(crate) struct Authorities(Mutex<Configs>);

impl Authorities {
    /// The configuration, if it was loaded.
    pub(crate) fn loaded(&self, file: Option<&Path>) -> Option<Arc<ClientConfig>> {
        self.configs().get(&file.map(Path::to_owned)).cloned()
    }

    /// Loads the configuration. Reading the files may block.
    ///
    /// # Errors
    /// There is no certificate authority, or it cannot be read.
    pub(crate) fn load(&self, file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
        let config = Arc::new(client_config(read(file)?));
        self.configs().insert(file.map(Path::to_owned), config.clone());
        Ok(config)
    }

    /// Lets the next connection load the configuration anew.
    pub(crate) fn forget(&self, file: Option<&Path>) {
        self.configs().remove(&file.map(Path::to_owned));
    }

    fn configs(&self) -> MutexGuard<'_, Configs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shakes hands with the server of this name.
///
/// # Errors
/// The host cannot be the name in a certificate, or the handshake failed.
pub(crate) async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    tcp: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(config).connect(name, tcp).await
}

/// A configuration that trusts these authorities.
pub(crate) fn client_config(roots: RootCertStore) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has suites for the default versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn read(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(file) = file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("failed to find certificate authorities on this system, install \
                        ca-certificates or set SSL_CERT_FILE"
                .to_owned());
        }
        return Ok(roots);
    };
    let shown = file.display();
    let refuse =
        |why: &dyn std::fmt::Display| format!("failed to read authorities from {shown}: {why}");
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refuse(&error))? {
        let certificate = certificate.map_err(|error| refuse(&error))?;
        roots.add(certificate).map_err(|error| refuse(&error))?;
    }
    if roots.is_empty() {
        return Err(format!("failed to find certificate authorities in {shown}"));
    }
    Ok(roots)
}
