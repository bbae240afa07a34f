//! The part of a worker that goes by the time of records: windows and expiry.
//!
//! Behind the key, a record has a time (8 bytes): of the start of its window, or its own. Where rows are those of windows, a byte follows that tells
//! whether this is the record's latest window, by which it is late, and whether the place of the record comes next.

use std::sync::atomic::Ordering;

use crate::format::segment::MAX_VALUE_BYTES;
use crate::input::Block;
use crate::input::record::{BadRecord, Field, RecordPlace};
use crate::job::OnLate;
use crate::runner::messages::BlockTime;
use crate::runner::pipeline::gauges::Load;
use crate::runner::pipeline::plan::{Own, Plan};
use crate::runner::pipeline::worker::head::Head;
use crate::runner::pipeline::worker::{Event, GROUP, Worker, unapplied};
use crate::runner::process::processor::Context;
use crate::runner::process::time_plan::{TimePlan, TimedRows, WindowRows};
use crate::runner::process::watermark::Clock;
use crate::runner::process::window::RowKeys;
use crate::runner::rejected::{LateRecord, Rejected, shown_bytes};

/// What a worker of such a job has besides.
#[derive(Debug)]
pub struct Timed {
    /// The time at the next block to apply.
    clock: Clock,
    /// The records of each stream before it.
    records: Vec<u64>,
    row_keys: Option<RowKeys>,
    row_key: Vec<u8>,
    arguments: Vec<u8>,
}

impl Timed {
    /// Makes it for a worker that goes on from `clock`, with so many records of each stream applied.
    pub fn new(timing: &TimePlan, clock: Clock, records: Vec<u64>) -> Timed {
        let row_keys = match &timing.rows {
            TimedRows::Windows(rows) => Some(RowKeys::new(&rows.windows)),
            TimedRows::Expiry(_) => None,
        };
        Timed { clock, records, row_keys, row_key: Vec::new(), arguments: Vec::new() }
    }
}

/// A window's record that is not in its latest one; that is; that is, with its place.
const EARLIER: u8 = 0;
const LATEST: u8 = 1;
const LATEST_WITH_PLACE: u8 = 2;

impl Plan {
    /// Packs one record for the workers that own its rows, if the filter keeps it. Returns its time then.
    pub(crate) fn route_timed(
        &self,
        timed: &mut Timed,
        own: Own<'_>,
        block: &Block,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        updates: &mut [Vec<u8>],
    ) -> Result<Option<i64>, BadRecord> {
        let Some(timing) = &self.timing else { return Ok(None) };
        if !self.keeps(fields)? {
            return Ok(None);
        }
        let (key, task) = self.key_of(own, fields)?;
        let time = timing.reader.millis(&fields[timing.field])?;
        timed.arguments.clear();
        self.processor.pack(&fields[..self.field_count], &mut timed.arguments)?;
        let arguments = &timed.arguments;
        match (&timing.rows, &mut timed.row_keys) {
            (TimedRows::Windows(rows), Some(row_keys)) => {
                let shown = shown_bytes(&rows.on_late).map(|most| &place.bytes[..place.bytes.len().min(most)]);
                for (number, start) in rows.windows.starts(time).enumerate() {
                    row_keys.write(key.as_bytes(), start, &mut timed.row_key);
                    if timed.row_key.len() > MAX_VALUE_BYTES {
                        let reason = format!("the key has {} bytes, too many for a window", key.len());
                        return Err(BadRecord { reason });
                    }
                    self.push(&timed.row_key, None, updates, |update| {
                        update.extend_from_slice(&start.to_le_bytes());
                        match shown {
                            _ if number > 0 => update.push(EARLIER),
                            None => update.push(LATEST),
                            Some(bytes) => {
                                update.push(LATEST_WITH_PLACE);
                                update.extend_from_slice(&(block.offset + place.at as u64).to_le_bytes());
                                update.extend_from_slice(&place.index.to_le_bytes());
                                update.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                                update.extend_from_slice(bytes);
                            }
                        }
                        update.extend_from_slice(arguments);
                        Ok(())
                    })?;
                }
            }
            _ => self.push(key.as_bytes(), task, updates, |update| {
                update.extend_from_slice(&time.to_le_bytes());
                update.extend_from_slice(arguments);
                Ok(())
            })?,
        }
        Ok(Some(time))
    }
}

