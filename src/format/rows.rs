//! Rows of state in memory: a task, a key, and a value packed into bytes.
//!
//! The packing is private to a process and never written to a store. A value of a given content has one packing, so equal bytes
//! are equal values.

use crate::values::decimal::Decimal;
use crate::values::value::{Column, ColumnType, Value};

/// Packs and unpacks the values of rows that have certain columns.
///
/// A packed value is a bitmap of the columns that have a value (a bit a column, lowest first, in whole bytes), the fixed part (8 bytes for an
/// integer, 16 for a number, 1 for a bool, 4 for the length of anything else; little-endian; zeros when missing), then the bytes of
/// the text, JSON and sketch columns one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCodec {
    columns: Vec<Column>,
    offsets: Vec<usize>,
    fixed_bytes: usize,
}

impl RowCodec {
    /// Makes the codec of `columns`.
    pub fn new(columns: Vec<Column>) -> RowCodec {
        let mut offset = columns.len().div_ceil(8);
        let offsets = columns
            .iter()
            .map(|column| {
                let at = offset;
                offset += match column.column_type {
                    ColumnType::Int => 8,
                    ColumnType::Number => 16,
                    ColumnType::Bool => 1,
                    ColumnType::Text | ColumnType::Json | ColumnType::Sketch => 4,
                };
                at
            })
            .collect();
        RowCodec { columns, offsets, fixed_bytes: offset }
    }

    /// Returns the columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the size of the bitmap and the fixed part: the whole packed value when every column is fixed.
    pub fn fixed_bytes(&self) -> usize {
        self.fixed_bytes
    }

    /// Returns where the fixed part of column `index` begins.
    pub fn offset(&self, index: usize) -> usize {
        self.offsets[index]
    }

    /// Tells whether all packed values have the same size.
    pub fn is_fixed(&self) -> bool {
        self.columns.iter().all(|column| column.column_type.is_fixed())
    }

    /// Tells whether column `index` of `packed` has a value.
    pub fn has(packed: &[u8], index: usize) -> bool {
        packed[index / 8] & (1 << (index % 8)) != 0
    }

    /// Appends the packing of `values`, one for each column, to `packed`.
    ///
    /// # Panics
    ///
    /// When a value is not of its column's type: the caller has checked them.
    pub fn pack(&self, values: &[Value], packed: &mut Vec<u8>) {
        assert_eq!(values.len(), self.columns.len(), "a value for each column");
        let start = packed.len();
        packed.resize(start + self.fixed_bytes, 0);
        for (index, value) in values.iter().enumerate() {
            let at = start + self.offsets[index];
            match (self.columns[index].column_type, value) {
                (_, Value::Null) => continue,
                (ColumnType::Int, Value::Int(number)) => packed[at..at + 8].copy_from_slice(&number.to_le_bytes()),
                (ColumnType::Number, Value::Number(number)) => {
                    packed[at..at + 16].copy_from_slice(&number.units().to_le_bytes());
                }
                (ColumnType::Bool, Value::Bool(yes)) => packed[at] = u8::from(*yes),
                (ColumnType::Text, Value::Text(text)) | (ColumnType::Json, Value::Json(text)) => {
                    put_variable(packed, at, text.as_bytes());
                }
                (ColumnType::Sketch, Value::Sketch(bytes)) => put_variable(packed, at, bytes),
                (column_type, value) => panic!("a {column_type:?} column can not hold {value:?}"),
            }
            packed[start + index / 8] |= 1 << (index % 8);
        }
    }

