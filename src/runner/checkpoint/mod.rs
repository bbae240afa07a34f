//! From frozen shards to a committed checkpoint: when one is due, what goes in, and how it is written.

pub mod chain;
pub mod checkpointer;
pub mod draft;
pub mod priority;
pub mod pruner;
pub mod requests;
pub mod slots;
pub mod trigger;
