//! Paths: what each means, how it is called in metrics, which methods it takes.

use super::admin::Call;
use hyper::Method;

/// A path that exists. What it holds of the path is not checked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// `/v1/signup`
    Signup,
    /// `/v1/login`
    Login,
    /// `/v1/tokens`
    Tokens,
    /// `/v1/logout`
    Logout,
    /// `/v1/password`
    Password,
    /// `/v1/me`
    Me,
    /// `/v1/users`
    Users,
    /// `/v1/rooms`
    Rooms,
    /// `/v1/rooms/{room}`
    Room(&'a str),
    /// `/v1/rooms/{room}/join`
    Join(&'a str),
    /// `/v1/rooms/{room}/leave`
    Leave(&'a str),
    /// `/v1/rooms/{room}/members`
    Members(&'a str),
    /// `/v1/rooms/{room}/members/{user}`
    Member(&'a str, &'a str),
    /// `/v1/rooms/{room}/messages`
    Messages(&'a str),
    /// `/v1/rooms/{room}/messages/{seq}/readers`
    Readers(&'a str, &'a str),
    /// `/v1/ws`
    Socket,
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/admin/...`
    Admin(Call),
    /// `/openapi.json`
    OpenApi,
}

/// The template of paths that do not exist.
pub(super) const UNKNOWN: &str = "unknown";

/// Every template, for metrics.
pub const TEMPLATES: [&str; 24] = [
    "/v1/signup",
    "/v1/login",
    "/v1/tokens",
    "/v1/logout",
    "/v1/password",
    "/v1/me",
    "/v1/users",
    "/v1/rooms",
    "/v1/rooms/{room}",
    "/v1/rooms/{room}/join",
    "/v1/rooms/{room}/leave",
    "/v1/rooms/{room}/members",
    "/v1/rooms/{room}/members/{user}",
    "/v1/rooms/{room}/messages",
    "/v1/rooms/{room}/messages/{seq}/readers",
    "/v1/ws",
    "/healthz",
    "/readyz",
    "/metrics",
    "/admin/tree",
    "/admin/switches",
    "/admin/drain",
    "/openapi.json",
    UNKNOWN,
];

impl<'a> Route<'a> {
    /// The route of a path, without its query.
    pub(super) fn of(path: &'a str) -> Option<Self> {
        // Seven segments are one more than any route has, so a long path is not split to its end.
        let segments: Vec<&str> = path.strip_prefix('/')?.splitn(7, '/').collect();
        Some(match *segments {
            ["v1", "signup"] => Self::Signup,
            ["v1", "login"] => Self::Login,
            ["v1", "tokens"] => Self::Tokens,
            ["v1", "logout"] => Self::Logout,
            ["v1", "password"] => Self::Password,
            ["v1", "me"] => Self::Me,
            ["v1", "users"] => Self::Users,
            ["v1", "rooms"] => Self::Rooms,
            ["v1", "rooms", room] => Self::Room(room),
            ["v1", "rooms", room, "join"] => Self::Join(room),
            ["v1", "rooms", room, "leave"] => Self::Leave(room),
            ["v1", "rooms", room, "members"] => Self::Members(room),
            ["v1", "rooms", room, "members", user] => Self::Member(room, user),
            ["v1", "rooms", room, "messages"] => Self::Messages(room),
            ["v1", "rooms", room, "messages", seq, "readers"] => Self::Readers(room, seq),
            ["v1", "ws"] => Self::Socket,
            ["healthz"] => Self::Health,
            ["readyz"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            ["admin", call] => Self::Admin(Call::of(call)?),
            ["openapi.json"] => Self::OpenApi,
            _ => return None,
        })
    }

    /// The path with its variable parts named; one of [`TEMPLATES`].
    pub(super) fn template(&self) -> &'static str {
        match self {
            Self::Signup => "/v1/signup",
            Self::Login => "/v1/login",
            Self::Tokens => "/v1/tokens",
            Self::Logout => "/v1/logout",
            Self::Password => "/v1/password",
            Self::Me => "/v1/me",
            Self::Users => "/v1/users",
            Self::Rooms => "/v1/rooms",
            Self::Room(_) => "/v1/rooms/{room}",
            Self::Join(_) => "/v1/rooms/{room}/join",
            Self::Leave(_) => "/v1/rooms/{room}/leave",
            Self::Members(_) => "/v1/rooms/{room}/members",
            Self::Member(..) => "/v1/rooms/{room}/members/{user}",
            Self::Messages(_) => "/v1/rooms/{room}/messages",
            Self::Readers(..) => "/v1/rooms/{room}/messages/{seq}/readers",
            Self::Socket => "/v1/ws",
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Admin(call) => call.template(),
            Self::OpenApi => "/openapi.json",
        }
    }

    /// The methods it takes, as the `Allow` header lists them.
    pub(super) fn methods(&self) -> &'static str {
        match self {
            Self::Signup | Self::Login | Self::Tokens | Self::Logout | Self::Password => "POST",
            Self::Join(_) | Self::Leave(_) => "POST",
            Self::Me | Self::Room(_) => "GET, HEAD, PATCH",
            Self::Rooms | Self::Members(_) | Self::Messages(_) => "GET, HEAD, POST",
            Self::Member(..) => "PATCH, DELETE",
            Self::Users | Self::Readers(..) => "GET, HEAD",
            Self::Health | Self::Ready | Self::Metrics | Self::OpenApi => "GET, HEAD",
            Self::Socket => "GET",
            Self::Admin(call) => call.methods(),
        }
    }

    /// Whether it takes this one.
    pub(super) fn takes(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|known| known == method.as_str())
    }

    /// For operators, not for clients.
    pub(super) fn is_monitoring(&self) -> bool {
        matches!(self, Self::Health | Self::Ready | Self::Metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_its_own_route() {
        for template in TEMPLATES.into_iter().filter(|template| *template != UNKNOWN) {
            assert_eq!(Route::of(template).map(|route| route.template()), Some(template));
        }
    }

    #[test]
    fn other_paths_are_none() {
        for path in [
            "",
            "/",
            "*",
            "/v1",
            "/v1/",
            "/v2/me",
            "/v1/me/",
            "/V1/me",
            "//v1/me",
            "/v1/rooms/x/messages/1",
            "/v1/rooms/x/messages/1/readers/y",
            "/v1/rooms/x/members/y/z",
            "/v1/rooms/a/b/c/d/e/f",
            "/v1/token",
        ] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn methods_are_told_apart() {
        for (route, method, takes) in [
            (Route::Room(""), Method::PATCH, true),
            (Route::Room(""), Method::POST, false),
            (Route::Member("", ""), Method::DELETE, true),
            (Route::Member("", ""), Method::GET, false),
            (Route::Me, Method::GET, true),
            (Route::Me, Method::PATCH, true),
            (Route::Me, Method::POST, false),
            (Route::Login, Method::POST, true),
            (Route::Login, Method::HEAD, false),
            (Route::Rooms, Method::HEAD, true),
        ] {
            assert_eq!(route.takes(&method), takes, "{route:?} {method}");
        }
    }

    #[test]
    fn room_ids_are_taken_as_they_are() {
        assert_eq!(Route::of("/v1/rooms/a%2Fb/join"), Some(Route::Join("a%2Fb")));
        assert_eq!(Route::of("/v1/rooms/"), Some(Route::Room("")));
    }
}
