//! The messages that a checkpoint stages for a topic: a Parquet table with one row per message, in their order.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use bytes::Bytes;

use crate::format::error::TableError;
use crate::format::owner::Owner;
use crate::format::parquet::reader::TableReader;
use crate::format::parquet::schema::{BATCH_ROWS, ColumnKind, TableColumn};
use crate::format::parquet::writer::TableWriter;

/// The number of bytes that are gathered before they are compressed, at most one message more.
const BATCH_BYTES: usize = 4 << 20;

/// Writes the table.
#[derive(Debug)]
pub struct MessagesWriter {
    table: TableWriter,
    keys: StringBuilder,
    values: StringBuilder,
    /// The number of messages that are gathered.
    waiting: usize,
    rows: u64,
}

impl MessagesWriter {
    /// Starts a table of `owner`.
    pub fn new(owner: &Owner) -> MessagesWriter {
        let table = TableWriter::new_of(&columns(), 0, owner);
        MessagesWriter { table, keys: StringBuilder::new(), values: StringBuilder::new(), waiting: 0, rows: 0 }
    }

    /// Appends a message; one without a value is a tombstone.
    pub fn push(&mut self, key: Option<&str>, value: Option<&str>) {
        self.keys.append_option(key);
        self.values.append_option(value);
        self.waiting += 1;
        self.rows += 1;
        let bytes = self.keys.values_slice().len() + self.values.values_slice().len();
        if bytes >= BATCH_BYTES || self.waiting >= BATCH_ROWS {
            self.write();
        }
    }

    /// Returns the number of messages.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the bytes of the table.
    pub fn finish(mut self) -> Vec<u8> {
        self.write();
        self.table.finish()
    }

    fn write(&mut self) {
        let texts = |texts: &mut StringBuilder| -> ArrayRef { Arc::new(texts.finish()) };
        if std::mem::take(&mut self.waiting) > 0 {
            self.table.write(vec![texts(&mut self.keys), texts(&mut self.values)]);
        }
    }
}

/// Reads the table, and passes the key and the value of each message to `visit`, in their order, until that fails.
pub fn read<E: From<TableError>>(
    bytes: Bytes,
    mut visit: impl FnMut(Option<&str>, Option<&str>) -> Result<(), E>,
) -> Result<(), E> {
    let mut table = TableReader::open(bytes, columns())?;
    while let Some((_, batch)) = table.next_batch()? {
        let (keys, values) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for at in 0..batch.num_rows() {
            visit(keys.is_valid(at).then(|| keys.value(at)), values.is_valid(at).then(|| values.value(at)))?;
        }
    }
    Ok(())
}

fn columns() -> Vec<TableColumn> {
    ["key", "value"].map(|name| TableColumn::nullable(name, ColumnKind::Text)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Messages = Vec<(Option<String>, Option<String>)>;

    fn read_all(bytes: Vec<u8>) -> Result<Messages, TableError> {
        let mut messages = Messages::new();
        read(bytes.into(), |key, value| {
            messages.push((key.map(str::to_owned), value.map(str::to_owned)));
            Ok::<_, TableError>(())
        })?;
        Ok(messages)
    }

    #[test]
    fn messages_are_read_in_the_order_in_which_they_were_written() {
        let long = "x".repeat(BATCH_BYTES / 3);
        let text = |text: &str| Some(text.to_owned());
        let mut messages = vec![(text("b"), text("{}")), (text("a"), None), (None, text("")), (text(""), None)];
        messages.extend((0..7).map(|i| (text(&i.to_string()), text(&long))));
        messages.extend((0..2 * BATCH_ROWS).map(|i| (text(&i.to_string()), None)));
        let mut writer = MessagesWriter::new(&Owner::default());
        messages.iter().for_each(|(key, value)| writer.push(key.as_deref(), value.as_deref()));
        assert_eq!(writer.rows(), messages.len() as u64);
        assert_eq!(read_all(writer.finish()).unwrap(), messages);
        assert_eq!(read_all(MessagesWriter::new(&Owner::default()).finish()).unwrap(), []);
    }

    #[test]
    fn another_table_is_refused() {
        let other = crate::format::index::encode(&[]);
        assert!(matches!(read_all(other), Err(TableError::Columns { .. })));
        assert!(read_all(b"PAR1".to_vec()).is_err());
    }
}
