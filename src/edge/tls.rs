//! TLS: the certificate of the clients' address, and how it is changed while the node runs.
//!
//! rustls does the cryptography with `ring`, named here and nowhere else; there is no client
//! certificate. Tickets make a reconnect cheap; those of an earlier certificate are not taken.

use crate::config::Settings;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
    },
};

/// What connections are accepted with; changes when the files are read again.
pub type Acceptors = watch::Receiver<TlsAcceptor>;

/// A certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{setting} = {path:?}: {reason}")]
pub struct TlsError {
    setting: &'static str,
    path: PathBuf,
    reason: String,
}

/// Certificate and key, to be read whenever an operator says so.
pub struct Tls {
    cert: PathBuf,
    key: PathBuf,
    acceptors: watch::Sender<TlsAcceptor>,
    hangups: Signal,
}

impl Tls {
    /// Reads the files the settings name, if they name any. From here on SIGHUP ends no process
    /// that uses TLS.
    pub fn load(settings: &Settings) -> Result<Option<Self>, TlsError> {
        let (Some(cert), Some(key)) = (settings.tls_cert.clone(), settings.tls_key.clone()) else {
            return Ok(None);
        };
        let acceptors = watch::Sender::new(read(&cert, &key)?);
        match signal(SignalKind::hangup()) {
            Ok(hangups) => Ok(Some(Self { cert, key, acceptors, hangups })),
            Err(error) => Err(unusable("tls_cert", &cert, format!("cannot be renewed: {error}"))),
        }
    }

    /// What to accept with.
    pub fn acceptors(&self) -> Acceptors {
        self.acceptors.subscribe()
    }

    /// Reads the files again on each SIGHUP. Those that cannot be used change nothing. Runs until
    /// it is dropped.
    pub async fn reload_on_hangup(mut self) {
        while self.hangups.recv().await.is_some() {
            match read(&self.cert, &self.key) {
                Ok(acceptor) => {
                    self.acceptors.send_replace(acceptor);
                    tracing::info!("new connections get the certificate as it is now");
                }
                Err(error) => tracing::error!(%error, "the certificate stays as it was"),
            }
        }
    }
}

fn read(cert: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("tls_cert", cert, said(&error, "certificate")))?;
    if chain.is_empty() {
        return Err(unusable("tls_cert", cert, said(&pem::Error::NoItemsFound, "certificate")));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unusable("tls_key", key, said(&error, "private key")))?;
    let config = server_config(chain, private)
        .map_err(|error| unusable("tls_cert", cert, format!("with {key:?}: {error}")))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, tokio_rustls::rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

/// Why a file is unusable, without a word of what is in it.
fn said(error: &pem::Error, wanted: &str) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        _ => format!("holds no {wanted} in PEM"),
    }
}

fn unusable(setting: &'static str, path: &Path, reason: String) -> TlsError {
    TlsError { setting, path: path.to_owned(), reason }
}
