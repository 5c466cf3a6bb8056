//! Which web pages may use the node: one rule for WebSocket upgrades and CORS.
//!
//! A browser sends `Origin` with every upgrade and every request to another host, and no page can
//! forge it. Programs send none; they hold their own token and are let in.

use hyper::header::{HOST, HeaderMap, HeaderValue, ORIGIN};

/// The `allowed_origins` setting.
#[derive(Debug, Clone)]
pub enum Origins {
    /// Pages from the host that is asked.
    SameHost,
    /// Pages from these origins, lower case.
    Listed(Vec<String>),
    /// All pages.
    All,
}

impl Origins {
    /// From the setting: empty = same host, `*` = all.
    pub fn new(allowed: &[String]) -> Self {
        if allowed.is_empty() {
            Self::SameHost
        } else if allowed.iter().any(|origin| origin == "*") {
            Self::All
        } else {
            Self::Listed(allowed.iter().map(|origin| origin.to_ascii_lowercase()).collect())
        }
    }

    /// Whether whoever sent these request headers may go on.
    pub fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(ORIGIN) else { return true };
        match self {
            Self::SameHost => is_same_host(origin, headers.get(HOST)),
            Self::Listed(_) | Self::All => self.lists(origin),
        }
    }

    /// The origin to name in `Access-Control-Allow-Origin`: a listed one of another host.
    pub fn shared_with<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        headers.get(ORIGIN).filter(|origin| self.lists(origin))
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::SameHost => false,
            Self::All => true,
            Self::Listed(listed) => origin
                .to_str()
                .is_ok_and(|origin| listed.iter().any(|known| known.eq_ignore_ascii_case(origin))),
        }
    }
}

fn is_same_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_ascii_lowercase);
    let (Some(origin), Some(host)) = (text(origin), host.and_then(text)) else { return false };
    // `null`, from a page without an origin, has no scheme and is nobody's host.
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let bare = |authority: &str| authority.strip_suffix(usual_port).unwrap_or(authority).to_owned();
    bare(authority) == bare(&host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(origin: Option<&str>, host: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().unwrap());
        }
        headers
    }

    fn origins(allowed: &[&str]) -> Origins {
        Origins::new(&allowed.iter().map(|origin| (*origin).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn same_host_unless_listed() {
        let host = "chat.example.org:8080";
        for (allowed, origin, let_in) in [
            (&[][..], None, true),
            (&[], Some("http://chat.example.org:8080"), true),
            (&[], Some("HTTPS://Chat.Example.Org:8080"), true),
            (&[], Some("http://chat.example.org"), false),
            (&[], Some("http://evil.example"), false),
            (&[], Some("http://chat.example.org:8080.evil.example"), false),
            (&[], Some("null"), false),
            (&["https://a.example"], None, true),
            (&["https://a.example"], Some("https://A.example"), true),
            (&["https://a.example"], Some("http://a.example"), false),
            (&["https://a.example"], Some("http://chat.example.org:8080"), false),
            (&["*"], Some("null"), true),
        ] {
            let headers = headers(origin, host);
            assert_eq!(origins(allowed).allow(&headers), let_in, "{allowed:?} {origin:?}");
        }
    }

    #[test]
    fn a_usual_port_may_be_left_out() {
        for (origin, host, let_in) in [
            ("http://a.example", "a.example:80", true),
            ("https://a.example:443", "a.example", true),
            ("https://a.example", "a.example:80", false),
        ] {
            assert_eq!(origins(&[]).allow(&headers(Some(origin), host)), let_in, "{origin}");
        }
    }

    #[test]
    fn only_listed_origins_are_named_to_browsers() {
        let headers = headers(Some("https://a.example"), "a.example");
        assert_eq!(origins(&[]).shared_with(&headers), None);
        assert!(origins(&["https://a.example"]).shared_with(&headers).is_some());
        assert!(origins(&["https://b.example"]).shared_with(&headers).is_none());
    }
}
