//! The run: read the input in its one order, apply it to keyed state, and checkpoint both together.

pub mod check;
pub mod checkpoint;
pub mod error;
pub mod job_paths;
pub mod observer;
pub mod output;
pub mod pipeline;
pub mod process;
pub mod resume;
pub mod state;
