//! The changelog of a store: the last message of each key has its value.

use std::collections::BTreeMap;

/// The messages of one partition of a changelog, up to the one at which a checkpoint was made.
///
/// Kafka may delete a message when the same key has a newer one (compaction). If the newer one came after the
/// checkpoint, the state at the checkpoint cannot be told from the topic. Samza asks for a lag of compaction against
/// this (`min.compaction.lag.ms`). Here it is found out: compaction leaves gaps between offsets, and at most one message
/// of each key in all that it has compacted. So a key that occurs twice ends what can have been compacted.
#[derive(Debug, Clone, Default)]
pub struct Changelog {
    /// The last offset that is part of the state; nothing if the changelog was empty.
    last: Option<u64>,
    /// The offset after the last message.
    next: u64,
    /// By key: its value, or nothing if it was deleted.
    rows: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// The keys that occur only after `last`, with their first offsets.
    later: BTreeMap<Vec<u8>, u64>,
    /// Whether an offset up to `last` has no message.
    has_gaps: bool,
    /// The first offset at which a key occurs again.
    first_repeated: Option<u64>,
}

/// The state of a store at a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreContents {
    /// Sorted by the bytes of the keys.
    pub rows: Vec<(Vec<u8>, Vec<u8>)>,
    /// The keys that were written after the checkpoint, and whose values at the checkpoint may have been compacted.
    pub doubtful: Vec<Vec<u8>>,
}

/// A message whose offset is not after that of the message before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAscending {
    pub before: u64,
}

impl Changelog {
    /// Starts before the first message. `last` is the offset in the state marker of the checkpoint.
    pub fn new(last: Option<u64>) -> Changelog {
        Changelog { last, ..Changelog::default() }
    }

    /// Adds the next message. One without a value deletes its key.
    pub fn add(&mut self, offset: u64, key: &[u8], value: Option<&[u8]>) -> Result<(), NotAscending> {
        if offset < self.next {
            return Err(NotAscending { before: self.next - 1 });
        }
        let is_ours = self.last.is_some_and(|last| offset <= last);
        self.has_gaps |= offset > self.next && self.last.is_some_and(|last| self.next <= last);
        self.next = offset + 1;
        if self.rows.contains_key(key) || self.later.contains_key(key) {
            self.first_repeated.get_or_insert(offset);
        }
        if is_ours {
            self.rows.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        } else if !self.rows.contains_key(key) {
            self.later.entry(key.to_vec()).or_insert(offset);
        }
        Ok(())
    }

    /// Returns the offset after the last message that was added.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Returns the state, once all messages are added.
    pub fn finish(self) -> StoreContents {
        let rows = self.rows.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        let can_be_compacted = |offset: u64| self.first_repeated.is_none_or(|repeated| offset < repeated);
        let doubtful = self.later.into_iter().filter(|(_, offset)| self.has_gaps && can_be_compacted(*offset));
        StoreContents { rows, doubtful: doubtful.map(|(key, _)| key).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds messages such as `3a1`: offset 3, key a, value 1; `3a` deletes a.
    fn contents(last: Option<u64>, messages: &str) -> (String, String) {
        let mut changelog = Changelog::new(last);
        for message in messages.split_whitespace() {
            let letter = message.find(char::is_alphabetic).expect("a key");
            let (offset, key_and_value) = message.split_at(letter);
            let (key, value) = key_and_value.split_at(1);
            let value = (!value.is_empty()).then_some(value.as_bytes());
            changelog.add(offset.parse().expect("an offset"), key.as_bytes(), value).expect("ascending");
        }
        let StoreContents { rows, doubtful } = changelog.finish();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let rows: Vec<String> = rows.into_iter().map(|(key, value)| text(key) + &text(value)).collect();
        (rows.join(" "), doubtful.into_iter().map(text).collect())
    }

    #[test]
    fn the_last_message_up_to_the_checkpoint_counts() {
        let all = "0a1 1b1 2a2 3b 4c1 5a3 6d1";
        for (last, rows) in [
            (None, ""),
            (Some(0), "a1"),
            (Some(2), "a2 b1"),
            (Some(3), "a2"),
            (Some(4), "a2 c1"),
            (Some(6), "a3 c1 d1"),
            (Some(9), "a3 c1 d1"),
        ] {
            assert_eq!(contents(last, all), (rows.to_owned(), String::new()), "{last:?}");
        }
    }

    #[test]
    fn a_value_that_may_have_been_compacted_is_doubtful() {
        for (last, messages, rows, doubtful) in [
            // Offset 1 may have had an older value of c.
            (2, "0a1 2b1 3c1", "a1 b1", "c"),
            // Nothing is missing, so c is new.
            (2, "0a1 1b1 2d1 3c1", "a1 b1 d1", ""),
            // Nothing from 2 on was compacted, because a occurs twice.
            (2, "0a1 2a2 3c1", "a2", ""),
            // What was compacted ends before 4, so b can be doubtful, and c is new.
            (1, "0a1 2b1 4a2 5c1", "a1", "b"),
            // The message at the checkpoint itself is gone, and so may be the first ones.
            (3, "0a1 4b1", "a1", "b"),
            (3, "2a1 3c1 4b1", "a1 c1", "b"),
            // The key was deleted before, which is still to be seen.
            (3, "1a 3b1 4a1", "b1", ""),
        ] {
            let expected = (rows.to_owned(), doubtful.to_owned());
            assert_eq!(contents(Some(last), messages), expected, "{last} {messages}");
        }
    }

    #[test]
    fn messages_come_in_the_order_of_their_offsets() {
        let mut changelog = Changelog::new(Some(9));
        assert_eq!(changelog.add(3, b"a", None), Ok(()));
        for offset in [0, 3] {
            assert_eq!(changelog.add(offset, b"a", None), Err(NotAscending { before: 3 }));
        }
        assert_eq!((changelog.add(4, b"a", None), changelog.next()), (Ok(()), 5));
    }
}
