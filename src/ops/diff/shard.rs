//! Compares two checkpoints with the same layout, one shard at a time.
//!
//! The chains of a shard usually begin with the same segments. The differences are in the rest: a key in neither rest
//! has the same value in both. A key in only one rest has its other value in the shared segments, where it is looked
//! up, the newest first.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::atomic::{self, AtomicU64};

use bytes::Bytes;

use crate::format::error::TableError;
use crate::format::index::IndexRow;
use crate::format::layout::ObjectName;
use crate::format::row_batch::RowBatch;
use crate::format::rows::Row;
use crate::format::segment::SegmentReader;
use crate::format::segment::merge::Cursor;
use crate::ops::diff::change::Change;
use crate::ops::diff::comparison::Comparison;
use crate::ops::diff::side::Side;
use crate::ops::read::ReadError;
use crate::values::parallel;
use crate::values::parallel::Outlet;
use crate::values::progress::Progress;

/// How many changes are passed on at once.
const BATCH_ROWS: usize = 4096;
/// The most bytes of changes that are passed on at once.
const BATCH_BYTES: usize = 4 << 20;

/// Keys beyond [`Limits::lookup_rows`](crate::ops::diff::Limits::lookup_rows) are still looked up if there are this
/// many times more rows to look them up in.
const LOOKUP_FACTOR: u64 = 8;

/// A shard's segments in both checkpoints, the oldest first.
#[derive(Debug, Clone, Copy, Default)]
struct Chains<'a> {
    /// The segments that both begin with.
    shared: &'a [IndexRow],
    old: &'a [IndexRow],
    new: &'a [IndexRow],
}

impl<'a> Chains<'a> {
    fn new(old: &'a [IndexRow], new: &'a [IndexRow], may_share: bool) -> Chains<'a> {
        let is_shared = |(old, new): &(&IndexRow, &IndexRow)| old.object == new.object;
        let shared = if may_share { old.iter().zip(new).take_while(is_shared).count() } else { 0 };
        Chains { shared: &old[..shared], old: &old[shared..], new: &new[shared..] }
    }

    fn is_equal(&self) -> bool {
        self.old.is_empty() && self.new.is_empty()
    }

    fn bytes(&self) -> u64 {
        let rows = self.shared.iter().chain(self.old).chain(self.new);
        rows.fold(0, |sum, row| sum.saturating_add(row.bytes))
    }

    /// Tells whether to look keys up in the shared segments, instead of decoding all of these.
    fn looks_up(&self, lookup_rows: u64) -> bool {
        let rows = |segments: &[IndexRow]| segments.iter().fold(0u64, |sum, row| sum.saturating_add(row.rows));
        let rest_rows = rows(self.old).saturating_add(rows(self.new));
        !self.shared.is_empty() && rest_rows <= lookup_rows.max(rows(self.shared) / LOOKUP_FACTOR)
    }
}

/// Passes the differences of all shards to `visit`, and returns the bytes of segments that were read.
pub(super) fn compare(
    comparison: &Comparison,
    progress: &dyn Progress,
    visit: &mut dyn FnMut(Change<'_>) -> bool,
) -> Result<u64, ReadError> {
    let in_scope =
        |row: &IndexRow| comparison.scope.task.is_none_or(|task| (row.first_task..=row.last_task).contains(&task));
    let mut shards: BTreeMap<u32, (&[IndexRow], &[IndexRow])> = BTreeMap::new();
    for chain in comparison.old.snapshot.chains().filter(|chain| in_scope(&chain[0])) {
        shards.entry(chain[0].shard).or_default().0 = chain;
    }
    for chain in comparison.new.snapshot.chains().filter(|chain| in_scope(&chain[0])) {
        shards.entry(chain[0].shard).or_default().1 = chain;
    }
    // With other columns, the bytes would not be equal anyway.
    let may_share = comparison.columns.are_same();
    let work: Vec<Chains<'_>> = shards
        .into_values()
        .map(|(old, new)| Chains::new(old, new, may_share))
        .filter(|chains| !chains.is_equal())
        .collect();
    progress.start(work.iter().map(Chains::bytes).fold(0, u64::saturating_add));
    let bytes_read = AtomicU64::new(0);
    let compare_shard = |chains: &Chains<'_>, outlet: &Outlet<'_, Changes, ReadError>| {
        let shard = Shard { comparison, chains: *chains, progress, bytes_read: &bytes_read };
        let mut batch = Changes::default();
        let mut emit = |change: Change<'_>| {
            batch.push(change);
            if batch.is_full() {
                return outlet.send(std::mem::take(&mut batch));
            }
            outlet.is_open()
        };
        if chains.looks_up(comparison.limits.lookup_rows) {
            shard.look_up(&mut emit)?;
        } else {
            shard.stream(&mut emit)?;
        }
        outlet.send(batch);
        Ok(())
    };
    parallel::in_order(&work, compare_shard, |batch| batch.iter().all(&mut *visit))?;
    Ok(bytes_read.into_inner())
}

