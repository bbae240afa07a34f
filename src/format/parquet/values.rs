//! Writing a Parquet table of plain values, such as an output file: any columns, rows in any order.

use arrow_array::ArrayRef;

use crate::format::parquet::columns::{PendingValues, kind_of};
use crate::format::parquet::schema::{BATCH_ROWS, TableColumn};
use crate::format::parquet::writer::TableWriter;
use crate::values::value::{Column, Value};

/// The size of values at which rows go to the encoder.
const PENDING_BYTES: usize = 4 << 20;

/// Writes rows of values into one Parquet file. Equal rows give equal bytes.
#[derive(Debug)]
pub struct ValuesWriter {
    columns: Vec<Column>,
    pending: Vec<PendingValues>,
    pending_rows: usize,
    pending_bytes: usize,
    table: TableWriter,
}

impl ValuesWriter {
    /// Starts a table of `columns`, which may all be null.
    pub fn new(columns: &[Column]) -> ValuesWriter {
        let table_columns: Vec<TableColumn> =
            columns.iter().map(|column| TableColumn::nullable(&column.name, kind_of(column.column_type))).collect();
        ValuesWriter {
            columns: columns.to_vec(),
            pending: ValuesWriter::pending(columns),
            pending_rows: 0,
            pending_bytes: 0,
            table: TableWriter::new(&table_columns, 0),
        }
    }

    fn pending(columns: &[Column]) -> Vec<PendingValues> {
        columns.iter().map(|column| PendingValues::new(column.column_type)).collect()
    }

    /// Appends a row, one value per column.
    ///
    /// # Panics
    ///
    /// Panics if a value does not have the type of its column.
    pub fn push(&mut self, values: &[Value]) {
        for (pending, value) in self.pending.iter_mut().zip(values) {
            self.pending_bytes += pending.append(value);
        }
        self.pending_rows += 1;
        if self.pending_rows == BATCH_ROWS || self.pending_bytes >= PENDING_BYTES {
            self.write_pending();
        }
    }

    /// Takes the bytes that are complete; later ones follow them in the file.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        self.table.take_bytes()
    }

    /// Returns the last bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        if self.pending_rows > 0 {
            self.write_pending();
        }
        self.table.finish()
    }

    fn write_pending(&mut self) {
        let pending = std::mem::replace(&mut self.pending, ValuesWriter::pending(&self.columns));
        let arrays: Vec<ArrayRef> = pending.into_iter().map(PendingValues::finish).collect();
        self.table.write(arrays);
        self.pending_rows = 0;
        self.pending_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::values::decimal::Decimal;
    use crate::values::value::ColumnType;

    #[test]
    fn rows_read_as_written_also_when_bytes_are_taken_early() {
        let columns = [
            Column::new("key", ColumnType::Text),
            Column::new("n", ColumnType::Int),
            Column::new("sum", ColumnType::Number),
            Column::new("yes", ColumnType::Bool),
            Column::new("any", ColumnType::Json),
        ];
        let row = |i: i64| {
            let number = Decimal::parse(format!("{i}.5").as_bytes()).unwrap();
            let n = if i % 3 == 0 { Value::Null } else { Value::Int(i) };
            let any = Value::Json(format!("[{i}]"));
            [Value::Text(format!("key {i}")), n, Value::Number(number), Value::Bool(i % 2 == 0), any]
        };
        let write = |takes: bool| {
            let mut writer = ValuesWriter::new(&columns);
            let mut bytes = Vec::new();
            for i in 0..300_000 {
                writer.push(&row(i));
                if takes && i % 1_000 == 0 {
                    bytes.extend(writer.take_bytes());
                }
            }
            assert_eq!(takes, bytes.len() > 1_000);
            bytes.extend(writer.finish());
            bytes
        };
        let bytes = write(true);
        assert!(bytes == write(false));
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap();
        assert_eq!(reader.metadata().file_metadata().num_rows(), 300_000);
        let batch = reader.with_batch_size(10).build().unwrap().next().unwrap().unwrap();
        let shown = |column: usize, row: usize| arrow_cast_free(batch.column(column).as_ref(), row);
        assert_eq!(shown(0, 4), "key 4");
        assert_eq!((shown(1, 3), shown(1, 4)), ("null".to_owned(), "4".to_owned()));
    }

    /// Returns a text or an integer of an array.
    fn arrow_cast_free(array: &dyn arrow_array::Array, row: usize) -> String {
        use arrow_array::cast::AsArray;
        if array.is_null(row) {
            return "null".to_owned();
        }
        match array.as_string_opt::<i32>() {
            Some(texts) => texts.value(row).to_owned(),
            None => array.as_primitive::<arrow_array::types::Int64Type>().value(row).to_string(),
        }
    }
}
