//! URLs of Redis, of its Sentinels, and of a cluster.

use super::OpenError;
use ::redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

/// What a URL means.
#[derive(Debug)]
pub(super) enum Target {
    /// One server.
    Standalone(ConnectionInfo),
    /// The master of a service.
    Sentinel {
        /// Whom to ask for it, with their own credentials.
        sentinels: Vec<ConnectionInfo>,
        /// Its name.
        service: String,
        /// How to log in there.
        login: RedisConnectionInfo,
        /// Whether to speak TLS there.
        tls: bool,
    },
    /// Some of the servers of a cluster.
    Cluster(Vec<ConnectionInfo>),
}

/// Sentinels listen here where the URL names no port.
const SENTINEL_PORT: &str = "26379";

/// A URL taken apart, as far as all kinds have it in common.
struct Address<'a> {
    /// `user:password@`, or nothing.
    login: &'a str,
    hosts: Vec<&'a str>,
    /// Without the leading slash.
    path: &'a str,
    query: &'a str,
}

impl Target {
    pub(super) fn read(url: &str) -> Result<Self, OpenError> {
        let (scheme, rest) = url.split_once("://").ok_or(OpenError::Url("has no scheme"))?;
        let address = Address::read(rest)?;
        match scheme {
            "redis" | "rediss" if address.hosts.len() > 1 => {
                Err(OpenError::Url("names several servers: say redis+sentinel or redis+cluster"))
            }
            "redis" | "rediss" => Ok(Self::Standalone(info(url)?)),
            "redis+sentinel" => sentinel(&address, "redis"),
            "rediss+sentinel" => sentinel(&address, "rediss"),
            "redis+cluster" => cluster(&address, "redis"),
            "rediss+cluster" => cluster(&address, "rediss"),
            _ => Err(OpenError::Url(
                "must begin with redis://, redis+sentinel://, redis+cluster://, or rediss alike",
            )),
        }
    }

    /// The servers named, without credentials.
    pub(super) fn servers(&self) -> String {
        match self {
            Self::Standalone(info) => info.addr().to_string(),
            Self::Sentinel { sentinels, service, .. } => {
                format!("{service} by {}", addresses(sentinels))
            }
            Self::Cluster(nodes) => addresses(nodes),
        }
    }
}

impl<'a> Address<'a> {
    fn read(rest: &'a str) -> Result<Self, OpenError> {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        // A password may hold an '@'; a host does not.
        let (login, rest) = match rest.rfind('@') {
            Some(at) => rest.split_at(at + 1),
            None => ("", rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let hosts: Vec<_> = hosts.split(',').collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(OpenError::Url("names no host, or an empty one"));
        }
        Ok(Self { login, hosts, path, query })
    }

    /// The servers, each as a URL of its own.
    fn infos(
        &self,
        scheme: &str,
        login: &str,
        tail: &str,
    ) -> Result<Vec<ConnectionInfo>, OpenError> {
        self.hosts.iter().map(|host| info(&format!("{scheme}://{login}{host}{tail}"))).collect()
    }

    fn asked(&self, name: &str) -> Option<&str> {
        let mut pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

fn sentinel(address: &Address<'_>, scheme: &str) -> Result<Target, OpenError> {
    let (service, database) = address.path.split_once('/').unwrap_or((address.path, "0"));
    if service.is_empty() {
        return Err(OpenError::Url("of Sentinels has no service: redis+sentinel://host/service"));
    }
    let own_login = match address.asked("sentinel_password") {
        Some(password) => {
            format!("{}:{password}@", address.asked("sentinel_username").unwrap_or(""))
        }
        None => String::new(),
    };
    let hosts = address.hosts.iter().map(|host| with_port(host, SENTINEL_PORT));
    let sentinels: Result<Vec<_>, _> =
        hosts.map(|host| info(&format!("{scheme}://{own_login}{host}"))).collect();
    let login = info(&format!("{scheme}://{}service/{database}", address.login))?;
    Ok(Target::Sentinel {
        sentinels: sentinels?,
        service: service.to_owned(),
        login: login.redis_settings().clone(),
        tls: scheme == "rediss",
    })
}

fn cluster(address: &Address<'_>, scheme: &str) -> Result<Target, OpenError> {
    if !address.path.is_empty() {
        return Err(OpenError::Url("of a cluster names a database, which clusters do not have"));
    }
    Ok(Target::Cluster(address.infos(scheme, address.login, "")?))
}

/// What the client library says of a bad URL may quote it, so that is not passed on.
fn info(url: &str) -> Result<ConnectionInfo, OpenError> {
    url.into_connection_info().map_err(|_| OpenError::Url("cannot be read"))
}

fn with_port(host: &str, port: &str) -> String {
    let name_ends = host.rfind(']').map_or(0, |end| end + 1);
    if host[name_ends..].contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

fn addresses(infos: &[ConnectionInfo]) -> String {
    let addresses: Vec<_> = infos.iter().map(|info| info.addr().to_string()).collect();
    addresses.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(url: &str) -> String {
        Target::read(url).expect("a URL").servers()
    }

    #[test]
    fn every_kind_of_url_is_read() {
        assert_eq!(servers("redis://10.0.0.1"), "10.0.0.1:6379");
        assert_eq!(servers("rediss://user:p%40ss@cache.example:7000/2"), "cache.example:7000");
        assert_eq!(servers("redis+cluster://:secret@a:1,b:2,c"), "a:1,b:2,c:6379");
        let url = "redis+sentinel://u:p@a,b:2,[::1]/chat/3?sentinel_password=s";
        assert_eq!(servers(url), "chat by a:26379,b:2,::1:26379");
        let Ok(Target::Sentinel { sentinels, login, tls, .. }) = Target::read(url) else {
            panic!("not Sentinels");
        };
        assert_eq!((login.username(), login.password(), login.db()), (Some("u"), Some("p"), 3));
        assert_eq!((sentinels[0].redis_settings().password(), tls), (Some("s"), false));
    }

    #[test]
    fn other_urls_are_refused_without_telling_the_password() {
        for url in [
            "127.0.0.1:6379",
            "http://:hidden@127.0.0.1",
            "redis://:hidden@a,b",
            "redis://:hidden@a/first",
            "redis+sentinel://:hidden@a:1,b:2",
            "redis+cluster://:hidden@a,,b",
            "redis+cluster://:hidden@a/1",
            "rediss://:hidden@",
        ] {
            let error = Target::read(url).expect_err(url);
            assert!(!error.to_string().contains("hidden"), "{error}");
        }
    }
}
