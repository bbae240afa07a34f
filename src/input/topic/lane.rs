//! One partition of a topic while it is read.

use std::sync::Arc;
use std::time::Instant;

use crate::format::positions::{MessagePosition, PositionRow};
use crate::input::block::{BLOCK_BYTES, Block, BlockNumbers};
use crate::input::messages::Messages;
use crate::input::partition::Partition;
use crate::input::position::Position;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::header::Header;
use crate::kafka::Message;
use crate::values::digest::Digest;

/// The most messages of a block.
const BLOCK_MESSAGES: usize = 4096;

/// How far a partition of a topic is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLag {
    /// Its number.
    pub partition: u32,
    /// The offsets that were not handed out.
    pub messages: u64,
}

/// One partition of a topic while it is read.
pub(super) struct Lane {
    pub(super) partition: Arc<Partition>,
    /// Its number in the topic.
    pub(super) number: u32,
    /// The number in the blocks: among the partition tasks, or of the stream.
    pub(super) block_partition: u32,
    /// The offset of the next message to take.
    pub(super) next: u64,
    /// Where reading ends, if it does.
    pub(super) end: Option<u64>,
    /// Whether there are no more messages, or none for now.
    pub(super) is_at_end: bool,
    /// Since when a broker says that the partition ends before `end`, although another one has said more.
    pub(super) short_since: Option<Instant>,
    /// Whether event time no longer waits for it.
    pub(super) is_released: bool,
    /// What was taken and not handed out.
    messages: Messages,
    bytes: Vec<u8>,
    /// As in [`Position`].
    offset: u64,
    topic_id: Option<String>,
    /// The offset after the last message that was handed out.
    handed_out: u64,
    proof: Option<(u64, Digest)>,
    record: u64,
    event_time: Option<i64>,
}

impl Lane {
    /// Makes the lane of a partition that was never read.
    pub(super) fn new(partition: Partition, number: u32, topic_id: Option<String>, start: u64) -> Lane {
        Lane {
            partition: Arc::new(partition),
            number,
            block_partition: number,
            next: start,
            end: None,
            is_at_end: false,
            short_since: None,
            is_released: false,
            messages: Messages::of(number),
            bytes: Vec::new(),
            offset: 0,
            topic_id,
            handed_out: start,
            proof: None,
            record: 0,
            event_time: None,
        }
    }

    /// Continues at the position `row`; `next` is the offset of the next message.
    pub(super) fn resume(&mut self, row: &PositionRow, next: u64) {
        (self.next, self.handed_out) = (next, next);
        (self.offset, self.record, self.event_time) = (row.offset, row.record, row.event_time);
        let proof = row.message.as_ref().and_then(|message| message.proof_offset);
        self.proof = proof.map(|offset| (offset, row.fingerprint));
    }

    /// Ends the partition before the message `end`.
    pub(super) fn end_at(&mut self, end: u64) {
        self.end = Some(end);
        self.is_at_end = self.next >= end;
    }

    /// Takes a message, unless it is one after the end.
    pub(super) fn take(&mut self, message: &Message<'_>) {
        if message.offset < self.next {
            // It was asked for again, because reading was set to a new place.
            return;
        }
        if self.end.is_some_and(|end| message.offset >= end) {
            self.is_at_end = true;
            return;
        }
        self.messages.push(message, &mut self.bytes);
        self.next = message.offset + 1;
        self.is_at_end = self.end.is_some_and(|end| self.next >= end);
        self.short_since = None;
        self.is_released = false;
    }

    /// Notes that a broker has no more messages for now: the partition ends there at `offset`. Returns whether that is news.
    ///
    /// Where reading ends, that counts only from `end` on. Between the last message and that there may be offsets without
    /// one: of transactions, or of messages that were compacted. A broker that says less is behind the one that has said
    /// `end`: it has just become the leader, or follows one. The messages are still to come, unless they are lost.
    pub(super) fn reach(&mut self, offset: u64) -> bool {
        if self.is_at_end {
            return false;
        }
        self.is_at_end = self.end.is_none_or(|end| offset >= end);
        self.short_since = (!self.is_at_end).then(|| self.short_since.unwrap_or_else(Instant::now));
        self.is_at_end
    }

