//! Calls made from `/openapi.json`, by schemathesis: whatever is asked, no 500, and nothing is
//! answered that is not described.

use crate::{alone, launch, suite};
use madang_testkit::{Account, Node, Stage};
use std::{fs, time::Duration};

/// Ends the session of who calls, or their place in the room.
const ENDING: [&str; 5] = ["logout", "password", "leave", "remove_member", "set_role"];
/// Starts sessions for others, by an API key.
const OF_PRODUCTS: &str = "tokens";
const API_KEY: &str = "a-key-of-sixteen-or-more-characters";
/// How long calls are made up, seconds: many of them, or a few. A longer time for each is asked for
/// by [`SECONDS`].
const MANY: &str = "25";
const FEW: &str = "10";
const SECONDS: &str = "SCHEMATHESIS_SECONDS";
/// Some calls that fit their schema are refused with reason (the room is full, two parameters that
/// exclude each other): the schema is the form, not the rules. And a `client_id` that was used is
/// answered as it was then, whatever else comes with it.
const WITHOUT: &str = "positive_data_acceptance,negative_data_rejection";

#[tokio::test]
async fn whatever_a_user_asks_is_answered_as_described() {
    let stage = Stage::set(launch().with("api-keys", API_KEY)).await;
    stage.fill(&stage.ann, 5).await;
    let excluded = ENDING.iter().chain([&OF_PRODUCTS]);
    let choice: Vec<&str> = excluded.flat_map(|id| ["--exclude-operation-id", *id]).collect();
    judge(&stage, &stage.ann.token, MANY, &choice).await;
}

#[tokio::test]
async fn also_what_ends_something() {
    let stage = Stage::set(launch().with("api-keys", API_KEY)).await;
    let choice: Vec<&str> = ENDING.iter().flat_map(|id| ["--include-operation-id", *id]).collect();
    judge(&stage, &stage.ann.token, FEW, &choice).await;
}

#[tokio::test]
async fn also_what_products_ask() {
    let stage = Stage::set(launch().with("api-keys", API_KEY)).await;
    judge(&stage, API_KEY, FEW, &["--include-operation-id", OF_PRODUCTS]).await;
}

async fn judge(stage: &Stage, token: &str, budget: &str, choice: &[&str]) {
    let _alone = alone().await;
    let directory = stage.node.directory();
    // Known ones, or nearly every call would only hear that there is no such room.
    let Stage { room, ben: Account { user, .. }, .. } = stage;
    let config = format!("[parameters]\nroom = \"{room}\"\nuser = \"{user}\"\n");
    fs::write(directory.join("schemathesis.toml"), config).expect("written");
    let url = format!("http://{}/openapi.json", stage.address());
    let authorization = format!("Authorization: Bearer {token}");
    let long = std::env::var(SECONDS).ok();
    let seconds = long.as_deref().unwrap_or(budget);
    let mut arguments = vec!["--config-file", "schemathesis.toml", "run", &url, "--no-color"];
    arguments.extend(["-H", &authorization, "--exclude-checks", WITHOUT, "--max-time", seconds]);
    if long.is_none() {
        arguments.extend(["--seed", "1"]);
    }
    arguments.extend(choice);
    let limit = Duration::from_secs(120 + seconds.parse::<u64>().expect("a number of seconds"));
    let output = suite("st", &arguments, directory, limit).await;
    assert!(output.status.success(), "{}", output.text());
    assert!(output.text().contains("Test cases:"), "{}", output.text());
    no_panic(&stage.node);
}

fn no_panic(node: &Node) {
    assert!(!node.printed().contains("panicked"), "{}", node.printed());
}