    /// Unpacks a value that [`RowCodec::pack`] made.
    pub fn unpack(&self, packed: &[u8]) -> Vec<Value> {
        let mut rest = &packed[self.fixed_bytes..];
        let mut variable = |at: usize| {
            let length = u32::from_le_bytes(packed[at..at + 4].try_into().expect("four bytes")) as usize;
            let (bytes, after) = rest.split_at(length);
            rest = after;
            bytes.to_vec()
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("packed text is UTF-8");
        (0..self.columns.len())
            .map(|index| {
                let at = self.offsets[index];
                if !RowCodec::has(packed, index) {
                    return Value::Null;
                }
                match self.columns[index].column_type {
                    ColumnType::Int => Value::Int(int_at(packed, at)),
                    ColumnType::Number => Value::Number(number_at(packed, at)),
                    ColumnType::Bool => Value::Bool(packed[at] != 0),
                    ColumnType::Text => Value::Text(text(variable(at))),
                    ColumnType::Json => Value::Json(text(variable(at))),
                    ColumnType::Sketch => Value::Sketch(variable(at)),
                }
            })
            .collect()
    }
}

/// Returns the integer packed at `at`.
#[inline]
pub fn int_at(packed: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(packed[at..at + 8].try_into().expect("eight bytes"))
}

/// Returns the number packed at `at`.
#[inline]
pub fn number_at(packed: &[u8], at: usize) -> Decimal {
    let units = i128::from_le_bytes(packed[at..at + 16].try_into().expect("sixteen bytes"));
    Decimal::from_units(units).expect("packed numbers are within bounds")
}

fn put_variable(packed: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a value is below 4 GiB");
    packed[at..at + 4].copy_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(bytes);
}

/// One row, borrowed from a [`RowBatch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The task that owns the key.
    pub task: u32,
    /// The key, UTF-8.
    pub key: &'a [u8],
    /// The packed value, or nothing for a tombstone: the key was deleted.
    pub value: Option<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// Returns what rows are sorted by.
    pub fn sort_key(&self) -> (u32, &'a [u8]) {
        (self.task, self.key)
    }
}

/// What became of a row since the cut before. It is known while a checkpoint is made, and never written to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Change {
    /// Nothing: it is as it was.
    #[default]
    None,
    /// It was not there.
    Insert,
    /// It was there, with any value.
    Update,
    /// It was there, and is no more.
    Delete,
}

impl Change {
    /// Returns what became of a row to which `self` happened, and then `later`: [`Change::Delete`] of an inserted row is [`Change::None`], and such a
    /// row was never there.
    pub fn then(self, later: Change) -> Change {
        match (self, later) {
            (before, Change::None) => before,
            (Change::None, later) => later,
            (Change::Insert, Change::Delete) => Change::None,
            (Change::Insert, _) => Change::Insert,
            (Change::Delete, Change::Insert | Change::Update) => Change::Update,
            (Change::Update | Change::Delete, Change::Delete) => Change::Delete,
            (Change::Update, _) => Change::Update,
        }
    }

    /// Returns the name that files of changes have for it.
    pub fn name(self) -> &'static str {
        match self {
            Change::None => "none",
            Change::Insert => "insert",
            Change::Update => "update",
            Change::Delete => "delete",
        }
    }
}

/// Many rows in a few allocations.
#[derive(Debug, Clone, Default)]
pub struct RowBatch {
    bytes: Vec<u8>,
    rows: Vec<Entry>,
}

/// Where a row's key and then its value stand in `bytes`.
#[derive(Debug, Clone, Copy)]
struct Entry {
    at: usize,
    task: u32,
    key_bytes: u32,
    /// The value's size plus one; zero for a tombstone.
    value_bytes_plus_one: u32,
    change: Change,
}

/// So many rows ahead are looked at.
const LOOK_AHEAD_ROWS: usize = 16;

/// Returns the first eight of `bytes` as a number that orders as they do, zeros standing for those that are missing.
fn first_bytes(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => (0..8).fold(0, |number, at| number << 8 | bytes.get(at).map_or(0, |byte| u64::from(*byte))),
    }
}

impl RowBatch {
    /// Makes an empty batch.
    pub fn new() -> RowBatch {
        RowBatch::default()
    }

    /// Makes room for so many more rows, whose keys and values take so many bytes.
    pub fn reserve(&mut self, rows: usize, bytes: usize) {
        self.rows.reserve(rows);
        self.bytes.reserve(bytes);
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Tells whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the memory that the rows take, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * size_of::<Entry>()
    }

    /// Appends a row; `value` is nothing for a tombstone.
    pub fn push(&mut self, task: u32, key: &[u8], value: Option<&[u8]>) {
        self.push_with(task, key, value.is_some(), |bytes| {
            if let Some(value) = value {
                bytes.extend_from_slice(value);
            }
        });
    }

    /// Appends a row whose value `write` appends to the bytes it is given; a tombstone when `has_value` is false.
    #[inline]
    pub fn push_with(&mut self, task: u32, key: &[u8], has_value: bool, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_changed(task, key, Change::None, has_value, write);
    }

