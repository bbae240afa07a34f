//! Buckets on real servers: what the client does with names, contents, conditions and faults.

use ckpt::values::relpath::RelPath;

mod cache;
mod commands;
mod damage;
mod example;
mod faults;
mod kills;
mod messages;
mod names;
mod operations;
mod outputs;
mod races;
mod report;
mod requests;
mod round_trips;
mod scene;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}
