//! The small files of a store beside its checkpoints: pins, the history, the log of attempts, requests.

pub mod attempts;
pub mod history;
pub mod pins;
pub mod requests;
