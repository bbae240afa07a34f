//! Why bytes are not what Samza writes.

use thiserror::Error;

/// Bytes that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason} at byte {offset}")]
pub struct FormatError {
    /// Where, from the start of the file or message.
    pub offset: u64,
    /// What was expected or found, such as `expected value`.
    pub reason: String,
}

impl FormatError {
    /// Makes an error at `offset`.
    pub fn new(offset: usize, reason: impl Into<String>) -> FormatError {
        FormatError { offset: offset as u64, reason: reason.into() }
    }

    /// Makes an error from that of the JSON parser about `bytes`.
    pub fn json(bytes: &[u8], error: &serde_json::Error) -> FormatError {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
        let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1);
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        FormatError::new(offset.min(bytes.len()), reason)
    }
}
