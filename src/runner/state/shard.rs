//! Keyed state in memory, with its changed rows known.
//!
//! A [`Shard`] belongs to one thread. A cut freezes it ([`Shard::freeze`]), which takes no longer than swapping a bitmap, and its changed rows are taken in
//! slices afterwards ([`Shard::take`]) while records go on being applied: a row that is about to change or to go and is still to be taken is
//! set aside first, as it was at the cut.
//!
//! A row that is removed leaves its place, the memory of its key and that of its text to those that come after it, so a shard whose rows come and
//! go does not grow.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use crate::format::index::SegmentKind;
use crate::format::row_batch::RowBatch;
use crate::format::rows::{Change, Row, RowCodec, int_at, number_at};
use crate::runner::state::bitmap::Bitmap;
use crate::runner::state::deadlines::Deadlines;
use crate::runner::state::emitted::Emitted;
use crate::runner::state::rows::{Keys, Rows, u32_at};
use crate::runner::state::sketch::Sketch;
use crate::runner::state::table::Table;
use crate::values::decimal::Decimal;
use crate::values::value::ColumnType;

/// The rows of a contiguous range of tasks.
#[derive(Debug)]
pub struct Shard {
    codec: RowCodec,
    fixed_only: bool,
    table: Table,
    rows: Rows,
    keys: Keys,
    variables: Variables,
    /// Rows that changed since the last cut.
    dirty: Bitmap,
    dirty_count: usize,
    /// Those of them that were not there at the last cut.
    new: Bitmap,
    /// Keys that were there at the last cut and are no more.
    removed: HashSet<Box<[u8]>>,
    changed_bytes: u64,
    emitted: Emitted,
    deadlines: Deadlines,
    frozen: Option<Frozen>,
    /// Whether any checkpoint holds the shard.
    is_stored: bool,
}

/// The value of a column that has no fixed size.
#[derive(Debug, Clone)]
pub enum Variable {
    /// Text or JSON.
    Bytes(Box<[u8]>),
    /// A sketch, ready to count.
    Sketch(Box<Sketch>),
}

/// The values of variable columns. A row holds the place of its value, plus one.
#[derive(Debug, Default)]
struct Variables {
    places: Vec<Variable>,
    free: Vec<u32>,
}

impl Variables {
    /// Keeps a value and returns its place, plus one.
    fn push(&mut self, variable: Variable) -> u32 {
        if let Some(place) = self.free.pop() {
            self.places[place as usize] = variable;
            return place + 1;
        }
        self.places.push(variable);
        u32::try_from(self.places.len()).expect("a shard holds fewer than 2^32 texts and sketches")
    }

    fn get(&self, place_plus_one: u32) -> &Variable {
        &self.places[place_plus_one as usize - 1]
    }

    fn get_mut(&mut self, place_plus_one: u32) -> &mut Variable {
        &mut self.places[place_plus_one as usize - 1]
    }

    fn remove(&mut self, place_plus_one: u32) {
        *self.get_mut(place_plus_one) = Variable::Bytes(Box::default());
        self.free.push(place_plus_one - 1);
    }
}

/// What is still to be taken for a cut.
#[derive(Debug)]
struct Frozen {
    rows: Bitmap,
    /// Rows that changed since the cut before, and those of them that were not there then.
    dirty: Bitmap,
    new: Bitmap,
    next_word: usize,
    taken: RowBatch,
    kind: SegmentKind,
    keys: u64,
    emitted: Emitted,
}

/// The changed rows of a shard at a cut.
#[derive(Debug)]
pub struct Snapshot {
    /// The rows, in no order, each with what became of it since the cut before. All rows of the shard for a base, the changed ones for a
    /// delta; with either, tombstones of those that are gone.
    pub rows: RowBatch,
    /// Which of the two.
    pub kind: SegmentKind,
    /// Keys that the shard had at the cut.
    pub keys: u64,
    /// What the shard has emitted since the cut before.
    pub emitted: Emitted,
}

