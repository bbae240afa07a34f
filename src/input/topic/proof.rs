//! The proof that a topic is the one that was read.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::format::positions::{MessagePosition, PositionRow};
use crate::input::error::InputError;
use crate::input::messages::digest;
use crate::input::note::InputNote;
use crate::input::topic::connection::Watch;
use crate::job::model::OnGone;
use crate::kafka::{Bounds, Polled, Topic};
use crate::values::digest::Digest;

/// How long one poll waits.
const POLL: Duration = Duration::from_millis(100);

/// Where a partition resumes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumed {
    pub(super) next: u64,
    /// The first offset that was not read and is gone, if messages are.
    pub(super) lost_from: Option<u64>,
}

/// Offsets of messages, with their digests, by the numbers of the partitions.
pub(super) type Digests = BTreeMap<u32, (u64, Digest)>;

/// Decides where a partition that has `bounds` now resumes from `position`.
pub(super) fn resume_at(
    partition: &str,
    position: &MessagePosition,
    topic_id: Option<&String>,
    bounds: &Bounds,
    on_gone: OnGone,
) -> Result<Resumed, InputError> {
    let (partition, offset) = (partition.to_owned(), position.offset);
    if let (Some(expected), Some(found)) = (&position.topic_id, topic_id)
        && expected != found
    {
        return Err(InputError::TopicMadeAgain { partition, expected: expected.clone(), found: found.clone() });
    }
    let Bounds(found) = bounds;
    if offset > found.end {
        return Err(InputError::TopicShrunk { partition, offset, found: found.end });
    }
    match (offset < found.start, on_gone) {
        (false, _) => Ok(Resumed { next: offset, lost_from: None }),
        (true, OnGone::Warn) => Ok(Resumed { next: found.start, lost_from: Some(offset) }),
        (true, OnGone::Stop) => Err(InputError::MessagesGone { partition, offset, found: found.start }),
    }
}

/// Reads again the last message that was applied of each partition in `rows`, as far as the topic still has it. Fails if
/// it is another one. Returns what people should know.
pub(super) fn prove(
    topic: &Topic,
    rows: &BTreeMap<u32, &PositionRow>,
    watch: &mut Watch,
) -> Result<Vec<InputNote>, InputError> {
    let open = rows.iter().filter_map(|(number, row)| Some((*number, row.message.as_ref()?.proof_offset?)));
    let (found, notes) = digests(topic, open.collect(), watch)?;
    for (number, (offset, digest)) in found {
        let row = rows[&number];
        if digest != row.fingerprint {
            return Err(InputError::OtherMessage { partition: row.partition.clone(), offset });
        }
    }
    Ok(notes)
}

/// Reads the messages at the offsets `open` of partitions. Returns these offsets with the digests of the messages, without
/// those that the topic has not any more, and what people should know.
pub(super) fn digests(
    topic: &Topic,
    mut open: BTreeMap<u32, u64>,
    watch: &mut Watch,
) -> Result<(Digests, Vec<InputNote>), InputError> {
    let (mut digests, mut notes) = (Digests::new(), Vec::new());
    if open.is_empty() {
        return Ok((digests, notes));
    }
    assign(topic, &open)?;
    while !open.is_empty() {
        let polled = topic.poll(POLL, |message| {
            // A compacted topic may not have the message any more, and then sends a later one.
            if let Some(offset) = open.remove(&message.partition)
                && message.offset == offset
            {
                digests.insert(message.partition, (offset, digest(message.key, message.value, message.time)));
            }
        })?;
        match polled {
            Polled::End { partition, .. } => _ = open.remove(&partition),
            // The client has stopped reading a partition whose message is gone, and does not say which one.
            Polled::OutOfRange => {
                for (number, offset) in open.clone() {
                    if !topic.bounds(number)?.0.contains(&offset) {
                        open.remove(&number);
                    }
                }
                assign(topic, &open)?;
            }
            Polled::Message | Polled::Nothing => {}
        }
        notes.extend(watch.look(topic)?);
    }
    Ok((digests, notes))
}

fn assign(topic: &Topic, offsets: &BTreeMap<u32, u64>) -> Result<(), InputError> {
    let starts: Vec<(u32, u64)> = offsets.iter().map(|(number, offset)| (*number, *offset)).collect();
    Ok(topic.assign(&starts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resume(offset: u64, expected: Option<&str>, found: Option<&str>, on_gone: OnGone) -> Result<Resumed, String> {
        let topic_id = expected.map(str::to_owned);
        let position = MessagePosition { topic_id, offset, leader_epoch: None, proof_offset: None, batch_end: None };
        let found = found.map(str::to_owned);
        resume_at("t/0", &position, found.as_ref(), &Bounds(10..20), on_gone).map_err(|error| error.to_string())
    }

    #[test]
    fn a_partition_resumes_only_within_what_the_same_topic_has() {
        let at = |next| Ok(Resumed { next, lost_from: None });
        for offset in [10, 15, 20] {
            assert_eq!(resume(offset, Some("a"), Some("a"), OnGone::Stop), at(offset));
        }
        assert_eq!(resume(15, None, Some("a"), OnGone::Stop), at(15), "the id was not known");
        assert_eq!(resume(15, Some("a"), None, OnGone::Stop), at(15), "the id is not known");
        let lost = Ok(Resumed { next: 10, lost_from: Some(7) });
        assert_eq!(resume(7, None, None, OnGone::Warn), lost);
        assert!(resume(7, None, None, OnGone::Stop).unwrap_err().contains("3 messages"));
        for on_gone in [OnGone::Stop, OnGone::Warn] {
            assert!(resume(21, None, None, on_gone).unwrap_err().contains("ends at offset 20"));
            assert!(resume(15, Some("a"), Some("b"), on_gone).unwrap_err().contains("made again"));
        }
    }
}
