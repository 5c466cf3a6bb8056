//! The calls: who may, what they take, what they answer, and what they are refused with beside
//! what every call may be.

use madang_protocol::{ErrorCode, schema::reference};
use serde_json::{Value, json};

/// One method of one path.
pub(super) struct Call {
    pub id: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    pub who: Who,
    pub query: &'static [&'static str],
    /// The schema of the body.
    pub body: Option<&'static str>,
    pub answers: &'static [Answer],
    pub codes: &'static [ErrorCode],
}

/// Who may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Anybody,
    User,
    Product,
}

/// One way a call goes well, or tells of something that does not.
pub(super) struct Answer {
    pub status: u16,
    pub meaning: &'static str,
    body: Body,
}

enum Body {
    Nothing,
    Json(&'static str),
    Document,
    Text,
}

impl Answer {
    /// The content type of the body, and its schema.
    pub(super) fn content(&self) -> Option<(&'static str, Value)> {
        match self.body {
            Body::Nothing => None,
            Body::Json(schema) => Some(("application/json", reference(schema))),
            Body::Document => Some(("application/json", json!({"type": "object"}))),
            Body::Text => Some(("text/plain", json!({"type": "string"}))),
        }
    }
}

const fn json(status: u16, schema: &'static str, meaning: &'static str) -> Answer {
    Answer { status, meaning, body: Body::Json(schema) }
}

const fn nothing(status: u16, meaning: &'static str) -> Answer {
    Answer { status, meaning, body: Body::Nothing }
}

const CALL: Call = Call {
    id: "",
    method: "get",
    path: "",
    summary: "",
    who: Who::User,
    query: &[],
    body: None,
    answers: &[],
    codes: &[],
};

use ErrorCode::*;

/// A room may be hidden from the caller, or not joined.
const OF_A_ROOM: &[ErrorCode] = &[NotFound, Forbidden];
/// The same, and a parameter may be out of range.
const PAGE_OF_A_ROOM: &[ErrorCode] = &[NotFound, Forbidden, Invalid];
/// The role may not do, or the state of the room may not allow.
const CHANGE_OF_A_ROOM: &[ErrorCode] = &[NotFound, Forbidden, Conflict, Invalid];

const STARTED: &str = "Started";

/// All of them, in the order of the protocol page.
pub(super) const CALLS: [Call; 26] = [
    Call {
        id: "signup",
        method: "post",
        path: "/v1/signup",
        summary: "Makes a user, and a session.",
        who: Who::Anybody,
        body: Some("Signup"),
        answers: &[json(201, STARTED, "Made.")],
        codes: &[Forbidden, UsernameTaken, RateLimited],
        ..CALL
    },
    Call {
        id: "login",
        method: "post",
        path: "/v1/login",
        summary: "Starts a session.",
        who: Who::Anybody,
        body: Some("Login"),
        answers: &[json(200, STARTED, "Started.")],
        codes: &[BadCredentials, Blocked, RateLimited],
        ..CALL
    },
    Call {
        id: "tokens",
        method: "post",
        path: "/v1/tokens",
        summary: "Starts a session of a user of a product that has accounts of its own.",
        who: Who::Product,
        body: Some("ExternalUser"),
        answers: &[json(200, STARTED, "Started; the user was made if need be.")],
        codes: &[Forbidden, UsernameTaken, Blocked],
        ..CALL
    },
    Call {
        id: "logout",
        method: "post",
        path: "/v1/logout",
        summary: "Ends the session; its sockets close with 4001.",
        answers: &[nothing(204, "Ended.")],
        ..CALL
    },
    Call {
        id: "password",
        method: "post",
        path: "/v1/password",
        summary: "Changes the password, and ends all other sessions.",
        body: Some("PasswordChange"),
        answers: &[nothing(204, "Changed.")],
        codes: &[BadCredentials, Blocked, RateLimited],
        ..CALL
    },
    Call {
        id: "me",
        path: "/v1/me",
        summary: "Who the token speaks for.",
        answers: &[json(200, "Me", "The caller.")],
        ..CALL
    },
    Call {
        id: "change_me",
        method: "patch",
        path: "/v1/me",
        summary: "Changes the name shown to others.",
        body: Some("MeChange"),
        answers: &[json(200, "Me", "The caller, as it is now.")],
        ..CALL
    },
    Call {
        id: "users",
        path: "/v1/users",
        summary: "Looks users up, by ids or usernames; unknown ones are left out.",
        query: &["ids", "usernames"],
        answers: &[json(200, "UserList", "Those that are known.")],
        codes: &[Invalid],
        ..CALL
    },
    Call {
        id: "make_room",
        method: "post",
        path: "/v1/rooms",
        summary: "Makes a room.",
        body: Some("NewRoom"),
        answers: &[json(201, "Room", "Made."), json(200, "Room", "It is there already.")],
        codes: &[Full],
        ..CALL
    },
    Call {
        id: "rooms",
        path: "/v1/rooms",
        summary: "The caller's rooms, latest activity first.",
        query: &["limit", "cursor"],
        answers: &[json(200, "RoomPage", "A page.")],
        codes: &[Invalid],
        ..CALL
    },
    Call {
        id: "room",
        path: "/v1/rooms/{room}",
        summary: "One room.",
        answers: &[json(200, "Room", "The room.")],
        codes: OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "rename_room",
        method: "patch",
        path: "/v1/rooms/{room}",
        summary: "Renames a room; by owner or admin.",
        body: Some("RoomChange"),
        answers: &[json(200, "Room", "The room, as it is now.")],
        codes: CHANGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "join",
        method: "post",
        path: "/v1/rooms/{room}/join",
        summary: "Joins a room that is not private.",
        answers: &[json(200, "Membership", "A member, now or before.")],
        codes: &[NotFound, Forbidden, Conflict, Full],
        ..CALL
    },
    Call {
        id: "leave",
        method: "post",
        path: "/v1/rooms/{room}/leave",
        summary: "Leaves a room.",
        answers: &[nothing(204, "No member, now or before.")],
        codes: &[NotFound, Conflict],
        ..CALL
    },
    Call {
        id: "members",
        path: "/v1/rooms/{room}/members",
        summary: "The members of a room, ordered by user.",
        query: &["limit", "cursor"],
        answers: &[json(200, "MemberPage", "A page.")],
        codes: PAGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "add_member",
        method: "post",
        path: "/v1/rooms/{room}/members",
        summary: "Adds a member; by owner or admin.",
        body: Some("NewMember"),
        answers: &[json(200, "Membership", "A member, now or before.")],
        codes: &[NotFound, Forbidden, Conflict, Full],
        ..CALL
    },
    Call {
        id: "set_role",
        method: "patch",
        path: "/v1/rooms/{room}/members/{user}",
        summary: "Gives a member another role; by the owner.",
        body: Some("MemberRole"),
        answers: &[json(200, "Membership", "The membership, as it is now.")],
        codes: CHANGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "remove_member",
        method: "delete",
        path: "/v1/rooms/{room}/members/{user}",
        summary: "Removes a member; by owner or admin.",
        query: &["ban"],
        answers: &[nothing(204, "No member, now or before.")],
        codes: CHANGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "messages",
        path: "/v1/rooms/{room}/messages",
        summary: "Messages of a room, ascending; the newest when nothing else is said.",
        query: &["before", "after", "limit"],
        answers: &[json(200, "MessagePage", "A page.")],
        codes: PAGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "send",
        method: "post",
        path: "/v1/rooms/{room}/messages",
        summary: "Posts a message.",
        body: Some("NewMessage"),
        answers: &[
            json(201, "Posted", "Committed."),
            json(200, "Posted", "It was there already: a duplicate."),
        ],
        codes: OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "readers",
        path: "/v1/rooms/{room}/messages/{seq}/readers",
        summary: "Members who have read a message, its sender included.",
        query: &["limit", "cursor"],
        answers: &[json(200, "ReaderPage", "A page.")],
        codes: PAGE_OF_A_ROOM,
        ..CALL
    },
    Call {
        id: "socket",
        path: "/v1/ws",
        summary: "Upgrades to a WebSocket; asyncapi.yaml says what is spoken there.",
        who: Who::Anybody,
        answers: &[nothing(101, "Upgraded.")],
        codes: &[Invalid],
        ..CALL
    },
    Call {
        id: "health",
        path: "/healthz",
        summary: "Whether the process answers.",
        who: Who::Anybody,
        answers: &[json(200, "Alive", "It does.")],
        ..CALL
    },
    Call {
        id: "readiness",
        path: "/readyz",
        summary: "Whether a send could be acknowledged.",
        who: Who::Anybody,
        answers: &[json(200, "Readiness", "It could."), json(503, "Readiness", "It could not.")],
        ..CALL
    },
    Call {
        id: "metrics",
        path: "/metrics",
        summary: "Counters for Prometheus.",
        who: Who::Anybody,
        answers: &[Answer { status: 200, meaning: "As they are now.", body: Body::Text }],
        ..CALL
    },
    Call {
        id: "openapi",
        path: "/openapi.json",
        summary: "This document.",
        who: Who::Anybody,
        answers: &[Answer { status: 200, meaning: "It.", body: Body::Document }],
        ..CALL
    },
];
