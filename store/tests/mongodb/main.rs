//! The store on MongoDB, on a real replica set of three members.

mod abandoned;
mod calls;
mod healing;
mod opening;
mod pages;
mod plans;
mod profile;
mod racing;
mod set;
mod silent;
mod transactions;
mod transfer;
mod writes;

use madang_store::{
    ClusterOptions,
    conformance::{MEMBERS_MAX, ROOMS_MAX, Subject},
};

fn subject() -> Subject {
    let options =
        ClusterOptions { members_max: MEMBERS_MAX, rooms_max: ROOMS_MAX, ..set::options() };
    Subject { store: set::open(&options), keep: Box::new(()) }
}

madang_store::store_conformance!(crate::subject);
