//! A shard: keyed state in memory that knows its changed rows.
//!
//! A [`Shard`] belongs to one thread. A cut freezes it with [`Shard::freeze`], which only swaps bitmaps. The changed
//! rows are then taken in slices with [`Shard::take`] while more records are applied: a row that is about to change or
//! to be removed is copied first if it is still to be taken.
//!
//! The memory of a removed row, its key and its text is reused for new rows, so a shard whose rows come and go does not
//! grow.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::SegmentKind;
use crate::format::row_batch::RowBatch;
use crate::format::rows::Change;
use crate::format::rows::RowCodec;
use crate::runner::state::bitmap::Bitmap;
use crate::runner::state::deadlines::Deadlines;
use crate::runner::state::emitted::Emitted;
use crate::runner::state::frozen::{FrozenRows, RowsToTake};
use crate::runner::state::row_mut::RowMut;
use crate::runner::state::rows::{Keys, Rows, put_u32, u32_at};
use crate::runner::state::table::Table;
use crate::runner::state::variables::{Variable, Variables};
use crate::values::value::Column;

/// The rows of a contiguous range of tasks.
#[derive(Debug)]
pub struct Shard {
    codec: RowCodec,
    fixed_only: bool,
    table: Table,
    rows: Rows,
    keys: Keys,
    variables: Variables,
    /// The rows that changed since the last cut.
    dirty: Bitmap,
    dirty_count: usize,
    /// Those of them that did not exist at the last cut.
    new: Bitmap,
    /// The keys that existed at the last cut and were removed since.
    removed: HashSet<Box<[u8]>>,
    changed_bytes: u64,
    emitted: Emitted,
    deadlines: Deadlines,
    frozen: Option<RowsToTake>,
    /// Whether a checkpoint holds the shard.
    is_stored: bool,
    /// Whether no checkpoint holds the rows in this layout, so that the next cut must take them.
    is_relaid: bool,
}

impl Shard {
    /// The maximum number of keys in a shard: 2^32 - 2.
    pub const MAX_KEYS: usize = u32::MAX as usize - 1;

    /// Makes an empty shard for values packed by `codec`.
    pub fn new(codec: &RowCodec) -> Shard {
        Shard {
            codec: codec.clone(),
            fixed_only: codec.is_fixed(),
            table: Table::default(),
            rows: Rows::new(codec.fixed_bytes()),
            keys: Keys::default(),
            variables: Variables::default(),
            dirty: Bitmap::default(),
            dirty_count: 0,
            new: Bitmap::default(),
            removed: HashSet::new(),
            changed_bytes: 0,
            emitted: Emitted::default(),
            deadlines: Deadlines::default(),
            frozen: None,
            is_stored: false,
            is_relaid: false,
        }
    }

    /// Returns whether the row has a value in `column`.
    pub fn has(&self, index: usize, column: usize) -> bool {
        RowCodec::has(self.rows.value(index), column)
    }

    pub fn keys(&self) -> u64 {
        (self.rows.len - self.rows.free.len()) as u64
    }

    /// Returns the size in bytes of the rows that changed since the last cut: their keys and the fixed parts of their
    /// values.
    pub fn changed_bytes(&self) -> u64 {
        self.changed_bytes
    }

    /// Returns the columns of its rows.
    pub fn columns(&self) -> &[Column] {
        self.codec.columns()
    }

    /// Returns whether a cut has taken all that the shard has.
    pub fn is_settled(&self) -> bool {
        self.is_stored && !self.is_relaid && self.frozen.is_none() && !self.has_changed()
    }

    /// Returns whether anything changed, was removed or was emitted since the last cut.
    pub fn has_changed(&self) -> bool {
        self.dirty_count > 0 || !self.removed.is_empty() || !self.emitted.is_empty()
    }

    /// Returns the memory of the rows and their hash table in bytes, without text and sketches.
    pub fn memory_bytes(&self) -> u64 {
        (self.rows.memory_bytes() + self.keys.memory_bytes + self.table.memory_bytes() + self.deadlines.memory_bytes())
            as u64
    }

    /// Loads a row from a checkpoint, which does not count as a change. Returns false if a sketch in it cannot be read.
    pub fn load(&mut self, hash: u64, key: &[u8], packed: &[u8]) -> bool {
        self.is_stored = true;
        let index = self.find_or_insert(hash, key);
        self.fill(index, packed)
    }