impl Snapshot {
    /// Returns what this one and `newer`, taken of the same shard at the next cut, are together. The rows of both are sorted, and so are those
    /// of the result. A row that came and went in between is not in it.
    pub fn followed_by(self, newer: Snapshot) -> Snapshot {
        let mut rows = RowBatch::new();
        let mut push = |row: Row<'_>, change: Change| {
            if row.value.is_some() || change != Change::None {
                let value = row.value;
                rows.push_changed(row.task, row.key, change, value.is_some(), |bytes| {
                    bytes.extend_from_slice(value.unwrap_or_default());
                });
            }
        };
        let mut older = self.rows.iter().enumerate().peekable();
        for (place, row) in newer.rows.iter().enumerate() {
            while let Some((at, before)) = older.next_if(|(_, before)| before.sort_key() < row.sort_key()) {
                push(before, self.rows.change(at));
            }
            let same = older.next_if(|(_, before)| before.sort_key() == row.sort_key());
            let before = same.map_or(Change::None, |(at, _)| self.rows.change(at));
            push(row, before.then(newer.rows.change(place)));
        }
        older.for_each(|(at, before)| push(before, self.rows.change(at)));
        let is_base = self.kind == SegmentKind::Base || newer.kind == SegmentKind::Base;
        let kind = if is_base { SegmentKind::Base } else { SegmentKind::Delta };
        let mut emitted = self.emitted;
        emitted.append(newer.emitted);
        Snapshot { rows, kind, keys: newer.keys, emitted }
    }
}

/// One row, open for change.
#[derive(Debug)]
pub struct RowMut<'a> {
    /// The bitmap and the fixed part of the row's value; the variable columns' lengths stand for places in the shard.
    pub packed: &'a mut [u8],
    variables: &'a mut Variables,
    codec: &'a RowCodec,
}

impl Shard {
    /// The most keys that a shard holds: 2^32 - 2.
    pub const MAX_KEYS: usize = u32::MAX as usize - 1;

