//! The messages of a block of a topic: what they have beside their values.

use std::ops::Range;

use crate::kafka::Message;
use crate::values::digest::{Digest, Hasher};

/// The messages of a block. Their values are in the bytes of the block, each followed by one byte.
#[derive(Debug, Clone, Default)]
pub struct Messages {
    pub partition: u32,
    heads: Vec<Head>,
    /// Of all heads, in their order: the places of a name and its value in `texts`.
    headers: Vec<(Range<usize>, Option<Range<usize>>)>,
    /// Whether the headers of a message were not read.
    lacks_headers: bool,
    /// Keys, and the names and values of headers.
    texts: Vec<u8>,
}

/// What one message has beside its value.
#[derive(Debug, Clone)]
struct Head {
    offset: u64,
    time: Option<i64>,
    is_tombstone: bool,
    /// Where the value ends in the bytes of the block.
    end: usize,
    /// Its place in `texts`.
    key: Option<Range<usize>>,
    /// Their places in the list of headers.
    headers: Range<usize>,
}

impl Messages {
    /// Returns none of partition `partition`.
    pub(super) fn of(partition: u32) -> Messages {
        Messages { partition, ..Messages::default() }
    }

    /// Adds a message, and its value to the bytes of the block.
    pub(super) fn push(&mut self, message: &Message<'_>, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(message.value.unwrap_or_default());
        let end = bytes.len();
        bytes.push(b'\n');
        let key = message.key.map(|key| self.add_text(key));
        let first = self.headers.len();
        self.lacks_headers |= message.headers.is_none();
        for (name, value) in message.headers.iter().flatten() {
            let name = self.add_text(name.as_bytes());
            let value = value.map(|value| self.add_text(value));
            self.headers.push((name, value));
        }
        let (offset, time, headers) = (message.offset, message.time, first..self.headers.len());
        self.heads.push(Head { offset, time, is_tombstone: message.value.is_none(), end, key, headers });
    }

    fn add_text(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    pub fn count(&self) -> usize {
        self.heads.len()
    }

    pub fn offset(&self, index: usize) -> u64 {
        self.heads[index].offset
    }

    pub fn time(&self, index: usize) -> Option<i64> {
        self.heads[index].time
    }

    pub fn is_tombstone(&self, index: usize) -> bool {
        self.heads[index].is_tombstone
    }

    pub fn key(&self, index: usize) -> Option<&[u8]> {
        self.heads[index].key.clone().map(|key| &self.texts[key])
    }

    /// Returns the value of the last header `name`, if there is one that has a value.
    pub fn header(&self, index: usize, name: &str) -> Option<&[u8]> {
        assert!(!self.lacks_headers, "a job that uses headers reads them");
        let headers = &self.headers[self.heads[index].headers.clone()];
        let (_, value) = headers.iter().rev().find(|(at, _)| self.texts[at.clone()] == *name.as_bytes())?;
        value.clone().map(|value| &self.texts[value])
    }

    /// Returns where the value is in the bytes of the block.
    pub fn value(&self, index: usize) -> Range<usize> {
        let start = index.checked_sub(1).map_or(0, |before| self.heads[before].end + 1);
        start..self.heads[index].end
    }

    /// Returns the offset of the last message, and its digest, which proves that a topic is the one that was read.
    pub(super) fn proof(&self, bytes: &[u8]) -> Option<(u64, Digest)> {
        let last = self.count().checked_sub(1)?;
        let value = (!self.is_tombstone(last)).then(|| &bytes[self.value(last)]);
        Some((self.offset(last), digest(self.key(last), value, self.time(last))))
    }
}

/// Returns the digest of a message: SHA-256 of its key, its value, and its time. A key and a value come after their
/// lengths in 8 bytes, little-endian, which are `u64::MAX` for what is absent; the time has 8 bytes as well.
pub(super) fn digest(key: Option<&[u8]>, value: Option<&[u8]>, time: Option<i64>) -> Digest {
    let mut hasher = Hasher::new();
    for part in [key, value] {
        hasher.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default());
    }
    hasher.update(&time.unwrap_or(i64::MIN).to_le_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<'a>(offset: u64, key: Option<&'a str>, value: Option<&'a str>) -> Message<'a> {
        let headers = vec![("a", Some(&b"1"[..])), ("b", None), ("a", Some(&b"2"[..]))];
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        Message { partition: 3, offset, time: Some(-5), key, value, headers: Some(headers) }
    }

    #[test]
    fn messages_keep_everything_that_they_have() {
        let (mut messages, mut bytes) = (Messages::of(3), Vec::new());
        messages.push(&message(7, Some("k"), Some("one\ntwo")), &mut bytes);
        messages.push(&message(9, None, None), &mut bytes);
        messages.push(&message(10, Some(""), Some("")), &mut bytes);
        assert_eq!(bytes, b"one\ntwo\n\n\n");
        let values: Vec<&[u8]> = (0..3).map(|index| &bytes[messages.value(index)]).collect();
        assert_eq!(values, [&b"one\ntwo"[..], b"", b""]);
        assert_eq!([0, 1, 2].map(|index| messages.is_tombstone(index)), [false, true, false]);
        assert_eq!([0, 1, 2].map(|index| messages.key(index)), [Some(&b"k"[..]), None, Some(&b""[..])]);
        assert_eq!((messages.offset(1), messages.time(1)), (9, Some(-5)));
        assert_eq!(messages.header(2, "a"), Some(&b"2"[..]));
        assert_eq!((messages.header(2, "b"), messages.header(2, "c")), (None, None));
    }

    #[test]
    fn the_proof_tells_apart_what_is_absent_from_what_is_empty() {
        let proof = |key, value| {
            let (mut messages, mut bytes) = (Messages::default(), Vec::new());
            messages.push(&message(1, Some("other"), Some("other")), &mut bytes);
            messages.push(&message(2, key, value), &mut bytes);
            messages.proof(&bytes).unwrap().1
        };
        let all = [(None, None), (Some(""), None), (None, Some("")), (Some("ab"), Some("c")), (Some("a"), Some("bc"))];
        for (index, one) in all.iter().enumerate() {
            for other in &all[index + 1..] {
                assert_ne!(proof(one.0, one.1), proof(other.0, other.1), "{one:?} {other:?}");
            }
        }
    }
}
