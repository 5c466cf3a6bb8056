//! What reached the server: its profiler notes every command, also those of transactions.

use super::set;
use madang_store::ClusterOptions;
use mongodb::{
    Client, Database,
    bson::{Bson, Document, doc},
    options::ClientOptions,
};

/// The profiler of one database, running from when it is made.
pub(crate) struct Profile(Database);

impl Profile {
    /// Begins, or begins anew.
    pub(crate) async fn begin(options: &ClusterOptions) -> Self {
        let set = set::shared();
        let address = set.members()[set.primary().await].address();
        let uri = format!("mongodb://{address}/?directConnection=true");
        let client = ClientOptions::parse(uri).await.expect("an address");
        let database = Client::with_options(client).expect("a client").database(&options.database);
        let profile = Self(database);
        profile.level(0).await;
        profile.notes().drop().await.expect("dropped");
        profile.level(2).await;
        profile
    }

    /// Ends, and answers what was asked meanwhile: one command each, in order.
    pub(crate) async fn end(self) -> Vec<Asked> {
        self.level(0).await;
        let mut notes = self.notes().find(doc! {}).sort(doc! { "ts": 1 }).await.expect("notes");
        let mut asked = Vec::new();
        while notes.advance().await.expect("a note") {
            let note = notes.deserialize_current().expect("a document");
            asked.extend(Asked::of(&note));
        }
        asked
    }

    /// Explains a command as it would be carried out now.
    pub(crate) async fn explain(options: &ClusterOptions, command: Document) -> Document {
        let client = Client::with_uri_str(set::shared().uri()).await.expect("a client");
        let explain = doc! { "explain": command.clone(), "verbosity": "executionStats" };
        let explained = client.database(&options.database).run_command(explain).await;
        explained.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn notes(&self) -> mongodb::Collection<Document> {
        self.0.collection("system.profile")
    }

    async fn level(&self, level: i32) {
        self.0.run_command(doc! { "profile": level }).await.expect("profiled");
    }
}

/// One command that reached the server.
#[derive(Debug)]
pub(crate) struct Asked {
    /// `aggregate`, `find`, `update`, ...
    pub(crate) name: String,
    /// How it was carried out, in short.
    pub(crate) plan: String,
    /// What can be explained; none for an insert and the like.
    pub(crate) explicable: Option<Document>,
}

impl Asked {
    fn of(note: &Document) -> Option<Self> {
        let namespace = note.get_str("ns").ok()?;
        let (_, collection) = namespace.split_once('.')?;
        if collection.starts_with("system.") {
            return None;
        }
        let command = note.get_document("command").ok()?;
        let plan = note.get_str("planSummary").unwrap_or_default().to_owned();
        let (name, explicable) = match note.get_str("op").ok()? {
            "update" => ("update".to_owned(), Some(update(collection, command))),
            "remove" => ("delete".to_owned(), Some(delete(collection, command))),
            "insert" => ("insert".to_owned(), None),
            "getmore" => ("getMore".to_owned(), None),
            _ => {
                let name = command.keys().next()?.clone();
                let is_query = ["find", "aggregate", "findAndModify", "count", "distinct"];
                let query = is_query.contains(&name.as_str()).then(|| plain(command));
                (name, query)
            }
        };
        Some(Self { name, plan, explicable })
    }
}

/// Without what belongs to its session and transaction.
fn plain(command: &Document) -> Document {
    const OF_SESSION: [&str; 11] = [
        "lsid",
        "$clusterTime",
        "$db",
        "txnNumber",
        "autocommit",
        "startTransaction",
        "readConcern",
        "writeConcern",
        "$readPreference",
        "maxTimeMS",
        "coordinator",
    ];
    let stays = |(field, _): &(&String, &Bson)| !OF_SESSION.contains(&field.as_str());
    command.iter().filter(stays).map(|(field, value)| (field.clone(), value.clone())).collect()
}

fn update(collection: &str, statement: &Document) -> Document {
    let wanted = ["q", "u", "multi", "upsert"];
    doc! { "update": collection, "updates": [part(statement, &wanted)] }
}

fn delete(collection: &str, statement: &Document) -> Document {
    doc! { "delete": collection, "deletes": [part(statement, &["q", "limit"])] }
}

fn part(statement: &Document, fields: &[&str]) -> Document {
    let field = |name: &&str| Some(((*name).to_owned(), statement.get(name)?.clone()));
    fields.iter().filter_map(field).collect()
}

/// Everything in an explanation that says that a collection was read whole, or sorted in memory
/// for want of an index.
pub(crate) fn scans(explained: &Document) -> Vec<String> {
    let mut found = Vec::new();
    look(&Bson::Document(explained.clone()), &mut found);
    found
}

fn look(value: &Bson, found: &mut Vec<String>) {
    match value {
        Bson::Document(document) => {
            for (field, value) in document {
                let is_scan = match (field.as_str(), value) {
                    ("stage", Bson::String(stage)) => stage == "COLLSCAN",
                    ("strategy", Bson::String(strategy)) => strategy != "IndexedLoopJoin",
                    ("collectionScans", count) => as_number(count) != Some(0),
                    _ => false,
                };
                if is_scan {
                    found.push(format!("{field}: {value}"));
                }
                // A plan that was looked at and not taken does no harm.
                if field != "rejectedPlans" {
                    look(value, found);
                }
            }
        }
        Bson::Array(values) => values.iter().for_each(|value| look(value, found)),
        _ => {}
    }
}

fn as_number(value: &Bson) -> Option<i64> {
    value.as_i64().or_else(|| value.as_i32().map(i64::from))
}
