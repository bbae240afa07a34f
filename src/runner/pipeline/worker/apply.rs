//! How a worker applies the records of blocks to its shards, in the order of the blocks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::runner::messages::ThreadEvent;
use crate::runner::pipeline::gauges::Load;
use crate::runner::pipeline::worker::ahead::Ahead;
use crate::runner::pipeline::worker::thread::{Flow, Worker};
use crate::runner::process::processor::{Context, ProcessError};

impl Worker<'_> {
    /// Applies the blocks whose turn it is, and freezes the shards when a cut is reached.
    pub(super) fn apply_ready(&mut self) -> Flow {
        loop {
            if let Some(cut) = self.cut.take_if(|cut| cut.number == self.next) {
                if cut.ended {
                    self.end_time();
                }
                if self.program.is_none() {
                    self.freeze(cut.number, Duration::ZERO);
                } else {
                    self.ask_for_cut(cut.number, cut.ended);
                }
            }
            if self.program.as_ref().is_some_and(|link| !link.has_room()) {
                return Flow::Continue(());
            }
            if self.is_held() {
                return Flow::Continue(());
            }
            let Some(updates) = self.early.remove(&self.next) else { return Flow::Continue(()) };
            let (mut bytes, sources, ticket) = (updates.bytes, updates.sources, updates.ticket);
            let applied = match &updates.time {
                _ if self.program.is_some() => {
                    self.send_batch(&bytes, sources, ticket.clone());
                    Ok(())
                }
                None => self.apply(&bytes),
                Some(time) => self.apply_timed(&bytes, time),
            };
            if let Err(event) = applied {
                let _ = self.channels.events.send(*event);
                return Flow::Break(());
            }
            self.next += 1;
            if self.spare.len() < 2 * self.plan.workers {
                bytes.clear();
                self.spare.push(bytes);
            }
            // A cut's rows are taken in slices, one per block: they are out soon, and no block waits long.
            self.take_slice();
            drop(ticket);
        }
    }

    /// Returns whether the next block has a bad record that ends the run.
    pub(super) fn is_held(&self) -> bool {
        self.early.get(&self.next).is_some_and(|updates| updates.ends_run)
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<(), Box<ThreadEvent>> {
        let by_key = self.plan.priorities.as_ref().filter(|priorities| priorities.has_key_classes());
        let before = self.load();
        let mut result = Ok(());
        let mut records = Ahead::new(bytes);
        while let Some((head, key, packed)) = records.next(&self.shards) {
            let (number, shard) = &mut self.shards[head.place as usize];
            let Some(arguments) = self.plan.arguments(packed) else {
                shard.remove(head.hash, key);
                continue;
            };
            let keys = shard.keys();
            let mut row = shard.row(head.hash, key);
            if let Err(error) = self.plan.processor.apply(arguments, &mut row, &mut Context::new(key)) {
                result = Err(unapplied(error, key));
                break;
            }
            if let Some(priorities) = by_key
                && shard.keys() != keys
            {
                priorities.classify(*number, key);
            }
        }
        self.gauges.add(self.load(), before);
        self.gauge_changes();
        result
    }

    /// Returns what the shards hold.
    pub(super) fn load(&self) -> Load {
        self.shards.iter().fold(Load::default(), |sum, (_, shard)| Load {
            changed_bytes: sum.changed_bytes + shard.changed_bytes(),
            keys: sum.keys + shard.keys(),
            memory_bytes: sum.memory_bytes + shard.memory_bytes(),
            emitted_bytes: sum.emitted_bytes + shard.emitted_bytes(),
        })
    }

    /// Updates the gauges of each shard, in mode priority.
    pub(super) fn gauge_changes(&self) {
        for (number, shard) in &self.shards {
            if let Some(gauge) = self.gauges.shards.get(*number as usize) {
                gauge.store(shard.changed_bytes(), Ordering::Relaxed);
            }
        }
    }

    /// Classifies the shards by the keys that they start with, in mode priority.
    pub(super) fn classify_keys(&self) {
        let priorities = self.plan.priorities.as_ref();
        let Some(priorities) = priorities.filter(|priorities| priorities.has_key_classes()) else { return };
        for (number, shard) in &self.shards {
            shard.indices().for_each(|index| priorities.classify(*number, shard.key(index)));
        }
    }
}

/// Returns the event for a record of `key` that could not be applied.
pub(super) fn unapplied(error: ProcessError, key: &[u8]) -> Box<ThreadEvent> {
    Box::new(ThreadEvent::Unapplied(error, String::from_utf8_lossy(key).into_owned()))
}
