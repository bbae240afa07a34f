//! The events of a store, and which checkpoints they say were removed on purpose.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::store::records::history::event::{Event, EventKind, Range};
use crate::values::digest::Digest;
use crate::values::id::Sequence;

/// The history of a store.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The events that can be read, ascending.
    pub events: Vec<Event>,
    /// The highest number of any event, readable or not.
    pub last: u64,
    /// The numbers of events that cannot be read.
    pub unreadable: Vec<u64>,
}

/// What the history says about a missing checkpoint: it was pruned, or left out of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    /// Nothing if it was long ago.
    pub time: Option<Timestamp>,
    /// The SHA-256 of its manifest; nothing if it was long ago.
    pub sha256: Option<Digest>,
}

impl History {
    /// Returns the checkpoints that were pruned or left out, and not brought back.
    pub fn departures(&self) -> Departures {
        let mut departures = Departures::default();
        for event in &self.events {
            match event.event {
                EventKind::Pruned | EventKind::LeftOut | EventKind::Folded => {
                    departures.ranges.extend(event.ranges.iter().copied());
                    departures.named.extend(event.checkpoints.iter().map(|checkpoint| {
                        let time = checkpoint.time.unwrap_or(event.time);
                        (checkpoint.sequence, (time, checkpoint.sha256))
                    }));
                }
                EventKind::Undone => {
                    for checkpoint in &event.checkpoints {
                        departures.named.remove(&checkpoint.sequence);
                    }
                }
                EventKind::RemovedLeftovers | EventKind::Other => {}
            }
        }
        departures
    }
}

/// The checkpoints that were pruned or left out, and not brought back.
#[derive(Debug, Clone, Default)]
pub struct Departures {
    pub(super) named: BTreeMap<Sequence, (Timestamp, Digest)>,
    pub(super) ranges: Vec<Range>,
}

impl Departures {
    /// Adds what a later look at the history says. What was explained then or is explained now has an explanation:
    /// a checkpoint may have been removed or brought back in between.
    #[must_use]
    pub fn or(mut self, later: Departures) -> Departures {
        self.named.extend(later.named);
        self.ranges.extend(later.ranges);
        self
    }

    /// Returns the departure of checkpoint `sequence`, if the history knows of one.
    pub fn of(&self, sequence: Sequence) -> Option<Departure> {
        if let Some(&(time, sha256)) = self.named.get(&sequence) {
            return Some(Departure { time: Some(time), sha256: Some(sha256) });
        }
        let in_range = self.ranges.iter().any(|range| (range.first..=range.last).contains(&sequence));
        in_range.then_some(Departure { time: None, sha256: None })
    }
}
