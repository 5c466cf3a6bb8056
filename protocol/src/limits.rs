//! Default limits of the protocol. All are settings of the node; these are what clients meet
//! unless an operator says otherwise.

/// Longest message body, bytes of UTF-8. Beyond: `too_large`.
pub const BODY_BYTES_MAX: usize = 16_384;
/// Longest message from a client, bytes, fragments summed. Beyond: close 1009.
pub const FRAME_BYTES_MAX: usize = 131_072;
/// Longest answer to a client, bytes: a page holds fewer items than asked for then.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Longest `client_id`, bytes.
pub const CLIENT_ID_BYTES_MAX: usize = 64;
/// Numbers on the wire stay below this, so that every JSON library reads them exactly.
pub const NUMBER_END: u64 = 1 << 53;
/// Deepest nesting of a decoded frame.
pub const DEPTH_MAX: usize = 16;
/// Items of a page at most.
pub const PAGE_MAX: u32 = 200;
/// Items of a page when the caller does not say.
pub const PAGE_DEFAULT: u32 = 50;
/// Missed messages replayed at most; older ones are read with `history`.
pub const REPLAY_MAX: u64 = 1_000;
/// Rooms a connection is subscribed to at most; `all` takes the latest.
pub const SUBSCRIPTIONS_MAX: usize = 1_000;
/// Unanswered sends of a connection at most. Beyond: `overloaded`.
pub const IN_FLIGHT_SENDS_MAX: usize = 32;
/// Members named when a room is made, at most.
pub const MEMBERS_NAMED_MAX: usize = 200;
/// Members of a room at most. Beyond: `full`.
pub const MEMBERS_MAX: u64 = 100_000;
/// Rooms of a user at most. Beyond: `full`.
pub const ROOMS_MAX: u64 = 5_000;
/// Longest emoji of a reaction, bytes.
pub const EMOJI_BYTES_MAX: usize = 32;
/// Different emojis on one message at most. Beyond: `full`.
pub const REACTION_KINDS_MAX: usize = 20;
/// Longest `data` of a signal, bytes.
pub const SIGNAL_BYTES_MAX: usize = 1_024;
/// Presence is told in rooms of at most so many members.
pub const PRESENCE_MEMBERS_MAX: u64 = 1_000;
/// Longest room name, characters.
pub const ROOM_NAME_CHARS_MAX: usize = 128;