impl Worker<'_> {
    /// Applies a block's records, and then lets the time come to where the block has brought it.
    pub(crate) fn apply_timed(&mut self, bytes: &[u8], time: &BlockTime) -> Result<(), Box<Event>> {
        let before = self.load();
        let result = match self.plan.timing.as_ref().map(|timing| &timing.rows) {
            Some(TimedRows::Windows(rows)) => self.apply_to_windows(bytes, rows, time),
            Some(TimedRows::Expiry(_)) | None => self.apply_to_expiring(bytes),
        };
        let mut moved = false;
        if let Some(timed) = &mut self.timed {
            let stream = time.stream as usize;
            moved = timed.clock.advance(stream, time.largest, &time.released);
            if stream >= timed.records.len() {
                timed.records.resize(stream + 1, 0);
            }
            timed.records[stream] += time.records;
        }
        self.settle(moved, before);
        result
    }

    /// Lets the time come to the end of the input.
    pub(crate) fn end(&mut self) {
        let before = self.load();
        if let (Some(timing), Some(timed)) = (&self.plan.timing, &mut self.timed) {
            timing.end(&mut timed.clock);
        }
        self.settle(true, before);
    }

    /// Removes the rows whose deadline has come.
    fn settle(&mut self, moved: bool, before: Load) {
        if let (true, Some(timing), Some(timed)) = (moved, &self.plan.timing, &self.timed) {
            let watermark = timed.clock.watermark();
            for (_, shard) in &mut self.shards {
                timing.close_due(shard, watermark);
            }
        }
        self.gauges.add(self.load(), before);
    }

    fn apply_to_windows(&mut self, mut bytes: &[u8], rows: &WindowRows, time: &BlockTime) -> Result<(), Box<Event>> {
        let watermark = self.timed.as_ref().map_or(i64::MIN, |timed| timed.clock.watermark());
        let mut heads = [Head::default(); GROUP];
        while !bytes.is_empty() {
            let count = self.look_ahead(bytes, &mut heads);
            for head in &heads[..count] {
                let (key, packed, rest) = head.split(bytes);
                bytes = rest;
                let (start, packed) = (number_at(packed, 0) as i64, &packed[8..]);
                let (place, arguments) = Place::unpack(packed);
                let end = rows.windows.end(start);
                if rows.closes && end <= watermark {
                    if packed[0] != EARLIER {
                        self.late(rows, head.place as usize, end, watermark, place, time)?;
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
        }
        Ok(())
    }

    fn apply_to_expiring(&mut self, mut bytes: &[u8]) -> Result<(), Box<Event>> {
        let Some(TimedRows::Expiry(expiry)) = self.plan.timing.as_ref().map(|timing| &timing.rows) else {
            return Ok(());
        };
        let mut heads = [Head::default(); GROUP];
        while !bytes.is_empty() {
            let count = self.look_ahead(bytes, &mut heads);
            for head in &heads[..count] {
                let (key, packed, rest) = head.split(bytes);
                bytes = rest;
                let (time, arguments) = (number_at(packed, 0) as i64, &packed[8..]);
                let shard = &mut self.shards[head.place as usize].1;
                let (index, _) = shard.find_or_make(head.hash, key);
                let mut row = shard.open(index);
                let deadline = expiry.note(&mut row, time);
                let applied = self.plan.processor.apply(arguments, &mut row, &mut Context::new(key));
                applied.map_err(|error| unapplied(error, key))?;
                if let Some(deadline) = deadline {
                    shard.deadlines().arm(index, deadline);
                }
            }
        }
        Ok(())
    }

    /// Counts a record all of whose windows are closed, of which the last had ended at `end`.
    #[cold]
    fn late(
        &mut self,
        rows: &WindowRows,
        shard: usize,
        end: i64,
        watermark: i64,
        place: Option<Place<'_>>,
        time: &BlockTime,
    ) -> Result<(), Box<Event>> {
        let record = place.map(|place| LateRecord {
            block: self.next,
            stream: time.stream,
            first_record: self.timed.as_ref().map_or(0, |timed| timed.records[time.stream as usize]),
            rejected: Rejected {
                index: place.index,
                offset: place.offset,
                reason: format!(
                    "is late: its window ended at {}, and the input had come to {}",
                    rows.windows.stamp(end),
                    rows.windows.moment(watermark)
                ),
                bytes: place.bytes.to_vec(),
            },
        });
        if let (OnLate::Fail, Some(record)) = (&rows.on_late, record.clone()) {
            return Err(Box::new(Event::Late(Box::new(record))));
        }
        self.gauges.late.fetch_add(1, Ordering::Relaxed);
        self.shards[shard].1.emitted().push_late(record);
        Ok(())
    }
}

/// Where a record stands that may be late.
struct Place<'a> {
    offset: u64,
    index: u64,
    bytes: &'a [u8],
}

impl<'a> Place<'a> {
    /// Splits off the place, if there is one; the arguments are left.
    #[inline]
    fn unpack(packed: &'a [u8]) -> (Option<Place<'a>>, &'a [u8]) {
        if packed[0] != LATEST_WITH_PLACE {
            return (None, &packed[1..]);
        }
        let (offset, index, length) = (number_at(packed, 1), number_at(packed, 9), number_at(packed, 17) as usize);
        let (bytes, arguments) = packed[25..].split_at(length);
        (Some(Place { offset, index, bytes }), arguments)
    }
}

#[inline]
fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
