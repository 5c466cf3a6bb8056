//! Whom the Sentinels hold for the master.

use super::connect::connect_node;
use ::redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, RedisResult, TlsCertificates, aio::MultiplexedConnection, cmd,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use std::time::Duration;

/// A connection to the master of `service`. All Sentinels are asked at once, and the first whose
/// master says of itself that it is one counts: a Sentinel that hangs, or was cut off and knows only
/// the old one, holds up nobody.
pub(super) async fn connect_master(
    sentinels: &[Client],
    service: &str,
    login: &RedisConnectionInfo,
    tls: Option<&Option<TlsCertificates>>,
    wait: Duration,
) -> RedisResult<MultiplexedConnection> {
    let mut asked: FuturesUnordered<_> = sentinels
        .iter()
        .map(|sentinel| async move {
            let (host, port) = ask(sentinel, service, wait).await?;
            let master = client(host, port, login, tls)?;
            let mut connection = connect_node(&master, wait).await?;
            is_master(&mut connection).await?;
            Ok(connection)
        })
        .collect();
    let mut error: Option<RedisError> = None;
    while let Some(answer) = asked.next().await {
        match answer {
            Ok(connection) => return Ok(connection),
            Err(why) => error = Some(why),
        }
    }
    Err(error.unwrap_or_else(|| (ErrorKind::EmptySentinelList, "no Sentinels").into()))
}

async fn ask(sentinel: &Client, service: &str, wait: Duration) -> RedisResult<(String, u16)> {
    let mut connection = connect_node(sentinel, wait).await?;
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(service);
    let master: Option<(String, u16)> = question.query_async(&mut connection).await?;
    let unknown = (ErrorKind::MasterNameNotFoundBySentinel, "the Sentinels know no such service");
    master.ok_or_else(|| unknown.into())
}

/// One that was, and has not heard of it yet, would take writes that are lost.
async fn is_master(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let role: (String, ::redis::Value, ::redis::Value) =
        cmd("ROLE").query_async(connection).await?;
    if role.0 == "master" {
        return Ok(());
    }
    Err((ErrorKind::MasterNameNotFoundBySentinel, "the Sentinels name a replica").into())
}

fn client(
    host: String,
    port: u16,
    login: &RedisConnectionInfo,
    tls: Option<&Option<TlsCertificates>>,
) -> RedisResult<Client> {
    let address = match tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
    };
    let info: ConnectionInfo = address.into_connection_info()?;
    super::connect::client(info.set_redis_settings(login.clone()), tls.and_then(Option::as_ref))
}
