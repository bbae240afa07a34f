//! From rows to columns and back, for segments.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, BooleanBuilder, Decimal128Builder, Int64Builder, UInt32Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::DataType;

use crate::format::error::TableError;
use crate::format::limits::MAX_VALUE_BYTES;
use crate::format::parquet::schema::{BATCH_ROWS, ColumnKind, TableColumn};
use crate::format::rows::{Row, RowCodec, RowEstimate, int_at, number_at};
use crate::format::sketch;
use crate::values::decimal::Decimal;
use crate::values::value::{Column, ColumnType, Value};

/// The size of keys and values at which rows go to the encoder, so that no page grows far beyond it.
const PENDING_BYTES: usize = 4 << 20;

/// Returns the columns of a segment whose values have `columns`.
pub(crate) fn table_columns(columns: &[Column]) -> Vec<TableColumn> {
    let mut all = vec![
        TableColumn::required("task", ColumnKind::UInt32),
        TableColumn::required("key", ColumnKind::Key),
        TableColumn::required("deleted", ColumnKind::Bool),
    ];
    all.extend(columns.iter().map(|column| TableColumn::nullable(&column.name, kind_of(column.column_type))));
    all
}

/// Returns the kind of table column for values of a type.
pub(crate) fn kind_of(column_type: ColumnType) -> ColumnKind {
    match column_type {
        ColumnType::Int => ColumnKind::Int,
        ColumnType::Number => ColumnKind::Number,
        ColumnType::Text => ColumnKind::Text,
        ColumnType::Bool => ColumnKind::Bool,
        ColumnType::Json => ColumnKind::Json,
        ColumnType::Sketch | ColumnType::Quantiles => ColumnKind::Bytes,
    }
}

/// Rows by column, on their way to the encoder.
#[derive(Debug)]
pub(crate) struct PendingRows {
    rows: usize,
    bytes: usize,
    tasks: UInt32Builder,
    keys: BinaryBuilder,
    deleted: BooleanBuilder,
    values: Vec<PendingValues>,
}

/// Values of one column, on their way to the encoder.
#[derive(Debug)]
pub(crate) enum PendingValues {
    Int(Int64Builder),
    Number(Decimal128Builder),
    Bool(BooleanBuilder),
    /// Text and JSON. Checked to be UTF-8 one batch at a time.
    Text(BinaryBuilder),
    Sketch(BinaryBuilder),
}

impl PendingRows {
    pub(crate) fn new(columns: &[Column]) -> PendingRows {
        PendingRows::with_values(columns.iter().map(|column| PendingValues::new(column.column_type)).collect())
    }

    fn with_values(values: Vec<PendingValues>) -> PendingRows {
        PendingRows {
            rows: 0,
            bytes: 0,
            tasks: UInt32Builder::with_capacity(BATCH_ROWS),
            keys: BinaryBuilder::with_capacity(BATCH_ROWS, 0),
            deleted: BooleanBuilder::with_capacity(BATCH_ROWS),
            values,
        }
    }