    /// Appends a row as [`RowBatch::push_with`] does, with what became of it.
    #[inline]
    pub fn push_changed(
        &mut self,
        task: u32,
        key: &[u8],
        change: Change,
        has_value: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        let value_bytes_plus_one = if has_value {
            write(&mut self.bytes);
            u32::try_from(self.bytes.len() - value_at + 1).expect("a value is below 4 GiB")
        } else {
            0
        };
        let key_bytes = u32::try_from(key.len()).expect("a key is below 4 GiB");
        self.rows.push(Entry { at, task, key_bytes, value_bytes_plus_one, change });
    }

    /// Returns row `index`.
    #[inline]
    pub fn row(&self, index: usize) -> Row<'_> {
        self.entry_row(&self.rows[index])
    }

    /// Returns what became of row `index`.
    #[inline]
    pub fn change(&self, index: usize) -> Change {
        self.rows[index].change
    }

    #[inline]
    fn entry_row(&self, entry: &Entry) -> Row<'_> {
        let value_at = entry.at + entry.key_bytes as usize;
        let key = &self.bytes[entry.at..value_at];
        let value = (entry.value_bytes_plus_one > 0)
            .then(|| &self.bytes[value_at..value_at + entry.value_bytes_plus_one as usize - 1]);
        Row { task: entry.task, key, value }
    }

    /// Returns the rows in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        // Sorted rows lie all over the bytes: those to come are looked at early, so that the waits for memory overlap.
        self.rows.iter().enumerate().map(|(index, entry)| {
            let ahead = self.rows.get(index + LOOK_AHEAD_ROWS).and_then(|entry| self.bytes.get(entry.at));
            std::hint::black_box(ahead.copied());
            self.entry_row(entry)
        })
    }

    /// Sorts the rows by task and key. Keys that occur twice stay in the order in which they were pushed.
    pub fn sort(&mut self) {
        let key = |index: u128| self.entry_row(&self.rows[index as u32 as usize]).key;
        let rows = u32::try_from(self.rows.len()).expect("a batch holds fewer than 2^32 rows");
        let shared = self.shared_prefix_bytes();
        // One number for each row: its task, eight bytes of its key behind what all keys begin with, and its place.
        let number = |(index, entry): (u32, &Entry)| {
            let eight = first_bytes(&self.entry_row(entry).key[shared..]);
            u128::from(entry.task) << 96 | u128::from(eight) << 32 | u128::from(index)
        };
        let mut order: Vec<u128> = (0..rows).zip(&self.rows).map(number).collect();
        order.sort_unstable();
        for same in order.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|same| same.len() > 1) {
            same.sort_by(|a, b| key(*a).cmp(key(*b)));
        }
        self.rows = order.into_iter().map(|index| self.rows[index as u32 as usize]).collect();
    }

    /// Returns how many bytes all keys begin with alike.
    fn shared_prefix_bytes(&self) -> usize {
        let mut keys = self.rows.iter().map(|entry| self.entry_row(entry).key);
        let Some(first) = keys.next() else { return 0 };
        keys.fold(first.len(), |shared, key| {
            if key.starts_with(&first[..shared]) {
                return shared;
            }
            first.iter().zip(key).take_while(|(a, b)| a == b).count()
        })
    }

    /// Gives every row the task that `task_of` says for its key.
    pub fn set_tasks(&mut self, task_of: impl Fn(&[u8]) -> u32) {
        for entry in &mut self.rows {
            entry.task = task_of(&self.bytes[entry.at..entry.at + entry.key_bytes as usize]);
        }
    }

    /// Appends the rows of another batch, with what became of them.
    pub fn append(&mut self, other: &RowBatch) {
        let shift = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.rows.extend(other.rows.iter().map(|entry| Entry { at: entry.at + shift, ..*entry }));
    }

    /// Takes the task of every row from the first four bytes of its key, big-endian, which are no longer part of the key then.
    ///
    /// # Panics
    ///
    /// When a key is shorter.
    pub fn split_tasks(&mut self) {
        for entry in &mut self.rows {
            let key = &self.bytes[entry.at..entry.at + entry.key_bytes as usize];
            entry.task = u32::from_be_bytes(*key.first_chunk().expect("a key begins with its task"));
            entry.at += size_of::<u32>();
            entry.key_bytes -= size_of::<u32>() as u32;
        }
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }
}

#[cfg(test)]
mod tests;