    /// Like [`Shard::load`], for a key that has no row.
    pub fn load_new(&mut self, hash: u64, key: &[u8], packed: &[u8]) -> bool {
        self.is_stored = true;
        let index = self.insert(hash, key);
        self.fill(index, packed)
    }

    /// Sets the values of row `index`. Returns false if a sketch in them cannot be read.
    fn fill(&mut self, index: usize, packed: &[u8]) -> bool {
        let fixed_bytes = self.codec.fixed_bytes();
        self.rows.value_mut(index).copy_from_slice(&packed[..fixed_bytes]);
        let mut rest = &packed[fixed_bytes..];
        for (column, described) in self.codec.columns().iter().enumerate() {
            if described.column_type.is_fixed() || !RowCodec::has(packed, column) {
                continue;
            }
            let at = self.codec.offset(column);
            let length = u32_at(packed, at) as usize;
            let Some(variable) = Variable::from_bytes(described.column_type, &rest[..length]) else { return false };
            rest = &rest[length..];
            let slot = self.variables.push(variable);
            put_u32(self.rows.value_mut(index), at, slot);
        }
        true
    }

    /// Records that a checkpoint holds the shard, even if it has no rows.
    pub fn set_stored(&mut self) {
        self.is_stored = true;
    }

    /// Records that no checkpoint holds the rows in this layout, so that the next one takes all of them.
    pub fn set_relaid(&mut self) {
        (self.is_stored, self.is_relaid) = (false, true);
    }

    /// Returns whether the next cut must take the shard.
    pub fn is_relaid(&self) -> bool {
        self.is_relaid
    }

