//! How records with an event time are packed: for windows and for expiry.
//!
//! Behind the key, a packed record has its time (8 bytes). In a job with windows, the start of its window (8 bytes) and
//! one byte follow: whether this is the record's latest window, by which it is late, and whether the place of the record
//! comes next.

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::record::{BadRecord, Field, RecordPlace};
use crate::runner::pipeline::plan::Plan;
use crate::runner::pipeline::route::BlockKeys;
use crate::runner::process::event_clock::EventClock;
use crate::runner::process::time_plan::{TimePlan, TimedRows, WindowRows};
use crate::runner::process::window::RowKeys;
use crate::runner::rejected::shown_bytes;

/// What a worker keeps for a job with event time.
#[derive(Debug)]
pub struct TimedState {
    /// The time at the next block to apply.
    pub(super) clock: EventClock,
    /// The records of each stream before that block.
    pub(super) records: Vec<u64>,
    row_keys: Option<RowKeys>,
    row_key: Vec<u8>,
    arguments: Vec<u8>,
}

impl TimedState {
    /// Makes the state of a worker that resumes from `clock`, with `records` applied of each stream.
    pub fn new(timing: &TimePlan, clock: EventClock, records: Vec<u64>) -> TimedState {
        let row_keys = match &timing.rows {
            TimedRows::Windows(rows) => Some(RowKeys::new(&rows.windows)),
            TimedRows::Expiry(_) => None,
        };
        TimedState { clock, records, row_keys, row_key: Vec::new(), arguments: Vec::new() }
    }
}

/// Marks a record that is packed for another window than its latest one.
pub(super) const EARLIER: u8 = 0;
/// Marks a record that is packed for its latest window.
const LATEST: u8 = 1;
/// The same, followed by the record's place.
const LATEST_WITH_PLACE: u8 = 2;

impl Plan {
    /// Packs one record for the workers that own its rows, if the filter keeps it. Returns its time then.
    pub(crate) fn route_timed(
        &self,
        timed: &mut TimedState,
        keys: &mut BlockKeys<'_>,
        place: RecordPlace<'_>,
        fields: &[Field<'_>],
        updates: &mut [Vec<u8>],
    ) -> Result<Option<i64>, BadRecord> {
        let Some(timing) = &self.timing else { return Ok(None) };
        if !self.keeps(fields)? {
            return Ok(None);
        }
        let (key, task) = keys.of(fields)?;
        let time = timing.reader.millis(&fields[timing.field])?;
        timed.arguments.clear();
        self.pack(fields, &mut timed.arguments)?;
        match &timing.rows {
            TimedRows::Windows(rows) => self.push_to_windows(timed, rows, (key, task, time), place, updates)?,
            TimedRows::Expiry(_) => self.push(key.as_bytes(), task, updates, |update| {
                update.extend_from_slice(&time.to_le_bytes());
                update.extend_from_slice(&timed.arguments);
                Ok(())
            })?,
        }
        Ok(Some(time))
    }

    /// Packs a record for each of its windows.
    fn push_to_windows(
        &self,
        timed: &mut TimedState,
        rows: &WindowRows,
        (key, task, time): (&str, Option<u32>, i64),
        place: RecordPlace<'_>,
        updates: &mut [Vec<u8>],
    ) -> Result<(), BadRecord> {
        let TimedState { row_keys: Some(row_keys), row_key, arguments, .. } = timed else { return Ok(()) };
        let shown = shown_bytes(&rows.on_late).map(|most| &place.bytes[..place.bytes.len().min(most)]);
        for (number, start) in rows.windows.starts(time).enumerate() {
            row_keys.write(key.as_bytes(), start, row_key);
            if row_key.len() > MAX_VALUE_BYTES {
                let reason = format!("the key has {} bytes, too many for a window", key.len());
                return Err(BadRecord { reason });
            }
            self.push(row_key, task, updates, |update| {
                update.extend_from_slice(&time.to_le_bytes());
                update.extend_from_slice(&start.to_le_bytes());
                match shown {
                    _ if number > 0 => update.push(EARLIER),
                    None => update.push(LATEST),
                    Some(bytes) => {
                        update.push(LATEST_WITH_PLACE);
                        update.extend_from_slice(&place.offset.to_le_bytes());
                        update.extend_from_slice(&place.index.to_le_bytes());
                        update.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
                        update.extend_from_slice(bytes);
                    }
                }
                update.extend_from_slice(arguments);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// The place of a record that may be late.
pub(super) struct LatePlace<'a> {
    pub(super) offset: u64,
    pub(super) index: u64,
    pub(super) bytes: &'a [u8],
}

impl<'a> LatePlace<'a> {
    /// Splits the place off a packed record, if it has one. Returns the arguments as well.
    #[inline]
    pub(super) fn unpack(packed: &'a [u8]) -> (Option<LatePlace<'a>>, &'a [u8]) {
        if packed[0] != LATEST_WITH_PLACE {
            return (None, &packed[1..]);
        }
        let (offset, index, length) = (number_at(packed, 1), number_at(packed, 9), number_at(packed, 17) as usize);
        let (bytes, arguments) = packed[25..].split_at(length);
        (Some(LatePlace { offset, index, bytes }), arguments)
    }
}

/// Splits the time, or the start of the window that comes next, off a packed record.
#[inline]
pub(super) fn split_time(packed: &[u8]) -> (i64, &[u8]) {
    (number_at(packed, 0) as i64, &packed[8..])
}

#[inline]
fn number_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
