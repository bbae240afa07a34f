//! From a key and a value of Samza to a row.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::mapping::Mapping;
use crate::format::limits::MAX_VALUE_BYTES;
use crate::ops::samza::state::StateRow;
use crate::samza::serde::StateValue;
use crate::values::decimal::Decimal;
use crate::values::digest::{Digest, Hasher};
use crate::values::units::shown;
use crate::values::value::{Column, ColumnType, Value};

/// Why a key and its value are not a row of the job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("a key cannot be {found}: expected text or a number, found `{key}`")]
    Key { key: String, found: &'static str },
    #[error("the key `{key}` occurs twice")]
    Twice { key: String },
    #[error("key `{key}`, column `{column}`: {reason}")]
    Value { key: String, column: String, reason: String },
}

impl Mapping {
    /// Returns the row of a key and its value.
    pub(super) fn row(&self, row: &StateRow, columns: &[Column]) -> Result<(String, Vec<Value>), RowError> {
        let key = key(&row.key)?;
        let mut values = Vec::with_capacity(columns.len());
        for ((column, path), counts) in columns.iter().zip(&self.paths).zip(&self.counts) {
            let found = part(&row.value, path).and_then(|part| value(&part, column.column_type));
            let found = found.and_then(|value| match &value {
                Value::Int(number) if *counts && *number < 0 => Err(format!("a count cannot be {number}")),
                Value::Null if *counts => Err("a count cannot be null".to_owned()),
                _ => Ok(value),
            });
            let (key, column) = (&key, &column.name);
            let found = found.map_err(|reason| RowError::Value { key: key.clone(), column: column.clone(), reason });
            values.push(found?);
        }
        Ok((key, values))
    }
}

/// Sorts rows by the bytes of their keys. Fails if one occurs twice.
pub(super) fn sort(rows: &mut [(String, Vec<Value>)]) -> Result<(), RowError> {
    rows.sort_by(|(a, _), (b, _)| a.as_bytes().cmp(b.as_bytes()));
    match rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => Err(RowError::Twice { key: twice[0].0.clone() }),
        None => Ok(()),
    }
}

/// Returns a key as a job has it: text, or the digits of a number.
fn key(key: &StateValue) -> Result<String, RowError> {
    let refuse = |found| Err(RowError::Key { key: shown(&key.to_string()), found });
    let text = match key {
        StateValue::Text(text) => text.clone(),
        StateValue::Integer(number) => number.to_string(),
        StateValue::Bytes(_) => return refuse("bytes of an unknown serde"),
        StateValue::Json(json) => match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).expect("it is JSON"),
            Some(b'-' | b'0'..=b'9') => json.clone(),
            _ => return refuse("this JSON"),
        },
    };
    if text.len() > MAX_VALUE_BYTES { refuse("so long") } else { Ok(text) }
}

/// Returns the part of a value that `path` leads to.
fn part(value: &StateValue, path: &[String]) -> Result<StateValue, String> {
    let mut part = value.clone();
    for (depth, name) in path.iter().enumerate() {
        let StateValue::Json(json) = &part else { return Err("expected JSON".to_owned()) };
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|_| {
            let place = path[..depth].iter().fold("value".to_owned(), |place, name| format!("{place}.{name}"));
            format!("expected an object in `{place}`, found `{}`", shown(json))
        })?;
        let field = fields.get(name).ok_or_else(|| format!("the value has no field `{}`", path[..=depth].join(".")))?;
        part = StateValue::Json(field.get().to_owned());
    }
    Ok(part)
}

/// Returns a value of a column, of the type that the column has.
fn value(part: &StateValue, column_type: ColumnType) -> Result<Value, String> {
    let text = part.to_string();
    let refuse = || Err(format!("expected the type {}, found `{}`", column_type.name(), shown(&text)));
    let json = match part {
        StateValue::Bytes(_) => return Err("the bytes of an unknown serde".to_owned()),
        StateValue::Json(json) if json == "null" => return Ok(Value::Null),
        StateValue::Text(text) if column_type == ColumnType::Text => return limited(text.clone()).map(Value::Text),
        StateValue::Text(_) => return refuse(),
        StateValue::Integer(number) => &number.to_string(),
        StateValue::Json(json) => json,
    };
    match column_type {
        ColumnType::Int => json.parse().map(Value::Int).or_else(|_| refuse()),
        ColumnType::Number if json.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) => {
            Decimal::parse(json.as_bytes()).map(Value::Number).or_else(|_| refuse())
        }
        ColumnType::Text => match serde_json::from_str(json) {
            Ok(text) => limited(text).map(Value::Text),
            Err(_) => refuse(),
        },
        ColumnType::Bool => serde_json::from_str(json).map(Value::Bool).or_else(|_| refuse()),
        ColumnType::Json => limited(json.clone()).map(Value::Json),
        ColumnType::Number | ColumnType::Sketch | ColumnType::Quantiles => refuse(),
    }
}

