//! Messages whose producer sends each key to one partition.

use super::runs::{Rows, totals};
use crate::support::kafka::{Broker, Sent};

/// Messages with `keys` keys, each of which is in one of `partitions`.
pub(super) struct Keyed {
    pub(super) keys: u64,
    pub(super) partitions: u64,
}

impl Keyed {
    /// Sends the messages from `first` up to, but not including, `end`, each to the partition of its key.
    pub(super) fn send(&self, broker: &Broker, topic: &str, first: u64, end: u64) {
        let key = |i: u64| i % self.keys;
        let texts: Vec<(String, String)> =
            (first..end).map(|i| (key(i).to_string(), format!("{{\"user\":{},\"i\":{i}}}", key(i)))).collect();
        let messages = texts.iter().zip(first..).map(|((name, text), i)| Sent {
            partition: (key(i) % self.partitions) as i32,
            key: Some(name),
            value: Some(text),
            ..Sent::default()
        });
        broker.send(topic, messages);
    }

    /// Returns what sends that many more messages each time, from the first one on, and returns how many were sent in all.
    pub(super) fn in_turn(&self, broker: &Broker, topic: &str) -> impl FnMut(u64) -> u64 {
        let mut sent = 0;
        move |count| {
            self.send(broker, topic, sent, sent + count);
            sent += count;
            sent
        }
    }

    /// The state after the messages up to, but not including, `end`, each once.
    pub(super) fn expected(&self, end: u64) -> Rows {
        totals(self.keys, 0..end)
    }
}
