//! Looking at a set and a database without changing anything there.

use super::{
    condition::Condition,
    connection,
    failure::describe,
    schema::indexes,
    setup::{find_meta, known_format, refuse_foreign},
};
use crate::cluster::{ClusterError, ClusterOptions, ClusterReport};
use ::mongodb::{
    Database,
    bson::{Document, doc},
};
use std::{collections::BTreeSet, sync::Arc};

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
    let missing_indexes = if is_ours { missing_indexes(&database).await } else { Vec::new() };
    client.shutdown().immediate(true).await;
    Ok(ClusterReport { version, is_ours, missing_indexes })
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
