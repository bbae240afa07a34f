//! The positions of partitions that another program has read.

use std::collections::BTreeMap;
use std::path::Path;

use crate::format::positions::{MessagePosition, PositionRow};
use crate::input::error::InputError;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::topic::connection::{Watch, settings};
use crate::input::topic::listing::partition;
use crate::input::topic::proof::{digests, resume_at};
use crate::job::model::{OnGone, TopicSpec};
use crate::kafka::Topic;

/// Returns the number of partitions that `topic` has.
pub fn partition_count(topic: &TopicSpec, base: &Path) -> Result<u32, InputError> {
    Ok(Topic::open(&settings(topic, base)?)?.partition_count()?)
}

/// Returns the positions of a run that continues after another program. `last` has the offset of the last message that
/// each partition has applied, by their numbers; a partition without one is read from its first message. Each position
/// has task `number` and the cut 0, and counts no records.
///
/// A position is bound to the topic as every other is: by its id, and by a digest of the last message, if the topic still
/// has that. Fails if messages that come next are gone, or if the topic ends before.
pub fn adopt(topic: &TopicSpec, base: &Path, last: &[Option<u64>]) -> Result<Vec<PositionRow>, InputError> {
    let client = Topic::open(&settings(topic, base)?)?;
    let id = client.id()?;
    let mut rows = Vec::new();
    let mut open: BTreeMap<u32, u64> = BTreeMap::new();
    for (number, last) in (0..).zip(last) {
        let partition = partition(&topic.topic, number).name;
        let bounds = client.bounds(number)?;
        let offset = last.map_or(bounds.0.start, |last| last + 1);
        let message =
            MessagePosition { topic_id: id.clone(), offset, leader_epoch: None, proof_offset: None, batch_end: None };
        resume_at(&partition, &message, id.as_ref(), &bounds, OnGone::Stop)?;
        open.extend(last.map(|last| (number, last)));
        rows.push(unproven(partition, number, message));
    }
    let (found, _) = digests(&client, open, &mut Watch::new(topic))?;
    for (number, (offset, digest)) in found {
        let row = &mut rows[number as usize];
        row.fingerprint = digest;
        if let Some(message) = &mut row.message {
            message.proof_offset = Some(offset);
        }
    }
    Ok(rows)
}

fn unproven(partition: String, number: u32, message: MessagePosition) -> PositionRow {
    let fingerprint = PrefixDigest::at_start(&partition).finish();
    PositionRow { task: Some(number), message: Some(message), ..PositionRow::at_start(partition, fingerprint) }
}
