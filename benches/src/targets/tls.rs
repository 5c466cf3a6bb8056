//! TLS between the generator and a node: a certificate made for one run, and a client that trusts no
//! other.

use crate::error::{BenchError, Doing, Done};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// The two sides of it.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The node's `tls-cert`.
    pub cert: PathBuf,
    /// The node's `tls-key`.
    pub key: PathBuf,
    /// The generator's side. Sessions are resumed, as clients do that come back.
    pub trusting: Arc<ClientConfig>,
}

impl Tls {
    /// Makes a certificate for this address, in files of `directory`.
    pub fn make(address: SocketAddr, directory: &Path) -> Done<Self> {
        let failed = |error: &dyn std::fmt::Display| {
            BenchError::target("the certificate of a run", error.to_string())
        };
        let made = generate_simple_self_signed([address.ip().to_string()]);
        let CertifiedKey { cert, signing_key } = made.map_err(|error| failed(&error))?;
        let write = |name: &str, pem: String| {
            let path = directory.join(name);
            std::fs::write(&path, pem).doing(|| format!("writing {}", path.display()))?;
            Ok::<_, BenchError>(path)
        };
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).map_err(|error| failed(&error))?;
        let trusting = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            cert: write("tls-cert.pem", cert.pem())?,
            key: write("tls-key.pem", signing_key.serialize_pem())?,
            trusting: Arc::new(trusting),
        })
    }
}
