//! Faults that can be put back.

use madang_actors::mutations;

/// Those of the node, and one of the store under it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// In the node.
    Node(mutations::Mutation),
    /// The store shows what it may still take back.
    NonMajorityRead,
}

impl Mutation {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 11] = [
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
    ];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, mutation)| *mutation)
    }

    /// Puts it back on this thread; `None`: all is right.
    pub(super) fn put_back(mutation: Option<Self>) {
        mutations::put_back(match mutation {
            Some(Self::Node(mutation)) => Some(mutation),
            Some(Self::NonMajorityRead) | None => None,
        });
    }
}
