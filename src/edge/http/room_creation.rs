//! What `POST /v1/rooms` may ask for.

use super::body::Fields;
use madang_protocol::{
    ClientId, Millis, Refusal, RoomId, RoomKind, UserId,
    limits::{CLIENT_ID_BYTES_MAX, MEMBERS_NAMED_MAX, ROOM_NAME_CHARS_MAX},
};
use madang_store::rooms::NewRoom;

/// Fields that belong to kinds of rooms not offered yet.
const NOT_OFFERED: [&str; 2] = ["capacity", "opens_at"];

/// The room a user wishes, under the id it will have if it is new.
pub(super) fn parse(
    mut body: Fields,
    room: RoomId,
    creator: UserId,
    created_at: Millis,
) -> Result<NewRoom, Refusal> {
    let kind = kind(&body.required_text("kind")?)?;
    body.refuse(&NOT_OFFERED)?;
    let name = body.text("name")?;
    let private = body.flag("private")?;
    let members = members(&body.texts("members")?, creator)?;
    let client_id = body.text("client_id")?.as_deref().map(client_id).transpose()?;
    match kind {
        RoomKind::Group => name.as_deref().map_or(Ok(()), check_name)?,
        RoomKind::Channel => check_channel(name.as_deref(), private)?,
        RoomKind::Direct => check_direct(name.as_deref(), private, &members)?,
    }
    let private = private.unwrap_or(kind != RoomKind::Channel);
    Ok(NewRoom { room, kind, name, private, creator, members, client_id, created_at })
}

/// A sender's or creator's own name for something, 1 to 64 bytes.
pub(super) fn client_id(text: &str) -> Result<ClientId, Refusal> {
    ClientId::new(text).ok_or_else(|| {
        Refusal::invalid("client_id", format!("must be 1 to {CLIENT_ID_BYTES_MAX} bytes long"))
    })
}

/// `invalid` that names the members who do not exist.
pub(super) fn unknown_members<'a>(
    unknown: impl IntoIterator<Item = impl ToString + 'a>,
) -> Refusal {
    let names: Vec<String> = unknown.into_iter().map(|name| name.to_string()).collect();
    Refusal::invalid("members", format!("no such user: {}", names.join(", ")))
}

fn kind(text: &str) -> Result<RoomKind, Refusal> {
    match text {
        "group" => Ok(RoomKind::Group),
        "direct" => Ok(RoomKind::Direct),
        "channel" => Ok(RoomKind::Channel),
        "event" => Err(Refusal::invalid("kind", "is not offered")),
        _ => Err(Refusal::invalid("kind", "must be group, channel or direct")),
    }
}

/// The members named, each once, without the creator.
fn members(texts: &[String], creator: UserId) -> Result<Vec<UserId>, Refusal> {
    if texts.len() > MEMBERS_NAMED_MAX {
        return Err(Refusal::invalid("members", format!("must be at most {MEMBERS_NAMED_MAX}")));
    }
    let is_id = |text: &&String| text.parse::<UserId>().is_ok();
    let strange: Vec<String> =
        texts.iter().filter(|text| !is_id(text)).map(|text| short(text)).collect();
    if !strange.is_empty() {
        return Err(unknown_members(strange));
    }
    let mut members: Vec<UserId> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    members.sort_unstable();
    members.dedup();
    members.retain(|member| *member != creator);
    Ok(members)
}

/// Enough of a text to find it again.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// A name fit for a room.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().nth(ROOM_NAME_CHARS_MAX).is_some() {
        let reason = format!("must be 1 to {ROOM_NAME_CHARS_MAX} characters long");
        return Err(Refusal::invalid("name", reason));
    }
    match name.chars().any(char::is_control) {
        true => Err(Refusal::invalid("name", "must not have control characters")),
        false => Ok(()),
    }
}

fn check_channel(name: Option<&str>, private: Option<bool>) -> Result<(), Refusal> {
    match private {
        Some(true) => Err(Refusal::invalid("private", "a channel is open to everybody")),
        _ => name.map_or(Ok(()), check_name),
    }
}

