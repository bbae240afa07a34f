//! The small files of a store beside its checkpoints: pins, the history, the log of attempts, requests.
//!
//! No other file vouches for them. Pins and events are sealed documents, attempts are sealed lines; requests and their
//! answers live only for moments and have no seal.

pub mod attempts;
pub mod history;
pub mod merge;
pub mod pins;
pub mod requests;
pub mod time;
