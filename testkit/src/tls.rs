//! Certificates made for one test process, and clients that trust no others.

use crate::{
    variant::Variant,
    wait::{SOON, within},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// The files of a node's certificate, in its working directory.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// For `--tls-cert`.
    pub cert: PathBuf,
    /// For `--tls-key`.
    pub key: PathBuf,
}

/// Who vouches for all certificates of this process.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    trusting: Arc<ClientConfig>,
    pem: String,
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).expect("an authority");
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("a certificate just made");
        let trusting = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has them all")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Authority {
            issuer: Issuer::new(params, key),
            trusting: Arc::new(trusting),
            pem: root.pem(),
        }
    })
}

/// Makes a certificate for a node at this address and writes it into `directory`, over one that is
/// there.
pub fn issue(address: IpAddr, directory: &Path) -> Certificate {
    let files =
        Certificate { cert: directory.join("tls-cert.pem"), key: directory.join("tls-key.pem") };
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![address.to_string()]).expect("an address is a name");
    let leaf = params.signed_by(&key, &authority().issuer).expect("a certificate");
    std::fs::write(&files.cert, leaf.pem()).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    files
}

/// Who vouches for all certificates of this process, in PEM.
pub fn authority_pem() -> &'static str {
    &authority().pem
}

/// A client's side: the certificates of this process, and none else.
pub fn client_config() -> ClientConfig {
    (*authority().trusting).clone()
}

/// The leaf certificate a node shows now, as DER.
///
/// # Panics
/// When there is no handshake.
pub async fn shown_certificate(address: SocketAddr) -> Vec<u8> {
    let stream = TcpStream::connect(address).await.expect("the node listens");
    let stream = shake_hands(stream, address).await.expect("a handshake");
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("a server shows one")[0].to_vec()
}

/// A connection as the variant of this process has it.
pub struct Stream(Box<dyn Io>);

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Stream {
    /// As it is.
    pub fn plain(stream: TcpStream) -> Self {
        Self(Box::new(stream))
    }

    /// Plain, or past a TLS handshake.
    ///
    /// # Errors
    /// When the node does not do the handshake.
    pub async fn of(stream: TcpStream) -> io::Result<Self> {
        if !Variant::current().tls {
            return Ok(Self::plain(stream));
        }
        let address = stream.peer_addr()?;
        let stream = within("the TLS handshake", SOON, shake_hands(stream, address)).await?;
        Ok(Self(Box::new(stream)))
    }
}

async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let connector = TlsConnector::from(authority().trusting.clone());
    connector.connect(ServerName::from(address.ip()), stream).await
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(task, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(task, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(task)
    }
}
