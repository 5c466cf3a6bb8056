//! Whose database it is, and the indexes we rest on.

use super::{
    Mongo,
    abandoned::Abandoned,
    condition::Condition,
    connection,
    failure::{UNAUTHORIZED, code, describe, is_credentials, is_passing},
    gate::{Gate, breaker},
    positions::Positions,
    schema::{Index, META, indexes},
    turns::Turns,
};
use crate::{
    Store,
    cluster::{ClusterError, ClusterOptions},
    metrics::Metrics,
};
use ::mongodb::{
    Database, IndexModel,
    bson::{Document, Uuid, doc},
    error::Error,
    options::IndexOptions,
};
use madang_resilience::Circuit;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Between two tries to make the database ready.
const BEGIN_ANEW: Duration = Duration::from_millis(250);
/// Between two looks at what another node has just made.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// The format this version writes, and the newest it reads.
const FORMAT: i64 = 1;
/// The id of the one document in [`META`].
const THE_STORE: &str = "store";
/// The id of another one in [`META`], while an import is under way or after one that was killed.
pub(super) const IMPORT: &str = "import";

impl Mongo {
    pub(super) async fn open(
        options: ClusterOptions,
        metrics: Metrics,
    ) -> Result<Self, ClusterError> {
        let condition = Arc::new(Condition::new());
        let client = connection::connect(&options, &condition).await?;
        let database = client.database(&options.database);
        Self::on(database, condition, options, metrics).await
    }

    /// As [`Mongo::open`], but makes nothing where there is nothing.
    pub(super) async fn open_existing(
        options: ClusterOptions,
        metrics: Metrics,
    ) -> Result<Self, ClusterError> {
        let condition = Arc::new(Condition::new());
        let client = connection::connect(&options, &condition).await?;
        let database = client.database(&options.database);
        if find_meta(&database).await?.is_none() {
            refuse_foreign(&database).await?;
            return Err(ClusterError::Missing { database: options.database });
        }
        Self::on(database, condition, options, metrics).await
    }

    async fn on(
        database: Database,
        condition: Arc<Condition>,
        options: ClusterOptions,
        metrics: Metrics,
    ) -> Result<Self, ClusterError> {
        let identity = ready(&database, options.reach_within).await?;
        let gate = Gate::new(&options, metrics);
        let users = Circuit::new(breaker());
        let positions = Positions::default();
        let (room_turns, user_turns) = (Turns::default(), Turns::default());
        Ok(Self {
            database,
            gate,
            users,
            condition,
            positions,
            room_turns,
            user_turns,
            abandoned: Abandoned::default(),
            options,
            identity,
        })
    }

    pub(super) fn store(self: &Arc<Self>) -> Store {
        Store {
            log: self.clone(),
            rooms: self.clone(),
            receipts: self.clone(),
            accounts: self.clone(),
            control: self.clone(),
        }
    }
}

/// Claims the database and makes its indexes; begins anew when the primary goes meanwhile.
async fn ready(database: &Database, within: Duration) -> Result<String, ClusterError> {
    let began = Instant::now();
    loop {
        let claimed = async {
            let identity = claim(database, began + within).await?;
            make_indexes(database).await.map(|()| identity)
        };
        match claimed.await {
            Err(error @ ClusterError::PrimaryLost { .. }) if began.elapsed() < within => {
                tracing::warn!(%error, "begun anew");
                sleep(BEGIN_ANEW).await;
            }
            ready => return ready,
        }
    }
}

/// Makes the database ours, or finds that it is; answers the store's identity.
async fn claim(database: &Database, until: Instant) -> Result<String, ClusterError> {
    if find_meta(database).await?.is_none() {
        refuse_foreign(database).await?;
        let identity = Uuid::new().to_string();
        let first = doc! { "$setOnInsert": { "format": FORMAT, "identity": identity } };
        let meta = database.collection::<Document>(META);
        // Of two nodes that start at once one makes it and both read it.
        let made = meta.update_one(doc! { "_id": THE_STORE }, first).upsert(true).await;
        made.map_err(|error| refused(database, "writing", &error))?;
    }
    let meta = made_meta(database, until).await?;
    known_format(database, &meta)?;
    refuse_half_filled(database).await?;
    Ok(meta.get_str("identity").unwrap_or_default().to_owned())
}

