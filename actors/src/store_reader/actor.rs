//! Queries in, calls out, answers back.

use super::{CONCURRENT_MAX, Query};
use crate::{
    kernel::{Actor, Context, Reply},
    metrics::{Coalesced, Metrics},
};
use madang_store::{Store, StoreError};
use std::{any::Any, collections::VecDeque, pin::Pin, sync::Arc, time::Instant};

/// An answer of any type, shared by everybody who asked for it.
pub(crate) type ErasedAnswer = Result<Arc<dyn Any + Send + Sync>, StoreError>;
type Call = Box<dyn FnOnce(Store) -> CallFuture + Send>;
type CallFuture = Pin<Box<dyn Future<Output = ErasedAnswer>>>;

/// What the store reader is told.
pub enum Ask {
    #[expect(private_interfaces, reason = "made by `Reader` alone")]
    /// A query, how to answer it, who wants to know, and since when.
    Query(Query, Call, Reply<ErasedAnswer>, Instant),
    /// A call returned.
    Answered(Vec<Reply<ErasedAnswer>>, ErasedAnswer),
}

/// See the module.
pub struct StoreReader {
    store: Store,
    metrics: Arc<Metrics>,
    /// Not begun yet, in the order asked. Bounded by one turn's messages: `is_ready` says no
    /// while anything waits here.
    waiting: VecDeque<Waiting>,
    under_way: usize,
}

struct Waiting {
    query: Query,
    call: Call,
    replies: Vec<Reply<ErasedAnswer>>,
    since: Instant,
}

impl StoreReader {
    /// Reads from `store`.
    pub fn new(store: Store, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics, waiting: VecDeque::new(), under_way: 0 }
    }

    fn ask(&mut self, query: Query, call: Call, reply: Reply<ErasedAnswer>, since: Instant) {
        self.metrics.gathered(Coalesced::Reads, 1);
        let same = self.waiting.iter_mut().find(|other| query.is_shared() && other.query == query);
        match same {
            Some(other) => other.replies.push(reply),
            None => {
                self.waiting.push_back(Waiting { query, call, replies: vec![reply], since });
            }
        }
    }

    fn begin(&mut self, context: &mut Context<Ask>) {
        while self.under_way < CONCURRENT_MAX {
            let Some(Waiting { call, replies, since, .. }) = self.waiting.pop_front() else {
                return;
            };
            self.under_way += 1;
            self.metrics.flushed(Coalesced::Reads);
            self.metrics.read_wait_seconds.record(since.elapsed());
            let answer = call(self.store.clone());
            context.spawn(answer, |answer| Ask::Answered(replies, answer));
        }
    }
}

impl Actor for StoreReader {
    type Message = Ask;
    const KIND: &'static str = "store_reader";

    fn handle(&mut self, message: Ask, _context: &mut Context<Ask>) {
        match message {
            Ask::Query(query, call, reply, since) => self.ask(query, call, reply, since),
            Ask::Answered(replies, answer) => {
                self.under_way -= 1;
                for reply in replies {
                    reply.send(answer.clone());
                }
            }
        }
    }

    fn is_ready(&self) -> bool {
        self.waiting.is_empty()
    }

    fn turn_ended(&mut self, context: &mut Context<Ask>) {
        self.begin(context);
        self.metrics.reads_active.set(self.under_way as f64);
    }
}
