//! Starting and ending sessions: each one write of the user's document.

use super::{
    document::{Account, Holder, SessionPart, UserDocument, end as stored_end},
    logic::{self, Start},
};
use crate::{
    StoreError,
    accounts::{ExternalLogin, ExternalStarted, NewSession, TokenHash, Touch},
    mongodb::{
        Mongo,
        bytes::Bytes,
        failure::{Failure, duplicate},
        ids::{Id, values},
        schema::{USERNAME, USERS},
        tries::Tries,
    },
};
use ::mongodb::{
    bson::{Bson, Document, doc, serialize_to_bson},
    options::{ReadConcern, ReturnDocument},
};
use madang_protocol::{Millis, SessionId, UserId};
use std::collections::HashSet;

/// See `AccountStore::start_session`.
pub(super) async fn start(
    store: &Mongo,
    new: &NewSession,
    sessions_max: usize,
) -> Result<Vec<SessionId>, Failure> {
    let mut tries = Tries::default();
    loop {
        let account = account(store, doc! { "_id": new.user.bson() }).await?;
        let account = account.ok_or_else(|| StoreError::Unavailable("no such user".into()))?;
        if let Some(ended) = add(store, &account, new, sessions_max, None).await? {
            return Ok(ended);
        }
        tries.pause().await;
    }
}

/// See `AccountStore::start_external_session`.
pub(super) async fn start_external(
    store: &Mongo,
    login: &ExternalLogin,
    sessions_max: usize,
) -> Result<ExternalStarted, Failure> {
    let ExternalLogin { external_id, user: new, display_name } = login;
    let this = || doc! { "external_id": external_id };
    let mut tries = Tries::default();
    loop {
        if let Some(account) = account(store, this()).await? {
            let user = account.user();
            let session = NewSession { user, ..new.session.clone() };
            let name = display_name.as_deref();
            if let Some(ended) = add(store, &account, &session, sessions_max, name).await? {
                return Ok(ExternalStarted::Found { user, ended });
            }
        } else {
            match insert(store, &UserDocument::new(new, Some(external_id.clone()))).await? {
                Inserted::Done => return Ok(ExternalStarted::Made),
                Inserted::UsernameTaken if !is_coming(store, this()).await? => {
                    return Ok(ExternalStarted::UsernameTaken);
                }
                // Another call has made the user.
                Inserted::UsernameTaken | Inserted::OtherTaken => tries.refused()?,
            }
        }
        tries.pause().await;
    }
}

/// What became of an insert.
enum Inserted {
    Done,
    UsernameTaken,
    /// What another unique index holds: the external id, or an id or a token made twice.
    OtherTaken,
}

/// Makes a user.
async fn insert(store: &Mongo, user: &UserDocument) -> Result<Inserted, Failure> {
    match store.collection::<UserDocument>(USERS).insert_one(user).await {
        Ok(_) => Ok(Inserted::Done),
        Err(error) => match duplicate(&error) {
            Some(index) if index == USERNAME => Ok(Inserted::UsernameTaken),
            Some(_) => Ok(Inserted::OtherTaken),
            None => Err(error.into()),
        },
    }
}

/// There is such a user on the primary, whether or not a majority has it yet.
async fn is_coming(store: &Mongo, wanted: Document) -> Result<bool, Failure> {
    let users = store.collection::<Document>(USERS);
    let found = users.find_one(wanted).projection(doc! { "_id": 1 });
    Ok(found.read_concern(ReadConcern::local()).await?.is_some())
}

/// Adds the session on the condition that the user is as was read; returns which had to end.
/// `None`: somebody was faster, and nothing is changed.
async fn add(
    store: &Mongo,
    account: &Account,
    new: &NewSession,
    sessions_max: usize,
    display_name: Option<&str>,
) -> Result<Option<Vec<SessionId>>, Failure> {
    let start = logic::start(account, new, sessions_max);
    let update = vec![doc! { "$set": added(account, new, &start, display_name) }];
    let unchanged = doc! { "_id": account.user().bson(), "rev": account.rev as i64 };
    let users = store.collection::<UserDocument>(USERS);
    let updated = users.update_one(unchanged, update).await?;
    Ok((updated.matched_count == 1).then_some(start.ended))
}

