//! The run: read the input in its one order, apply it to keyed state, and checkpoint both together.

pub mod input;
pub mod record;
pub mod spec;