/// Changes on their way from a thread: for each change one row in both batches, a tombstone where there is no value.
#[derive(Default)]
struct Changes {
    old: RowBatch,
    new: RowBatch,
}

impl Changes {
    fn push(&mut self, change: Change<'_>) {
        self.old.push(change.task, change.key, change.old);
        self.new.push(change.task, b"", change.new);
    }

    fn is_full(&self) -> bool {
        self.old.len() == BATCH_ROWS || self.old.memory_bytes() + self.new.memory_bytes() >= BATCH_BYTES
    }

    fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        let pairs = self.old.iter().zip(self.new.iter());
        pairs.map(|(old, new)| Change { task: old.task, key: old.key, old: old.value, new: new.value })
    }
}

/// A key of a chain's rest, and its values as far as they are known: the outer option tells whether a value was read,
/// the inner one whether the key exists.
struct Candidate {
    task: u32,
    key: Box<[u8]>,
    old: Option<Option<Box<[u8]>>>,
    new: Option<Option<Box<[u8]>>>,
}

impl Candidate {
    fn is_known(&self) -> bool {
        self.old.is_some() && self.new.is_some()
    }

    /// Takes the value in the shared segments, for the side whose rest does not have the key.
    fn fill(&mut self, value: Option<Box<[u8]>>) {
        if self.old.is_none() {
            self.old = Some(value);
        } else {
            self.new = Some(value);
        }
    }
}

/// The comparison of one shard.
struct Shard<'a> {
    comparison: &'a Comparison,
    chains: Chains<'a>,
    progress: &'a dyn Progress,
    bytes_read: &'a AtomicU64,
}