    /// Makes an empty shard whose values `codec` packs.
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
        }
    }

    /// Returns the number of keys.
    pub fn keys(&self) -> u64 {
        (self.rows.len - self.rows.free.len()) as u64
    }

    /// Returns the bytes of the rows that changed since the last cut: keys and fixed parts.
    pub fn changed_bytes(&self) -> u64 {
        self.changed_bytes
    }

    /// Tells whether anything changed, went or was emitted since the last cut.
    pub fn has_changed(&self) -> bool {
        self.dirty_count > 0 || !self.removed.is_empty() || !self.emitted.is_empty()
    }

    /// Returns the memory that the rows and their table take, in bytes, without text and sketches.
    pub fn memory_bytes(&self) -> u64 {
        (self.rows.memory_bytes() + self.keys.memory_bytes + self.table.memory_bytes() + self.deadlines.memory_bytes())
            as u64
    }

    /// Puts back a row out of a checkpoint. It is not a change. Returns false when a sketch in it can not be read.
    pub fn load(&mut self, hash: u64, key: &[u8], packed: &[u8]) -> bool {
        self.is_stored = true;
        let index = self.find_or_insert(hash, key);
        self.fill(index, packed)
    }

    /// Does the same for a key that has no row.
    pub fn load_new(&mut self, hash: u64, key: &[u8], packed: &[u8]) -> bool {
        self.is_stored = true;
        let index = self.insert(hash, key);
        self.fill(index, packed)
    }

    /// Puts values into row `index`. Returns false when a sketch in them can not be read.
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
            let place = self.variables.push(variable);
            put_u32(self.rows.value_mut(index), at, place);
        }
        true
    }

    /// Tells the shard that a checkpoint holds it, though it may have no rows.
    pub fn set_stored(&mut self) {
        self.is_stored = true;
    }

    /// Tells the shard that no checkpoint holds it: the next one takes all of its rows.
    pub fn set_unstored(&mut self) {
        self.is_stored = false;
    }

    /// Opens the row of `key` for change, and makes it if there is none. `hash` is the key's XXH3-64.
    #[inline]
    pub fn row(&mut self, hash: u64, key: &[u8]) -> RowMut<'_> {
        let (index, _) = self.find_or_make(hash, key);
        self.open(index)
    }

    /// Returns the place of the row of `key`, and whether it was made because there was none. One that was made is to be opened.
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
            self.set_aside(index);
        }
        if self.dirty.insert(index) {
            self.dirty_count += 1;
            self.changed_bytes += (self.key(index).len() + self.codec.fixed_bytes()) as u64;
        }
        RowMut { packed: self.rows.value_mut(index), variables: &mut self.variables, codec: &self.codec }
    }

    /// Looks at where the row of a key with this hash is likely to be, so that it is near when [`Shard::row`] comes for it.
    ///
    /// Returns a number that depends on what was seen: using it keeps the look from being optimised away.
    #[inline]
    pub fn look(&self, hash: u64) -> u8 {
        match self.table.likely(hash) {
            // A row may lie in two lines of the cache.
            Some(row) => self.rows.ends(row as usize),
            None => 0,
        }
    }

    /// Looks at the table's entry for this hash, so that it is near when [`Shard::look`] comes for it.
    #[inline]
    pub fn glance(&self, hash: u64) -> u64 {
        self.table.entry(hash)
    }

    /// Removes the row of `key`. Returns whether there was one.
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
            self.set_aside(index);
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

    /// Returns the rows that have a deadline.
    pub fn deadlines(&mut self) -> &mut Deadlines {
        &mut self.deadlines
    }

    /// Returns the fixed part of the value of row `index`, one of [`Shard::indices`].
    pub fn value(&self, index: usize) -> &[u8] {
        self.rows.value(index)
    }

    /// Emits row `index`, one of [`Shard::indices`], as it is.
    pub fn emit(&mut self, index: usize) {
        let mut emitted = std::mem::take(&mut self.emitted);
        emitted.push_row(self.key(index), |bytes| self.pack_row(index, bytes));
        self.emitted = emitted;
    }

    /// Returns the text or JSON of `column` in row `index`, one of [`Shard::indices`].
    pub fn bytes(&self, index: usize, column: usize) -> Option<&[u8]> {
        let value = self.rows.value(index);
        if !RowCodec::has(value, column) {
            return None;
        }
        match self.variables.get(u32_at(value, self.codec.offset(column))) {
            Variable::Bytes(bytes) => Some(bytes),
            Variable::Sketch(_) => None,
        }
    }

    /// Returns what the shard has emitted since the last cut, to add to.
    pub fn emitted(&mut self) -> &mut Emitted {
        &mut self.emitted
    }

    /// Returns the memory that is taken by what the shard has emitted since the last cut, in bytes.
    pub fn emitted_bytes(&self) -> u64 {
        self.emitted.memory_bytes()
    }

    /// Returns the place of the row of `key`, if there is one.
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

    /// Inserts a row that came since the last cut, unless it was there at it.
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

    /// Begins a snapshot: what the shard holds now is what [`Shard::take`] will give.
    ///
    /// With `whole`, where at least half of the rows changed, or where no checkpoint holds the shard, all are taken, as a base.
    ///
    /// # Panics
    ///
    /// When the snapshot before is not taken to its end.
    pub fn freeze(&mut self, whole: bool) {
        assert!(self.frozen.is_none(), "one snapshot at a time");
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
        self.is_stored = true;
        self.dirty_count = 0;
        self.changed_bytes = 0;
        let new = std::mem::take(&mut self.new);
        let emitted = std::mem::take(&mut self.emitted);
        self.frozen = Some(Frozen { rows, dirty, new, next_word: 0, taken, kind, keys: self.keys(), emitted });
    }

    /// Returns about how many bytes the frozen rows take that are still to be taken, without text and sketches.
    pub fn frozen_bytes(&self) -> u64 {
        self.frozen.as_ref().map_or(0, |frozen| (frozen.rows.count() * self.rows.row_bytes()) as u64)
    }

    /// Takes about `count` more of the frozen rows. Returns the snapshot once all are taken.
    ///
    /// `task_of` gives a key's task. Returns nothing when the shard is not frozen.
    pub fn take(&mut self, count: usize, task_of: impl Fn(&[u8]) -> u32) -> Option<Snapshot> {
        let mut frozen = self.frozen.take()?;
        if frozen.next_word == 0 {
            // Growing little by little would move them about.
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
        Some(Snapshot { rows, kind: frozen.kind, keys: frozen.keys, emitted: frozen.emitted })
    }

    /// Hands every row to `visit`: key and packed value.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8], &[u8])) {
        let mut batch = RowBatch::new();
        for index in self.indices() {
            batch.clear();
            self.copy_row(index, Change::None, &mut batch);
            let row = batch.row(0);
            visit(row.key, row.value.expect("rows in memory have values"));
        }
    }

    /// Returns the places of all rows, ascending.
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
            }
            let length = (packed.len() - before) as u32;
            put_u32(&mut packed[start..], at, length);
        }
    }

    #[cold]
    fn set_aside(&mut self, index: usize) {
        let mut frozen = self.frozen.take().expect("the caller saw that the shard is frozen");
        let change = frozen.change(index);
        self.copy_row(index, change, &mut frozen.taken);
        self.frozen = Some(frozen);
    }

    fn copy_row(&self, index: usize, change: Change, batch: &mut RowBatch) {
        batch.push_changed(0, self.key(index), change, true, |bytes| self.pack_row(index, bytes));
    }
}

