//! The run: read the input in its one order, apply it to keyed state, and checkpoint both together.

pub mod aggregate;
pub mod calendar;
pub mod chain;
pub mod checkpointer;
pub mod dead_letter;
pub mod emit;
pub mod error;
pub mod exec;
pub mod input;
pub mod left_behind;
pub mod output;
pub mod processor;
mod pruner;
pub mod record;
pub mod recover;
pub mod requests;
pub mod reroute;
pub mod run;
pub mod sketch;
pub mod spec;
pub mod state;
pub mod trigger;
pub mod worker;
