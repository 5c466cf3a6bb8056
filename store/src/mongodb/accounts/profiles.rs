//! What is asked about users, one query each, and their names.

use super::document::{LoginPart, ProfileDocument};
use crate::{
    accounts::{AddressKey, Credentials, Profile, ProfileKeys},
    mongodb::{
        Mongo,
        bytes::Bytes,
        failure::Failure,
        ids::{Id, values},
        schema::USERS,
    },
};
use ::mongodb::{
    bson::{Document, doc},
    options::ReturnDocument,
};
use madang_protocol::{Millis, UserId};
use serde::Deserialize;
use std::{collections::HashMap, hash::Hash};

pub(super) async fn credentials(
    store: &Mongo,
    username_folded: &str,
) -> Result<Option<Credentials>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(rename = "_id")]
        user: Bytes<15>,
        password_hash: Option<String>,
    }
    let named = doc! { "username_folded": username_folded };
    let found = store.find_one(USERS, named, doc! { "password_hash": 1 }).await?;
    Ok(found
        .map(|Found { user, password_hash }| Credentials { user: UserId(user.0), password_hash }))
}

/// Those of the users that exist, as they were asked for, each once.
pub(super) async fn profiles(store: &Mongo, which: &ProfileKeys) -> Result<Vec<Profile>, Failure> {
    let wanted = match which {
        ProfileKeys::Ids(users) => doc! { "_id": { "$in": values(users) } },
        ProfileKeys::Usernames(names) => doc! { "username_folded": { "$in": names } },
    };
    let found: Vec<ProfileDocument> = store.find(USERS, wanted, profile_fields()).await?;
    Ok(match which {
        ProfileKeys::Ids(users) => in_order(users, found, ProfileDocument::user),
        ProfileKeys::Usernames(names) => {
            in_order(names, found, |profile| profile.username_folded.clone())
        }
    })
}

fn in_order<K: Eq + Hash>(
    keys: &[K],
    found: Vec<ProfileDocument>,
    key: impl Fn(&ProfileDocument) -> K,
) -> Vec<Profile> {
    let mut found: HashMap<K, ProfileDocument> =
        found.into_iter().map(|profile| (key(&profile), profile)).collect();
    keys.iter().filter_map(|key| found.remove(key)).map(Profile::from).collect()
}

pub(super) async fn set_display_name(
    store: &Mongo,
    user: UserId,
    display_name: &str,
) -> Result<Option<Profile>, Failure> {
    let users = store.collection::<ProfileDocument>(USERS);
    let update = doc! { "$set": { "display_name": display_name } };
    let updated = users
        .find_one_and_update(doc! { "_id": user.bson() }, update)
        .projection(profile_fields())
        .return_document(ReturnDocument::After)
        .await?;
    Ok(updated.map(Profile::from))
}

pub(super) async fn last_login(
    store: &Mongo,
    user: UserId,
    address: AddressKey,
) -> Result<Option<Millis>, Failure> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        logins: Vec<LoginPart>,
    }
    let this = doc! { "logins": { "$elemMatch": { "address": Bytes(address).bson() } } };
    let found: Option<Found> = store.find_one(USERS, doc! { "_id": user.bson() }, this).await?;
    Ok(found.and_then(|found| found.logins.first().map(|login| login.at)))
}

fn profile_fields() -> Document {
    doc! { "username": 1, "username_folded": 1, "display_name": 1 }
}
