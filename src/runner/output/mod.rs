//! What a run publishes: output files, files of changes, dead letters and late records.

pub mod changes;
pub mod dead_letter;
pub mod error;
pub mod final_file;
pub mod lines;
pub mod place;
pub mod plan;
pub mod plans;
pub mod publisher;
mod recovery;
mod sharing;
pub mod shown;
pub mod staged;
mod superseded;
pub mod topic;