fn limited(text: String) -> Result<String, String> {
    match text.len() {
        bytes if bytes > MAX_VALUE_BYTES => Err(format!("expected at most {MAX_VALUE_BYTES} bytes, found {bytes}")),
        _ => Ok(text),
    }
}

/// Returns the SHA-256 of the rows of all tasks, in the order of their tasks: of a line of JSON per row, as
/// `ckpt inspect --state --json` has it in `rows[]`.
pub fn digest<'a>(rows: impl IntoIterator<Item = (u32, &'a [(String, Vec<Value>)])>, columns: &[Column]) -> Digest {
    let mut hasher = Hasher::new();
    // By name, as in a document.
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|place| &columns[*place].name);
    for (task, rows) in rows {
        for (key, values) in rows {
            let quote = |text: &str| serde_json::to_string(text).expect("text is JSON");
            let value = |place: &usize| format!("{}:{}", quote(&columns[*place].name), values[*place].to_json());
            let values: Vec<String> = order.iter().map(value).collect();
            let line = format!("{{\"task\":{task},\"key\":{},\"values\":{{{}}}}}\n", quote(key), values.join(","));
            hasher.update(line.as_bytes());
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobSpec;
    use crate::ops::samza::import::mapping::MappingError;
    use crate::samza::serde::Serde;

    fn job(aggregates: &str) -> (JobSpec, Vec<Column>) {
        let types = if aggregates.contains("city") { "  types: {city: text}\n" } else { "" };
        let text = format!(
            "job: j\ninput:\n  kafka: {{brokers: 'b:1', topic: t}}\n  format: json\n{types}key: user\n\
             tasks: partitions\nprocess: {{aggregate: {{{aggregates}}}}}\ncheckpoint: {{store: s}}\n"
        );
        let job = JobSpec::parse(&text, std::path::Path::new("job.yaml")).expect("a job");
        let columns = crate::job::state_columns::state_columns(&job.aggregates, |field| {
            job.input.types.iter().find(|(known, _)| known == field).expect("known").1
        });
        (job, columns.into_iter().flatten().collect())
    }

    fn map(aggregates: &str, arguments: &[&str], serde: Serde, value: &str) -> Result<String, String> {
        let (job, columns) = job(aggregates);
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let mapping = Mapping::parse(&arguments, &job, &columns, serde).map_err(|error| error.to_string())?;
        let value = match serde {
            Serde::Long => StateValue::Integer(value.parse().expect("a number")),
            serde => serde.read(value.as_bytes()).expect("readable"),
        };
        let row = StateRow { key: StateValue::Text("k".to_owned()), value };
        let (_, values) = mapping.row(&row, &columns).map_err(|error| error.to_string())?;
        Ok(values.iter().map(Value::to_json).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_column_gets_what_it_is_given() {
        let json = |arguments: &[&str], value: &str| map("n: count, spent: sum(amount)", arguments, Serde::Json, value);
        let both = ["n=value.n", "spent=value.total.spent"];
        assert_eq!(json(&both, r#"{"n":3,"total":{"spent":1.50},"x":[]}"#), Ok("3 1.5".to_owned()));
        assert_eq!(json(&["spent=value.\"a.b\"", "n=value.n"], r#"{"n":0,"a.b":-2}"#), Ok("0 -2".to_owned()));
        assert_eq!(json(&both, r#"{"n":3,"total":{"spent":null}}"#), Ok("3 null".to_owned()));
        assert_eq!(map("n: count", &[], Serde::Long, "7"), Ok("7".to_owned()));
        assert_eq!(map("s: sum(a)", &["s=value"], Serde::Long, "-7"), Ok("-7".to_owned()));
        assert_eq!(map("c: last(city)", &["c=value"], Serde::Text, "Rome"), Ok("\"Rome\"".to_owned()));
        let arguments = ["m_sum=value.s", "m_count=value.n", "c=value.\"the city\""];
        let all = map("m: avg(a), c: first(city)", &arguments, Serde::Json, r#"{"s":7.5,"n":3,"the city":"Rome"}"#);
        assert_eq!(all, Ok("7.5 3 \"Rome\"".to_owned()));
        let error = map("m: avg(a), c: first(city)", &arguments, Serde::Json, r#"{"s":7.5,"n":-3,"the city":""}"#);
        assert_eq!(error.unwrap_err(), "key `k`, column `m_count`: a count cannot be -3");
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_an_error() {
        let json = |value: &str| {
            map("n: count, spent: sum(amount)", &["n=value.n", "spent=value.t.s"], Serde::Json, value).unwrap_err()
        };
        for (value, reason) in [
            (r#"{"t":{"s":1}}"#, "column `n`: the value has no field `n`"),
            (r#"{"n":1,"t":{}}"#, "column `spent`: the value has no field `t.s`"),
            (r#"{"n":1,"t":5}"#, "column `spent`: expected an object in `value.t`, found `5`"),
            (r#"{"n":1.0,"t":{"s":1}}"#, "column `n`: expected the type int, found `1.0`"),
            (r#"{"n":"1","t":{"s":1}}"#, "column `n`: expected the type int, found `\"1\"`"),
            (r#"{"n":-1,"t":{"s":1}}"#, "column `n`: a count cannot be -1"),
            (r#"{"n":null,"t":{"s":1}}"#, "column `n`: a count cannot be null"),
            (r#"{"n":9223372036854775808,"t":{"s":1}}"#, "column `n`: expected the type int, found"),
            (r#"{"n":1,"t":{"s":"1"}}"#, "column `spent`: expected the type number, found `\"1\"`"),
            (r#"{"n":1,"t":{"s":[1]}}"#, "column `spent`: expected the type number, found `[1]`"),
        ] {
            assert!(json(value).starts_with(&format!("key `k`, {reason}")), "{value}: {}", json(value));
        }
        let text = map("c: last(city)", &["c=value"], Serde::Json, "5").unwrap_err();
        assert_eq!(text, "key `k`, column `c`: expected the type text, found `5`");
    }

    #[test]
    fn a_mapping_is_complete_and_names_what_there_is() {
        let parse = |arguments: &[&str], serde| {
            let (job, columns) = job("n: count, spent: sum(amount)");
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            Mapping::parse(&arguments, &job, &columns, serde).unwrap_err()
        };
        let text = |text: &str| text.to_owned();
        let malformed = |found: &str| MappingError::Malformed { text: text(found) };
        for wrong in ["n", "n=", "n=clicks", "n=value.", "n=value clicks", "n=values.n"] {
            assert_eq!(parse(&[wrong], Serde::Json), malformed(wrong));
        }
        let unknown = MappingError::Unknown { column: text("m"), columns: vec![text("`n`"), text("`spent`")] };
        assert_eq!(parse(&["m=value"], Serde::Json), unknown);
        assert_eq!(parse(&["n=value", "n=value"], Serde::Json), MappingError::Twice { column: text("n") });
        assert_eq!(parse(&["n=value"], Serde::Json), MappingError::Missing { columns: vec![text("`spent`")] });
        let both = MappingError::Missing { columns: vec![text("`n`"), text("`spent`")] };
        assert_eq!(parse(&[], Serde::Long), both);
        assert_eq!(parse(&["n=value.n"], Serde::Long), MappingError::NoFields { text: text("n=value.n") });
    }

    #[test]
    fn keys_are_text_or_numbers_and_occur_once() {
        let key = |found: StateValue| key(&found).map_err(|_| ());
        assert_eq!(key(StateValue::Text("a".to_owned())), Ok("a".to_owned()));
        assert_eq!(key(StateValue::Integer(-5)), Ok("-5".to_owned()));
        assert_eq!(key(StateValue::Json("\"a\\n\"".to_owned())), Ok("a\n".to_owned()));
        assert_eq!(key(StateValue::Json("1.50".to_owned())), Ok("1.50".to_owned()));
        for refused in ["null", "true", "[1]", "{}"] {
            assert_eq!(key(StateValue::Json(refused.to_owned())), Err(()));
        }
        assert_eq!(key(StateValue::Bytes(vec![1])), Err(()));
        let mut rows = vec![("b".to_owned(), vec![]), ("a".to_owned(), vec![])];
        assert_eq!(sort(&mut rows), Ok(()));
        assert_eq!(rows[0].0, "a");
        rows.push(rows[0].clone());
        assert_eq!(sort(&mut rows), Err(RowError::Twice { key: "a".to_owned() }));
    }
}
