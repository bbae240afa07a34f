//! The run: read the input in its one order, apply it to keyed state, and checkpoint both together.

pub mod aggregate;
pub mod chain;
pub mod input;
pub mod record;
pub mod sketch;
pub mod spec;
pub mod state;
pub mod worker;
