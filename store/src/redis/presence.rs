//! [`PresenceStore`] in Redis: for each user a sorted set of the lives that hold a lease, by the
//! time it ends, which expires with the last of them. Times are the server's, so that the clocks of
//! nodes do not matter. One pipeline for all users of a call.

use super::{
    keys::Bucket,
    link::{Batch, Link},
};
use crate::{
    StoreError,
    presence::{NodeLife, PresenceStore},
};
use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use madang_protocol::UserId;
use std::sync::{Arc, LazyLock};

/// `ARGV`: who, for how long. Answers how many held one before.
const RENEW: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local before = redis.call('ZCARD', KEYS[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIRE', KEYS[1], math.max(1, last[2] - now))
return before
";

/// `ARGV`: who. Answers how many hold one still.
const END: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZCARD', KEYS[1])
";

const KIND: &str = "presence";

/// A script that is loaded at the head of each pipeline, which then names it by its hash: the text
/// goes over the wire once for all users, and a server that was started anew knows it.
struct Loaded {
    load: Cmd,
    hash: String,
}

static RENEW_SCRIPT: LazyLock<Loaded> = LazyLock::new(|| Loaded::new(RENEW));
static END_SCRIPT: LazyLock<Loaded> = LazyLock::new(|| Loaded::new(END));

impl Loaded {
    fn new(text: &str) -> Self {
        let mut load = cmd("SCRIPT");
        load.arg("LOAD").arg(text);
        Self { load, hash: ::redis::Script::new(text).get_hash().to_owned() }
    }

    fn about(&self, key: &str) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.hash).arg(1).arg(key);
        command
    }
}

/// Leases of all nodes of a cluster.
pub(super) struct Redis {
    link: Arc<Link>,
}

impl Redis {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    fn key(&self, user: &UserId) -> (Bucket, String) {
        self.link.keys().of(KIND, &user.0)
    }

    /// Those of `users` of whom the script says 0.
    async fn alone(
        &self,
        script: &Loaded,
        users: Vec<UserId>,
        add_arguments: impl Fn(&mut Cmd),
    ) -> Result<Vec<UserId>, StoreError> {
        let command = |user| {
            let (bucket, key) = self.key(user);
            let mut command = script.about(&key);
            add_arguments(&mut command);
            (bucket, command)
        };
        let commands = users.iter().map(command).collect();
        let answers = self.link.ask(Batch { prelude: Some(script.load.clone()), commands }).await?;
        let counted = users.into_iter().zip(answers);
        Ok(counted.filter(|(_, count)| *count == Value::Int(0)).map(|(user, _)| user).collect())
    }
}

#[async_trait]
impl PresenceStore for Redis {
    async fn renew(
        &self,
        holder: &NodeLife,
        users: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        let member = member(holder);
        let arguments = |command: &mut Cmd| {
            command.arg(&member).arg(ttl_ms);
        };
        self.alone(&RENEW_SCRIPT, users, arguments).await
    }

    async fn end(&self, holder: &NodeLife, users: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        let member = member(holder);
        let arguments = |command: &mut Cmd| {
            command.arg(&member);
        };
        self.alone(&END_SCRIPT, users, arguments).await
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        let command = |user| {
            let (bucket, key) = self.key(user);
            let mut command = cmd("EXISTS");
            command.arg(key);
            (bucket, command)
        };
        let commands = users.iter().map(command).collect();
        let answers = self.link.ask(Batch { prelude: None, commands }).await?;
        Ok(answers.into_iter().map(|answer| answer == Value::Int(1)).collect())
    }
}

fn member(NodeLife { node, incarnation }: &NodeLife) -> String {
    format!("{node}/{incarnation:016x}")
}
