//! Rows as text: CSV with a header line, and JSON lines.

use std::io::Write as _;

use crate::values::value::Value;

/// Writes rows as JSON lines: one object per row.
#[derive(Debug, Clone)]
pub struct JsonLines {
    /// What precedes each value: `{"key":` and then `,"name":`.
    before: Vec<String>,
}

impl JsonLines {
    /// Takes the names of the columns.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> JsonLines {
        let quoted = |name: &str| serde_json::to_string(name).expect("text is always JSON");
        let before = |(i, name): (usize, &str)| format!("{}{}:", if i == 0 { '{' } else { ',' }, quoted(name));
        JsonLines { before: names.into_iter().enumerate().map(before).collect() }
    }

    /// Appends a row, one value per column. JSON values must be valid, see [`invalid_json`].
    pub fn push<'a>(&self, values: impl IntoIterator<Item = &'a Value>, text: &mut Vec<u8>) {
        for (before, value) in self.before.iter().zip(values) {
            text.extend_from_slice(before.as_bytes());
            match value {
                // Between the tokens of JSON a line end means the same as a space; within them there is none.
                Value::Json(json) if json.contains(['\n', '\r']) => {
                    text.extend_from_slice(json.replace(['\n', '\r'], " ").as_bytes());
                }
                _ => value.push_json(text),
            }
        }
        text.extend_from_slice(b"}\n");
    }
}

/// Returns the index of the first value that should be JSON and is not.
pub fn invalid_json(values: &[Value]) -> Option<usize> {
    values.iter().position(|value| match value {
        Value::Json(json) => serde_json::from_str::<serde::de::IgnoredAny>(json).is_err(),
        _ => false,
    })
}

/// Appends the header line of CSV.
pub fn push_csv_header<'a>(names: impl IntoIterator<Item = &'a str>, text: &mut Vec<u8>) {
    push_csv_fields(names, text, push_csv_text);
}

/// Appends a row of CSV, one value per column.
///
/// A missing value is an empty field, an empty text is `""`. A sketch is described by its size.
pub fn push_csv<'a>(values: impl IntoIterator<Item = &'a Value>, text: &mut Vec<u8>) {
    push_csv_fields(values, text, |value, text| match value {
        Value::Null => {}
        Value::Text(field) | Value::Json(field) => push_csv_text(field, text),
        Value::Sketch(bytes) => write_text(text, format_args!("sketch of {} bytes", bytes.len())),
        Value::Int(_) | Value::Number(_) | Value::Bool(_) => write_text(text, format_args!("{value}")),
    });
}

fn push_csv_fields<T>(fields: impl IntoIterator<Item = T>, text: &mut Vec<u8>, push: impl Fn(T, &mut Vec<u8>)) {
    for (i, field) in fields.into_iter().enumerate() {
        if i > 0 {
            text.push(b',');
        }
        push(field, text);
    }
    text.push(b'\n');
}

/// Appends a field in quotes where RFC 4180 requires them, and where it is empty: without quotes that is a missing
/// value.
fn push_csv_text(field: &str, text: &mut Vec<u8>) {
    if field.is_empty() || field.contains(['"', ',', '\n', '\r']) {
        write_text(text, format_args!("\"{}\"", field.replace('"', "\"\"")));
    } else {
        text.extend_from_slice(field.as_bytes());
    }
}

fn write_text(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::decimal::Decimal;

    fn values() -> Vec<Value> {
        let text = |text: &str| Value::Text(text.to_owned());
        vec![
            text("a"),
            text("b,c"),
            text("d\"e"),
            text(""),
            Value::Null,
            text("f\ng"),
            Value::Int(-1),
            Value::Number(Decimal::parse(b"1.50").unwrap()),
            Value::Bool(true),
            Value::Json("[1,\n{}]".to_owned()),
            Value::Sketch(vec![0; 3]),
        ]
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be_and_where_they_are_empty() {
        let mut text = Vec::new();
        push_csv_header(["key", "a \"b\""], &mut text);
        push_csv(&values(), &mut text);
        let expected = "key,\"a \"\"b\"\"\"\n\
            a,\"b,c\",\"d\"\"e\",\"\",,\"f\ng\",-1,1.5,true,\"[1,\n{}]\",sketch of 3 bytes\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn a_row_of_json_is_one_line() {
        let names: Vec<String> = (0..values().len()).map(|i| format!("\"{i}")).collect();
        let mut text = Vec::new();
        JsonLines::new(names.iter().map(String::as_str)).push(&values(), &mut text);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 1);
        let row: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({
            "\"0": "a", "\"1": "b,c", "\"2": "d\"e", "\"3": "", "\"4": null, "\"5": "f\ng", "\"6": -1, "\"7": 1.5,
            "\"8": true, "\"9": [1, {}], "\"10": "sketch of 3 bytes",
        });
        assert_eq!(row, expected);
    }

    #[test]
    fn what_is_not_json_is_found() {
        assert_eq!(invalid_json(&values()), None);
        let broken = [Value::Text("{".to_owned()), Value::Json("{}".to_owned()), Value::Json("{".to_owned())];
        assert_eq!(invalid_json(&broken), Some(2));
    }
}
