//! Questions and writes, as this store sends them: the driver's helpers where they say all that
//! the server says, else the command itself.

use super::{
    Mongo,
    failure::{DUPLICATE_KEY, Failure, SNAPSHOT_UNAVAILABLE, code},
    tries::Tries,
};
use crate::StoreError;
use ::mongodb::{
    Collection,
    bson::{Document, doc, serialize_to_vec},
    error::Error,
    options::{ReadConcern, ReadPreference, SelectionCriteria},
};
use futures_util::TryStreamExt;
use serde::de::DeserializeOwned;

/// Statements of one command at most: as much as one flush gathers.
pub(super) const STATEMENTS_MAX: usize = 10_000;
/// Their bytes at most, with what the command adds below the 16 MiB that the server takes.
const STATEMENTS_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Documents of one answer, so that what is read at all is read by one command.
const BATCH: u32 = 100_000;
/// How often a write that lost a race for a key is tried.
const TRIES: usize = 5;

impl Mongo {
    /// A collection, for records of that type.
    pub(super) fn collection<T: Send + Sync>(&self, name: &str) -> Collection<T> {
        self.database.collection(name)
    }

    /// What a majority has now, in one answer.
    pub(super) async fn aggregate<T: DeserializeOwned>(
        &self,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Result<Vec<T>, Failure> {
        Box::pin(self.aggregate_with(ReadConcern::majority(), None, collection, pipeline)).await
    }

    /// The same, of one moment: everything the pipeline looks at is as it was together. `from`:
    /// which members may answer; `None`: the primary.
    pub(super) async fn aggregate_snapshot<T: DeserializeOwned>(
        &self,
        from: Option<ReadPreference>,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Result<Vec<T>, Failure> {
        Box::pin(self.aggregate_with(ReadConcern::snapshot(), from, collection, pipeline)).await
    }

    async fn aggregate_with<T: DeserializeOwned>(
        &self,
        concern: ReadConcern,
        from: Option<ReadPreference>,
        collection: &str,
        pipeline: Vec<Document>,
    ) -> Result<Vec<T>, Failure> {
        let collection = self.collection::<Document>(collection);
        let mut tries = Tries::default();
        loop {
            let aggregate = collection.aggregate(pipeline.clone()).batch_size(BATCH);
            let from = from.clone().unwrap_or(ReadPreference::Primary);
            let aggregate = aggregate.read_concern(concern.clone());
            let aggregate = aggregate
                .selection_criteria(SelectionCriteria::ReadPreference(from))
                .with_type::<T>();
            match aggregate.await {
                Err(error) if is_unsettled(&error) => tries.pause().await,
                cursor => return Ok(cursor?.try_collect().await?),
            }
        }
    }

    /// The documents that fit, with the fields of `projection`.
    pub(super) async fn find<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
        projection: Document,
    ) -> Result<Vec<T>, Failure> {
        let collection = self.collection::<T>(collection);
        let mut tries = Tries::default();
        loop {
            let find = collection.find(filter.clone()).projection(projection.clone());
            match find.batch_size(BATCH).await {
                Err(error) if is_unsettled(&error) => tries.pause().await,
                cursor => return Ok(cursor?.try_collect().await?),
            }
        }
    }

    /// The fields of `projection` of the one that fits.
    pub(super) async fn find_one<T: DeserializeOwned + Send + Sync>(
        &self,
        collection: &str,
        filter: Document,
        projection: Document,
    ) -> Result<Option<T>, Failure> {
        let collection = self.collection::<T>(collection);
        let mut tries = Tries::default();
        loop {
            let find = collection.find_one(filter.clone()).projection(projection.clone());
            match find.await {
                Err(error) if is_unsettled(&error) => tries.pause().await,
                found => return Ok(found?),
            }
        }
    }

    /// Updates that are the same once or twice, each `{q, u, upsert?, multi?}`, as few commands as
    /// their number allows. Answers how many documents fit the queries.
    pub(super) async fn update_all(
        &self,
        collection: &str,
        statements: Vec<Document>,
    ) -> Result<u64, Failure> {
        self.write_all("update", collection, "updates", statements, false).await
    }

    /// The same one after the other: what the last one did is there only if that of all is.
    pub(super) async fn update_in_order(
        &self,
        collection: &str,
        statements: Vec<Document>,
    ) -> Result<u64, Failure> {
        self.write_all("update", collection, "updates", statements, true).await
    }

    /// Deletions, each `{q, limit}`, in any order. Answers how many documents are gone.
    pub(super) async fn delete_all(
        &self,
        collection: &str,
        statements: Vec<Document>,
    ) -> Result<u64, Failure> {
        self.write_all("delete", collection, "deletes", statements, false).await
    }

    async fn write_all(
        &self,
        command: &str,
        collection: &str,
        field: &str,
        statements: Vec<Document>,
        ordered: bool,
    ) -> Result<u64, Failure> {
        let mut written = 0;
        let mut rest = &statements[..];
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(fitting(rest));
            rest = behind;
            let command = doc! {
                command: collection,
                field: part.to_vec(),
                "ordered": ordered,
                "writeConcern": { "w": "majority", "j": true },
            };
            written += self.write_until_done(command).await?;
        }
        Ok(written)
    }

