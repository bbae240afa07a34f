//! The run: read the input in its one order, apply it to keyed state, and checkpoint both together.

pub mod check;
pub mod checkpoint;
pub mod error;
pub mod job_paths;
pub mod lineage;
pub mod messages;
pub mod observer;
pub mod options;
pub mod output;
pub mod pipeline;
pub mod process;
pub mod rejected;
pub mod resume;
pub mod state;
pub mod ticket;
