//! Keys of several fields: one text that holds the values of all of them.
//!
//! The key is a JSON array without spaces, such as `["/cart",500]`. Equal parts give equal text, so a key can be hashed,
//! sorted and compared like any other. In a job with windows, `@` and the start of the window follow.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::values::decimal::Decimal;
use crate::values::value::{Column, ColumnType, Value};

/// What the keys of a job with several key fields consist of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyShape {
    /// In the order of the array.
    pub parts: Vec<KeyPart>,
    /// Whether each key ends with the start of a window.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub window: bool,
}

/// One field of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyPart {
    /// The name of its column.
    pub name: String,
    /// The type that the job file declares. Without it, a part is text, a number or a bool, as in the input.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub column_type: Option<ColumnType>,
}

impl KeyShape {
    /// The most fields of a key.
    pub const MAX_PARTS: usize = 8;
    /// The column of the start of the window.
    pub const WINDOW_COLUMN: &str = "window_start";

    /// Returns the columns that a key is split into. A part without a declared type is a column of text.
    pub fn columns(&self) -> Vec<Column> {
        let part = |part: &KeyPart| Column::new(&part.name, part.column_type.unwrap_or(ColumnType::Text));
        let window = self.window.then(|| Column::new(KeyShape::WINDOW_COLUMN, ColumnType::Text));
        self.parts.iter().map(part).chain(window).collect()
    }

    /// Splits a key into one value per column. Returns `None` if it is not a key of this shape.
    ///
    /// A number or a bool without a declared type is returned as its JSON text.
    pub fn split(&self, key: &[u8]) -> Option<Vec<Value>> {
        let (mut values, rest) = self.parts_of(key)?;
        if join(&values).as_bytes() != &key[..key.len() - rest.len()] {
            return None;
        }
        match (self.window, rest.strip_prefix('@')) {
            (true, Some(start)) if !start.is_empty() => values.push(Value::Text(start.to_owned())),
            (false, None) if rest.is_empty() => {}
            _ => return None,
        }
        Some(values)
    }

    /// Returns the key that a person has written as a JSON array, perhaps with spaces.
    pub fn parse(&self, text: &str) -> Option<String> {
        let (values, rest) = self.parts_of(text.as_bytes())?;
        let key = join(&values) + rest.trim_end();
        self.split(key.as_bytes()).map(|_| key)
    }

    /// Returns the values that a person may mean by `text` for the column with this index: several if the part has no
    /// declared type, such as the text `200` and the number 200.
    pub fn values_of(&self, column: usize, text: &str) -> Vec<Value> {
        let Some(part) = self.parts.get(column) else { return vec![Value::Text(text.to_owned())] };
        let as_text = Value::Text(text.to_owned());
        match part.column_type {
            Some(ColumnType::Text) => vec![as_text],
            None => [as_text].into_iter().chain(value(text, None)).collect(),
            known => value(text, known).into_iter().collect(),
        }
    }

    /// Returns the key with these values, one per column.
    pub fn key(&self, values: &[Value]) -> String {
        let (parts, window) = values.split_at(self.parts.len().min(values.len()));
        window.iter().fold(join(parts), |key, start| format!("{key}@{start}"))
    }

    /// Returns the parts of a key, and what follows the array.
    fn parts_of<'a>(&self, key: &'a [u8]) -> Option<(Vec<Value>, &'a str)> {
        let mut stream = serde_json::Deserializer::from_slice(key).into_iter::<Vec<&RawValue>>();
        let raw = stream.next()?.ok()?;
        let rest = std::str::from_utf8(&key[stream.byte_offset()..]).ok()?;
        if raw.len() != self.parts.len() {
            return None;
        }
        let values = raw.iter().zip(&self.parts).map(|(raw, part)| value(raw.get(), part.column_type));
        Some((values.collect::<Option<Vec<Value>>>()?, rest))
    }
}

/// Returns the JSON array of these parts.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a Value>) -> String {
    let parts: Vec<String> = parts.into_iter().map(Value::to_json).collect();
    format!("[{}]", parts.join(","))
}

