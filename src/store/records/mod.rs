//! The small files of a store beside its checkpoints: pins, the history, the logs of attempts and operations, requests.
//!
//! No other file vouches for them. Pins and events are sealed documents, the logs are sealed lines; requests and their
//! answers live only for moments and have no seal.

pub mod attempts;
pub mod history;
pub mod line_log;
pub mod merge;
pub mod operations;
pub mod pins;
pub mod requests;
pub mod time;
