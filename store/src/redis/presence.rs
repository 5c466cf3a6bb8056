//! [`PresenceStore`] in Redis: for each user a sorted set of the lives that hold a lease, by the
//! time it ends, which expires with the last of them; and for each bucket a sorted set of its users,
//! by the time their last lease ends, in which those stay whose leases nobody ended. Times are the
//! server's, so that the clocks of nodes do not matter. One pipeline for all of a call.

use super::{
    keys::Bucket,
    link::{Batch, Link},
};
use crate::{
    StoreError,
    presence::{Edges, Flush, NodeLife, PresenceStore},
};
use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use madang_protocol::{UserId, id::ID_BYTES};
use std::sync::{Arc, LazyLock};

/// `KEYS`: the ends of a bucket, the leases of a user in it; `ARGV`: what to do, and with what.
/// The script is one for all of it, so that a pipeline loads one.
///
/// - `renew`, user, who, for how long: answers how many held one before.
/// - `end`, user, who: answers how many hold one still.
/// - `over`, how many: takes out users whose last lease ran out.
///
/// Of whom nobody asks for an hour after that, nobody is told any more.
const PRESENCE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local what, ends, leases = ARGV[1], KEYS[1], KEYS[2]
if what == 'over' then
  local users = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, ARGV[2])
  if #users > 0 then redis.call('ZREM', ends, unpack(users)) end
  return users
end
local user, holder = ARGV[2], ARGV[3]
redis.call('ZREMRANGEBYSCORE', leases, '-inf', now)
local count = redis.call('ZCARD', leases)
if what == 'renew' then
  redis.call('ZADD', leases, now + ARGV[4], holder)
else
  count = count - redis.call('ZREM', leases, holder)
end
local last = redis.call('ZRANGE', leases, -1, -1, 'WITHSCORES')[2]
if not last then
  redis.call('ZREM', ends, user)
  return count
end
local left = math.max(1, last - now)
redis.call('PEXPIRE', leases, left)
redis.call('ZADD', ends, last, user)
redis.call('ZREMRANGEBYSCORE', ends, '-inf', now - 3600000)
redis.call('PEXPIRE', ends, left + 3600000)
return count
";

const LEASES: &str = "presence";
const ENDS: &str = "ends";
/// Users that one bucket tells of at once, beyond which Lua has no room.
const OVER_MAX: usize = 1_000;

/// The script is loaded at the head of each pipeline, which then names it by its hash: the text
/// goes over the wire once for all users, and a server that was started anew knows it.
struct Loaded {
    load: Cmd,
    hash: String,
}

static SCRIPT: LazyLock<Loaded> = LazyLock::new(|| {
    let mut load = cmd("SCRIPT");
    load.arg("LOAD").arg(PRESENCE);
    Loaded { load, hash: ::redis::Script::new(PRESENCE).get_hash().to_owned() }
});

/// Leases of all nodes of a cluster.
pub(super) struct Redis {
    link: Arc<Link>,
}

/// A call of the script, with where its keys are.
type Call = (Bucket, Cmd);

impl Redis {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    fn renewal(&self, user: &UserId, holder: &str, ttl_ms: u64) -> Call {
        let (bucket, mut command) = self.about(user, "renew", holder);
        command.arg(ttl_ms);
        (bucket, command)
    }

    fn about(&self, user: &UserId, what: &str, holder: &str) -> Call {
        let (bucket, leases) = self.link.keys().of(LEASES, &user.0);
        let ends = self.link.keys().of_bucket(ENDS, bucket);
        let mut command = cmd("EVALSHA");
        command.arg(&SCRIPT.hash).arg(2).arg(ends).arg(leases);
        command.arg(what).arg(&user.0[..]).arg(holder);
        (bucket, command)
    }

    fn those_over(&self, bucket: Bucket, limit: usize) -> Call {
        let mut command = cmd("EVALSHA");
        command.arg(&SCRIPT.hash).arg(1).arg(self.link.keys().of_bucket(ENDS, bucket));
        command.arg("over").arg(limit);
        (bucket, command)
    }

    /// All at once; the answers in the order asked.
    async fn ask(&self, commands: Vec<Call>) -> Result<Vec<Value>, StoreError> {
        self.link.ask(Batch { prelude: Some(SCRIPT.load.clone()), commands }).await
    }
}

#[async_trait]
impl PresenceStore for Redis {
    async fn renew(
        &self,
        holder: &NodeLife,
        renew: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        Ok(self.flush(holder, Flush { renew, ttl_ms, ..Flush::default() }).await?.came)
    }

    async fn end(&self, holder: &NodeLife, end: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        Ok(self.flush(holder, Flush { end, ..Flush::default() }).await?.went)
    }

    async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let nobody = NodeLife { node: String::new(), incarnation: 0 };
        let flush = Flush { run_out_max: limit, ..Flush::default() };
        Ok(self.flush(&nobody, flush).await?.went)
    }

    async fn flush(&self, holder: &NodeLife, flush: Flush) -> Result<Edges, StoreError> {
        let Flush { renew, ttl_ms, end, run_out_max } = flush;
        let holder = member(holder);
        let renewals = renew.iter().map(|user| self.renewal(user, &holder, ttl_ms));
        let ends = end.iter().map(|user| self.about(user, "end", &holder));
        let mut commands: Vec<Call> = renewals.chain(ends).collect();
        if run_out_max > 0 {
            let each = run_out_max.div_ceil(Bucket::all().count()).min(OVER_MAX);
            commands.extend(Bucket::all().map(|bucket| self.those_over(bucket, each)));
        }
        let mut answers = self.ask(commands).await?.into_iter();
        let came = alone(renew, &mut answers);
        let mut went = alone(end, &mut answers);
        went.extend(answers.flat_map(users));
        Ok(Edges { came, went, is_partial: false })
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        let command = |user: &UserId| {
            let (bucket, key) = self.link.keys().of(LEASES, &user.0);
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

/// Those of `asked` of whom the next answers say 0.
fn alone(asked: Vec<UserId>, answers: &mut impl Iterator<Item = Value>) -> Vec<UserId> {
    let counted = asked.into_iter().zip(answers);
    counted.filter(|(_, count)| *count == Value::Int(0)).map(|(user, _)| user).collect()
}

/// The users of an answer to `over`.
fn users(answer: Value) -> Vec<UserId> {
    let Value::Array(users) = answer else { return Vec::new() };
    let id = |user| match user {
        Value::BulkString(bytes) => <[u8; ID_BYTES]>::try_from(bytes).ok().map(UserId),
        _ => None,
    };
    users.into_iter().filter_map(id).collect()
}
