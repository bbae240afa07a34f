//! The records of a block, in their order, with their rows on the way into the cache.

use crate::runner::pipeline::worker::head::Head;
use crate::runner::state::shard::Shard;

/// How many records before its turn the table entry of a record is fetched, a power of two.
const ENTRY: usize = 32;

/// How many records before its turn its row is fetched.
const ROW: usize = 16;

/// The records of a block. The table entries and rows of several are fetched at the same time, while others are applied.
pub(super) struct Ahead<'b> {
    /// From the next record on.
    bytes: &'b [u8],
    /// From the next record on whose table entry is to be fetched.
    unseen: &'b [u8],
    /// The records between the two. Record `n` is at `n % ENTRY`.
    heads: [Head; ENTRY],
    /// The number of records whose entry was fetched, of those whose row was, and of those that were returned.
    seen: usize,
    fetched: usize,
    done: usize,
}

impl<'b> Ahead<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Ahead<'b> {
        Ahead { bytes, unseen: bytes, heads: [Head::default(); ENTRY], seen: 0, fetched: 0, done: 0 }
    }

    /// Returns the next record: its head, its key, and what follows the key.
    #[inline]
    pub(super) fn next(&mut self, shards: &[(u32, Shard)]) -> Option<(Head, &'b [u8], &'b [u8])> {
        while self.seen < self.done + ENTRY && !self.unseen.is_empty() {
            let head = Head::unpack(self.unseen);
            shards[head.place as usize].1.fetch_entry(head.hash);
            self.heads[self.seen % ENTRY] = head;
            self.seen += 1;
            self.unseen = &self.unseen[head.record_bytes as usize..];
        }
        while self.fetched < self.seen.min(self.done + ROW) {
            let head = &self.heads[self.fetched % ENTRY];
            shards[head.place as usize].1.fetch_row(head.hash);
            self.fetched += 1;
        }
        if self.done == self.seen {
            return None;
        }
        let head = self.heads[self.done % ENTRY];
        self.done += 1;
        let (key, packed, rest) = head.split(self.bytes);
        self.bytes = rest;
        Some((head, key, packed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::rows::RowCodec;
    use crate::runner::pipeline::worker::head::HEAD_BYTES;
    use crate::values::value::{Column, ColumnType};

    #[test]
    fn each_record_is_returned_once_and_in_order_however_many_there_are() {
        let codec = RowCodec::new(vec![Column::new("n", ColumnType::Int)]);
        let mut shards = vec![(0, Shard::new(&codec)), (1, Shard::new(&codec))];
        for count in [0, 1, ROW - 1, ROW, ROW + 1, ENTRY - 1, ENTRY, ENTRY + 1, 10 * ENTRY + 7] {
            let keys: Vec<String> = (0..count).map(|number| "k".repeat(number % 40) + &number.to_string()).collect();
            let mut bytes = Vec::new();
            for (number, key) in keys.iter().enumerate() {
                let (hash, place, key_bytes) = (number as u64, number as u32 % 2, key.len() as u32);
                let record_bytes = HEAD_BYTES as u32 + key_bytes + 1;
                bytes.extend(Head { hash, place, key_bytes, record_bytes }.pack());
                bytes.extend(key.as_bytes());
                bytes.push(number as u8);
            }
            let mut records = Ahead::new(&bytes);
            for (number, expected) in keys.iter().enumerate() {
                let (head, key, packed) = records.next(&shards).expect("a record");
                assert_eq!((head.hash, key, packed), (number as u64, expected.as_bytes(), &[number as u8][..]));
                // Rows that are made meanwhile are found, too.
                shards[head.place as usize].1.row(head.hash, key);
            }
            assert!(records.next(&shards).is_none());
        }
    }
}
