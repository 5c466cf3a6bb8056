//! [`SharedLimits`] in Redis. Every call is one command about one key, or one script about one key,
//! so it is atomic and one round trip. The script's text goes along each time: it is short, a
//! hashed password costs a thousand times as much, and a server that was started anew knows none.
//!
//! Times are the caller's. Where the clocks of two nodes differ, so does their minute.

use super::{keys::Bucket, link::Link};
use crate::{
    StoreError,
    accounts::AddressKey,
    limits::{MINUTE_MS, Rules, SharedLimits, Verdict, delay_ms},
};
use ::redis::{Cmd, FromRedisValue, Value, cmd};
use async_trait::async_trait;
use madang_protocol::Millis;
use std::sync::Arc;

/// `KEYS[1]`: a list of times, oldest first, or of one `b<until>` while blocked.
/// `ARGV`: now, most within a minute, how long to block (0: not at all).
/// Answers how long to wait; 0: go on.
const COUNT: &str = r"
local now, most, block = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local first = redis.call('LINDEX', KEYS[1], 0)
if first and string.sub(first, 1, 1) == 'b' then
  local left = tonumber(string.sub(first, 2)) - now
  if left > 0 then return left end
  redis.call('DEL', KEYS[1])
  first = false
end
while first and tonumber(first) + 60000 <= now do
  redis.call('LPOP', KEYS[1])
  first = redis.call('LINDEX', KEYS[1], 0)
end
if not first or redis.call('LLEN', KEYS[1]) < most then
  redis.call('RPUSH', KEYS[1], ARGV[1])
  redis.call('PEXPIRE', KEYS[1], 60000)
  return 0
end
if block == 0 then return tonumber(first) + 60000 - now end
redis.call('DEL', KEYS[1])
redis.call('RPUSH', KEYS[1], 'b' .. string.format('%.0f', now + block))
redis.call('PEXPIRE', KEYS[1], block)
return block
";

/// `KEYS[1]`: a hash of `n`, how many wrong ones, and `at`, when the last was.
/// `ARGV`: now, how long that is remembered.
const WRONG: &str = r"
redis.call('HINCRBY', KEYS[1], 'n', 1)
local at = tonumber(redis.call('HGET', KEYS[1], 'at') or '0')
if tonumber(ARGV[1]) > at then redis.call('HSET', KEYS[1], 'at', ARGV[1]) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
";

/// How long wrong passwords are remembered after the last: far beyond the longest delay.
const WRONG_REMEMBERED_MS: Millis = 60 * MINUTE_MS;
/// Of an account's name. Longer ones are nobody's, and share a count.
const NAME_BYTES_MAX: usize = 256;

/// Counts for all nodes of a cluster.
pub(super) struct Shared {
    link: Arc<Link>,
    rules: Rules,
}

impl Shared {
    pub(super) fn new(link: Arc<Link>, rules: Rules) -> Self {
        Self { link, rules }
    }

    async fn count(
        &self,
        kind: &str,
        address: AddressKey,
        [now, most, block]: [Millis; 3],
    ) -> Result<Verdict, StoreError> {
        if most == 0 {
            return Ok(Verdict::Allowed);
        }
        let (bucket, key) = self.link.keys().of(kind, &address);
        let wait: u64 = self.ask(bucket, script(COUNT, &key, &[now, most, block])).await?;
        Ok(verdict(wait))
    }

    fn wrong(&self, account: &str) -> (Bucket, String) {
        let end = account.floor_char_boundary(NAME_BYTES_MAX);
        self.link.keys().of_text("wrong", &account[..end])
    }

    async fn ask<T: FromRedisValue>(&self, bucket: Bucket, command: Cmd) -> Result<T, StoreError> {
        let answer = self.link.ask_one(bucket, command).await?;
        ::redis::from_redis_value(answer)
            .map_err(|_| StoreError::Unavailable("redis: no such answer was expected".to_owned()))
    }
}

#[async_trait]
impl SharedLimits for Shared {
    async fn count_login(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError> {
        let Rules { logins_per_minute, login_block_ms, .. } = self.rules;
        let most = if login_block_ms == 0 { 0 } else { logins_per_minute };
        self.count("login", address, [now, most.into(), login_block_ms]).await
    }

    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError> {
        let (bucket, key) = self.link.keys().of("login", &address);
        let mut command = cmd("LINDEX");
        command.arg(key).arg(0);
        let first: Option<String> = self.ask(bucket, command).await?;
        let until = first.as_deref().and_then(|first| first.strip_prefix('b')?.parse().ok());
        Ok(verdict(until.map_or(0, |until: Millis| until.saturating_sub(now))))
    }

    async fn count_signup(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError> {
        self.count("signup", address, [now, self.rules.signups_per_minute.into(), 0]).await
    }

    async fn may_try(&self, account: &str, now: Millis) -> Result<Verdict, StoreError> {
        let (bucket, key) = self.wrong(account);
        let mut command = cmd("HMGET");
        command.arg(key).arg("n").arg("at");
        let (count, at): (Option<u32>, Option<Millis>) = self.ask(bucket, command).await?;
        let until = at.unwrap_or(0).saturating_add(delay_ms(count.unwrap_or(0)));
        Ok(verdict(until.saturating_sub(now)))
    }

    async fn count_wrong(&self, account: &str, now: Millis) -> Result<(), StoreError> {
        let (bucket, key) = self.wrong(account);
        let command = script(WRONG, &key, &[now, WRONG_REMEMBERED_MS]);
        self.ask::<Value>(bucket, command).await.map(drop)
    }

    async fn forget_wrong(&self, account: &str) -> Result<(), StoreError> {
        let (bucket, key) = self.wrong(account);
        let mut command = cmd("DEL");
        command.arg(key);
        self.ask::<Value>(bucket, command).await.map(drop)
    }
}

fn verdict(wait_ms: Millis) -> Verdict {
    if wait_ms == 0 { Verdict::Allowed } else { Verdict::Wait(wait_ms) }
}

fn script(text: &str, key: &str, arguments: &[Millis]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(1).arg(key).arg(arguments);
    command
}
