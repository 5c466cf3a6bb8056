//! Sessions that expired do not stay for ever.

use madang_store::{
    Medium, Options,
    accounts::NewSession,
    conformance::fixtures::{make_users, new_session, token_hash},
};

#[tokio::test]
async fn expired_sessions_are_cleared_away() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = madang_store::open(Options::in_directory(directory.path())).expect("empty");
    make_users(&store, 1..=2).await;
    for number in 11..=14 {
        let started = store.accounts.start_session(new_session(number, 1, 2_000), 9).await;
        assert_eq!(started, Ok(vec![]));
    }
    assert_eq!(store.accounts.start_session(new_session(21, 2, 2_000), 9).await, Ok(vec![]));

    // One by being shown, which is not waited for; the user's others by the next login.
    assert_eq!(store.accounts.session(token_hash(21), 2_000).await, Ok(None));
    let later = NewSession { created_at: 3_000, ..new_session(15, 1, 9_000) };
    assert_eq!(store.accounts.start_session(later, 9).await, Ok(vec![]));
    store.control.close().await;

    let report = madang_store::check(Medium::Directory(directory.path().into())).expect("sound");
    assert_eq!((report.problems_found, report.sessions), (0, 3), "two signups and one login");
}
