//! Buckets on real servers: what the client does with names, contents, conditions and faults.

use ckpt::values::relpath::RelPath;

mod faults;
mod messages;
mod names;
mod races;
mod requests;

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}
