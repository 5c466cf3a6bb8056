//! The listening socket, and what becomes of those who connect.
//!
//! One bound socket is shared by all edge threads: each accepts from it when it has time to. A
//! connection is counted, does its TLS handshake where there is a certificate, and is HTTP then;
//! `GET /v1/ws` turns it into a connection actor beside that thread's hub, and nothing of HTTP is
//! left.

use super::{
    address,
    capacity::{AddressLease, Capacity, Lease},
    http::{self, HttpContext, Response},
    tls::Acceptors,
    turnstile::Turnstile,
    websocket::{self, poller::Poller},
};
use crate::{config::Settings, metrics::Handshake};
use hyper::{
    Request,
    body::Incoming,
    header::{CONNECTION, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use madang_actors::{
    connection::ConnectionServices,
    hub::{LocalHub, Received},
};
use madang_protocol::Refusal;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    convert::Infallible,
    io,
    net::{self, SocketAddr},
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::server::TlsStream;

/// Connections the kernel keeps for us while all threads are busy.
const BACKLOG: i32 = 4_096;
/// Bytes the kernel keeps for one reader, beside its out-queue. Left alone it would keep megabytes
/// for one that is slow, outside of every bound of ours.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// Wait after a failed accept: descriptors may be free again by then.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bytes of a request's head at most; looked at between two reads, so that twice as many may pass.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What one edge thread serves with.
pub struct Edge {
    /// What requests are answered from.
    pub context: HttpContext,
    /// What connections work with.
    pub services: Rc<ConnectionServices>,
    /// Where it runs.
    pub thread: EdgeThread,
    /// How many connections there may be.
    pub capacity: Capacity,
    /// Present: connections begin with a TLS handshake.
    pub tls: Option<Acceptors>,
}

/// What everything on an edge thread shares. Cloning shares it.
#[derive(Clone)]
pub struct EdgeThread {
    /// The hub of this thread.
    pub hub: LocalHub,
    /// Through which each step of a request goes.
    pub turnstile: Turnstile,
    /// Which tells when a WebSocket can be read.
    pub poller: Poller,
}

impl EdgeThread {
    /// Begins on this thread, which is the hub's.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn start(hub: LocalHub) -> io::Result<Self> {
        let counts = hub.clone();
        let poller = Poller::start(move || counts.received(Received::PONG, 0))?;
        Ok(Self { hub, turnstile: Turnstile::start(), poller })
    }
}

impl Edge {
    pub(super) fn settings(&self) -> &Settings {
        &self.context.settings
    }

    pub(super) fn connections(&self) -> Rc<ConnectionServices> {
        self.services.clone()
    }

    fn is_proxy(&self, peer: SocketAddr) -> bool {
        address::is_trusted(peer.ip(), &self.settings().trusted_proxies)
    }
}

/// Binds the socket.
pub fn bind(address: SocketAddr) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?; // a restarted node need not wait for old connections
    socket.set_nonblocking(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?; // those who connect inherit it
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until `stopping` says so. Runs on an edge thread.
pub async fn accept(listener: TcpListener, edge: Rc<Edge>, mut stopping: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (edge, stopping) = (edge.clone(), stopping.clone());
                tokio::task::spawn_local(async move {
                    let turnstile = edge.thread.turnstile.clone();
                    turnstile.pace(serve(stream, peer, edge, stopping)).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection until it ends or is upgraded.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    edge: Rc<Edge>,
    mut stopping: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true); // frames are gathered by us, not by the kernel
    // Whose connection a proxy's is says each of its requests.
    let address = (!edge.is_proxy(peer)).then(|| address::key(peer.ip()));
    let lease = edge.capacity.take(address).map(Rc::new);
    let Some(acceptors) = &edge.tls else {
        return serve_http(stream, peer, lease, edge, stopping).await;
    };
    let handshake = shake_hands(stream, acceptors, &edge.context);
    let stream = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => None, // a drain does not wait for it
        stream = handshake => stream,
    };
    if let Some(stream) = stream {
        Box::pin(serve_http(stream, peer, lease, edge, stopping)).await;
    }
}

/// `None`: the peer cannot, or not in time.
async fn shake_hands(
    stream: TcpStream,
    acceptors: &Acceptors,
    context: &HttpContext,
) -> Option<TlsStream<TcpStream>> {
    let acceptor = acceptors.borrow().clone();
    let limit = Duration::from_millis(context.settings.tls_handshake_timeout_ms);
    let (outcome, stream) = match tokio::time::timeout(limit, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => (Handshake::Ok, Some(stream)),
        Ok(Err(error)) => {
            tracing::debug!(%error, "no TLS");
            (Handshake::Failed, None)
        }
        Err(_) => {
            tracing::debug!("the TLS handshake took too long");
            (Handshake::Late, None)
        }
    };
    context.metrics.handshake(outcome);
    stream
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    lease: Option<Rc<Lease>>,
    edge: Rc<Edge>,
    mut stopping: watch::Receiver<bool>,
) {
    let header_timeout = Duration::from_millis(edge.settings().header_timeout_ms);
    let service = service_fn(|request| {
        let (edge, lease) = (edge.clone(), lease.clone());
        async move { Ok::<_, Infallible>(answer(request, peer, edge, lease).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        _ = stopping.wait_for(|stopping| *stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended");
    }
}

async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    edge: Rc<Edge>,
    lease: Option<Rc<Lease>>,
) -> Response {
    let Some(lease) = lease else {
        return closing(full(&request, &edge));
    };
    match websocket::handshake(&request, edge.settings().websocket_echo) {
        None => http::handle(request, &edge.context, peer).await,
        Some(Err(problem)) => http::refuse(&request, &edge.context, problem),
        Some(Ok(handshake)) => {
            let Ok(of_address) = count_forwarded(&request, peer, &edge) else {
                return full(&request, &edge);
            };
            let is_allowed = edge.context.origins.allow(request.headers());
            let lease = Box::new((lease, of_address));
            let start = websocket::start(request, handshake.speech, is_allowed, edge, lease);
            tokio::task::spawn_local(start);
            handshake.response
        }
    }
}

/// Counts a WebSocket that came through a proxy to the address it came from.
fn count_forwarded(
    request: &Request<Incoming>,
    peer: SocketAddr,
    edge: &Edge,
) -> Result<Option<AddressLease>, Full> {
    if !edge.is_proxy(peer) {
        return Ok(None); // counted when it was accepted
    }
    let trusted = &edge.settings().trusted_proxies;
    let client = address::client(peer.ip(), request.headers(), trusted);
    edge.capacity.take_of(address::key(client)).map(Some).ok_or(Full)
}

/// There is no place for one more connection.
struct Full;

fn full(request: &Request<Incoming>, edge: &Edge) -> Response {
    edge.context.metrics.full();
    let refusal = Refusal::overloaded("the node has all the connections it may have");
    http::refuse(request, &edge.context, refusal.into())
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
