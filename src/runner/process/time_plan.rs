//! What a run does by the time of its records: windows that close and keys that expire.

use crate::format::rows::{RowCodec, int_at};
use crate::job::{Emit, InputFormat, JobSpec, OnLate, TtlSpec, Windows};
use crate::runner::process::event_clock::EventClock;
use crate::runner::process::event_time::TimeReader;
use crate::runner::process::task_time::TaskClock;
use crate::runner::process::watermark::Clock;
use crate::runner::state::row_mut::RowMut;
use crate::runner::state::shard::Shard;

/// How a job uses the time of its records.
#[derive(Debug, Clone)]
pub struct TimePlan {
    pub reader: TimeReader,
    /// The index of the time field among the fields of a record.
    pub field: usize,
    /// What the time is used for.
    pub rows: TimedRows,
    /// How far the watermark may move past all known times.
    pub ahead_millis: i64,
    /// Whether each task has a clock of its own.
    pub by_task: bool,
}

/// Which rows have a deadline, and what happens at the deadline.
#[derive(Debug, Clone)]
pub enum TimedRows {
    /// Each row belongs to a key and a window.
    Windows(WindowRows),
    /// A row is removed when its key has had no record for some time.
    Expiry(Expiry),
}

/// Rows of windows.
#[derive(Debug, Clone)]
pub struct WindowRows {
    pub windows: Windows,
    /// Whether windows close before the end of the input. If not, all rows are kept for the output at the end.
    pub closes: bool,
    /// Whether a row is written to the output when its window closes.
    pub emits: bool,
    /// How far the watermark is behind the largest time of the records.
    pub late_millis: i64,
    /// What happens to records that are later than that.
    pub on_late: OnLate,
}

/// Rows that expire.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// How long a row is kept after the time of its latest record.
    pub ttl_millis: i64,
    /// The column with the time of the latest record.
    pub column: usize,
    /// The offset of the column in the packed value.
    pub offset: usize,
}

/// Rows expire at whole seconds, so that all rows of a second share one bucket.
const GRAIN_MILLIS: i64 = 1_000;

impl TimePlan {
    /// Returns how `job` uses time, if it does. The time is field number `field` of a record, and `codec` packs the
    /// rows.
    pub fn new(job: &JobSpec, field: usize, codec: &RowCodec) -> Option<TimePlan> {
        let format: &InputFormat = &job.input.format;
        if let Some(spec) = &job.window {
            let emit = job.output.as_ref().map(|output| output.emit);
            let rows = WindowRows {
                windows: Windows::new(spec),
                closes: emit != Some(Emit::Final),
                emits: emit == Some(Emit::Changes),
                late_millis: spec.late_millis,
                on_late: spec.on_late.clone(),
            };
            return Some(TimePlan {
                reader: TimeReader::new(&spec.time, format),
                field,
                // Without windows that close, the watermark means nothing.
                ahead_millis: if rows.closes { spec.ahead_millis } else { i64::MAX },
                by_task: job.is_partitioned,
                rows: TimedRows::Windows(rows),
            });
        }
        let ttl = job.ttl.as_ref()?;
        let column = codec.columns().iter().position(|column| column.name == TtlSpec::COLUMN)?;
        let expiry = Expiry { ttl_millis: ttl.ttl_millis, column, offset: codec.offset(column) };
        let (reader, ahead_millis) = (TimeReader::new(&ttl.time, format), ttl.ahead_millis);
        Some(TimePlan { reader, field, ahead_millis, by_task: job.is_partitioned, rows: TimedRows::Expiry(expiry) })
    }

    /// Returns a clock of `partitions` partitions before the first record.
    pub fn clock(&self, partitions: usize) -> EventClock {
        let late_millis = match &self.rows {
            TimedRows::Windows(rows) => rows.late_millis,
            TimedRows::Expiry(_) => 0,
        };
        match self.by_task {
            false => EventClock::Shared(Clock::new(partitions, late_millis, self.ahead_millis)),
            true => EventClock::ByTask(vec![TaskClock::new(late_millis, self.ahead_millis); partitions]),
        }
    }

    /// Moves `clock` to the end of the input, past the end of the last window that has a record that is not early.
    pub fn end(&self, clock: &mut EventClock) {
        let TimedRows::Windows(rows) = &self.rows else { return };
        if !rows.closes {
            return;
        }
        let end_after = |time: i64| rows.windows.end(rows.windows.latest_start(time));
        match clock {
            EventClock::Shared(clock) => {
                if let Some(time) = clock.reached() {
                    clock.move_to(end_after(time));
                }
            }
            EventClock::ByTask(clocks) => {
                for clock in clocks {
                    if let Some(time) = clock.time() {
                        clock.move_to(end_after(time));
                    }
                }
            }
        }
    }

