//! The id of a checkpoint.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

/// When a checkpoint was begun, and a number that tells it from others of the same millisecond.
///
/// Samza does not pad the number with zeros, so ids are ordered as numbers, never as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckpointId {
    millis: i64,
    nanos: u64,
}

impl CheckpointId {
    /// Returns when the checkpoint was begun, if it is a possible time.
    pub fn time(self) -> Option<Timestamp> {
        Timestamp::from_millisecond(self.millis).ok()
    }
}

impl FromStr for CheckpointId {
    type Err = String;

    fn from_str(text: &str) -> Result<CheckpointId, String> {
        let id = text.split_once('-').and_then(|(millis, nanos)| {
            Some(CheckpointId { millis: i64::try_from(digits(millis)?).ok()?, nanos: digits(nanos)? })
        });
        id.filter(|id| id.to_string() == text).ok_or_else(|| format!("expected a checkpoint id, found `{text}`"))
    }
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis, self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_numbers() {
        let id = |text: &str| text.parse::<CheckpointId>().expect("an id");
        assert!(id("1795824690674-53851") < id("1795824690674-695569"));
        assert_eq!(id("1795824690674-53851").time().expect("a time").to_string(), "2026-11-28T00:11:30.674Z");
        for text in ["", "1", "-1", "1-", "1-+2", "01-2", "-1-2", "1-2-3", "99999999999999999999-1"] {
            assert!(text.parse::<CheckpointId>().is_err(), "{text}");
        }
    }
}