    /// Appends a row whose value is packed by `codec`.
    #[inline]
    pub(crate) fn push(&mut self, codec: &RowCodec, row: Row<'_>) {
        self.rows += 1;
        self.tasks.append_value(row.task);
        self.append_key(row.key);
        self.deleted.append_value(row.value.is_none());
        let Some(packed) = row.value else {
            self.values.iter_mut().for_each(PendingValues::append_null);
            return;
        };
        self.bytes += packed.len();
        let mut rest = &packed[codec.fixed_bytes()..];
        for (index, values) in self.values.iter_mut().enumerate() {
            if !RowCodec::has(packed, index) {
                values.append_null();
                continue;
            }
            let at = codec.offset(index);
            match values {
                PendingValues::Int(builder) => builder.append_value(int_at(packed, at)),
                PendingValues::Number(builder) => builder.append_value(number_at(packed, at).units()),
                PendingValues::Bool(builder) => builder.append_value(packed[at] != 0),
                PendingValues::Text(builder) | PendingValues::Sketch(builder) => {
                    let length = u32::from_le_bytes(packed[at..at + 4].try_into().expect("four bytes")) as usize;
                    assert!(length <= MAX_VALUE_BYTES, "a value of {length} bytes");
                    let (bytes, after) = rest.split_at(length);
                    builder.append_value(bytes);
                    rest = after;
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    fn append_key(&mut self, key: &[u8]) {
        assert!(key.len() <= MAX_VALUE_BYTES, "a key of {} bytes", key.len());
        self.bytes += key.len();
        self.keys.append_value(key);
    }

    /// Returns whether it is time to [`PendingRows::take`] them.
    pub(crate) fn is_full(&self) -> bool {
        self.rows == BATCH_ROWS || self.bytes >= PENDING_BYTES
    }

    /// Returns the rows as arrays, and starts over.
    pub(crate) fn take(&mut self) -> Vec<ArrayRef> {
        let values = self.values.iter().map(PendingValues::renewed).collect();
        let mut full = std::mem::replace(self, PendingRows::with_values(values));
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(full.tasks.finish()), text(full.keys), Arc::new(full.deleted.finish())];
        arrays.extend(full.values.into_iter().map(PendingValues::finish));
        arrays
    }
}

impl PendingValues {
    pub(crate) fn new(column_type: ColumnType) -> PendingValues {
        match column_type {
            ColumnType::Int => PendingValues::Int(Int64Builder::with_capacity(BATCH_ROWS)),
            ColumnType::Number => {
                let data_type = DataType::Decimal128(Decimal::PRECISION, Decimal::SCALE);
                PendingValues::Number(Decimal128Builder::with_capacity(BATCH_ROWS).with_data_type(data_type))
            }
            ColumnType::Bool => PendingValues::Bool(BooleanBuilder::with_capacity(BATCH_ROWS)),
            ColumnType::Text | ColumnType::Json => PendingValues::Text(BinaryBuilder::new()),
            ColumnType::Sketch | ColumnType::Quantiles => PendingValues::Sketch(BinaryBuilder::new()),
        }
    }

    /// Returns an empty column of the same type.
    fn renewed(&self) -> PendingValues {
        PendingValues::new(match self {
            PendingValues::Int(_) => ColumnType::Int,
            PendingValues::Number(_) => ColumnType::Number,
            PendingValues::Bool(_) => ColumnType::Bool,
            PendingValues::Text(_) => ColumnType::Text,
            PendingValues::Sketch(_) => ColumnType::Sketch,
        })
    }

    fn append_null(&mut self) {
        match self {
            PendingValues::Int(builder) => builder.append_null(),
            PendingValues::Number(builder) => builder.append_null(),
            PendingValues::Bool(builder) => builder.append_null(),
            PendingValues::Text(builder) | PendingValues::Sketch(builder) => builder.append_null(),
        }
    }

    /// Appends a value and returns its size in bytes.
    ///
    /// # Panics
    ///
    /// Panics if it does not have the type of the column.
    pub(crate) fn append(&mut self, value: &Value) -> usize {
        match (self, value) {
            (pending, Value::Null) => {
                pending.append_null();
                return 1;
            }
            (PendingValues::Int(builder), Value::Int(number)) => builder.append_value(*number),
            (PendingValues::Number(builder), Value::Number(number)) => builder.append_value(number.units()),
            (PendingValues::Bool(builder), Value::Bool(yes)) => builder.append_value(*yes),
            (PendingValues::Text(builder), Value::Text(text) | Value::Json(text)) => {
                builder.append_value(text);
                return text.len();
            }
            (PendingValues::Sketch(builder), Value::Sketch(bytes)) => {
                builder.append_value(bytes);
                return bytes.len();
            }
            (_, value) => panic!("{value:?} is not of its column's type"),
        }
        size_of::<i128>()
    }

    pub(crate) fn finish(self) -> ArrayRef {
        match self {
            PendingValues::Int(mut builder) => Arc::new(builder.finish()),
            PendingValues::Number(mut builder) => Arc::new(builder.finish()),
            PendingValues::Bool(mut builder) => Arc::new(builder.finish()),
            PendingValues::Text(builder) => text(builder),
            PendingValues::Sketch(mut builder) => Arc::new(builder.finish()),
        }
    }
}

fn text(mut builder: BinaryBuilder) -> ArrayRef {
    Arc::new(StringArray::try_from_binary(builder.finish()).expect("keys, texts and JSON are UTF-8"))
}

/// Returns the first two columns of every batch, by which rows are sorted.
pub(crate) fn task_and_key(batch: &RecordBatch) -> (&UInt32Array, &StringArray) {
    (batch.column(0).as_primitive::<UInt32Type>(), batch.column(1).as_string::<i32>())
}

/// The columns of one decoded batch.
pub(crate) struct BatchRows<'a> {
    pub(crate) tasks: &'a UInt32Array,
    pub(crate) keys: &'a StringArray,
    pub(crate) deleted: &'a BooleanArray,
    values: Vec<Values<'a>>,
}

#[derive(Clone, Copy)]
enum Values<'a> {
    Int(&'a Int64Array),
    Number(&'a Decimal128Array),
    Bool(&'a BooleanArray),
    /// Text and JSON.
    Text(&'a StringArray),
    Sketch(&'a BinaryArray),
}

impl<'a> BatchRows<'a> {
    /// Takes a batch of a table that was opened with [`table_columns`].
    pub(crate) fn new(batch: &'a RecordBatch) -> BatchRows<'a> {
        let values = batch.columns()[3..]
            .iter()
            .map(|array| match array.data_type() {
                DataType::Int64 => Values::Int(array.as_primitive::<Int64Type>()),
                DataType::Decimal128(..) => Values::Number(array.as_primitive::<Decimal128Type>()),
                DataType::Boolean => Values::Bool(array.as_boolean()),
                DataType::Utf8 => Values::Text(array.as_string::<i32>()),
                _ => Values::Sketch(array.as_binary::<i32>()),
            })
            .collect();
        let (tasks, keys) = task_and_key(batch);
        BatchRows { tasks, keys, deleted: batch.column(2).as_boolean(), values }
    }

    /// Checks what can be checked one column at a time.
    pub(crate) fn check(&self, first_row: u64) -> Result<(), TableError> {
        let at = |row: usize, reason: &str| TableError::Row { row: first_row + row as u64, reason: reason.to_owned() };
        for values in &self.values {
            if let Values::Number(array) = values {
                let fits = |units: i128| Decimal::from_units(units).is_some();
                let misfit = |row: &usize| array.is_valid(*row) && !fits(array.value(*row));
                if let Some(row) = (0..array.len()).find(misfit) {
                    return Err(at(row, "has a number whose magnitude is not below 10^20"));
                }
            }
        }
        if self.deleted.true_count() > 0 {
            for row in (0..self.deleted.len()).filter(|row| self.deleted.value(*row)) {
                if self.values.iter().any(|values| values.array().is_valid(row)) {
                    return Err(at(row, "is a tombstone with a value"));
                }
            }
        }
        Ok(())
    }

    /// Returns whether any value is a sketch that cannot be read, or an estimate that is not that of its sketch.
    pub(crate) fn has_bad_sketch(&self, codec: &RowCodec) -> bool {
        let is_bad = |(index, values): (usize, &Values<'_>)| {
            let Values::Sketch(array) = values else { return false };
            let column_type = codec.columns()[index].column_type;
            let estimates: Vec<_> = codec.estimates().iter().filter(|estimate| estimate.sketch == index).collect();
            if estimates.is_empty() {
                return array.iter().flatten().any(|bytes| sketch::estimate(column_type, bytes, None).is_none());
            }
            let differs = |row: usize, estimate: &RowEstimate| {
                let stored = self.values[estimate.column].number(row);
                if array.is_null(row) {
                    return stored != Value::Null;
                }
                let computed = sketch::estimate(column_type, array.value(row), estimate.quantile);
                computed.is_none_or(|computed| !sketch::agrees(&stored, &computed))
            };
            (0..array.len()).any(|row| estimates.iter().any(|estimate| differs(row, estimate)))
        };
        self.values.iter().enumerate().any(is_bad)
    }

    /// Appends the value of `row` as [`RowCodec::pack`] would.
    #[inline]
    pub(crate) fn pack(&self, codec: &RowCodec, row: usize, packed: &mut Vec<u8>) {
        if self.deleted.value(row) {
            return;
        }
        let start = packed.len();
        packed.resize(start + codec.fixed_bytes(), 0);
        for (index, values) in self.values.iter().enumerate() {
            if values.array().is_null(row) {
                continue;
            }
            let at = start + codec.offset(index);
            match values {
                Values::Int(array) => packed[at..at + 8].copy_from_slice(&array.value(row).to_le_bytes()),
                Values::Number(array) => packed[at..at + 16].copy_from_slice(&array.value(row).to_le_bytes()),
                Values::Bool(array) => packed[at] = u8::from(array.value(row)),
                Values::Text(array) => pack_variable(packed, at, array.value(row).as_bytes()),
                Values::Sketch(array) => pack_variable(packed, at, array.value(row)),
            }
            packed[start + index / 8] |= 1 << (index % 8);
        }
    }
}

impl Values<'_> {
    /// Returns the integer or number in `row`; null if there is none.
    fn number(&self, row: usize) -> Value {
        match self {
            Values::Int(array) if array.is_valid(row) => Value::Int(array.value(row)),
            Values::Number(array) if array.is_valid(row) => {
                Decimal::from_units(array.value(row)).map_or(Value::Null, Value::Number)
            }
            _ => Value::Null,
        }
    }

    #[inline]
    fn array(&self) -> &dyn Array {
        match self {
            Values::Int(array) => *array,
            Values::Number(array) => *array,
            Values::Bool(array) => *array,
            Values::Text(array) => *array,
            Values::Sketch(array) => *array,
        }
    }
}

fn pack_variable(packed: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("an array is below 2 GiB");
    packed[at..at + 4].copy_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(bytes);
}
