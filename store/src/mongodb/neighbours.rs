//! Which nodes use the database, so that one that the others cannot hear is noticed.
//!
//! One document of [`META`] lists them in the order in which they came, each until a time by the
//! server's clock: `{nodes: [{life: {node, incarnation}, until}]}`.

use super::{
    Mongo,
    failure::{DUPLICATE_KEY, Failure, code},
    schema::META,
};
use crate::{
    StoreError,
    metrics::Call,
    open::{NEIGHBOUR_LEASE, Neighbour},
    presence::NodeLife,
};
use ::mongodb::{
    bson::{DateTime, Document, doc},
    options::ReturnDocument,
};
use serde::{Deserialize, Serialize};

/// The id of the document.
const NODES: &str = "nodes";
/// Of two that make the document at once one tries again.
const TRIES: usize = 3;

#[derive(Deserialize)]
struct Nodes {
    #[serde(default)]
    nodes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    life: Life,
    until: DateTime,
}

/// Compared by the server as a whole, so the order of the fields counts.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Life {
    node: String,
    incarnation: i64,
}

impl Life {
    fn of(life: &NodeLife) -> Self {
        Self { node: life.node.clone(), incarnation: life.incarnation.cast_signed() }
    }

    /// As a value that is no expression, whatever the name.
    fn literal(&self) -> Document {
        doc! { "$literal": { "node": &self.node, "incarnation": self.incarnation } }
    }
}

impl Mongo {
    pub(super) async fn enlist(&self, life: &NodeLife) -> Result<Vec<Neighbour>, StoreError> {
        let life = Life::of(life);
        let listed = self.write(Call::Register, self.change_nodes(enlisting(&life))).await?;
        Ok(before(&life, listed.nodes))
    }

    pub(super) async fn strike_off(&self, life: &NodeLife) -> Result<(), StoreError> {
        let gone = doc! { "$ne": ["$$node.life", Life::of(life).literal()] };
        self.write(Call::Register, self.change_nodes(vec![keeping(gone)])).await.map(drop)
    }

    async fn change_nodes(&self, change: Vec<Document>) -> Result<Nodes, Failure> {
        let meta = self.collection::<Nodes>(META);
        let mut tries = 0;
        loop {
            tries += 1;
            let change = meta.find_one_and_update(doc! { "_id": NODES }, change.clone());
            match change.upsert(true).return_document(ReturnDocument::After).await {
                Err(error) if code(&error) == Some(DUPLICATE_KEY) && tries < TRIES => {}
                changed => return Ok(changed?.unwrap_or(Nodes { nodes: Vec::new() })),
            }
        }
    }
}

/// Those whose time is over go; this one stays in its place, or comes last.
fn enlisting(life: &Life) -> Vec<Document> {
    let lease = i64::try_from(NEIGHBOUR_LEASE.as_millis()).unwrap_or(i64::MAX);
    let until = doc! { "$add": ["$$NOW", lease] };
    let is_me = doc! { "$eq": ["$$node.life", life.literal()] };
    let longer = doc! { "$mergeObjects": ["$$node", { "until": until.clone() }] };
    let renewed = doc! { "$map": {
        "input": "$nodes",
        "as": "node",
        "in": { "$cond": [is_me, longer, "$$node"] },
    } };
    let added = doc! { "$concatArrays": ["$nodes", [{ "life": life.literal(), "until": until }]] };
    let is_listed = doc! { "$in": [life.literal(), "$nodes.life"] };
    let nodes = doc! { "$cond": [is_listed, renewed, added] };
    vec![keeping(doc! { "$gt": ["$$node.until", "$$NOW"] }), doc! { "$set": { "nodes": nodes } }]
}

fn keeping(condition: Document) -> Document {
    let nodes = doc! { "$ifNull": ["$nodes", []] };
    let kept = doc! { "$filter": { "input": nodes, "as": "node", "cond": condition } };
    doc! { "$set": { "nodes": kept } }
}

/// Those that came before `life`.
fn before(life: &Life, nodes: Vec<Entry>) -> Vec<Neighbour> {
    let earlier = nodes.into_iter().take_while(|entry| entry.life != *life);
    let neighbour = |entry: Entry| Neighbour {
        life: NodeLife {
            node: entry.life.node,
            incarnation: entry.life.incarnation.cast_unsigned(),
        },
        until: entry.until.timestamp_millis(),
    };
    earlier.map(neighbour).collect()
}
