//! What a node is told that cannot come onto NATS.

use crate::support::{fresh_cluster, open, options};
use madang_cluster::nats::{self, Credentials, OpenError, Options};
use madang_servers::{self as servers, Operator, free_address, wait};
use std::{fs, time::Duration};

/// Two users: one may do all that a cluster needs, the others less.
const USERS: &str = r#"
authorization {
  users: [
    { user: "node", password: "right", permissions: { publish: "madang.>", subscribe: "madang.>" } }
    { user: "mute", password: "right", permissions: { publish: "other.>", subscribe: "madang.>" } }
    { user: "deaf", password: "right", permissions: { publish: "madang.>", subscribe: "other.>" } }
    { user: "roomless", password: "right", permissions: {
        publish: "madang.>", subscribe: { allow: "madang.>", deny: "madang.*.v1.room.>" } } }
  ]
}"#;

fn of(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: user.to_owned(), password: password.to_owned() }
}

async fn told(urls: Vec<String>, credentials: Credentials) -> Result<(), OpenError> {
    let options = Options { credentials, cluster: fresh_cluster(), ..options(urls, "one") };
    open(options).await.map(drop)
}

#[tokio::test]
async fn credentials_and_permissions() {
    let nats = servers::Nats::configured(USERS).await;
    assert!(told(nats.urls(), of("node", "right")).await.is_ok());
    for credentials in [of("node", "wrong"), Credentials::None, Credentials::Token("x".into())] {
        let error = told(nats.urls(), credentials).await.unwrap_err();
        assert!(matches!(error, OpenError::Credentials { .. }), "{error}");
        assert!(error.to_string().contains(&nats.server(0).address().to_string()), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    for (user, what) in [("mute", "Publish"), ("deaf", "Subscription"), ("roomless", "room")] {
        let error = told(nats.urls(), of(user, "right")).await.unwrap_err();
        assert!(matches!(error, OpenError::Permissions { .. }), "{user}: {error}");
        assert!(error.to_string().contains(what), "{user}: {error}");
        assert!(error.to_string().contains(".v1.>"), "{user}: {error}");
    }
}

#[tokio::test]
async fn tokens_nkeys_and_passwords_in_the_address() {
    let token = servers::Nats::configured("authorization { token: \"secret\" }").await;
    assert!(told(token.urls(), Credentials::Token("secret".into())).await.is_ok());
    let users = servers::Nats::configured(USERS).await;
    let urls: Vec<String> =
        users.urls().iter().map(|url| url.replace("nats://", "nats://node:right@")).collect();
    assert!(told(urls, Credentials::None).await.is_ok());
    // The key pair is that of the documentation of NATS.
    let seed = "SUANQDPB2RUOE4ETUA26CNX7FUKE5ZZKFCQIIW63OX225F2CO7UEXTM7ZY";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("node.nk");
    let missing = told(users.urls(), Credentials::NkeyFile(path.clone())).await.unwrap_err();
    assert!(missing.to_string().contains("node.nk"), "{missing}");
    fs::write(&path, format!("{seed}\n")).unwrap();
    let stranger = told(users.urls(), Credentials::NkeyFile(path)).await.unwrap_err();
    assert!(matches!(stranger, OpenError::Credentials { .. }), "{stranger}");
    assert!(!stranger.to_string().contains(seed));
    let creds = directory.path().join("node.creds");
    fs::write(&creds, "not a key").unwrap();
    let error = told(users.urls(), Credentials::File(creds)).await.unwrap_err();
    assert!(matches!(error, OpenError::File { .. }), "{error}");
}

/// The server knows nobody but by what an account signed that its operator signed.
#[tokio::test]
async fn creds_files() {
    let (operator, another) = (Operator::default(), Operator::default());
    let nats = servers::Nats::configured(&operator.settings()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        fs::write(directory.path().join(name), text).unwrap();
        Credentials::File(directory.path().join(name))
    };
    let right = operator.creds();
    told(nats.urls(), file("right", &right)).await.unwrap();
    // Signed by somebody else; the token of one and the seed of another; nothing at all.
    let (token, _) = right.split_once("\n\n").unwrap();
    let other = operator.creds();
    let (_, seed) = other.split_once("\n\n").unwrap();
    for (name, text) in [("stranger", another.creds()), ("mixed", format!("{token}\n\n{seed}"))] {
        let error = told(nats.urls(), file(name, &text)).await.unwrap_err();
        assert!(matches!(error, OpenError::Credentials { .. }), "{name}: {error}");
        let said = error.to_string();
        assert!(said.contains(&nats.server(0).address().to_string()), "{said}");
        let secrets = text.lines().filter(|line| !line.is_empty());
        assert!(secrets.into_iter().all(|secret| !said.contains(secret)), "{said}");
    }
    let error = told(nats.urls(), Credentials::None).await.unwrap_err();
    assert!(matches!(error, OpenError::Credentials { .. }), "{error}");
}

#[tokio::test]
async fn nobody_is_there() {
    let nowhere = format!("nats://user:secret@{}", free_address());
    let patience = Duration::from_millis(700);
    let options = Options { patience, ..options(vec![nowhere], "one") };
    let said = std::sync::Mutex::new(Vec::new());
    let metrics = madang_cluster::metrics::Metrics::new();
    let opened = nats::open(options, metrics, |why| said.lock().unwrap().push(why.to_owned()));
    let error = wait::within("an end", wait::SOON, opened).await.map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(said.lock().unwrap().len() > 1, "progress is told");
    let error = told(vec!["http://x".to_owned()], Credentials::None).await.unwrap_err();
    assert!(matches!(error, OpenError::Address(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_comes_later_is_waited_for() {
    let mut nats = servers::Nats::one().await;
    nats.server_mut(0).kill().await;
    let (cluster, urls) = (fresh_cluster(), nats.urls());
    let (said, heard) = std::sync::mpsc::sync_channel(1_000);
    let opened = tokio::spawn(async move {
        let options = Options { cluster, ..options(urls, "one") };
        let metrics = madang_cluster::metrics::Metrics::new();
        nats::open(options, metrics, move |why| drop(said.try_send(why.to_owned()))).await
    });
    wait::until("it waits", wait::SOON, || async { heard.try_recv().ok() }).await;
    nats.server_mut(0).restart().await;
    assert!(wait::within("it is there", wait::SOON, opened).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let nats = servers::Nats::old().await;
    let error = told(nats.urls(), Credentials::None).await.unwrap_err();
    assert!(matches!(error, OpenError::Old { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains(" is 2.9.") && said.contains("at least 2.10"), "{said}");
}

#[tokio::test]
async fn what_a_check_says() {
    let nats = servers::Nats::one().await;
    let reached = nats::check(options(nats.urls(), "one")).await.unwrap();
    assert_eq!((reached.server.as_str(), reached.payload_bytes_max), ("only", 1_048_576));
    assert!(reached.version.starts_with("2."), "{reached:?}");
}
