//! Faults that can be put back.

use madang_actors::mutations;
use madang_store::faulty::replica_set::Reads;

/// Those of the node, and those of the store under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// In the node.
    Node(mutations::Mutation),
    /// The store shows what it may still take back.
    NonMajorityRead,
    /// The store of several nodes reads where it should not.
    Reads(Reads),
}

impl Mutation {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 23] = [
        ("ack_before_commit", Self::Node(mutations::Mutation::AckBeforeCommit)),
        ("publish_before_commit", Self::Node(mutations::Mutation::PublishBeforeCommit)),
        ("dedupe_filled_on_accept", Self::Node(mutations::Mutation::DedupeFilledOnAccept)),
        ("burnt_seq", Self::Node(mutations::Mutation::BurntSeq)),
        ("two_writes_in_flight", Self::Node(mutations::Mutation::TwoWritesInFlight)),
        ("non_majority_read", Self::NonMajorityRead),
        ("no_hole_repair", Self::Node(mutations::Mutation::NoHoleRepair)),
        ("lost_member_change", Self::Node(mutations::Mutation::LostMemberChange)),
        ("late_retry_overtakes", Self::Node(mutations::Mutation::LateRetryOvertakes)),
        ("receipt_goes_down", Self::Node(mutations::Mutation::ReceiptGoesDown)),
        ("drain_drops_batch", Self::Node(mutations::Mutation::DrainDropsBatch)),
        ("no_fence", Self::Node(mutations::Mutation::NoFence)),
        ("read_back_by_seq", Self::Node(mutations::Mutation::ReadBackBySeq)),
        ("tail_keeps_numbers", Self::Node(mutations::Mutation::TailKeepsNumbers)),
        ("lane_does_not_wait", Self::Node(mutations::Mutation::LaneDoesNotWait)),
        ("never_stale", Self::Node(mutations::Mutation::NeverStale)),
        ("no_noticing", Self::Node(mutations::Mutation::NoNoticing)),
        ("no_recheck", Self::Node(mutations::Mutation::NoRecheck)),
        ("heads_read_last", Self::Node(mutations::Mutation::HeadsReadLast)),
        ("changed_counted_early", Self::Node(mutations::Mutation::ChangedCountedEarly)),
        ("local_read_back", Self::Reads(Reads::LocalReadBack)),
        ("local_activation", Self::Reads(Reads::LocalActivation)),
        ("stale_pages", Self::Reads(Reads::StalePages)),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mutation)| *mutation)
    }

    /// What the store of several nodes reads.
    pub(super) fn reads(self) -> Reads {
        match self {
            Self::Reads(reads) => reads,
            Self::Node(_) | Self::NonMajorityRead => Reads::Majority,
        }
    }

    /// Puts it back on this thread; `None`: all is right.
    pub(super) fn put_back(mutation: Option<Self>) {
        mutations::put_back(match mutation {
            Some(Self::Node(mutation)) => Some(mutation),
            Some(Self::NonMajorityRead | Self::Reads(_)) | None => None,
        });
    }
}
