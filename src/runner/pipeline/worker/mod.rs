//! The threads that do the work: each parses blocks for all, and applies records to the shards that it owns.
//!
//! Every shard applies its records in the order of the blocks, so the result does not depend on which thread parses
//! what, or when.

mod ahead;
mod apply;
mod apply_timed;
mod freeze;
pub mod head;
mod inbox;
mod parse;
mod program;
pub(crate) mod route_timed;
pub mod thread;