impl Shard<'_> {
    /// Reads both rests, and looks up in the shared segments what only one of them has.
    fn look_up(&self, emit: &mut dyn FnMut(Change<'_>) -> bool) -> Result<(), ReadError> {
        let mut candidates = self.candidates()?;
        let mut unknown: Vec<usize> = (0..candidates.len()).filter(|place| !candidates[*place].is_known()).collect();
        for segment in self.chains.shared.iter().rev() {
            let (smallest, largest) = (segment.smallest_key.as_bytes(), segment.largest_key.as_bytes());
            if !unknown.iter().any(|place| smallest <= &*candidates[*place].key && &*candidates[*place].key <= largest)
            {
                self.progress.advance(segment.bytes);
                continue;
            }
            let bytes = self.fetch(&self.comparison.old, segment)?;
            let keys: Vec<(u32, &[u8])> =
                unknown.iter().map(|place| (candidates[*place].task, &*candidates[*place].key)).collect();
            let mut found: Vec<(usize, Option<Box<[u8]>>)> = Vec::new();
            SegmentReader::open(bytes, self.comparison.old.snapshot.codec.columns())
                .and_then(|reader| reader.find(&keys, |at, value| found.push((unknown[at], value.map(Box::from)))))
                .map_err(|source| unreadable(segment.object, source))?;
            found.into_iter().for_each(|(place, value)| candidates[place].fill(value));
            unknown.retain(|place| !candidates[*place].is_known());
        }
        unknown.into_iter().for_each(|place| candidates[place].fill(None));
        for candidate in candidates {
            let (old, new) = (candidate.old.flatten(), candidate.new.flatten());
            if !self.emit(candidate.task, &candidate.key, old.as_deref(), new.as_deref(), emit) {
                break;
            }
        }
        Ok(())
    }

    /// Reads both rests.
    fn candidates(&self) -> Result<Vec<Candidate>, ReadError> {
        let failed = Cell::new(None);
        let mut old =
            self.cursor(&self.comparison.old, self.segments(&self.comparison.old, self.chains.old)?, &failed)?;
        let mut new =
            self.cursor(&self.comparison.new, self.segments(&self.comparison.new, self.chains.new)?, &failed)?;
        let mut candidates = Vec::new();
        let value = |row: Option<Row<'_>>| row.map(|row| row.value.map(Box::from));
        walk(&mut old, &mut new, |task, key, old, new| {
            if self.comparison.scope.holds(task, key) {
                candidates.push(Candidate { task, key: key.into(), old: value(old), new: value(new) });
            }
            true
        })
        .map_err(|source| attribute(&failed, source))?;
        Ok(candidates)
    }

    /// Reads both chains whole.
    fn stream(&self, emit: &mut dyn FnMut(Change<'_>) -> bool) -> Result<(), ReadError> {
        let (old_side, new_side) = (&self.comparison.old, &self.comparison.new);
        let shared = self.segments(old_side, self.chains.shared)?;
        let chain = |rest| shared.iter().cloned().chain(rest).collect();
        let failed = Cell::new(None);
        let mut old = self.cursor(old_side, chain(self.segments(old_side, self.chains.old)?), &failed)?;
        let mut new = self.cursor(new_side, chain(self.segments(new_side, self.chains.new)?), &failed)?;
        walk(&mut old, &mut new, |task, key, old, new| {
            !self.comparison.scope.holds(task, key)
                || self.emit(task, key, old.and_then(|row| row.value), new.and_then(|row| row.value), emit)
        })
        .map_err(|source| attribute(&failed, source))
    }

    /// Passes a key on if its values differ, and tells whether more are wanted.
    fn emit(
        &self,
        task: u32,
        key: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
        emit: &mut dyn FnMut(Change<'_>) -> bool,
    ) -> bool {
        let equal = match (old, new) {
            (Some(old), Some(new)) => !self.comparison.columns.differ(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        equal || emit(Change { task, key, old, new })
    }

    /// Fetches those of `rows` that may hold something in scope.
    fn segments(&self, side: &Side, rows: &[IndexRow]) -> Result<Vec<(ObjectName, Bytes)>, ReadError> {
        let mut segments = Vec::with_capacity(rows.len());
        for row in rows {
            if self.comparison.scope.may_be_in(row) {
                segments.push((row.object, self.fetch(side, row)?));
            } else {
                self.progress.advance(row.bytes);
            }
        }
        Ok(segments)
    }

    fn fetch(&self, side: &Side, row: &IndexRow) -> Result<Bytes, ReadError> {
        let bytes = side.snapshot.object(&side.store, row.object_ref())?;
        self.progress.advance(row.bytes);
        self.bytes_read.fetch_add(row.bytes, atomic::Ordering::Relaxed);
        Ok(bytes)
    }

    /// Merges `segments`, the oldest first. `failed` gets the object of the first error.
    fn cursor<'f>(
        &self,
        side: &Side,
        segments: Vec<(ObjectName, Bytes)>,
        failed: &'f Cell<Option<ObjectName>>,
    ) -> Result<Cursor<impl Iterator<Item = Result<RowBatch, TableError>> + use<'f>>, ReadError> {
        let mut sources = Vec::with_capacity(segments.len());
        for (object, bytes) in segments {
            let reader = SegmentReader::open(bytes, side.snapshot.codec.columns())
                .map_err(|source| unreadable(object, source))?;
            let reader = match self.comparison.scope.task {
                Some(task) => reader.skip_to_task(task),
                None => reader,
            };
            sources.push(reader.inspect(move |batch| {
                if batch.is_err() {
                    failed.set(Some(object));
                }
            }));
        }
        Cursor::new(sources).map_err(|source| attribute(failed, source))
    }
}

/// Walks through two merges in step: `visit` gets a task and key, and the rows that each has for it, until there are
/// no more or it returns false.
fn walk<A, B>(
    old: &mut Cursor<A>,
    new: &mut Cursor<B>,
    mut visit: impl FnMut(u32, &[u8], Option<Row<'_>>, Option<Row<'_>>) -> bool,
) -> Result<(), TableError>
where
    A: Iterator<Item = Result<RowBatch, TableError>>,
    B: Iterator<Item = Result<RowBatch, TableError>>,
{
    loop {
        let order = match (old.row(), new.row()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.sort_key().cmp(&new.sort_key()),
        };
        let old_row = old.row().filter(|_| order.is_le());
        let new_row = new.row().filter(|_| order.is_ge());
        let Some(here) = old_row.or(new_row) else { return Ok(()) };
        if !visit(here.task, here.key, old_row, new_row) {
            return Ok(());
        }
        if order.is_le() {
            old.advance()?;
        }
        if order.is_ge() {
            new.advance()?;
        }
    }
}

fn unreadable(object: ObjectName, source: TableError) -> ReadError {
    ReadError::Table { path: object.path().to_string(), source }
}

fn attribute(failed: &Cell<Option<ObjectName>>, source: TableError) -> ReadError {
    let path = failed.get().map_or_else(|| "a segment".to_owned(), |object| object.path().to_string());
    ReadError::Table { path, source }
}