    /// Opens the row of `key` for change, after adding it if it does not exist. `hash` is the XXH3-64 of the key.
    #[inline]
    pub fn row(&mut self, hash: u64, key: &[u8]) -> RowMut<'_> {
        let (index, _) = self.find_or_make(hash, key);
        self.open(index)
    }

    /// Returns the index of the row of `key`, and whether the row was added. A row that was added must be opened.
    #[inline]
    pub fn find_or_make(&mut self, hash: u64, key: &[u8]) -> (usize, bool) {
        match self.find(hash, key) {
            Some(index) => (index, false),
            None => (self.insert_new(hash, key), true),
        }
    }

    /// Opens row `index`, one of [`Shard::indices`], for change.
    #[inline]
    pub fn open(&mut self, index: usize) -> RowMut<'_> {
        if self.frozen.as_mut().is_some_and(|frozen| frozen.rows.remove(index)) {
            self.copy_before_change(index);
        }
        if self.dirty.insert(index) {
            self.dirty_count += 1;
            self.changed_bytes += (self.key(index).len() + self.codec.fixed_bytes()) as u64;
        }
        RowMut::new(self.rows.value_mut(index), &mut self.variables, &self.codec)
    }

    /// Fetches the row of a key with this hash into the cache, if it probably has one. [`Shard::row`] needs it.
    #[inline]
    pub fn fetch_row(&self, hash: u64) {
        if let Some(row) = self.table.likely(hash) {
            self.fetch(row as usize);
        }
    }

    /// Fetches row `index`, one of [`Shard::indices`], into the cache.
    #[inline]
    pub fn fetch(&self, index: usize) {
        self.rows.fetch(index);
    }

    /// Fetches the table entry for this hash into the cache. [`Shard::fetch_row`] needs it.
    #[inline]
    pub fn fetch_entry(&self, hash: u64) {
        self.table.fetch(hash);
    }

    /// Removes the row of `key`. Returns whether it existed.
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> bool {
        let found = self.find(hash, key);
        if let Some(index) = found {
            self.remove_row(index, hash, key);
        }
        found.is_some()
    }

    /// Removes row `index`, one of [`Shard::indices`].
    pub fn remove_at(&mut self, index: usize) {
        let key: Box<[u8]> = self.key(index).into();
        self.remove_row(index, xxh3_64(&key), &key);
    }

    fn remove_row(&mut self, index: usize, hash: u64, key: &[u8]) {
        self.deadlines.disarm(index);
        if self.frozen.as_mut().is_some_and(|frozen| frozen.rows.remove(index)) {
            self.copy_before_change(index);
        }
        if self.dirty.remove(index) {
            self.dirty_count -= 1;
        }
        if !self.new.remove(index) {
            self.changed_bytes += key.len() as u64;
            self.removed.insert(key.into());
        }
        self.table.remove(hash, index as u32);
        let value = self.rows.value(index);
        for (column, described) in self.codec.columns().iter().enumerate() {
            if !described.column_type.is_fixed() && RowCodec::has(value, column) {
                self.variables.remove(u32_at(value, self.codec.offset(column)));
            }
        }
        let held = *self.rows.key(index);
        self.keys.remove(&held);
        self.rows.remove(index);
    }

    pub fn deadlines(&mut self) -> &mut Deadlines {
        &mut self.deadlines
    }

    /// Returns the fixed part of the value of row `index`, one of [`Shard::indices`].
    pub fn value(&self, index: usize) -> &[u8] {
        self.rows.value(index)
    }

    /// Emits row `index`, one of [`Shard::indices`], as it is now.
    pub fn emit(&mut self, index: usize) {
        let mut emitted = std::mem::take(&mut self.emitted);
        emitted.push_row(self.key(index), |bytes| self.pack_row(index, bytes));
        self.emitted = emitted;
    }

    /// Returns the text or JSON in `column` of row `index`, one of [`Shard::indices`].
    pub fn bytes(&self, index: usize, column: usize) -> Option<&[u8]> {
        let value = self.rows.value(index);
        if !RowCodec::has(value, column) {
            return None;
        }
        match self.variables.get(u32_at(value, self.codec.offset(column))) {
            Variable::Bytes(bytes) => Some(bytes),
            Variable::Sketch(_) | Variable::Quantiles(_) => None,
        }
    }

    /// Returns what the shard has emitted since the last cut.
    pub fn emitted(&mut self) -> &mut Emitted {
        &mut self.emitted
    }

    /// Returns the memory of what the shard has emitted since the last cut, in bytes.
    pub fn emitted_bytes(&self) -> u64 {
        self.emitted.memory_bytes()
    }

    /// Returns the index of the row of `key`.
    #[inline]
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let (rows, keys) = (&self.rows, &self.keys);
        let found = match Keys::short(key) {
            Some(held) => self.table.find(hash, |row| *rows.key(row as usize) == held),
            None => self.table.find(hash, |row| keys.get(rows.key(row as usize)) == key),
        };
        found.map(|row| row as usize)
    }

    fn find_or_insert(&mut self, hash: u64, key: &[u8]) -> usize {
        match self.find(hash, key) {
            Some(index) => index,
            None => self.insert(hash, key),
        }
    }

    /// Adds a row, which is new unless its key existed at the last cut.
    fn insert_new(&mut self, hash: u64, key: &[u8]) -> usize {
        let index = self.insert(hash, key);
        if self.removed.is_empty() || !self.removed.remove(key) {
            self.new.insert(index);
        }
        index
    }

    fn insert(&mut self, hash: u64, key: &[u8]) -> usize {
        let held = self.keys.push(key);
        let index = self.rows.push(held);
        assert!(index < Shard::MAX_KEYS, "a shard holds fewer than 2^32 keys");
        self.table.insert(hash, index as u32);
        index
    }

    /// Freezes the shard: [`Shard::take`] will return its rows as they are now.
    ///
    /// Takes all rows as a base if `whole` is set, if at least half of the rows changed, or if no checkpoint holds the
    /// shard. Otherwise takes the changed rows as a delta.
    ///
    /// # Panics
    ///
    /// If the rows of the previous cut have not all been taken.
    pub fn freeze(&mut self, whole: bool) {
        assert!(self.frozen.is_none(), "a shard is frozen for one cut at a time");
        let dirty = std::mem::take(&mut self.dirty);
        let changes = self.dirty_count + self.removed.len();
        let all = changes > 0 && (!self.is_stored || changes as u64 * 2 >= self.keys());
        let (rows, kind) = match whole || all || !self.is_stored {
            true => (self.rows.taken(), SegmentKind::Base),
            false => (dirty.clone(), SegmentKind::Delta),
        };
        let mut taken = RowBatch::new();
        for key in self.removed.drain() {
            taken.push_changed(0, &key, Change::Delete, false, |_| {});
        }
        (self.is_stored, self.is_relaid) = (true, false);
        self.dirty_count = 0;
        self.changed_bytes = 0;
        let new = std::mem::take(&mut self.new);
        let emitted = std::mem::take(&mut self.emitted);
        self.frozen = Some(RowsToTake { rows, dirty, new, next_word: 0, taken, kind, keys: self.keys(), emitted });
    }

    /// Returns the approximate size in bytes of the frozen rows that are still to be taken, without text and sketches.
    pub fn frozen_bytes(&self) -> u64 {
        self.frozen.as_ref().map_or(0, |frozen| (frozen.rows.count() * self.rows.row_bytes()) as u64)
    }

    /// Takes about `count` more of the frozen rows. Returns all of them once none is left.
    ///
    /// `task_of` returns the task of a key. Returns `None` if the shard is not frozen.
    pub fn take(&mut self, count: usize, task_of: impl Fn(&[u8]) -> u32) -> Option<FrozenRows> {
        let mut frozen = self.frozen.take()?;
        if frozen.next_word == 0 {
            // Growing in small steps would move the rows again and again.
            let rows = frozen.rows.count();
            frozen.taken.reserve(rows, rows * self.rows.row_bytes());
        }
        let enough = frozen.taken.len() + count;
        while frozen.taken.len() < enough {
            let Some(word) = frozen.rows.words.get_mut(frozen.next_word) else { break };
            let mut bits = std::mem::take(word);
            while bits != 0 {
                let index = frozen.next_word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let change = frozen.change(index);
                self.copy_row(index, change, &mut frozen.taken);
            }
            frozen.next_word += 1;
        }
        if frozen.next_word < frozen.rows.words.len() {
            self.frozen = Some(frozen);
            return None;
        }
        let mut rows = frozen.taken;
        rows.set_tasks(task_of);
        Some(FrozenRows { rows, kind: frozen.kind, keys: frozen.keys, emitted: frozen.emitted })
    }

    /// Calls `visit` with the key and the packed value of every row.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        let mut batch = RowBatch::new();
        for index in self.indices() {
            batch.clear();
            self.copy_row(index, Change::None, &mut batch);
            let row = batch.row(0);
            visit(row.key, row.value.expect("rows in memory have values"));
        }
    }

    /// Returns the indices of all rows, ascending.
    pub fn indices(&self) -> impl Iterator<Item = usize> {
        (0..self.rows.len).filter(|&index| self.rows.is_taken(index))
    }

    /// Returns the key of row `index`, one of [`Shard::indices`].
    pub fn key(&self, index: usize) -> &[u8] {
        self.keys.get(self.rows.key(index))
    }

    /// Appends the packed value of row `index`, one of [`Shard::indices`].
    pub fn pack_row(&self, index: usize, packed: &mut Vec<u8>) {
        let value = self.rows.value(index);
        let start = packed.len();
        packed.extend_from_slice(value);
        if self.fixed_only {
            return;
        }
        for (column, described) in self.codec.columns().iter().enumerate() {
            if described.column_type.is_fixed() || !RowCodec::has(value, column) {
                continue;
            }
            let at = self.codec.offset(column);
            let before = packed.len();
            match self.variables.get(u32_at(value, at)) {
                Variable::Bytes(bytes) => packed.extend_from_slice(bytes),
                Variable::Sketch(sketch) => packed.extend_from_slice(&sketch.to_bytes()),
                Variable::Quantiles(quantiles) => packed.extend_from_slice(&quantiles.to_bytes()),
            }
            let length = (packed.len() - before) as u32;
            put_u32(&mut packed[start..], at, length);
        }
        for estimate in self.codec.estimates() {
            if RowCodec::has(value, estimate.sketch) {
                let sketch = self.variables.get(u32_at(value, self.codec.offset(estimate.sketch)));
                let estimated = sketch.estimate(estimate.quantile);
                self.codec.put_fixed(&mut packed[start..], estimate.column, &estimated);
            }
        }
    }

    #[cold]
    fn copy_before_change(&mut self, index: usize) {
        let mut frozen = self.frozen.take().expect("the caller saw that the shard is frozen");
        let change = frozen.change(index);
        self.copy_row(index, change, &mut frozen.taken);
        self.frozen = Some(frozen);
    }

    fn copy_row(&self, index: usize, change: Change, batch: &mut RowBatch) {
        batch.push_changed(0, self.key(index), change, true, |bytes| self.pack_row(index, bytes));
    }
}

#[cfg(test)]
mod tests;
