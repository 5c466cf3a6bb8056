//! What a started node says: where it is, and what to try next.

use crate::{admin::TOKEN_FILE, config::Settings};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The words, but for the address: that is known once it is bound.
pub(super) struct Banner {
    data: String,
    data_dir: String,
    signup: bool,
    tls: bool,
}

impl Banner {
    pub(super) fn new(settings: &Settings) -> Self {
        let data_dir = settings.data_dir.display().to_string();
        let data = match settings.mongo.reveal() {
            Some(_) => format!("MongoDB, database {}", settings.mongo_database),
            None => data_dir.clone(),
        };
        Self { data, data_dir, signup: settings.signup, tls: settings.has_tls() }
    }

    /// The whole text for a node at `address`, and at `admin` for operators.
    pub(super) fn text(&self, address: SocketAddr, admin: Option<SocketAddr>) -> String {
        let (http, ws) = if self.tls { ("https", "wss") } else { ("http", "ws") };
        let base = format!("{http}://{}", reachable(address));
        let account = match self.signup {
            true => format!(
                "  curl {base}/v1/signup {JSON} \\\n    \
                 -d '{{\"username\": \"ann\", \"password\": \"correct horse\"}}'"
            ),
            false => "  madang user import users.jsonl   # signup is closed; stop the node first"
                .to_owned(),
        };
        let operators = match admin {
            Some(admin) => format!(
                "Operators: http://{admin}/admin/tree, token in {}/{TOKEN_FILE}\n",
                self.data_dir
            ),
            None => String::new(),
        };
        format!(
            "Madang listens on {http}://{address} and {ws}://{address}/v1/ws, data in {}\n{operators}\n\
             Try next:\n{account}\n  \
             export TOKEN=mdg_...   # from the answer\n  \
             curl {base}/v1/rooms {BEARER} {JSON} \\\n    \
             -d '{{\"kind\": \"group\", \"name\": \"courtyard\"}}'\n  \
             export ROOM=...        # from the answer\n  \
             curl {base}/v1/rooms/$ROOM/messages {BEARER} {JSON} \\\n    \
             -d '{{\"client_id\": \"1\", \"body\": \"hello\"}}'\n  \
             curl {base}/v1/rooms/$ROOM/messages {BEARER}\n\n\
             Ctrl-C stops it.\n",
            self.data
        )
    }
}

const JSON: &str = "-H 'content-type: application/json'";
const BEARER: &str = "-H \"authorization: Bearer $TOKEN\"";

/// An address to connect to: nobody can connect to "all addresses".
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_and_what_next() {
        let text = Banner::new(&Settings::default()).text("0.0.0.0:81".parse().unwrap(), None);
        for words in ["http://0.0.0.0:81", "./data", "curl http://127.0.0.1:81/v1/signup"] {
            assert!(text.contains(words), "no {words} in\n{text}");
        }
        let admin = Some("127.0.0.1:82".parse().unwrap());
        let text = Banner::new(&Settings::default()).text("0.0.0.0:81".parse().unwrap(), admin);
        assert!(text.contains("http://127.0.0.1:82/admin/tree"), "{text}");
        assert!(text.contains("./data/admin-token"), "{text}");
        let tls = Settings { tls_cert: Some("cert.pem".into()), ..Settings::default() };
        let text = Banner::new(&tls).text("127.0.0.1:81".parse().unwrap(), None);
        assert!(text.contains("wss://127.0.0.1:81") && text.contains("curl https://"), "{text}");
        assert!(!text.contains("http://"), "{text}");
        let closed = Settings { signup: false, ..Settings::default() };
        let text = Banner::new(&closed).text("[::]:81".parse().unwrap(), None);
        assert!(!text.contains("/v1/signup") && text.contains("http://[::1]:81/v1/rooms"));
    }
}
