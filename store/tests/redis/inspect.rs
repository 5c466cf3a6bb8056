//! What `madang check` gets to see, and what it is told where something is wrong.

use crate::rig::{self, RULES};
use madang_servers::{free_address, redis};
use madang_store::redis::{InspectError, Options, open};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn every_kind_of_server_says_what_it_is() {
    for (url, mode) in [
        (redis::url(rig::alone()), "standalone"),
        (rig::sentinels().url(), "standalone"),
        (rig::cluster().url(), "cluster"),
    ] {
        let report = rig::open(url, &rig::fresh(), RULES).control.inspect(WAIT).await.unwrap();
        assert!(report.version.contains('.'), "{report:?}");
        let said = (report.mode.as_str(), report.role.as_str(), report.maxmemory_policy.as_str());
        assert_eq!(said, (mode, "master", "noeviction"));
    }
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let old = redis::old().await;
    let said = refused(redis::url(&old)).await;
    let words = [&*old.address().to_string(), " is 5.0.", "6.2 or newer"];
    assert!(words.iter().all(|words| said.contains(words)), "{said}");
}

async fn refused(url: String) -> String {
    let parts = rig::open(url, &rig::fresh(), RULES);
    let error = parts.control.inspect(WAIT).await.unwrap_err().to_string();
    assert!(!error.contains("hidden"), "{error}");
    error
}

#[tokio::test]
async fn credentials_are_used_and_not_told() {
    let server = redis::with(&["--requirepass", "right"]).await;
    let address = server.address();
    let right = rig::open(format!("redis://:right@{address}/3"), &rig::fresh(), RULES);
    assert!(right.control.inspect(WAIT).await.is_ok());
    let wrong = refused(format!("redis://:hidden@{address}")).await;
    assert!(wrong.contains("AuthenticationFailed") || wrong.contains("WRONGPASS"), "{wrong}");
    let none = refused(format!("redis://{address}")).await;
    assert!(none.contains("NOAUTH") || none.contains("Authentication"), "{none}");
}

#[tokio::test]
async fn what_is_not_there_or_something_else_is_named() {
    let address = free_address();
    let gone = refused(format!("redis://:hidden@{address}")).await;
    assert!(gone.contains(&address.to_string()), "{gone}");
    let unknown = rig::sentinels().url().replace("/madang", "/other");
    assert!(refused(unknown).await.contains("no such service"));
    let alone = rig::open(redis::url(&rig::cluster().masters[0]), &rig::fresh(), RULES);
    let other = alone.control.inspect(WAIT).await.unwrap_err();
    assert!(matches!(other, InspectError::OtherMode { mode, .. } if mode == "cluster"));
    assert!(open(&Options::new("redis://a", "a b"), RULES).is_err());
    assert!(open(&Options::new("http://a", "a"), RULES).is_err());
}