    pub(super) fn has_messages(&self) -> bool {
        self.messages.count() > 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.messages.count() >= BLOCK_MESSAGES || self.bytes.len() as u64 >= BLOCK_BYTES
    }

    /// Returns how far it is behind, if it has messages before the offset `end`. Behind the last message there may be
    /// offsets without one.
    pub(super) fn lag(&self, end: u64) -> PartitionLag {
        let has_all = self.is_at_end && !self.has_messages() && self.next + 1 >= end;
        PartitionLag { partition: self.number, messages: if has_all { 0 } else { end.saturating_sub(self.handed_out) } }
    }

    /// Returns whether it was read to its end and everything was handed out.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some() && self.is_at_end && !self.has_messages()
    }

    /// Hands out what was taken.
    pub(super) fn next_block(&mut self, number: u64, stream: u32, header: Option<Arc<Header>>) -> Block {
        let messages = Messages::of(self.number);
        let messages = std::mem::replace(&mut self.messages, messages);
        let bytes = std::mem::take(&mut self.bytes);
        let from = self.offset;
        self.offset += bytes.len() as u64;
        self.handed_out = self.next;
        self.proof = messages.proof(&bytes).or(self.proof);
        let numbers = BlockNumbers { number, partition: self.block_partition, stream };
        Block { messages: Some(Box::new(messages)), ..numbers.block(from, self.offset, bytes, header) }
    }

    pub(super) fn position(&self) -> Position {
        let ended = self.has_ended();
        // Behind the last message there may be offsets without one.
        let offset = if ended { self.end.map_or(self.next, |end| end.max(self.next)) } else { self.handed_out };
        let prefix = match self.proof {
            Some((_, digest)) => PrefixDigest::Finished(digest),
            None => PrefixDigest::new(&self.partition),
        };
        Position {
            partition: Arc::clone(&self.partition),
            stored: None,
            message: Some(MessagePosition {
                topic_id: self.topic_id.clone(),
                offset,
                leader_epoch: None,
                proof_offset: self.proof.map(|(offset, _)| offset),
                batch_end: None,
            }),
            generation_of: None,
            inode: None,
            offset: self.offset,
            ended,
            prefix,
            record: self.record,
            event_time: self.event_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::partition::{Compression, Source};

    fn lane() -> Lane {
        let (name, source, compression) = ("t/0".to_owned(), Source::Topic, Compression::None);
        Lane::new(Partition { name, source, compression, file_bytes: None, etag: None }, 0, None, 0)
    }

    fn message(offset: u64) -> Message<'static> {
        Message { partition: 0, offset, time: None, key: None, value: Some(b"v"), headers: None }
    }

    #[test]
    fn a_partition_that_is_followed_is_at_its_end_wherever_that_is() {
        let mut lane = lane();
        assert!(lane.reach(0) && lane.is_at_end && !lane.has_ended());
        assert!(!lane.reach(0), "it is known");
        lane.take(&message(0));
        assert!(!lane.is_at_end && lane.reach(1));
    }

    #[test]
    fn a_broker_that_is_behind_does_not_end_a_partition_before_the_messages_that_are_to_come() {
        let mut lane = lane();
        lane.end_at(10);
        lane.take(&message(4));
        for offset in [0, 5, 9] {
            assert!(!lane.reach(offset) && !lane.is_at_end && lane.short_since.is_some(), "{offset}");
        }
        lane.take(&message(6));
        assert!(lane.short_since.is_none() && !lane.is_at_end);
        // The offsets 7 to 9 are those of an aborted transaction.
        assert!(lane.reach(10) && lane.is_at_end && lane.short_since.is_none());
        let _ = lane.next_block(0, 0, None);
        assert!(lane.has_ended() && lane.position().message.is_some_and(|message| message.offset == 10));
    }
}