/// Returns the value of a part that is written as JSON. Returns `None` if it does not have the type.
fn value(json: &str, column_type: Option<ColumnType>) -> Option<Value> {
    match (json.as_bytes().first()?, column_type) {
        (b'"', None | Some(ColumnType::Text)) => serde_json::from_str(json).ok().map(Value::Text),
        (b't' | b'f', Some(ColumnType::Bool)) => json.parse().ok().map(Value::Bool),
        (b'-' | b'0'..=b'9', Some(ColumnType::Int)) => json.parse().ok().map(Value::Int),
        (b'-' | b'0'..=b'9', Some(ColumnType::Number)) => Decimal::parse(json.as_bytes()).ok().map(Value::Number),
        (b't' | b'f' | b'-' | b'0'..=b'9', None) => {
            serde_json::from_str::<&RawValue>(json).ok().map(|json| Value::Json(json.get().to_owned()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(types: &[Option<ColumnType>], window: bool) -> KeyShape {
        let part = |(index, column_type): (usize, &Option<ColumnType>)| KeyPart {
            name: format!("p{index}"),
            column_type: *column_type,
        };
        KeyShape { parts: types.iter().enumerate().map(part).collect(), window }
    }

    #[test]
    fn any_parts_are_split_as_they_were_joined() {
        let text = |text: &str| Value::Text(text.to_owned());
        let json = |text: &str| Value::Json(text.to_owned());
        let any = shape(&[None, None], false);
        for parts in [
            [text("/cart"), json("500")],
            [text("500"), json("5e2")],
            [text(""), text("\",\"")],
            [text("a\",\"b"), text("c\\")],
            [text("größe\u{1f980}\n\0@["), json("true")],
            [json("-0.50"), text("true")],
        ] {
            let key = any.key(&parts);
            assert_eq!(any.split(key.as_bytes()).as_deref(), Some(&parts[..]), "{key}");
            assert_eq!(any.parse(&key), Some(key));
        }
        let windowed = shape(&[None, Some(ColumnType::Int)], true);
        let parts = [text("]@2026-01-01T00:00:00Z"), Value::Int(7), text("2026-11-22T14:00:00Z")];
        let key = windowed.key(&parts);
        assert_eq!(key, r#"["]@2026-01-01T00:00:00Z",7]@2026-11-22T14:00:00Z"#);
        assert_eq!(windowed.split(key.as_bytes()).as_deref(), Some(&parts[..]));
    }

    #[test]
    fn only_keys_as_they_are_written_have_a_shape() {
        let typed = shape(&[Some(ColumnType::Text), Some(ColumnType::Number)], false);
        assert!(typed.split(br#"["a",0.5]"#).is_some());
        for key in [
            "",
            "a",
            "[]",
            r#"["a"]"#,
            r#"["a",1,2]"#,
            r#"["a", 1]"#,
            r#"["a",1.0]"#,
            r#"["a","1"]"#,
            r#"[1,1]"#,
            r#"["a",1]@x"#,
            r#"["a",null]"#,
            r#"["a",[1]]"#,
            r#"["\u0061",1]"#,
            r#"["a",1"#,
            r#"["a",1] "#,
        ] {
            assert_eq!(typed.split(key.as_bytes()), None, "{key}");
        }
        assert_eq!(typed.split(b"[\"\xff\",1]"), None);
        assert_eq!(shape(&[None, None], true).split(br#"["a",1]"#), None);
        assert_eq!(shape(&[None, None], true).split(br#"["a",1]@"#), None);
    }

    #[test]
    fn what_a_person_writes_finds_text_and_numbers() {
        let typed = shape(&[None, Some(ColumnType::Number)], false);
        assert_eq!(typed.parse(r#" [ "\u0061" , 1.50 ] "#).as_deref(), Some(r#"["a",1.5]"#));
        assert_eq!(typed.parse(r#"["a"]"#), None);
        let (text, number) = (Value::Text("200".to_owned()), Value::Json("200".to_owned()));
        assert_eq!(typed.values_of(0, "200"), [text, number]);
        assert_eq!(typed.values_of(0, "/x"), [Value::Text("/x".to_owned())]);
        assert_eq!(typed.values_of(1, "/x"), []);
        assert_eq!(typed.values_of(1, "1.0"), [Value::Number(Decimal::ONE)]);
    }
}
