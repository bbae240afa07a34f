//! The messages of a checkpoint before they are sent.

use std::borrow::Cow;
use std::ops::Range;

use crate::format::messages::MessagesWriter;
use crate::format::owner::Owner;
use crate::job::{Emit, JobSpec, OutputFormat};
use crate::runner::output::changes::{RowSink, ShardChanges, visit_changes};
use crate::runner::output::error::OutputError;
use crate::runner::output::shown::ShownRows;
use crate::runner::process::exec::typed::partial_row;
use crate::shape::{Encoder, RowShape, TextFormat};
use crate::values::value::{Column, Value};

/// Makes messages of rows. The key of a message is the key of its row: the text, or a JSON array if it has several columns.
/// The value is the row as a JSON object, without the column that says how it changed. A deleted row is a tombstone.
#[derive(Debug)]
pub struct MessageRows {
    pub shape: RowShape,
    pub emit: Emit,
    /// The columns of the rows that a program emits, if it declares them.
    columns: Vec<Column>,
}

impl MessageRows {
    /// # Panics
    ///
    /// Panics if the job has no output.
    pub fn new(job: &JobSpec, shape: RowShape) -> MessageRows {
        let output = job.output.as_ref().expect("the job has an output");
        MessageRows { shape, emit: output.emit, columns: output.columns.clone() }
    }

    /// Stages the changes of `shards` as a table of `owner`. Returns its bytes and the number of messages, or nothing if
    /// there are none. With `shown`, a row that readers have and for which `having` is no longer true is deleted.
    pub fn stage(
        &self,
        owner: &Owner,
        shards: &[&ShardChanges],
        shown: Option<&mut ShownRows>,
    ) -> Result<Option<(Vec<u8>, u64)>, OutputError> {
        let columns = self.shape.columns();
        let skipped = usize::from(self.shape.has_change);
        let mut messages = Messages {
            writer: MessagesWriter::new(owner),
            line: Vec::new(),
            skipped,
            key_columns: skipped..skipped + self.shape.key_columns(),
            format: json(&columns[skipped..]),
            emitted: (!self.columns.is_empty()).then(|| (json(&self.columns), self.columns.as_slice())),
        };
        visit_changes(&self.shape, shards, shown, &mut messages)?;
        let rows = messages.writer.rows();
        Ok((rows > 0).then(|| (messages.writer.finish(), rows)))
    }
}

fn json(columns: &[Column]) -> TextFormat {
    Encoder::new(OutputFormat::Json, columns).text_format().cloned().expect("JSON is text")
}

struct Messages<'a> {
    writer: MessagesWriter,
    /// Memory for a value.
    line: Vec<u8>,
    /// The columns before the key.
    skipped: usize,
    key_columns: Range<usize>,
    format: TextFormat,
    /// For objects of a program that declares their columns.
    emitted: Option<(TextFormat, &'a [Column])>,
}

impl RowSink for Messages<'_> {
    fn row(&mut self, values: &[Value], is_deleted: bool) -> Result<(), OutputError> {
        let key = key_text(&values[self.key_columns.clone()]);
        let value = (!is_deleted).then(|| text_of(&self.format, &values[self.skipped..], &mut self.line));
        self.writer.push(Some(&key), value.as_deref());
        Ok(())
    }

    fn objects(&mut self, lines: &[u8]) -> Result<(), OutputError> {
        for object in lines.split_inclusive(|byte| *byte == b'\n') {
            let value = match &self.emitted {
                None => text(object),
                Some((format, columns)) => {
                    let row = partial_row(columns, object).expect("the row was checked when it was emitted");
                    text_of(format, &row, &mut self.line)
                }
            };
            self.writer.push(None, Some(&value));
        }
        Ok(())
    }
}

/// Returns a row as text, which is written into `line`.
fn text_of<'a>(format: &TextFormat, values: &[Value], line: &'a mut Vec<u8>) -> Cow<'a, str> {
    line.clear();
    format.push(values, line);
    text(line)
}

fn text(line: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line))
}

fn key_text(values: &[Value]) -> Cow<'_, str> {
    if let [Value::Text(text)] = values {
        return Cow::Borrowed(text);
    }
    let mut array = Vec::new();
    for (place, value) in values.iter().enumerate() {
        array.push(if place == 0 { b'[' } else { b',' });
        value.push_json(&mut array);
    }
    array.push(b']');
    Cow::Owned(text(&array).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_one_column_is_its_text_and_that_of_several_is_a_list() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(key_text(&[text("a\"b")]), "a\"b");
        assert_eq!(key_text(&[text("a\"b"), Value::Int(7), Value::Bool(true)]), "[\"a\\\"b\",7,true]");
        assert_eq!(key_text(&[text(""), Value::Null]), "[\"\",null]");
    }
}
