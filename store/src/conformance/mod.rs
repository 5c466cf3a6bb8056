//! One suite for each trait, which every implementation must pass: each sentence of the traits'
//! documentation is a case here.
//!
//! A test crate calls [`store_conformance!`](crate::store_conformance) or
//! [`login_limits_conformance!`](crate::login_limits_conformance) with a function that makes an
//! empty subject; each case becomes a `#[tokio::test]` of its own.
#![allow(clippy::unwrap_used, reason = "compiled for tests only")]

pub mod account_store;
pub mod cache;
pub mod changes;
pub mod external_users;
pub mod fixtures;
pub mod login_limits;
pub mod message_log;
pub mod presence;
pub mod reactions;
pub mod receipts;
pub mod room_changes;
pub mod room_store;

use crate::{Options, Store};
use std::any::Any;

/// Members of a room at most, in the subject: few, so that a case can fill a room.
pub const MEMBERS_MAX: u64 = 6;
/// Rooms of a user at most, in the subject.
pub const ROOMS_MAX: u64 = 12;

/// An empty store to be examined.
pub struct Subject {
    /// The store, with the bounds [`MEMBERS_MAX`] and [`ROOMS_MAX`].
    pub store: Store,
    /// What must live as long as the store: its directory, its server.
    pub keep: Box<dyn Any + Send>,
}

/// The options with the suite's bounds.
pub fn bounded(options: Options) -> Options {
    Options { members_max: MEMBERS_MAX, rooms_max: ROOMS_MAX, ..options }
}

/// Makes one test of each case, for stores made by `$subject: fn() -> Subject`.
#[macro_export]
macro_rules! store_conformance {
    ($subject:path) => {
        $crate::conformance_cases! { message_log, $subject:
            appends_in_order_and_reads_back
            appending_nothing_is_fine
            stops_at_the_first_duplicate
            stops_at_the_first_taken_seq
            stops_at_a_duplicate_within_the_command
            names_either_reason_when_both_hold
            client_ids_are_unique_per_sender_and_room
            stops_across_rooms
            moves_the_read_position_of_a_member
            racing_appends_have_one_winner
            activates_with_heads_and_the_newest
            activates_no_unknown_room
            finds_what_was_sent_in_the_order_asked
            pages_have_exclusive_bounds
            pages_are_bounded_by_number_and_bytes
            an_unknown_room_reads_as_empty
            tells_the_heads_of_rooms_that_went_on
            looks_for_news_of_so_many_rooms
        }
        $crate::conformance_cases! { changes, $subject:
            changes_take_revs_without_a_hole
            entries_of_one_command_build_on_each_other
            stops_at_a_taken_rev
            racing_changes_have_one_winner
            refuses_changes_that_do_not_fit
            an_edit_is_read_everywhere
            a_change_changes_what_it_is_about
            a_delete_erases_all_but_the_place
            a_deleted_message_stays_as_it_is
            pages_changed_messages_by_rev
            pages_of_changed_messages_meet
            marks_name_every_change
            what_is_not_there_was_not_changed
        }
        $crate::conformance_cases! { reactions, $subject:
            the_same_reaction_twice_is_the_same_once
            the_last_reaction_leaves_no_trace_on_the_message
            counts_users_by_emoji
            takes_any_number_of_kinds
            finds_my_reactions_in_the_order_asked
            reactions_are_uncounted_until_a_change_tells_them
            a_stale_change_leaves_reactions_uncounted
            names_the_first_uncounted
            refuses_reactions_to_nothing
            a_command_with_reactions_stops_where_it_is_taken
        }
        $crate::conformance_cases! { room_store, $subject:
            creates_a_group
            passes_over_repeated_members
            creates_once_per_client_id
            creates_a_direct_room_once_per_pair
            concurrent_creations_of_a_pair_make_one_room
            names_unknown_users_and_makes_nothing
            refuses_more_than_the_rooms_of_a_user
            shows_a_room_to_its_members_only
            lists_by_latest_activity
            pages_the_list_without_repeats
            gives_access_in_the_order_asked
            gives_access_to_the_latest_rooms
            lists_members_by_user
            finds_members_among_users
            finds_the_rooms_of_many_users
        }
        $crate::conformance_cases! { room_changes, $subject:
            joins_once_with_everything_read
            refuses_joins
            leaves_once
            refuses_leaves
            the_last_one_leaves_a_room_that_is_kept
            counts_concurrent_joins
            adds_members
            refuses_additions
            removes_members
            remembers_removals
            keeps_banned_users_out
            refuses_removals
            gives_roles
            gives_ownership_away
            refuses_roles
            renames
            says_who_may_not
            a_direct_room_stays_as_it_is
        }
        $crate::conformance_cases! { receipts, $subject:
            read_positions_only_move_up
            read_positions_stay_within_the_room
            a_receipt_makes_nobody_a_member
            a_receipt_is_seen_everywhere
            a_bulk_counts_for_every_member
            putting_no_receipts_is_fine
            racing_receipts_end_at_the_highest
            pages_readers_by_user
        }
        $crate::conformance_cases! { account_store, $subject:
            creates_users_with_their_first_session
            creates_all_users_or_none
            one_of_concurrent_signups_gets_the_name
            knows_no_unknown_credentials
            finds_profiles_in_the_order_asked
            ends_sessions_at_their_time
            remembers_where_users_log_in_from
            ends_one_session
            ends_the_sessions_a_user_has_too_many_of
            concurrent_single_sessions_leave_one
            touches_many_sessions_at_once
            names_the_sessions_that_ended
            a_new_password_ends_the_other_sessions
            changes_a_display_name
            forgets_old_logins
        }
        $crate::conformance_cases! { external_users, $subject:
            makes_a_user_once_per_external_id
            concurrent_first_calls_make_one_user
            a_taken_username_makes_no_external_user
            a_display_name_of_an_external_user_follows
            an_external_session_ends_those_too_many
        }
    };
}

