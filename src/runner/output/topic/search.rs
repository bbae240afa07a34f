//! Whether a topic has messages of a checkpoint, if no mark says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::{Bounds, KafkaError, Polled, Settings, Topic};

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(200);

/// How long a broker may send nothing before the search is given up, for another try.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let (mut starts, mut ends, mut is_whole) = (Vec::new(), BTreeMap::new(), true);
    for partition in 0..topic.partition_count()? {
        let Bounds(range) = topic.bounds(partition)?;
        let first = topic.offset_at(partition, millis - CLOCK_SKEW_MILLIS)?.max(range.start);
        // If older messages are left, none of the later ones was deleted.
        is_whole &= range.start == 0 || first > range.start;
        if first < range.end {
            starts.push((partition, first));
            ends.insert(partition, range.end);
        }
    }
    topic.assign(&starts)?;
    let mut last = Instant::now();
    while !ends.is_empty() {
        let mut is_found = false;
        let polled = topic.poll(POLL, |message| {
            let stamped = (STAMP_HEADER, Some(stamp.as_bytes()));
            is_found = message.headers.iter().flatten().any(|header| *header == stamped);
        })?;
        match polled {
            _ if is_found => return Ok(Found::Stamp),
            // A broker that has fewer than were said is behind.
            Polled::End { partition, offset } => ends.retain(|open, end| *open != partition || offset < *end),
            // They were deleted since the bounds were asked for.
            Polled::OutOfRange => return Ok(Found::Unknown),
            Polled::Message => last = Instant::now(),
            Polled::Nothing if last.elapsed() >= PATIENCE || !topic.answers()? => {
                let seconds = last.elapsed().as_secs().max(1);
                return Err(KafkaError::Away { brokers: settings.brokers.clone(), seconds });
            }
            Polled::Nothing => {}
        }
    }
    Ok(if is_whole { Found::Nothing } else { Found::Unknown })
}
