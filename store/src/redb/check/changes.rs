//! Changes and reactions, against each other and the messages they are about.

use super::Check;
use crate::{
    StoreError,
    redb::{
        keys::Key,
        tables::{
            Amendments, Changes, LatestChanges, Messages, Reactions, RoomHeads, Table, Uncounted,
        },
        transaction::Read,
    },
};
use madang_protocol::{Amended, ChangeKind, Emoji, RoomId};
use std::collections::HashMap;

impl Check {
    /// Changes agree with the heads and with what they left of their messages; counts of reactions
    /// agree with the reactions.
    pub(super) fn changes(&mut self) -> Result<(), StoreError> {
        let last_revs = self.revs()?;
        for room in last_revs.keys() {
            self.require_room("changes", *room)?;
        }
        self.each::<RoomHeads>(|check, room, heads| {
            let rev = last_revs.get(&room).copied().unwrap_or(0);
            check.require(heads.last_rev == rev, || {
                format!("room_heads: {room} is at rev {}, its changes at {rev}", heads.last_rev)
            });
            Ok(())
        })?;
        self.each::<LatestChanges>(|check, (room, rev), seq| {
            let amended = check.find::<Amendments>(&(room, seq))?;
            let agrees = amended.is_some_and(|amended| amended.rev == rev);
            check.require(agrees, || {
                format!("latest_changes: {rev} in {room} is not the latest of {seq}")
            });
            Ok(())
        })?;
        self.each::<Amendments>(Self::amendment)?;
        self.each::<Reactions>(|check, (room, seq, user, emoji), _| {
            let amended = check.find::<Amendments>(&(room, seq))?.unwrap_or_default();
            let counted = amended.reactions.iter().any(|(known, _)| *known == emoji);
            check.require(counted, || {
                format!("reactions: one of {user} to {seq} in {room} is not counted")
            });
            Ok(())
        })?;
        self.each::<Uncounted>(|check, (room, seq), _| {
            let known = check.find::<Messages>(&(room, seq))?.is_some();
            let amended = check.find::<Amendments>(&(room, seq))?.unwrap_or_default();
            check.require(known && !amended.deleted, || {
                format!("uncounted: {seq} in {room} has nothing to count")
            });
            Ok(())
        })
    }

    /// Every room's changes: 1, 2, 3, ..., none newer than what it left. Returns the last of each.
    fn revs(&mut self) -> Result<HashMap<RoomId, u64>, StoreError> {
        let mut last_revs = HashMap::new();
        self.each::<Changes>(|check, (room, rev), change| {
            let last = last_revs.entry(room).or_insert(0);
            check.require(rev == *last + 1, || format!("changes: {rev} follows {last} in {room}"));
            *last = rev;
            let amended = check.find::<Amendments>(&(room, change.seq))?.unwrap_or_default();
            let deleted = change.kind == ChangeKind::Delete;
            check.require(amended.rev >= rev && (amended.deleted || !deleted), || {
                format!("changes: {rev} in {room} was not done to {}", change.seq)
            });
            Ok(())
        })?;
        Ok(last_revs)
    }

    /// What was changed about one message is there for a reason.
    fn amendment(
        &mut self,
        (room, seq): (RoomId, u64),
        amended: Amended,
    ) -> Result<(), StoreError> {
        let Amended { rev, deleted, .. } = amended;
        let message = self.find::<Messages>(&(room, seq))?;
        let change = self.find::<Changes>(&(room, rev))?.filter(|change| change.seq == seq);
        let latest = self.find::<LatestChanges>(&(room, rev))?;
        let is_uncounted = self.find::<Uncounted>(&(room, seq))?.is_some();
        let counted = self.count(room, seq)?;
        let stated: HashMap<Emoji, u64> = amended.reactions.iter().cloned().collect();
        let mut require = |holds: bool, what: &str| {
            self.require(holds, || format!("amended: {seq} in {room} {what}"));
        };
        require(amended != Amended::default(), "says nothing");
        require(message.is_some(), "is no message");
        let erased = message.is_none_or(|message| message.body.is_empty());
        require(!deleted || erased, "is deleted and has a body");
        let is_deletion = change.map(|change| change.kind == ChangeKind::Delete);
        require(rev == 0 || is_deletion == Some(deleted), "is not as its latest change left it");
        require(rev == 0 || latest == Some(seq), "is not found by its latest change");
        let is_once_each = stated.len() == amended.reactions.len();
        require(is_once_each && stated == counted, "counts reactions wrong");
        require(!deleted || stated.is_empty(), "is deleted and has reactions");
        require(rev > 0 || is_uncounted, "has reactions that nobody is to tell");
        Ok(())
    }

    /// How many users react with what.
    fn count(&mut self, room: RoomId, seq: u64) -> Result<HashMap<Emoji, u64>, StoreError> {
        let mut counts = HashMap::new();
        for item in self.snapshot.scan_prefix::<Reactions>(&(room, seq).to_bytes())? {
            match item {
                Ok(((_, _, _, emoji), _)) => *counts.entry(emoji).or_default() += 1,
                // Reported once, when its own table is gone through.
                Err(StoreError::Damaged { table, .. }) if table == Reactions::NAME => {}
                Err(error) => return Err(error),
            }
        }
        Ok(counts)
    }
}
