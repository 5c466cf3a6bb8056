//! Making users. Unique indexes see to it that a username, an external id and a token are one
//! user's, however many ask at once.

use super::document::UserDocument;
use crate::{
    accounts::{CreatedUsers, NewUser},
    mongodb::{
        Mongo,
        schema::USERS,
        transaction::{Work, Worked},
    },
};
use ::mongodb::{ClientSession, bson::doc};
use async_trait::async_trait;
use serde::Deserialize;
use std::collections::HashSet;

/// Users to be made, all or none.
pub(super) struct Signup<'a> {
    pub(super) store: &'a Mongo,
    pub(super) users: &'a [NewUser],
}

#[derive(Deserialize)]
struct Taken {
    username_folded: String,
}

#[async_trait]
impl Work for Signup<'_> {
    type Answer = CreatedUsers;

    async fn run(&self, session: &mut ClientSession) -> Worked<CreatedUsers> {
        let mut taken = self.taken(session).await?;
        let is_taken = |user: &NewUser| !taken.insert(user.username_folded.clone());
        if let Some(index) = self.users.iter().position(is_taken) {
            return Ok(CreatedUsers::UsernameTaken { index });
        }
        if !self.users.is_empty() {
            let users: Vec<_> =
                self.users.iter().map(|user| UserDocument::new(user, None)).collect();
            self.store
                .collection::<UserDocument>(USERS)
                .insert_many(&users)
                .session(session)
                .await?;
        }
        Ok(CreatedUsers::All)
    }
}

impl Signup<'_> {
    /// Which of the names are another's already.
    async fn taken(&self, session: &mut ClientSession) -> Worked<HashSet<String>> {
        let names: Vec<&str> =
            self.users.iter().map(|user| user.username_folded.as_str()).collect();
        let users = self.store.collection::<Taken>(USERS);
        let mut cursor = users
            .find(doc! { "username_folded": { "$in": names } })
            .projection(doc! { "_id": 0, "username_folded": 1 })
            .session(&mut *session)
            .await?;
        let mut taken = HashSet::new();
        while let Some(found) = cursor.next(session).await {
            taken.insert(found?.username_folded);
        }
        Ok(taken)
    }
}