impl Frozen {
    /// Returns what became of row `index` between the cut before and this one.
    fn change(&self, index: usize) -> Change {
        match (self.dirty.has(index), self.new.has(index)) {
            (false, _) => Change::None,
            (true, true) => Change::Insert,
            (true, false) => Change::Update,
        }
    }
}

impl RowMut<'_> {
    /// Returns where the fixed part of the value of `column` begins.
    #[inline]
    pub fn offset(&self, column: usize) -> usize {
        self.codec.offset(column)
    }

    /// Tells whether `column` has a value.
    #[inline]
    pub fn has(&self, column: usize) -> bool {
        RowCodec::has(self.packed, column)
    }

    /// Notes that `column` has a value.
    #[inline]
    pub fn mark(&mut self, column: usize) {
        self.packed[column / 8] |= 1 << (column % 8);
    }

    /// Returns the integer of `column`, or 0 when it has no value.
    ///
    /// # Panics
    ///
    /// This and the other accessors of one type, when the column is of another.
    pub fn int(&self, column: usize) -> i64 {
        int_at(self.packed, self.place(column, ColumnType::Int))
    }

    /// Gives `column` an integer.
    pub fn set_int(&mut self, column: usize, number: i64) {
        let at = self.place(column, ColumnType::Int);
        self.packed[at..at + 8].copy_from_slice(&number.to_le_bytes());
        self.mark(column);
    }

    /// Returns the number of `column`, or 0 when it has no value.
    pub fn number(&self, column: usize) -> Decimal {
        number_at(self.packed, self.place(column, ColumnType::Number))
    }

    /// Gives `column` a number.
    pub fn set_number(&mut self, column: usize, number: Decimal) {
        let at = self.place(column, ColumnType::Number);
        self.packed[at..at + 16].copy_from_slice(&number.units().to_le_bytes());
        self.mark(column);
    }

    /// Returns the text of `column`, or nothing when it has no value.
    pub fn text(&self, column: usize) -> Option<&str> {
        let at = self.place(column, ColumnType::Text);
        self.get(column, at, ColumnType::Text).map(|text| std::str::from_utf8(text).expect("text is UTF-8"))
    }

    /// Gives `column` a text.
    pub fn set_text(&mut self, column: usize, text: &str) {
        let at = self.place(column, ColumnType::Text);
        self.set(column, at, ColumnType::Text, text.as_bytes());
    }

    /// Returns where the fixed part of `column` begins, which is of `column_type`.
    fn place(&self, column: usize, column_type: ColumnType) -> usize {
        let found = self.codec.columns()[column].column_type;
        assert_eq!(found, column_type, "the type of column {column}");
        self.codec.offset(column)
    }

    /// Returns the value of `column`, whose fixed part begins at `at`, without its length.
    pub fn get(&self, column: usize, at: usize, column_type: ColumnType) -> Option<&[u8]> {
        if !self.has(column) {
            return None;
        }
        Some(match fixed_size(column_type) {
            Some(size) => &self.packed[at..at + size],
            None => match self.variables.get(u32_at(self.packed, at)) {
                Variable::Bytes(bytes) => bytes,
                Variable::Sketch(_) => &[],
            },
        })
    }

    /// Gives `column` the value `new`, packed without its length.
    pub fn set(&mut self, column: usize, at: usize, column_type: ColumnType, new: &[u8]) {
        if let Some(size) = fixed_size(column_type) {
            self.packed[at..at + size].copy_from_slice(&new[..size]);
        } else if self.has(column) {
            *self.variables.get_mut(u32_at(self.packed, at)) = Variable::Bytes(new.into());
        } else {
            let place = self.variables.push(Variable::Bytes(new.into()));
            put_u32(self.packed, at, place);
        }
        self.mark(column);
    }

    /// Returns the sketch of `column`, an empty one if it has none yet.
    pub fn sketch(&mut self, column: usize, at: usize) -> &mut Sketch {
        if !self.has(column) {
            let place = self.variables.push(Variable::Sketch(Box::default()));
            put_u32(self.packed, at, place);
            self.mark(column);
        }
        match self.variables.get_mut(u32_at(self.packed, at)) {
            Variable::Sketch(sketch) => sketch,
            Variable::Bytes(_) => unreachable!("a sketch column holds sketches"),
        }
    }
}

fn fixed_size(column_type: ColumnType) -> Option<usize> {
    match column_type {
        ColumnType::Int => Some(8),
        ColumnType::Number => Some(16),
        ColumnType::Bool => Some(1),
        ColumnType::Text | ColumnType::Json | ColumnType::Sketch => None,
    }
}

#[inline]
fn put_u32(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests;
