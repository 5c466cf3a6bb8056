//! Looking at a set and a database without changing anything there.

use super::{
    command::is_written,
    condition::Condition,
    connection,
    failure::describe,
    schema::{META, indexes},
    setup::{find_meta, known_format, refuse_foreign, refused},
};
use crate::cluster::{ClusterError, ClusterOptions, ClusterReport};
use ::mongodb::{
    Database,
    bson::{Document, doc},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a majority may take to have a write.
const MAJORITY_WITHIN: Duration = Duration::from_secs(3);

/// See [`crate::cluster::check_cluster`].
pub(crate) async fn examine(options: ClusterOptions) -> Result<ClusterReport, ClusterError> {
    let options = ClusterOptions { connections_warm: 0, ..options };
    let client = connection::connect(&options, &Arc::new(Condition::new())).await?;
    let database = client.database(&options.database);
    let version = version(&database).await?;
    let is_ours = match find_meta(&database).await? {
        Some(meta) => known_format(&database, &meta).map(|()| true)?,
        None => refuse_foreign(&database).await.map(|()| false)?,
    };
    takes_writes(&database).await?;
    let missing_indexes = if is_ours { missing_indexes(&database).await } else { Vec::new() };
    client.shutdown().immediate(true).await;
    Ok(ClusterReport { version, is_ours, missing_indexes })
}

/// A write that changes nothing, and is answered as every other one: a majority has what came before
/// it.
async fn takes_writes(database: &Database) -> Result<(), ClusterError> {
    let nobody = doc! { "q": { "_id": "nobody" }, "u": { "$set": { "never": true } } };
    let write = doc! {
        "update": META,
        "updates": [nobody],
        "writeConcern": {
            "w": "majority",
            "j": true,
            "wtimeout": i64::try_from(MAJORITY_WITHIN.as_millis()).unwrap_or(i64::MAX),
        },
    };
    let answer = database.run_command(write).await;
    let answer = answer.map_err(|error| refused(database, "writing", &error))?;
    match is_written(&answer) {
        Ok(_) => Ok(()),
        Err(_) => Err(ClusterError::NoMajority { waited: MAJORITY_WITHIN }),
    }
}

async fn version(database: &Database) -> Result<String, ClusterError> {
    let info = database.run_command(doc! { "buildInfo": 1 }).await;
    let info = info
        .map_err(|error| ClusterError::Refused { what: "buildInfo", detail: describe(&error) })?;
    Ok(info.get_str("version").unwrap_or("unknown").to_owned())
}

/// By collection and name. A collection that is not there has none.
async fn missing_indexes(database: &Database) -> Vec<String> {
    let mut missing = Vec::new();
    let collections: BTreeSet<&str> = indexes().map(|index| index.collection).collect();
    for name in collections {
        let collection = database.collection::<Document>(name);
        let there = collection.list_index_names().await.unwrap_or_default();
        let wanted = indexes().filter(|index| index.collection == name);
        let absent = wanted.filter(|index| !there.iter().any(|known| known == index.name));
        missing.extend(absent.map(|index| format!("{name}.{}", index.name)));
    }
    missing
}
