//! Times as stores write them.

use jiff::Timestamp;

/// Returns `time` in whole milliseconds, as it is written into a store.
pub fn in_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
