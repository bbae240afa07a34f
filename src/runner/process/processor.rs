//! What is done with each record: the trait that the built-in aggregates implement, and that your own runner can
//! implement.

#![warn(missing_docs)]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::input::record::{BadRecord, Field};
use crate::job::{FieldPath, JobSpec};
use crate::runner::state::row_mut::RowMut;
use crate::values::units::shown;
use crate::values::value::{Column, Value};

/// What a run does with each record.
///
/// The state of a job is a table: each key has one row, whose columns are [`Processor::columns`]. A record is processed
/// in two steps. The thread that parses it packs the relevant part of its fields into bytes ([`Processor::pack`]). The
/// thread that owns the key then folds these bytes into the key's row ([`Processor::apply`]), in the order of the
/// input. So a processor must hold no state, and its result must depend only on the row and the arguments: after a
/// crash, a run applies the records that follow its latest checkpoint again, to the rows of that checkpoint.
///
/// All threads share one value. `examples/runner.rs` is a program with its own processor.
pub trait Processor: fmt::Debug + Send + Sync {
    /// Returns the fields of a record that [`Processor::pack`] needs.
    fn fields(&self) -> &[FieldPath];

    /// Returns the columns of a row, at least one. They cannot change between runs on one store.
    fn columns(&self) -> &[Column];

    /// Returns the columns of the output, without the key. The default is the columns of the state.
    fn output_columns(&self) -> Vec<Column> {
        self.columns().to_vec()
    }

    /// Returns the output for a row, one value for each of [`Processor::output_columns`]. The default is the row
    /// itself.
    ///
    /// `row` has one value for each of [`Processor::columns`].
    fn output(&self, row: &[Value]) -> Vec<Value> {
        row.to_vec()
    }

    /// Appends to `packed` what [`Processor::apply`] needs of a record. `fields` are the values of
    /// [`Processor::fields`], in that order.
    ///
    /// Returns an error if the record cannot be used. The job file's `on_error` says what happens to it. `packed` may
    /// have grown then.
    fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord>;

    /// Folds what [`Processor::pack`] packed into the row of the record's key. A new row has no values.
    ///
    /// An error ends the run, which keeps nothing of what it did since its latest checkpoint.
    fn apply(&self, arguments: &[u8], row: &mut RowMut<'_>, context: &mut Context<'_>) -> Result<(), ProcessError>;
}

/// Makes the processor of a job. The error says why it cannot.
pub type MakeProcessor = fn(&JobSpec) -> Result<Arc<dyn Processor>, String>;

/// The processors that are built into a program, by the names that job files use: `process: {native: NAME}`.
#[derive(Debug, Clone, Default)]
pub struct Processors(BTreeMap<String, MakeProcessor>);

impl Processors {
    /// Adds a processor, or replaces the one of that name.
    pub fn with(mut self, name: impl Into<String>, make: MakeProcessor) -> Processors {
        self.0.insert(name.into(), make);
        self
    }

    /// Makes the processor `name` for a job. The error says what is wrong.
    pub fn make(&self, name: &str, job: &JobSpec) -> Result<Arc<dyn Processor>, String> {
        match self.0.get(name) {
            Some(make) => make(job),
            None if self.0.is_empty() => Err(format!(
                "no processor `{}` is built in: the job needs the runner that it was written for",
                shown(name)
            )),
            None => {
                let known: Vec<String> = self.0.keys().map(|name| format!("`{name}`")).collect();
                Err(format!("no processor `{}` is built in, expected one of {}", shown(name), known.join(", ")))
            }
        }
    }
}

/// The context of a record that is being applied.
#[derive(Debug)]
pub struct Context<'a> {
    key: &'a [u8],
}

impl<'a> Context<'a> {
    /// Makes the context of a record of `key`, which must be UTF-8.
    pub(crate) fn new(key: &'a [u8]) -> Context<'a> {
        Context { key }
    }

    /// Returns the key of the row.
    pub fn key(&self) -> &'a str {
        std::str::from_utf8(self.key).expect("keys are UTF-8")
    }
}

/// Why a record could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ProcessError {
    /// What went wrong, in lower case.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;
    use crate::format::rows::RowCodec;
    use crate::runner::state::shard::Shard;
    use crate::values::decimal::Decimal;
    use crate::values::value::ColumnType;

    /// Counts the lines of each key and keeps the longest.
    #[derive(Debug)]
    struct Longest {
        fields: Vec<FieldPath>,
        columns: Vec<Column>,
    }

    impl Processor for Longest {
        fn fields(&self) -> &[FieldPath] {
            &self.fields
        }

        fn columns(&self) -> &[Column] {
            &self.columns
        }

        fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
            let Field::Text(text) = &fields[0] else { return Err(BadRecord { reason: "no text".to_owned() }) };
            packed.extend_from_slice(text.as_bytes());
            Ok(())
        }

        fn apply(&self, line: &[u8], row: &mut RowMut<'_>, context: &mut Context<'_>) -> Result<(), ProcessError> {
            if line == b"stop" {
                return Err(ProcessError { reason: format!("`{}` says stop", context.key()) });
            }
            row.set_int(0, row.int(0) + 1);
            let bytes = Decimal::parse(line.len().to_string().as_bytes()).expect("a length is a number");
            if bytes > row.number(1) {
                row.set_number(1, bytes);
                row.set_text(2, std::str::from_utf8(line).expect("packed from text"));
            }
            Ok(())
        }
    }

    #[test]
    fn a_processor_reads_and_writes_its_columns_by_their_type() {
        let columns = [("lines", ColumnType::Int), ("bytes", ColumnType::Number), ("line", ColumnType::Text)];
        let columns = columns.map(|(name, column_type)| Column::new(name, column_type)).to_vec();
        let longest: &dyn Processor = &Longest { fields: vec![FieldPath::of("line")], columns };
        assert_eq!(longest.output_columns(), longest.columns());
        let codec = RowCodec::new(longest.columns().to_vec());
        let mut shard = Shard::new(&codec);
        let mut apply = |line: &str| {
            let mut packed = Vec::new();
            longest.pack(&[Field::Text(line.into())], &mut packed).unwrap();
            longest.apply(&packed, &mut shard.row(xxh3_64(b"k"), b"k"), &mut Context::new(b"k"))
        };
        for line in ["bb", "ccc", "a"] {
            apply(line).unwrap();
        }
        assert_eq!(apply("stop").unwrap_err().to_string(), "`k` says stop");
        let mut packed = Vec::new();
        shard.pack_row(0, &mut packed);
        let row = codec.unpack(&packed);
        let bytes = Decimal::parse(b"3").unwrap();
        assert_eq!(longest.output(&row), [Value::Int(3), Value::Number(bytes), Value::Text("ccc".to_owned())]);
        assert!(longest.pack(&[Field::Missing], &mut packed).is_err());
    }
}
