//! How a worker applies records with an event time: to windows, and to rows that expire.

use std::sync::atomic::Ordering;

use crate::job::OnLate;
use crate::runner::messages::{BlockTime, ThreadEvent};
use crate::runner::pipeline::gauges::Load;
use crate::runner::pipeline::worker::ahead::Ahead;
use crate::runner::pipeline::worker::apply::unapplied;
use crate::runner::pipeline::worker::route_timed::{EARLIER, LatePlace, split_time};
use crate::runner::pipeline::worker::thread::Worker;
use crate::runner::process::event_clock::EventClock;
use crate::runner::process::processor::Context;
use crate::runner::process::time_plan::{Expiry, TimedRows, WindowRows};
use crate::runner::process::watermark::NEVER;
use crate::runner::rejected::{LateRecord, Rejected};

impl Worker<'_> {
    /// Applies a block's records, then advances event time as far as the block allows.
    pub(super) fn apply_timed(&mut self, bytes: &[u8], time: &BlockTime) -> Result<(), Box<ThreadEvent>> {
        let before = self.load();
        let result = match self.plan.timing.as_ref().map(|timing| &timing.rows) {
            Some(TimedRows::Windows(rows)) => self.apply_to_windows(bytes, rows, time),
            Some(TimedRows::Expiry(expiry)) => self.apply_to_expiring(bytes, expiry, time),
            None => Ok(()),
        };
        let mut moved = false;
        if let Some(timed) = &mut self.timed {
            let stream = time.stream as usize;
            // The clocks of tasks have moved with each record.
            if let EventClock::Shared(_) = timed.clock {
                moved = timed.clock.advance(stream, time.records, &time.times, &time.released).moved;
            }
            if stream >= timed.records.len() {
                timed.records.resize(stream + 1, 0);
            }
            timed.records[stream] += time.records;
        }
        self.remove_expired(moved, before);
        result
    }

    /// Advances event time to the end of the input.
    pub(super) fn end_time(&mut self) {
        let before = self.load();
        if let (Some(timing), Some(timed)) = (&self.plan.timing, &mut self.timed) {
            timing.end(&mut timed.clock);
        }
        self.remove_expired(true, before);
    }

    /// Removes the rows whose deadline has come, if event time has moved.
    fn remove_expired(&mut self, moved: bool, before: Load) {
        if let (true, Some(timing), Some(timed)) = (moved, &self.plan.timing, &self.timed) {
            for (number, shard) in &mut self.shards {
                timing.close_due(shard, timed.clock.watermark_of(*number as usize));
            }
        }
        self.gauges.add(self.load(), before);
    }

    /// Returns the watermark before the block `time`.
    fn watermark_of(&self, time: &BlockTime) -> i64 {
        self.timed.as_ref().map_or(NEVER, |timed| timed.clock.watermark_of(time.stream as usize))
    }

    /// Moves the clock of a record's task, if it has one: before the record is applied. Then removes the rows of the task,
    /// whose shard is at `place`, that are due. Returns the watermark if it has moved.
    #[inline]
    fn move_task_clock(&mut self, block: &BlockTime, place: u32, time: i64) -> Option<i64> {
        let (timing, timed) = (self.plan.timing.as_ref()?, self.timed.as_mut()?);
        let watermark = timed.clock.take(block.stream as usize, time)?;
        timing.close_due(&mut self.shards[place as usize].1, watermark);
        Some(watermark)
    }

    fn apply_to_windows(&mut self, bytes: &[u8], rows: &WindowRows, time: &BlockTime) -> Result<(), Box<ThreadEvent>> {
        let mut watermark = self.watermark_of(time);
        let mut records = Ahead::new(bytes);
        while let Some((head, key, packed)) = records.next(&self.shards) {
            let (record_time, packed) = split_time(packed);
            let (start, packed) = split_time(packed);
            watermark = self.move_task_clock(time, head.place, record_time).unwrap_or(watermark);
            let (place, arguments) = LatePlace::unpack(packed);
            let end = rows.windows.end(start);
            if rows.closes && end <= watermark {
                if packed[0] != EARLIER {
                    let record = place.map(|place| self.late_record(rows, place, time, end, watermark));
                    self.take_late(rows, head.place as usize, record)?;
                }
                continue;
            }
            let shard = &mut self.shards[head.place as usize].1;
            let (index, is_new) = shard.find_or_make(head.hash, key);
            if is_new && rows.closes {
                shard.deadlines().arm(index, end);
            }
            let mut row = shard.open(index);
            let applied = self.plan.processor.apply(arguments, &mut row, &mut Context::new(key));
            applied.map_err(|error| unapplied(error, key))?;
        }
        Ok(())
    }

    fn apply_to_expiring(&mut self, bytes: &[u8], expiry: &Expiry, block: &BlockTime) -> Result<(), Box<ThreadEvent>> {
        let mut watermark = self.watermark_of(block);
        let mut records = Ahead::new(bytes);
        while let Some((head, key, packed)) = records.next(&self.shards) {
            let (time, packed) = split_time(packed);
            watermark = self.move_task_clock(block, head.place, time).unwrap_or(watermark);
            let shard = &mut self.shards[head.place as usize].1;
            let Some(arguments) = self.plan.arguments(packed) else {
                shard.remove(head.hash, key);
                continue;
            };
            if expiry.after(time) <= watermark && shard.find(head.hash, key).is_none() {
                // The row would expire as soon as it is made.
                self.gauges.late.fetch_add(1, Ordering::Relaxed);
                shard.emitted().push_late(None);
                continue;
            }
            let (index, _) = shard.find_or_make(head.hash, key);
            let mut row = shard.open(index);
            let deadline = expiry.note(&mut row, time);
            let applied = self.plan.processor.apply(arguments, &mut row, &mut Context::new(key));
            applied.map_err(|error| unapplied(error, key))?;
            if let Some(deadline) = deadline {
                shard.deadlines().arm(index, deadline);
            }
        }
        Ok(())
    }

    /// Describes a record whose last window ended at `end`.
    #[cold]
    fn late_record(
        &self,
        rows: &WindowRows,
        place: LatePlace<'_>,
        time: &BlockTime,
        end: i64,
        watermark: i64,
    ) -> LateRecord {
        let (end, watermark) = (rows.windows.stamp(end), rows.windows.moment(watermark));
        LateRecord {
            block: self.next,
            stream: time.stream,
            first_record: self.timed.as_ref().map_or(0, |timed| timed.records[time.stream as usize]),
            rejected: Rejected {
                index: place.index,
                offset: place.offset,
                reason: format!("is late: its window ended at {end}, and the watermark was at {watermark}"),
                bytes: place.bytes.to_vec(),
            },
        }
    }

    /// Counts a late record, and keeps it if late records are kept. Fails if the job does.
    #[cold]
    fn take_late(
        &mut self,
        rows: &WindowRows,
        shard: usize,
        record: Option<LateRecord>,
    ) -> Result<(), Box<ThreadEvent>> {
        if let (OnLate::Fail, Some(record)) = (&rows.on_late, record.clone()) {
            return Err(Box::new(ThreadEvent::Late(Box::new(record))));
        }
        self.gauges.late.fetch_add(1, Ordering::Relaxed);
        self.shards[shard].1.emitted().push_late(record);
        Ok(())
    }
}
