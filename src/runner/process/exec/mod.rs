//! Programs in any language: `process: exec`.
//!
//! Each worker has its own program and speaks to it over its standard streams, as `docs/protocol.md` describes. The
//! program owns the state of the worker's tasks while it runs. What it hands over at each cut goes into the worker's
//! shards, which hold a copy of the state. So checkpoints of a program's state are made like all others: a row is a
//! task and a key with one JSON column, or with the columns that the program declares.

pub mod child;
mod ending;
pub mod failure;
pub mod link;
pub mod mirror;
pub mod plan;
pub mod protocol;
mod request;
mod restore;
pub mod sources;
pub mod typed;
