//! Whether a topic has messages of a checkpoint, if no mark says so.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::kafka::{Bounds, KafkaError, Polled, Settings, Topic};

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(200);

/// How much earlier than the checkpoint its messages may seem to be, in milliseconds: brokers may set the time, by their own
/// clocks.
const CLOCK_SKEW_MILLIS: i64 = 24 * 3600 * 1000;

/// The header that says which checkpoint a message belongs to.
pub(super) const STAMP_HEADER: &str = "checkpoint";

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A message of the checkpoint.
    Stamp,
    /// None, and no message since the checkpoint was deleted.
    Nothing,
    /// None, but messages may have been deleted since.
    Unknown,
}

/// Looks for a message with `stamp` among those of committed transactions since the checkpoint was made, at `millis` since
/// 1970-01-01T00:00:00Z.
pub(super) fn search(settings: &Settings, stamp: &str, millis: i64) -> Result<Found, KafkaError> {
    let topic = Topic::open(settings)?;
    let (mut starts, mut is_whole) = (Vec::new(), true);
    for partition in 0..topic.partition_count()? {
        let Bounds(range) = topic.bounds(partition)?;
        let first = topic.offset_at(partition, millis - CLOCK_SKEW_MILLIS)?.max(range.start);
        // If older messages are left, none of the later ones was deleted.
        is_whole &= range.start == 0 || first > range.start;
        if first < range.end {
            starts.push((partition, first));
        }
    }
    topic.assign(&starts)?;
    let mut open: BTreeSet<u32> = starts.into_iter().map(|(partition, _)| partition).collect();
    while !open.is_empty() {
        let mut is_found = false;
        let polled = topic.poll(POLL, |message| {
            let stamped = (STAMP_HEADER, Some(stamp.as_bytes()));
            is_found = message.headers.iter().flatten().any(|header| *header == stamped);
        })?;
        match polled {
            _ if is_found => return Ok(Found::Stamp),
            Polled::End(partition) => _ = open.remove(&partition),
            // They were deleted since the bounds were asked for.
            Polled::OutOfRange => return Ok(Found::Unknown),
            Polled::Message => {}
            Polled::Nothing if !topic.answers()? => {
                return Err(KafkaError::Away { brokers: settings.brokers.clone(), seconds: 1 });
            }
            Polled::Nothing => {}
        }
    }
    Ok(if is_whole { Found::Nothing } else { Found::Unknown })
}
