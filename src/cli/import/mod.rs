//! `madang user import`

use super::{Done, write_out};
use crate::{
    accounts::{password, session_of, token::Token, token::random_id},
    config::Settings,
    store_call::within,
    surroundings,
};
use madang_actors::kernel::Clock;
use madang_protocol::{Millis, UserId};
use madang_store::{
    AccountStore, Options, Store,
    accounts::{CreatedUsers, NewUser, ProfileKeys},
};
use serde::Serialize;
use std::{
    error::Error,
    fs,
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

mod lines;

use lines::Line;

/// Users written by one store call, and hashed before it: each batch is printed once it is there.
const BATCH: usize = 1_000;
/// Names held against the store by one call.
const NAMES: usize = 200;
/// A store that takes longer for one batch is stuck.
const WRITE_WAIT: Duration = Duration::from_secs(60);

/// Adds the users of `file`: all are checked before the first is written.
pub(super) fn run(file: &Path, settings: &Settings) -> Done {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let lines = lines::parse(&text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = match settings.mongo.reveal() {
            Some(uri) => {
                let options = surroundings::cluster_options(settings, uri);
                madang_store::open_cluster(options).await?
            }
            None => madang_store::open(Options::in_directory(&settings.data_dir))?,
        };
        let added = add(&lines, &store, settings).await;
        store.control.close().await;
        added
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn add(lines: &[Line], store: &Store, settings: &Settings) -> Result<(), Box<dyn Error>> {
    refuse_taken(lines, &*store.accounts).await?;
    let lifetime_ms = settings.session_lifetime_ms();
    for batch in lines.chunks(BATCH) {
        let hashes = hash_all(batch, settings.hash_thread_count())?;
        let made = make(batch, hashes, lifetime_ms)?;
        let (users, shown): (Vec<NewUser>, Vec<String>) = made.into_iter().unzip();
        let created = store.accounts.create_users(users);
        match within(WRITE_WAIT, created).await.map_err(|refusal| refusal.message)? {
            CreatedUsers::All => write_out(&shown.concat())?,
            CreatedUsers::UsernameTaken { index } => {
                return Err(format!("{}: the username is taken", batch[index]).into());
            }
        }
    }
    Ok(())
}

/// Names that are in the store already, all of them told at once.
async fn refuse_taken(lines: &[Line], store: &dyn AccountStore) -> Result<(), Box<dyn Error>> {
    let mut taken = Vec::new();
    for chunk in lines.chunks(NAMES) {
        let names = chunk.iter().map(|line| line.username.folded.clone()).collect();
        let found = within(WRITE_WAIT, store.profiles(ProfileKeys::Usernames(names)));
        let found = found.await.map_err(|refusal| refusal.message)?;
        let found = found.iter().map(|profile| crate::accounts::username::fold(&profile.username));
        let found: Vec<String> = found.collect();
        let known = chunk.iter().filter(|line| found.contains(&line.username.folded));
        taken.extend(known.map(|line| format!("{line}: the username is taken")));
    }
    lines::refuse(taken)
}

/// The password hashes of a batch, in its order; made by so many threads.
fn hash_all(batch: &[Line], threads: usize) -> Result<Vec<Option<String>>, Box<dyn Error>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((index, line)) = take(batch, &next) {
            done.push((index, line.password.as_deref().map(password::hash).transpose()));
        }
        done
    };
    let mut hashes = vec![None; batch.len()];
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    for part in done {
        for (index, hash) in part.map_err(|_| "a hashing thread panicked")? {
            hashes[index] = hash?;
        }
    }
    Ok(hashes)
}

fn take<'a>(batch: &'a [Line], next: &AtomicUsize) -> Option<(usize, &'a Line)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    batch.get(index).map(|line| (index, line))
}

/// The users of a batch, and what is printed of each.
fn make(
    batch: &[Line],
    hashes: Vec<Option<String>>,
    lifetime_ms: Millis,
) -> Result<Vec<(NewUser, String)>, Box<dyn Error>> {
    let created_at = Clock::system().now();
    let made = batch.iter().zip(hashes).map(|(line, password_hash)| {
        let (user, token) = (UserId(random_id()?), Token::generate()?);
        let session = session_of(user, token.hash(), created_at, lifetime_ms, None)?;
        let shown = Shown {
            user,
            username: &line.username.typed,
            token: token.reveal(),
            expires_at: session.expires_at,
        };
        let shown = serde_json::to_string(&shown).expect("strings and numbers");
        let user = NewUser {
            user,
            username: line.username.typed.clone(),
            username_folded: line.username.folded.clone(),
            display_name: line.display_name.clone(),
            password_hash,
            created_at,
            session,
        };
        Ok((user, shown + "\n"))
    });
    let made: Result<Vec<_>, madang_protocol::Refusal> = made.collect();
    Ok(made.map_err(|refusal| refusal.message)?)
}

#[derive(Serialize)]
struct Shown<'a> {
    user: UserId,
    username: &'a str,
    token: &'a str,
    expires_at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_keep_the_order_of_the_file() {
        let text = "{\"username\":\"ann\",\"password\":\"password of ann\"}\n\
                    {\"username\":\"bob\"}\n\
                    {\"username\":\"eve\",\"password\":\"password of eve\"}";
        let hashes = hash_all(&lines::parse(text).unwrap(), 2).unwrap();
        assert!(password::verify("password of ann", hashes[0].as_deref()));
        assert_eq!(hashes[1], None);
        assert!(password::verify("password of eve", hashes[2].as_deref()));
    }
}
