//! The events of a store, and which checkpoints they say were removed on purpose.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Returns those of `checkpoints` that an event of the kind `kind`, `Expired` or `Undone`, does not concern, because
    /// one of the other kind came first since they were pruned. No two events have the same number.
    pub fn overruled(&self, checkpoints: &[Sequence], kind: EventKind) -> BTreeSet<Sequence> {
        let mut first: BTreeMap<Sequence, EventKind> = BTreeMap::new();
        for event in &self.events {
            for named in event.checkpoints.iter().map(|checkpoint| checkpoint.sequence) {
                match event.event {
                    // Pruned again after it was brought back.
                    EventKind::Pruned if first.get(&named) == Some(&EventKind::Undone) => drop(first.remove(&named)),
                    EventKind::Kept => drop(first.remove(&named)),
                    EventKind::Undone | EventKind::Expired => drop(first.entry(named).or_insert(event.event)),
                    _ => {}
                }
            }
        }
        let is_overruled = |sequence: &&Sequence| first.get(sequence).is_some_and(|first| *first != kind);
        checkpoints.iter().filter(is_overruled).copied().collect()
    }

    /// Returns the highest number of a checkpoint that an event names.
    pub fn newest_named(&self) -> Option<Sequence> {
        let events = self.events.iter().filter(|event| event.event != EventKind::Other);
        let numbers = events.flat_map(|event| {
            let named = event.checkpoints.iter().map(|checkpoint| checkpoint.sequence);
            named.chain(event.ranges.iter().map(|range| range.last))
        });
        numbers.max()
    }

    /// Returns the checkpoints that were pruned or left out, and not brought back.
    pub fn departures(&self) -> Departures {
        let mut departures = Departures::default();
        for event in &self.events {
            match event.event {
                EventKind::Pruned | EventKind::LeftOut | EventKind::Folded | EventKind::Expired => {
                    if event.event == EventKind::Expired {
                        departures.expired.extend(event.checkpoints.iter().map(|checkpoint| checkpoint.sequence));
                    }
                    departures.ranges.extend(event.ranges.iter().copied());
                    departures.named.extend(event.checkpoints.iter().map(|checkpoint| {
                        let time = checkpoint.time.unwrap_or(event.time);
                        (checkpoint.sequence, (time, checkpoint.sha256))
                    }));
                }
                EventKind::Undone => {
                    // One that came too late brought nothing back.
                    let back = event.brought_back().filter(|sequence| !departures.expired.contains(sequence));
                    for sequence in back.collect::<Vec<_>>() {
                        departures.named.remove(&sequence);
                    }
                }
                EventKind::Kept => {
                    for checkpoint in &event.checkpoints {
                        departures.named.remove(&checkpoint.sequence);
                        departures.expired.remove(&checkpoint.sequence);
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
    /// Those that were deleted for good, as far as the history says.
    expired: BTreeSet<Sequence>,
}

impl Departures {
    /// Adds what a later look at the history says. What was explained then or is explained now has an explanation:
    /// a checkpoint may have been removed or brought back in between.
    #[must_use]
    pub fn or(mut self, later: Departures) -> Departures {
        self.named.extend(later.named);
        self.ranges.extend(later.ranges);
        self.expired.extend(later.expired);
        self
    }

    /// Tells whether checkpoint `sequence` was deleted for good, so that nothing that is left of it counts.
    pub fn is_expired(&self, sequence: Sequence) -> bool {
        self.expired.contains(&sequence)
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
