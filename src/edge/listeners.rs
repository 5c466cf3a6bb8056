//! The bound sockets of a node.

use super::{
    accept,
    http::{HttpContext, Surface},
};
use crate::config::Settings;
use std::{
    io,
    net::{SocketAddr, TcpListener},
};

/// An address is occupied, or not ours.
#[derive(Debug, thiserror::Error)]
#[error("{setting} = \"{address}\": cannot listen there: {source}")]
pub struct ListenError {
    /// Which setting.
    setting: &'static str,
    /// Its value.
    address: SocketAddr,
    /// What the operating system said.
    source: io::Error,
}

/// One socket for each address that is set.
pub struct Listeners {
    clients: Bound,
    monitoring: Option<Bound>,
    admin: Option<Bound>,
}

/// A socket, and where it is: port 0 has become one that was free.
struct Bound {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listeners {
    /// Binds them all, or none.
    pub fn bind(settings: &Settings) -> Result<Self, ListenError> {
        let bind = |setting, address| {
            let bound = accept::bind(address)
                .and_then(|socket| Ok(Bound { address: socket.local_addr()?, socket }));
            bound.map_err(|source| ListenError { setting, address, source })
        };
        let bind_set = |setting, address: Option<SocketAddr>| {
            address.map(|address| bind(setting, address)).transpose()
        };
        Ok(Self {
            clients: bind("listen", settings.listen)?,
            monitoring: bind_set("metrics_listen", settings.metrics_listen)?,
            admin: bind_set("admin_listen", settings.admin_listen)?,
        })
    }

    /// Where clients come.
    pub fn clients(&self) -> SocketAddr {
        self.clients.address
    }

    /// Where operators come.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|bound| bound.address)
    }

    /// What thread number `index` accepts from: all share the clients' socket, the first one
    /// also has the others.
    pub fn for_thread(
        &self,
        index: usize,
        context: &HttpContext,
    ) -> io::Result<Vec<(TcpListener, HttpContext)>> {
        let clients = match self.monitoring {
            None => Surface::Whole,
            Some(_) => Surface::Clients,
        };
        let others = [(&self.monitoring, Surface::Monitoring), (&self.admin, Surface::Admin)];
        let others =
            others.into_iter().filter_map(|(bound, surface)| Some((bound.as_ref()?, surface)));
        let of_this = others.filter(|_| index == 0).chain([(&self.clients, clients)]);
        let with_context = |(bound, surface): (&Bound, Surface)| {
            Ok((bound.socket.try_clone()?, HttpContext { surface, ..context.clone() }))
        };
        of_this.map(with_context).collect()
    }
}
