//! Programs in any language: `process: exec`.
//!
//! Each worker has a program of its own and speaks with it over its standard streams, as `docs/protocol.md` says. The program owns the state of the
//! worker's tasks while it runs; what it hands over at each cut goes into the worker's shards, which hold a copy of it, so that checkpoints of a
//! program's state are made as those of any other: a row is (task, key) with one JSON column.

pub mod child;
pub mod failure;
pub mod link;
pub mod mirror;
pub mod plan;
pub mod protocol;
