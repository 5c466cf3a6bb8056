//! Rooms on a node, and who sits in them.

use super::{Http, Seat, User};
use crate::error::{BenchError, Done};
use serde_json::json;

/// Members that may be named when a room is made, its maker not counted.
const NAMED_MAX: usize = 199;

/// Makes `count` private groups; user `i` is in group `i % count`. Their ids.
pub fn make_rooms(http: &mut Http, users: &[User], count: usize) -> Done<Vec<String>> {
    let mut rooms = Vec::with_capacity(count);
    for number in 0..count {
        let members: Vec<&User> = users.iter().skip(number).step_by(count).collect();
        rooms.push(make_room(http, &format!("room {number}"), &members)?);
    }
    Ok(rooms)
}

/// Makes a private group of these; the first one owns it. Its id.
pub fn make_room(http: &mut Http, name: &str, members: &[&User]) -> Done<String> {
    let Some((owner, others)) = members.split_first() else {
        let what = "fewer users than rooms: ask for more connections or fewer rooms";
        return Err(BenchError::Options(what.to_owned()));
    };
    let (named, added) = others.split_at(others.len().min(NAMED_MAX));
    let ids: Vec<&str> = named.iter().map(|user| user.user.as_str()).collect();
    let body = json!({"kind": "group", "name": name, "members": ids});
    let made = http.post("/v1/rooms", &owner.token, &body)?;
    let room = made["room"].as_str().unwrap_or_default().to_owned();
    let path = format!("/v1/rooms/{room}/members");
    for user in added {
        http.post(&path, &owner.token, &json!({"user": user.user}))?;
    }
    Ok(room)
}

/// Connection `i` belongs to user `i % users` and reads room `i % rooms`. Of use when the number of
/// users is a multiple of that of rooms, or the same as that of connections.
pub fn seats(users: &[User], rooms: &[String], connections: usize) -> Vec<Seat> {
    let seat = |number: usize| Seat {
        room: rooms[number % rooms.len()].clone(),
        token: users
            .get(number % users.len().max(1))
            .map_or(String::new(), |user| user.token.clone()),
        after_seq: None,
    };
    (0..connections).map(seat).collect()
}

/// Names for rooms of a server that needs nothing more.
pub fn plain_rooms(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("r{number}")).collect()
}