/// What another node made a moment ago may be there, so that our write changed nothing, and not yet be
/// on a majority of the members, where it is read from.
async fn made_meta(database: &Database, until: Instant) -> Result<Document, ClusterError> {
    loop {
        if let Some(meta) = find_meta(database).await? {
            return Ok(meta);
        }
        if Instant::now() >= until {
            let detail = "what was written is not there".to_owned();
            return Err(ClusterError::Refused { what: "writing", detail });
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// Refuses what a later version made.
pub(super) fn known_format(database: &Database, meta: &Document) -> Result<(), ClusterError> {
    let found = meta.get_i64("format").unwrap_or(i64::MAX);
    if found > FORMAT {
        let database = database.name().to_owned();
        return Err(ClusterError::NewerFormat { database, found, known: FORMAT });
    }
    Ok(())
}

/// What an import that did not end has left is neither what was there before nor all of the rest.
async fn refuse_half_filled(database: &Database) -> Result<(), ClusterError> {
    let mark = database.collection::<Document>(META).find_one(doc! { "_id": IMPORT }).await;
    match mark.map_err(|error| refused(database, "reading", &error))? {
        None => Ok(()),
        Some(_) => Err(ClusterError::HalfFilled { database: database.name().to_owned() }),
    }
}

pub(super) async fn find_meta(database: &Database) -> Result<Option<Document>, ClusterError> {
    let found = database.collection(META).find_one(doc! { "_id": THE_STORE }).await;
    found.map_err(|error| refused(database, "reading", &error))
}

pub(super) async fn refuse_foreign(database: &Database) -> Result<(), ClusterError> {
    let collections = database.list_collection_names().await;
    let collections =
        collections.map_err(|error| refused(database, "listing collections", &error))?;
    match collections.into_iter().find(|name| !name.starts_with("system.") && name != META) {
        None => Ok(()),
        // Another node may just have made it.
        Some(_) if find_meta(database).await?.is_some() => Ok(()),
        Some(collection) => {
            Err(ClusterError::Foreign { database: database.name().to_owned(), collection })
        }
    }
}

/// Makes those that are not there, one command for each collection.
pub(super) async fn make_indexes(database: &Database) -> Result<(), ClusterError> {
    let mut by_collection: BTreeMap<&str, Vec<IndexModel>> = BTreeMap::new();
    for index in indexes() {
        by_collection.entry(index.collection).or_default().push(model(index));
    }
    for (collection, models) in by_collection {
        let made = database.collection::<Document>(collection).create_indexes(models).await;
        made.map_err(|error| refused(database, "making indexes", &error))?;
    }
    Ok(())
}

fn model(index: &Index) -> IndexModel {
    let mut keys = Document::new();
    for (field, direction) in index.keys {
        keys.insert(*field, *direction);
    }
    let mut options = IndexOptions::builder().name(index.name.to_owned()).build();
    options.unique = index.unique.then_some(true);
    options.partial_filter_expression = index.partial.map(|partial| partial());
    IndexModel::builder().keys(keys).options(options).build()
}

pub(super) fn refused(database: &Database, what: &'static str, error: &Error) -> ClusterError {
    if is_credentials(error) {
        return ClusterError::Credentials;
    }
    if code(error) == Some(UNAUTHORIZED) {
        return ClusterError::NotPermitted { what, database: database.name().to_owned() };
    }
    let detail = describe(error);
    if is_passing(error) {
        return ClusterError::PrimaryLost { what, detail };
    }
    ClusterError::Refused { what, detail }
}