    /// Arms the rows of a shard that was loaded. The error says what is wrong with a row.
    pub fn arm(&self, shard: &mut Shard) -> Result<(), String> {
        let places: Vec<usize> = shard.indices().collect();
        for place in places {
            let deadline = match &self.rows {
                TimedRows::Windows(rows) if !rows.closes => continue,
                TimedRows::Windows(rows) => {
                    let Some((_, start)) = rows.windows.split(shard.key(place)) else {
                        return Err("a key does not end with the start of a window".to_owned());
                    };
                    Some(rows.windows.end(start))
                }
                TimedRows::Expiry(expiry) => expiry.deadline(shard.value(place)),
            };
            if let Some(deadline) = deadline {
                shard.deadlines().arm(place, deadline);
            }
        }
        Ok(())
    }

    /// Closes the windows of a shard that end at or before `watermark`, or removes the rows that have expired by then.
    pub fn close_due(&self, shard: &mut Shard, watermark: i64) {
        while let Some((deadline, places)) = shard.deadlines().due(watermark) {
            for place in places.into_iter().map(|place| place as usize) {
                match &self.rows {
                    TimedRows::Windows(rows) => {
                        if rows.emits {
                            shard.emit(place);
                        }
                        shard.remove_at(place);
                    }
                    TimedRows::Expiry(expiry) => match expiry.deadline(shard.value(place)) {
                        Some(later) if later > deadline => shard.deadlines().arm(place, later),
                        _ => shard.remove_at(place),
                    },
                }
            }
        }
    }
}

impl Expiry {
    /// Returns when a row with this value expires. Returns `None` if it has no time.
    pub fn deadline(&self, value: &[u8]) -> Option<i64> {
        RowCodec::has(value, self.column).then(|| self.after(int_at(value, self.offset)))
    }

    /// Returns when a row expires whose latest record has this time.
    pub fn after(&self, time: i64) -> i64 {
        let end = time.saturating_add(self.ttl_millis).min(i64::MAX - GRAIN_MILLIS);
        end + (-end).rem_euclid(GRAIN_MILLIS)
    }

    /// Records the time of a record in its row. Returns the deadline if the row had none.
    #[inline]
    pub fn note(&self, row: &mut RowMut<'_>, time: i64) -> Option<i64> {
        let before = row.has(self.column).then(|| int_at(row.packed, self.offset));
        if before.is_none_or(|before| before < time) {
            row.packed[self.offset..self.offset + 8].copy_from_slice(&time.to_le_bytes());
            row.set_present(self.column);
        }
        before.is_none().then(|| self.after(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::value::{Column, ColumnType};
    use xxhash_rust::xxh3::xxh3_64;

    #[test]
    fn a_key_expires_after_its_ttl_and_not_before() {
        let codec = RowCodec::new(vec![Column::new("n", ColumnType::Int), Column::new("event_time", ColumnType::Int)]);
        let expiry = Expiry { ttl_millis: 5_000, column: 1, offset: codec.offset(1) };
        let text = "job: a\ninput: b.jsonl\nkey: k\nprocess: {aggregate: {n: count}, ttl: 5s, time: ts, unit: ms}\n";
        let job = JobSpec::parse(text, std::path::Path::new("job.yaml")).unwrap();
        let timing = TimePlan::new(&job, 0, &codec).unwrap();
        let mut shard = Shard::new(&codec);
        let record = |shard: &mut Shard, key: &str, time: i64| {
            let (place, _) = shard.find_or_make(xxh3_64(key.as_bytes()), key.as_bytes());
            if let Some(deadline) = expiry.note(&mut shard.open(place), time) {
                shard.deadlines().arm(place, deadline);
            }
        };
        record(&mut shard, "a", 1_500);
        record(&mut shard, "b", 1_500);
        record(&mut shard, "b", 4_000);
        record(&mut shard, "b", 2_000);
        timing.close_due(&mut shard, 6_999);
        assert_eq!(shard.keys(), 2, "1,500 and 5,000 is 6,500, in whole seconds 7,000");
        timing.close_due(&mut shard, 7_000);
        assert_eq!(shard.keys(), 1);
        let mut resumed = Shard::new(&codec);
        shard.for_each(|key, packed| assert!(resumed.load(xxh3_64(key), key, packed)));
        timing.arm(&mut resumed).unwrap();
        for shard in [&mut shard, &mut resumed] {
            timing.close_due(shard, 8_999);
            assert_eq!(shard.keys(), 1);
            timing.close_due(shard, 9_000);
            assert_eq!(shard.keys(), 0);
        }
    }
}
