//! Rows with declared columns, as a program writes and reads them: JSON objects.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::format::rows::RowCodec;
use crate::runner::state::shard::Shard;
use crate::values::decimal::Decimal;
use crate::values::rows_text::JsonLines;
use crate::values::units::shown;
use crate::values::value::{Column, ColumnType, Value};

/// Reads a row that has all `columns` and no others. The error says what is wrong with it.
pub(crate) fn whole_row(columns: &[Column], json: &[u8]) -> Result<Vec<Value>, String> {
    let values = row(columns, json)?;
    let missing = values.iter().position(Option::is_none);
    match missing {
        Some(index) => Err(format!("a value without the column `{}`", columns[index].name)),
        None => Ok(values.into_iter().flatten().collect()),
    }
}

/// Reads a row that has some of `columns` and no others. The error says what is wrong with it.
pub(crate) fn partial_row(columns: &[Column], json: &[u8]) -> Result<Vec<Value>, String> {
    Ok(row(columns, json)?.into_iter().map(Option::unwrap_or_default).collect())
}

fn row(columns: &[Column], json: &[u8]) -> Result<Vec<Option<Value>>, String> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let members = reader.deserialize_map(Members).and_then(|members| reader.end().map(|()| members));
    let members = members.map_err(|error| format!("a value that is not an object of columns: {error}"))?;
    let mut values: Vec<Option<Value>> = vec![None; columns.len()];
    for (name, raw) in members {
        let Some(index) = columns.iter().position(|column| column.name == name) else {
            return Err(format!("a value with `{}`, which is not one of its columns", shown(&name)));
        };
        if values[index].is_some() {
            return Err(format!("a value that has the column `{name}` twice"));
        }
        let column_type = columns[index].column_type;
        let found = shown(raw.get());
        let value = value(column_type, raw.get());
        values[index] =
            Some(value.ok_or_else(|| {
                format!("a value whose column `{name}` is not {}: `{found}`", described(column_type))
            })?);
    }
    Ok(values)
}

fn value(column_type: ColumnType, raw: &str) -> Option<Value> {
    if raw == "null" {
        return Some(Value::Null);
    }
    match column_type {
        ColumnType::Int => raw.parse().ok().map(Value::Int),
        ColumnType::Number if raw.starts_with('"') => None,
        ColumnType::Number => Decimal::parse(raw.as_bytes()).ok().map(Value::Number),
        ColumnType::Text => serde_json::from_str(raw).ok().map(Value::Text),
        ColumnType::Bool => serde_json::from_str(raw).ok().map(Value::Bool),
        // Values that other JSON readers may reject are refused here: numbers out of range, lone surrogates, very deep
        // nesting.
        ColumnType::Json => serde_json::from_str::<serde_json::Value>(raw).ok().map(|_| Value::Json(raw.to_owned())),
        ColumnType::Sketch | ColumnType::Quantiles => None,
    }
}

fn described(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Int => "an integer of 64 bits",
        ColumnType::Number => "a number below 10^20 with up to 18 decimal places",
        ColumnType::Text => "text",
        ColumnType::Bool => "true or false",
        ColumnType::Json | ColumnType::Sketch | ColumnType::Quantiles => "valid JSON",
    }
}

/// The members of an object, in order.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Writes rows of state as JSON objects.
pub(crate) struct RowWriter<'a> {
    codec: &'a RowCodec,
    lines: JsonLines,
    packed: Vec<u8>,
    line: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(codec: &'a RowCodec) -> RowWriter<'a> {
        let lines = JsonLines::new(codec.columns().iter().map(|column| column.name.as_str()));
        RowWriter { codec, lines, packed: Vec::new(), line: Vec::new() }
    }

    /// Returns row `index` of `shard` as an object.
    pub(crate) fn object(&mut self, shard: &Shard, index: usize) -> &[u8] {
        self.packed.clear();
        self.line.clear();
        shard.pack_row(index, &mut self.packed);
        self.lines.push(&self.codec.unpack(&self.packed), &mut self.line);
        self.line.trim_ascii_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let types = [ColumnType::Int, ColumnType::Number, ColumnType::Text, ColumnType::Bool, ColumnType::Json];
        types.into_iter().map(|column_type| Column::new(column_type.name(), column_type)).collect()
    }

    #[test]
    fn a_row_is_written_as_it_was_read() {
        let codec = RowCodec::new(columns());
        for object in [
            r#"{"int":-9223372036854775808,"number":-0.000000000000000001,"text":"a\"b","bool":true,"json":[1.50,{}]}"#,
            r#"{"int":null,"number":null,"text":null,"bool":null,"json":null}"#,
            r#"{"int":0,"number":0,"text":"","bool":false,"json":""}"#,
        ] {
            let values = whole_row(&columns(), object.as_bytes()).unwrap();
            let mut packed = Vec::new();
            codec.pack(&values, &mut packed);
            let mut shard = Shard::new(&codec);
            assert!(shard.load(1, b"k", &packed));
            let written = String::from_utf8(RowWriter::new(&codec).object(&shard, 0).to_vec()).unwrap();
            assert_eq!(written, object);
        }
        let values = partial_row(&columns(), br#"{ "number": 1e3 }"#).unwrap();
        assert_eq!(values[1], Value::Number(Decimal::parse(b"1000").unwrap()));
        assert_eq!((&values[0], &values[4]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn what_does_not_fit_the_columns_is_refused_with_a_reason() {
        for (object, reason) in [
            ("1", "a value that is not an object of columns: invalid type: integer `1`, expected an object"),
            (r#"{"int":1"#, "a value that is not an object of columns"),
            (r#"{"int":1} 2"#, "a value that is not an object of columns: trailing characters"),
            (r#"{"other":1}"#, "a value with `other`, which is not one of its columns"),
            (r#"{"int":1,"int":1}"#, "a value that has the column `int` twice"),
            (r#"{"int":1.0}"#, "a value whose column `int` is not an integer of 64 bits: `1.0`"),
            (r#"{"int":9223372036854775808}"#, "is not an integer of 64 bits"),
            (r#"{"number":"1"}"#, "a value whose column `number` is not a number below 10^20"),
            (r#"{"number":1e20}"#, "a value whose column `number` is not a number below 10^20"),
            (r#"{"number":1e-19}"#, "a value whose column `number` is not a number below 10^20"),
            (r#"{"text":1}"#, "a value whose column `text` is not text: `1`"),
            (r#"{"text":"\ud800"}"#, "a value whose column `text` is not text"),
            (r#"{"bool":0}"#, "a value whose column `bool` is not true or false: `0`"),
            (r#"{"json":1e999}"#, "a value whose column `json` is not valid JSON"),
        ] {
            let found = partial_row(&columns(), object.as_bytes()).unwrap_err();
            assert!(found.starts_with(reason) || found.contains(reason), "{object}: {found}");
        }
        let found = whole_row(&columns(), br#"{"int":1,"number":1}"#).unwrap_err();
        assert_eq!(found, "a value without the column `text`");
    }
}
