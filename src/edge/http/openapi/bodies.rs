//! Request bodies as types: the form each has on the wire. They are read field by field, so that a
//! refusal names the field; what is asked of each is said here once more for programs.

use madang_protocol::{ClientId, Role, RoomKind, UserId, schema::Schemas};
use utoipa::ToSchema;

/// Adds all of them.
pub(super) fn add_to(schemas: &mut Schemas) {
    schemas.add_asked::<Signup>();
    schemas.add_asked::<Login>();
    schemas.add_asked::<ExternalUser>();
    schemas.add_asked::<PasswordChange>();
    schemas.add_asked::<MeChange>();
    schemas.add_asked::<NewRoom>();
    schemas.add_asked::<RoomChange>();
    schemas.add_asked::<NewMember>();
    schemas.add_asked::<MemberRole>();
    schemas.add_asked::<NewMessage>();
}

/// A user to be.
#[derive(ToSchema)]
pub struct Signup {
    /// 3 to 32 letters, digits, `.`, `_`, `-` of any script.
    #[schema(min_length = 3, max_length = 32)]
    pub username: String,
    /// 8 to 256 bytes.
    #[schema(min_length = 2, max_length = 256)]
    pub password: String,
    /// The name shown; the username when absent.
    #[schema(min_length = 1, max_length = 64)]
    pub display_name: Option<String>,
}

/// Who logs in.
#[derive(ToSchema)]
pub struct Login {
    /// In any spelling that is the same name.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A user as another product knows them.
#[derive(ToSchema)]
pub struct ExternalUser {
    /// The product's own id of the user, 1 to 128 bytes.
    #[schema(min_length = 1, max_length = 128)]
    pub external_id: String,
    /// For a user who is made; absent: one is made up.
    #[schema(min_length = 3, max_length = 32)]
    pub username: Option<String>,
    /// Replaces the present one.
    #[schema(min_length = 1, max_length = 64)]
    pub display_name: Option<String>,
}

/// A new password.
#[derive(ToSchema)]
pub struct PasswordChange {
    /// The present one.
    pub old: String,
    /// 8 to 256 bytes.
    #[schema(min_length = 2, max_length = 256)]
    pub new: String,
}

/// What users change about themselves.
#[derive(ToSchema)]
pub struct MeChange {
    /// The name shown.
    #[schema(min_length = 1, max_length = 64)]
    pub display_name: String,
}

/// A room to be.
#[derive(ToSchema)]
pub struct NewRoom {
    /// Its kind.
    pub kind: RoomKind,
    /// Its name; a direct room has none.
    #[schema(min_length = 1, max_length = 128)]
    pub name: Option<String>,
    /// Who is in it beside the creator; for a direct room exactly one.
    #[schema(max_items = 200)]
    pub members: Option<Vec<UserId>>,
    /// Hidden from others; true for groups when absent. Channels are open, direct rooms private.
    pub private: Option<bool>,
    /// The creator's own name for it: the same again answers the first room.
    pub client_id: Option<ClientId>,
}

/// What is changed about a room.
#[derive(ToSchema)]
pub struct RoomChange {
    /// Its name.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
}

/// A member to be.
#[derive(ToSchema)]
pub struct NewMember {
    /// Who.
    pub user: UserId,
}

/// Another role for a member.
#[derive(ToSchema)]
pub struct MemberRole {
    /// `owner` makes the caller admin.
    pub role: Role,
}

/// A message to be.
#[derive(ToSchema)]
pub struct NewMessage {
    /// The sender's own name for it, of 1 to 64 bytes: the same again is the same message.
    pub client_id: ClientId,
    /// The text, at most 16,384 bytes unless the node is set otherwise.
    #[schema(min_length = 1)]
    pub body: String,
    /// The message it answers.
    #[schema(minimum = 1)]
    pub reply_to: Option<u64>,
}
