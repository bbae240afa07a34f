//! How a worker freezes its shards at a cut and sends their rows to the checkpointer.

use std::time::{Duration, Instant};

use crate::runner::messages::FrozenShard;
use crate::runner::pipeline::worker::thread::{Freezing, Worker};

/// Rows that are taken between two blocks.
const SLICE_ROWS: usize = 4096;

impl Worker<'_> {
    /// Freezes the shards that the cut takes, as they are now. `paused` is how long the worker's program has paused
    /// for the cut already.
    pub(super) fn freeze(&mut self, cut: u64, paused: Duration) {
        let begun = Instant::now();
        let before = self.load();
        let mut left_out = Vec::new();
        for (number, shard) in &mut self.shards {
            let is_chosen = self.chosen.as_ref().is_none_or(|chosen| chosen[*number as usize]);
            if is_chosen || !shard.has_changed() || shard.is_relaid() {
                shard.freeze(self.plan.takes_all);
            } else {
                left_out.push(*number);
            }
        }
        self.gauges.add(self.load(), before);
        self.gauge_changes();
        let pause_micros = (paused + begun.elapsed()).as_micros() as u64;
        self.freezing = Some(Freezing { cut, pause_micros, next_shard: 0, slot: None, left_out });
    }

    /// Takes a slice of the frozen rows, and sends each shard that is complete. Returns true if no encoder slot is
    /// free.
    pub(super) fn take_slice(&mut self) -> bool {
        let Some(freezing) = &mut self.freezing else { return false };
        let plan = self.plan;
        let mut budget = SLICE_ROWS;
        loop {
            let Some((shard, rows)) = self.shards.get_mut(freezing.next_shard) else {
                self.freezing = None;
                return false;
            };
            if budget == 0 {
                return false;
            }
            let mut taken = None;
            if !freezing.left_out.contains(shard) {
                if freezing.slot.is_none() {
                    freezing.slot = self.channels.slots.take(rows.frozen_bytes());
                    if freezing.slot.is_none() {
                        return true;
                    }
                }
                let Some(mut all) = rows.take(budget, |key| plan.task_of(*shard, key)) else { return false };
                if plan.exec.is_some() {
                    all.rows.split_tasks();
                }
                budget = budget.saturating_sub(all.rows.len());
                taken = Some(all);
            }
            freezing.next_shard += 1;
            // If the checkpointer is gone, the run is being aborted.
            let _ = self.channels.frozen.send(FrozenShard {
                shard: *shard,
                cut: freezing.cut,
                rows: taken,
                pause_micros: freezing.pause_micros,
                slot: freezing.slot.take(),
            });
        }
    }
}