fn check_direct(
    name: Option<&str>,
    private: Option<bool>,
    members: &[UserId],
) -> Result<(), Refusal> {
    if members.len() != 1 {
        Err(Refusal::invalid("members", "must be exactly one other user"))
    } else if name.is_some() {
        Err(Refusal::invalid("name", "a direct room has none"))
    } else if private == Some(false) {
        Err(Refusal::invalid("private", "a direct room is private"))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: UserId = UserId([1; 15]);
    const BOB: UserId = UserId([2; 15]);
    const EVE: UserId = UserId([3; 15]);

    fn parsed(body: &str) -> Result<NewRoom, (String, String)> {
        let room = parse(Fields::parse(body.as_bytes()).unwrap(), RoomId([9; 15]), ME, 5);
        room.map_err(|refusal| {
            (refusal.field.unwrap_or_default().into_owned(), refusal.message.into_owned())
        })
    }

    #[test]
    fn a_group_is_private_unless_said() {
        let room = parsed(r#"{"kind":"group","name":"Ten","capacity":null}"#).unwrap();
        assert_eq!(
            (room.kind, room.private, room.name),
            (RoomKind::Group, true, Some("Ten".into()))
        );
        let open = format!(
            r#"{{"kind":"group","private":false,"members":["{EVE}","{ME}","{BOB}","{EVE}"],"client_id":"c"}}"#
        );
        let open = parsed(&open).unwrap();
        assert_eq!((open.private, open.members), (false, vec![BOB, EVE]));
        assert_eq!(open.client_id, ClientId::new("c"));
    }

    #[test]
    fn a_channel_is_open() {
        let body = format!(r#"{{"kind":"channel","name":"News","members":["{BOB}"]}}"#);
        let channel = parsed(&body).unwrap();
        assert_eq!((channel.kind, channel.private), (RoomKind::Channel, false));
        assert_eq!(channel.members, [BOB]);
        assert!(!parsed(r#"{"kind":"channel","private":false}"#).unwrap().private);
    }

    #[test]
    fn a_direct_room_has_one_other() {
        let direct = format!(r#"{{"kind":"direct","members":["{BOB}","{ME}"]}}"#);
        assert_eq!(parsed(&direct).unwrap().members, [BOB]);
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let long = format!(r#"{{"kind":"group","name":"{}"}}"#, "n".repeat(129));
        let many = vec![format!("\"{BOB}\""); 201].join(",");
        let many = format!(r#"{{"kind":"group","members":[{many}]}}"#);
        let two = format!(r#"{{"kind":"direct","members":["{BOB}","{EVE}"]}}"#);
        let named = format!(r#"{{"kind":"direct","members":["{BOB}"],"name":"x"}}"#);
        let open = format!(r#"{{"kind":"direct","members":["{BOB}"],"private":false}}"#);
        let id = format!(r#"{{"kind":"group","client_id":"{}"}}"#, "c".repeat(65));
        for (body, field) in [
            ("{}", "kind"),
            (r#"{"kind":"channel","private":true}"#, "private"),
            (r#"{"kind":"channel","name":" "}"#, "name"),
            (r#"{"kind":"event"}"#, "kind"),
            (r#"{"kind":"Group"}"#, "kind"),
            (r#"{"kind":"group","capacity":5}"#, "capacity"),
            (r#"{"kind":"group","opens_at":5}"#, "opens_at"),
            (r#"{"kind":"group","name":""}"#, "name"),
            (r#"{"kind":"group","name":"a\nb"}"#, "name"),
            (&long, "name"),
            (r#"{"kind":"group","private":"no"}"#, "private"),
            (r#"{"kind":"group","members":["nobody"]}"#, "members"),
            (&many, "members"),
            (r#"{"kind":"group","client_id":""}"#, "client_id"),
            (&id, "client_id"),
            (r#"{"kind":"direct"}"#, "members"),
            (&two, "members"),
            (&named, "name"),
            (&open, "private"),
        ] {
            assert_eq!(parsed(body).unwrap_err().0, field, "{body}");
        }
    }

    #[test]
    fn unknown_members_are_named() {
        let body = format!(r#"{{"kind":"group","members":["nobody","{BOB}","no one"]}}"#);
        assert_eq!(parsed(&body).unwrap_err().1, "no such user: nobody, no one");
    }
}