/// Makes one test of each case, for limits made by `$limits: fn(Rules) -> Arc<dyn LoginLimits>`.
#[macro_export]
macro_rules! login_limits_conformance {
    ($limits:path) => {
        $crate::conformance_cases! { @limits login_limits, $limits:
            blocks_an_address_that_logs_in_too_often
            a_blocked_address_begins_anew
            asking_whether_an_address_is_blocked_counts_nothing
            the_minute_slides
            addresses_count_apart
            zero_is_off
            signups_wait_for_the_minute
            slows_wrong_passwords_down
            a_right_password_forgets_the_wrong_ones
        }
    };
}

/// Makes one test of each case, for stores made by `$make: fn() -> Arc<dyn PresenceStore>`.
#[macro_export]
macro_rules! presence_conformance {
    ($make:path) => {
        $crate::conformance_cases! { @limits presence, $make:
            comes_and_goes
            one_of_two_nodes_is_enough
            lives_of_a_node_count_apart
            leases_run_out
            what_ran_out_is_told_once
            many_who_ran_out_are_told_some_at_a_time
            a_flush_does_all_of_it
            nobody_is_fine
        }
    };
}

/// Makes one test of each case, for caches made by `$make: fn() -> Caches`.
#[macro_export]
macro_rules! cache_conformance {
    ($make:path) => {
        $crate::conformance_cases! { @limits cache, $make:
            gives_what_was_put_in_the_order_asked
            keeps_every_kind
            copies_end
            a_copy_that_is_there_stays
            what_was_forgotten_stays_out
            nothing_is_fine
            takes_hundreds_at_once
        }
    };
}

/// The tests of one suite.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    (@limits $suite:ident, $limits:path: $($case:ident)*) => {
        mod $suite {
            $(
                #[tokio::test]
                async fn $case() {
                    $crate::conformance::$suite::$case($limits).await;
                }
            )*
        }
    };
    ($suite:ident, $subject:path: $($case:ident)*) => {
        mod $suite {
            $(
                #[tokio::test]
                async fn $case() {
                    let subject = $subject();
                    $crate::conformance::$suite::$case(subject.store).await;
                }
            )*
        }
    };
}
