//! From frozen shards to a committed checkpoint: when one is due, what it includes, and how it is written.

mod attempt;
mod batch;
pub mod chain;
pub mod checkpointer;
mod commit;
pub(crate) mod draft;
pub(crate) mod encode;
mod follow;
pub mod group;
pub mod job_facts;
mod positions;
pub mod priority;
pub(crate) mod proof;
pub mod pruner;
mod rebase;
pub mod requests;
mod shards;
pub mod trigger;
mod uncertain;
