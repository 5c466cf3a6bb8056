// The suite, included by one test target for each variant: what a node does must not depend on
// how it is spoken to.

mod accounts;
mod at_once;
mod bad_frames;
mod bad_requests;
mod bounds;
mod changes;
mod changes_refused;
mod changes_resume;
mod channels;
mod circle;
mod cors;
mod cost;
mod durability;
mod external_users;
mod http_edge;
mod limits;
mod liveness;
mod members;
mod operations;
mod own_account;
mod proxies;
mod removal;
mod presence;
mod receipts;
mod resume;
mod roles;
mod rooms;
mod single_session;
mod strangers;
mod talking;
mod typing_signal;

/// The binary under test, spoken to as this target's name says.
fn launch() -> madang_testkit::Launch {
    madang_testkit::Variant::of_target(env!("CARGO_CRATE_NAME")).hold();
    madang_testkit::Launch::new(env!("CARGO_BIN_EXE_madang"))
}
