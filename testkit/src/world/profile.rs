//! Worlds in which one kind of trouble is so frequent that what it leads to is seen soon.

use super::{together::Together, trouble::Plan};

/// What goes wrong in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// What the seed says.
    #[default]
    Drawn,
    /// A node stands still for longer than the others wait for it, and goes on in the middle of what it
    /// did. All clients are there.
    StandsStill,
    /// Homes are killed, and what they told is lost, in rooms where hardly anything happens.
    SilentRooms,
    /// The store gets another primary, which lacks much of what the last one had, while homes move.
    FailsOver,
    /// Clients of nodes that are killed come to others, which know nothing of their rooms.
    ComesElsewhere,
    /// Nodes come and go, so that homes move, while sends wait for a slow store.
    HomesMove,
}

impl Profile {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 6] = [
        ("drawn", Self::Drawn),
        ("stands_still", Self::StandsStill),
        ("silent_rooms", Self::SilentRooms),
        ("fails_over", Self::FailsOver),
        ("comes_elsewhere", Self::ComesElsewhere),
        ("homes_move", Self::HomesMove),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, profile)| *profile)
    }

    /// The plan of the world of a seed; `drawn` is what the seed says.
    pub(super) fn plan(self, seed: u64, drawn: Plan) -> Plan {
        let several = |nodes| Together::calm(seed, nodes);
        match self {
            Self::Drawn => Plan { together: Together::drawn(seed), ..drawn },
            Self::StandsStill => Plan {
                pace: 4,
                together: Some(Together { pauses: 3, is_crowded: true, ..several(2) }),
                ..Plan::quiet()
            },
            Self::SilentRooms => Plan {
                losses: 300,
                crashes: 3,
                pace: 12,
                together: Some(several(3)),
                ..Plan::quiet()
            },
            Self::FailsOver => Plan {
                store_ms: 5,
                crashes: 2,
                drains: 4,
                together: Some(Together { fail_overs: 12, lag_ms: 400, ..several(3) }),
                ..Plan::quiet()
            },
            Self::ComesElsewhere => {
                Plan { crashes: 4, cuts: 60, pace: 4, together: Some(several(4)), ..Plan::quiet() }
            }
            Self::HomesMove => Plan {
                store_ms: 80,
                stalls: 100,
                stall_ms: 2_500,
                crashes: 2,
                drains: 6,
                cuts: 0,
                together: Some(several(3)),
                ..Plan::quiet()
            },
        }
    }
}
