//! The copy of a program's state that a run keeps: the rows that the program handed over up to the last cut.

use xxhash_rust::xxh3::xxh3_64;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::format::rows::RowCodec;
use crate::input::record::{BadRecord, Field};
use crate::job::{ExecSpec, FieldPath, InputFormat};
use crate::runner::process::exec::typed::whole_row;
use crate::runner::process::processor::{Context, ProcessError, Processor};
use crate::runner::state::row_mut::RowMut;
use crate::runner::state::shard::Shard;
use crate::shape::task_key::{TASK_BYTES, shard_key};
use crate::values::value::{Column, ColumnType, Value};

/// The processor of jobs with a program. A row is one JSON column, or has the columns that the program declares;
/// records are sent to the program instead of being applied.
#[derive(Debug)]
pub struct Mirror {
    fields: Vec<FieldPath>,
    columns: Vec<Column>,
}

impl Mirror {
    pub fn new(format: &InputFormat, exec: &ExecSpec) -> Mirror {
        let fields = format.field_names().unwrap_or_default().into_iter().map(FieldPath::of).collect();
        Mirror { fields, columns: exec.state_columns() }
    }
}

impl Processor for Mirror {
    fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn pack(&self, _: &[Field<'_>], _: &mut Vec<u8>) -> Result<(), BadRecord> {
        Ok(())
    }

    fn apply(&self, _: &[u8], _: &mut RowMut<'_>, _: &mut Context<'_>) -> Result<(), ProcessError> {
        Err(ProcessError { reason: "records are applied by the program".to_owned() })
    }
}

/// Applies a change of a program's state to the shard of its task. Setting a key to the value that it has changes
/// nothing. `is_typed` says whether the program declares its columns.
pub(crate) fn put(
    shard: &mut Shard,
    codec: &RowCodec,
    is_typed: bool,
    task: u32,
    key: &[u8],
    value: Option<&[u8]>,
) -> Result<(), String> {
    let key = shard_key(task, key);
    let hash = xxh3_64(&key);
    let Some(value) = value else {
        shard.remove(hash, &key);
        return Ok(());
    };
    if key.len() - TASK_BYTES > MAX_VALUE_BYTES {
        return Err(format!("a key of {} bytes, expected at most {MAX_VALUE_BYTES}", key.len() - TASK_BYTES));
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(format!("a value of {} bytes, expected at most {MAX_VALUE_BYTES}", value.len()));
    }
    if is_typed {
        let values = whole_row(codec.columns(), value)?;
        set_row(shard, codec, hash, &key, &values);
        return Ok(());
    }
    let at = codec.offset(0);
    if shard.find(hash, &key).is_some_and(|row| shard.bytes(row, 0) == Some(value)) {
        return Ok(());
    }
    // Values that other JSON readers may reject are refused here: numbers out of range, lone surrogates, very deep
    // nesting.
    if let Err(error) = serde_json::from_slice::<serde_json::Value>(value) {
        return Err(format!("a value that is not JSON: {error}"));
    }
    shard.row(hash, &key).set(0, at, ColumnType::Json, value);
    Ok(())
}

/// Sets the row of `key`, unless it has these values.
fn set_row(shard: &mut Shard, codec: &RowCodec, hash: u64, key: &[u8], values: &[Value]) {
    let (mut new, mut old) = (Vec::new(), Vec::new());
    codec.pack(values, &mut new);
    if let Some(index) = shard.find(hash, key) {
        shard.pack_row(index, &mut old);
    }
    if old == new {
        return;
    }
    let mut row = shard.row(hash, key);
    for (column, value) in values.iter().enumerate() {
        match value {
            Value::Int(number) => row.set_int(column, *number),
            Value::Number(number) => row.set_number(column, *number),
            Value::Text(text) => row.set_text(column, text),
            Value::Json(json) => row.set(column, codec.offset(column), ColumnType::Json, json.as_bytes()),
            Value::Bool(yes) => row.set(column, codec.offset(column), ColumnType::Bool, &[u8::from(*yes)]),
            Value::Null | Value::Sketch(_) => row.clear(column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobSpec;
    use crate::shape::task_key::split_key;

    fn untyped() -> ExecSpec {
        let text = "job: j\ninput: a.jsonl\nprocess: {exec: [a]}\n";
        JobSpec::parse(text, std::path::Path::new("job.yaml")).unwrap().exec.unwrap()
    }

    fn taken(shard: &mut Shard) -> Vec<(u32, String, Option<String>)> {
        shard.freeze(false);
        let mut frozen = shard.take(usize::MAX / 2, |key| split_key(key).0).expect("all of it");
        frozen.rows.split_tasks();
        frozen.rows.sort();
        let codec = RowCodec::new(untyped().state_columns());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let value = |packed: &[u8]| codec.unpack(packed)[0].to_json();
        frozen.rows.iter().map(|row| (row.task, text(row.key), row.value.map(value))).collect()
    }

    #[test]
    fn setting_an_equal_value_is_not_a_change_and_tasks_have_separate_keys() {
        let codec = RowCodec::new(Mirror::new(&InputFormat::Json, &untyped()).columns().to_vec());
        let mut shard = Shard::new(&codec);
        let put = |shard: &mut Shard, task, value: Option<&str>| {
            put(shard, &codec, false, task, b"k", value.map(str::as_bytes)).unwrap();
        };
        for task in 0..8 {
            put(&mut shard, task, Some("{\"n\": 1}"));
        }
        assert_eq!(taken(&mut shard).len(), 8);
        put(&mut shard, 5, Some("{\"n\": 1}"));
        put(&mut shard, 7, None);
        put(&mut shard, 6, Some("2"));
        put(&mut shard, 6, Some("[3]"));
        let row = |task, value: Option<&str>| (task, "k".to_owned(), value.map(str::to_owned));
        assert_eq!(taken(&mut shard), [row(6, Some("[3]")), row(7, None)]);
        assert_eq!(taken(&mut shard), []);
    }

    #[test]
    fn values_that_are_not_json_or_are_too_large_are_refused() {
        let codec = RowCodec::new(Mirror::new(&InputFormat::Json, &untyped()).columns().to_vec());
        let mut shard = Shard::new(&codec);
        let long = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES));
        for value in ["", "nul", "{", "1e999", "\"\\ud800\"", &"[".repeat(100_000), &long] {
            assert!(put(&mut shard, &codec, false, 0, b"k", Some(value.as_bytes())).is_err(), "{:.20}", value);
        }
        assert!(put(&mut shard, &codec, false, 0, &vec![b'k'; MAX_VALUE_BYTES + 1], Some(b"1")).is_err());
        assert_eq!(shard.keys(), 0);
    }

    #[test]
    fn rows_with_columns_change_only_if_a_value_does() {
        let columns = [("n", ColumnType::Int), ("name", ColumnType::Text), ("more", ColumnType::Json)];
        let codec = RowCodec::new(columns.map(|(name, column_type)| Column::new(name, column_type)).to_vec());
        let mut shard = Shard::new(&codec);
        let (mut rows, mut packed) = (Vec::new(), Vec::new());
        for (value, is_change) in [
            (r#"{"n":1,"name":"a","more":[1]}"#, true),
            (r#"{"more":[1],"name":"\u0061","n":1}"#, false),
            (r#"{"n":1,"name":"a","more":[1.0]}"#, true),
            (r#"{"n":null,"name":null,"more":null}"#, true),
            (r#"{"n":null,"name":null,"more":null}"#, false),
            (r#"{"n":0,"name":"","more":false}"#, true),
        ] {
            put(&mut shard, &codec, true, 3, b"k", Some(value.as_bytes())).unwrap();
            assert_eq!(shard.has_changed(), is_change, "{value}");
            shard.freeze(false);
            shard.take(usize::MAX / 2, |_| 0).expect("all of it");
            packed.clear();
            shard.pack_row(0, &mut packed);
            rows.push(codec.unpack(&packed).iter().map(Value::to_json).collect::<Vec<_>>().join(" "));
        }
        let expected =
            ["1 \"a\" [1]", "1 \"a\" [1]", "1 \"a\" [1.0]", "null null null", "null null null", "0 \"\" false"];
        assert_eq!(rows, expected);
        assert!(put(&mut shard, &codec, true, 3, b"k", Some(b"{\"n\":1}")).is_err());
        assert!(!shard.has_changed());
    }
}