    /// Two that insert the same key at once: one of them is told that it is there, and its
    /// statement is right the next time.
    async fn write_until_done(&self, command: Document) -> Result<u64, Failure> {
        for _ in 0..TRIES {
            let answer = self.database.run_command(command.clone()).await?;
            if is_written(&answer)? {
                return Ok(answer.get_i32("n").unwrap_or_default().unsigned_abs().into());
            }
        }
        Err(Failure::Ours(StoreError::Unknown("a key was taken again and again".into())))
    }
}

/// How many of them go into one command; at least one.
fn fitting(statements: &[Document]) -> usize {
    let mut bytes = 0;
    let fits = |(place, statement): &(usize, &Document)| {
        bytes += serialize_to_vec(statement).map_or(STATEMENTS_BYTES_MAX, |bytes| bytes.len());
        *place == 0 || bytes <= STATEMENTS_BYTES_MAX
    };
    statements.iter().take(STATEMENTS_MAX).enumerate().take_while(fits).count()
}

/// A collection or an index was just made, and a majority has not got that far: for a moment nothing
/// of it can be read. The deadline of the call ends the tries.
fn is_unsettled(error: &Error) -> bool {
    code(error) == Some(SNAPSHOT_UNAVAILABLE)
}

/// Whether an answer says that everything is on the disks of a majority; `false`: keys were taken.
pub(super) fn is_written(answer: &Document) -> Result<bool, Failure> {
    let unknown = |detail: String| Err(Failure::Ours(StoreError::Unknown(detail)));
    if let Ok(concern) = answer.get_document("writeConcernError") {
        return unknown(format!("write concern error {}", code_of(concern)));
    }
    let Ok(errors) = answer.get_array("writeErrors") else { return Ok(true) };
    let codes = errors.iter().filter_map(|error| error.as_document()).map(code_of);
    match codes.into_iter().find(|code| *code != DUPLICATE_KEY) {
        Some(code) => unknown(format!("write error {code}")),
        None => Ok(errors.is_empty()),
    }
}

fn code_of(error: &Document) -> i32 {
    error.get_i32("code").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that moves up a read position, the largest that is written in bulk.
    fn statement(body: &str) -> Document {
        let id = || super::super::ids::binary(&[7; 15]);
        let key = doc! { "room": id(), "user": id() };
        let update = doc! { "$max": { "seq": i64::MAX }, "$setOnInsert": { "room": id() } };
        doc! { "q": { "_id": key }, "u": update, "upsert": true, "body": body }
    }

    #[test]
    fn a_flush_is_one_command() {
        assert_eq!(fitting(&vec![statement(""); 10_001]), 10_000);
        assert_eq!(fitting(&vec![statement(""); 3]), 3);
    }

    #[test]
    fn what_the_server_would_not_take_is_divided() {
        let large = vec![statement(&"x".repeat(1024 * 1024)); 20];
        assert_eq!(fitting(&large), 11);
        assert_eq!(fitting(&[statement(&"x".repeat(13 * 1024 * 1024))]), 1, "not refused here");
    }
}