/// The fields as they are to be. Sessions that stay are taken as they are then, because their ends
/// are moved without a new `rev`.
fn added(
    account: &Account,
    new: &NewSession,
    start: &Start,
    display_name: Option<&str>,
) -> Document {
    let removed = values(&start.removed);
    let stays = doc! { "$not": [{ "$in": ["$$this.session", { "$literal": removed }] }] };
    let kept = doc! { "$filter": { "input": "$sessions", "cond": stays } };
    let mut fields = doc! {
        "rev": account.rev as i64 + 1,
        "sessions": { "$concatArrays": [kept, [{ "$literal": plain(&SessionPart::new(new)) }]] },
        "logins": { "$literal": plain(&start.logins) },
    };
    if let Some(display_name) = display_name {
        fields.insert("display_name", doc! { "$literal": display_name });
    }
    fields
}

/// What a login of this user looks at.
async fn account(store: &Mongo, wanted: Document) -> Result<Option<Account>, Failure> {
    let fields = doc! { "rev": 1, "sessions": 1, "logins": 1 };
    store.find_one(USERS, wanted, fields).await.map_err(Failure::unwritten)
}

/// The user of this session, with it alone.
pub(super) async fn holder(store: &Mongo, token: TokenHash) -> Result<Option<Holder>, Failure> {
    let token = Bytes(token).bson();
    let this = doc! { "sessions": { "$elemMatch": { "token": token.clone() } } };
    store.find_one(USERS, doc! { "sessions.token": token }, this).await
}

/// The sessions of `users` that have not expired.
pub(super) async fn good(
    store: &Mongo,
    users: &[UserId],
    now: Millis,
) -> Result<HashSet<(UserId, SessionId)>, Failure> {
    let wanted = doc! { "_id": { "$in": values(users) } };
    let found: Vec<Holder> = store.find(USERS, wanted, doc! { "sessions": 1 }).await?;
    let sessions = found.iter().flat_map(Holder::sessions);
    let good = sessions.filter(|session| session.expires_at > now);
    Ok(good.map(|session| (session.user, session.session)).collect())
}

/// Ends one session.
pub(super) async fn end(store: &Mongo, token: TokenHash) -> Result<(), Failure> {
    let token = Bytes(token).bson();
    let ended =
        doc! { "$pull": { "sessions": { "token": token.clone() } }, "$inc": { "rev": 1_i64 } };
    let users = store.collection::<UserDocument>(USERS);
    users.update_one(doc! { "sessions.token": token }, ended).await?;
    Ok(())
}

/// Another password, and no session but `keep`; returns which went. `None`: `keep` is not there.
pub(super) async fn set_password(
    store: &Mongo,
    keep: TokenHash,
    password_hash: &str,
) -> Result<Option<Vec<SessionId>>, Failure> {
    let token = Bytes(keep).bson();
    let update = doc! {
        "$set": { "password_hash": password_hash },
        "$pull": { "sessions": { "token": { "$ne": token.clone() } } },
        "$inc": { "rev": 1_i64 },
    };
    let users = store.collection::<Holder>(USERS);
    let before = users
        .find_one_and_update(doc! { "sessions.token": token }, update)
        .projection(doc! { "sessions": 1 })
        .return_document(ReturnDocument::Before)
        .await?;
    let ended = |holder: Holder| {
        let others = holder.sessions.into_iter().filter(|part| part.token.0 != keep);
        others.map(|part| part.id()).collect()
    };
    Ok(before.map(ended))
}

/// One statement of the bulk that moves ends: never back.
pub(super) fn touch(touch: &Touch) -> Document {
    let Touch { user, session, expires_at } = *touch;
    let expires_at = stored_end(expires_at);
    let earlier = doc! { "session": session.bson(), "expires_at": { "$lt": expires_at } };
    doc! {
        "q": { "_id": user.bson(), "sessions": { "$elemMatch": earlier } },
        "u": { "$set": { "sessions.$.expires_at": expires_at } },
    }
}

fn plain<T: serde::Serialize>(value: &T) -> Bson {
    serialize_to_bson(value).expect("plain data, and numbers that BSON takes")
}
