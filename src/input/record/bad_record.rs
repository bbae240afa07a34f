//! What is wrong with a record.

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct BadRecord {
    /// A message in lower case. Bytes in it are counted from 0 at the beginning of the record.
    pub reason: String,
}

/// Returns `text` cut to 80 characters, with control characters replaced, for messages.
pub(crate) fn in_one_line(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}
