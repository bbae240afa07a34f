//! How the key of a record is composed of several fields.

use std::fmt::Write as _;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::record::{BadRecord, Field};
use crate::job::{InputFormat, JobSpec, KeyField};
use crate::values::decimal::Decimal;
use crate::values::value::{ColumnType, Value};

/// Composes keys.
#[derive(Debug)]
pub struct KeyParts {
    fields: Vec<KeyField>,
    /// Whether a text may be a number, as in CSV and plain text, which have no types.
    untyped: bool,
}

impl KeyParts {
    pub fn new(job: &JobSpec) -> KeyParts {
        KeyParts { fields: job.key.clone(), untyped: job.input.format != InputFormat::Json }
    }

    /// Returns how many fields a key has.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Writes the key of a record into `key`: the JSON array of `values`, one for each field of the key.
    pub fn compose(&self, values: &[Field<'_>], key: &mut String) -> Result<(), BadRecord> {
        key.clear();
        for (part, value) in self.fields.iter().zip(values) {
            key.push(if key.is_empty() { '[' } else { ',' });
            let field = &part.field;
            let refuse = |reason: String| BadRecord { reason: format!("the key field `{field}` {reason}") };
            self.push(part.column_type, value, key).map_err(refuse)?;
        }
        key.push(']');
        if key.len() > MAX_VALUE_BYTES {
            let reason = format!("the key has {} bytes as JSON, expected at most {MAX_VALUE_BYTES}", key.len());
            return Err(BadRecord { reason });
        }
        Ok(())
    }

    /// Appends a part as JSON, or returns what is wrong with it.
    fn push(&self, column_type: Option<ColumnType>, value: &Field<'_>, key: &mut String) -> Result<(), String> {
        match (column_type, value) {
            (_, Field::Missing) => return Err("is missing or null".to_owned()),
            (_, Field::Json(_)) => return Err("is an object or a list, expected text, a number or a bool".to_owned()),
            (None | Some(ColumnType::Text), Field::Text(value)) => push_text(value, key),
            (None, Field::Number(value)) => *key += value,
            (Some(ColumnType::Text), Field::Number(value)) => push_text(value, key),
            (None | Some(ColumnType::Bool), Field::Bool(value)) => *key += if *value { "true" } else { "false" },
            (Some(ColumnType::Text), Field::Bool(value)) => *key += if *value { "\"true\"" } else { "\"false\"" },
            (Some(ColumnType::Bool), Field::Text(value)) if self.untyped && matches!(&**value, "true" | "false") => {
                *key += value;
            }
            (Some(ColumnType::Number | ColumnType::Int), Field::Number(value)) => {
                push_number(column_type, value, key)?;
            }
            (Some(ColumnType::Number | ColumnType::Int), Field::Text(value)) if self.untyped => {
                push_number(column_type, value, key)?;
            }
            (Some(expected), Field::Text(value)) => {
                return Err(format!("is the text `{}`, expected the type {}", shorten(value), expected.name()));
            }
            (Some(expected), Field::Number(value)) => {
                return Err(format!("is the number {}, expected the type {}", shorten(value), expected.name()));
            }
            (Some(expected), Field::Bool(value)) => {
                return Err(format!("is {value}, expected the type {}", expected.name()));
            }
        }
        Ok(())
    }
}

/// Appends text as a JSON string.
#[inline]
fn push_text(text: &str, key: &mut String) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        *key += &Value::Text(text.to_owned()).to_json();
    } else {
        key.push('"');
        *key += text;
        key.push('"');
    }
}

/// Appends a number that may be spelled in several ways, in the only way in which a key has it.
#[inline]
fn push_number(column_type: Option<ColumnType>, text: &str, key: &mut String) -> Result<(), String> {
    if is_shortest(text) {
        *key += text;
        return Ok(());
    }
    let number = Decimal::read(text, None).map_err(|error| format!("{error}: `{}`", shorten(text)))?;
    let is_int =
        number.units() % Decimal::ONE.units() == 0 && i64::try_from(number.units() / Decimal::ONE.units()).is_ok();
    if column_type == Some(ColumnType::Int) && !is_int {
        return Err(format!("is {number}, expected a 64-bit integer"));
    }
    write!(key, "{number}").expect("writing to memory does not fail");
    Ok(())
}

/// Returns whether `text` is a natural number of at most 18 digits, without leading zeros.
#[inline]
fn is_shortest(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= 18 && bytes.iter().all(u8::is_ascii_digit) && (matches!(bytes, [b'1'..=b'9', ..]) || bytes == b"0")
}

fn shorten(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { short + "…" } else { short }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(format: &str, key: &str) -> KeyParts {
        let text = format!("job: j\ninput: a.{format}\nkey: {key}\nprocess: {{aggregate: {{n: count}}}}\n");
        KeyParts::new(&JobSpec::parse(&text, std::path::Path::new("j.yaml")).unwrap())
    }

    #[test]
    fn parts_are_kept_as_they_are_written_unless_a_type_is_declared() {
        use Field::{Bool, Json, Missing, Number};
        let text = |text: &'static str| Field::Text(text.into());
        let any = parts("jsonl", "[a, b]");
        let typed = parts("jsonl", "[a: text, b: number]");
        let csv = parts("csv", "[a: bool, b: int]");
        for (parts, a, b, expected) in [
            (&any, text("/x,\"\n"), Number("7.0"), Ok(r#"["/x,\"\n",7.0]"#)),
            (&any, text("7"), Bool(true), Ok(r#"["7",true]"#)),
            (&any, Missing, text(""), Err("the key field `a` is missing or null")),
            (
                &any,
                text(""),
                Json("[]"),
                Err("the key field `b` is an object or a list, expected text, a number or a bool"),
            ),
            (&typed, Number("7.0"), Number("7.0"), Ok(r#"["7.0",7]"#)),
            (&typed, Bool(false), Number("1e2"), Ok(r#"["false",100]"#)),
            (&typed, text("a"), text("7"), Err("the key field `b` is the text `7`, expected the type number")),
            (&csv, text("true"), text("007"), Ok("[true,7]")),
            (&csv, text("true"), text("-0"), Ok("[true,0]")),
            (&csv, text("false"), text("0"), Ok("[false,0]")),
            (&csv, text("false"), text("999999999999999999"), Ok("[false,999999999999999999]")),
            (&csv, text("false"), text("9223372036854775807"), Ok("[false,9223372036854775807]")),
            (
                &csv,
                text("false"),
                text("9223372036854775808"),
                Err("the key field `b` is 9223372036854775808, expected a 64-bit integer"),
            ),
            (&csv, text("yes"), text("7"), Err("the key field `a` is the text `yes`, expected the type bool")),
            (&csv, text("true"), text("7.5"), Err("the key field `b` is 7.5, expected a 64-bit integer")),
        ] {
            let mut key = "of another record".to_owned();
            let composed = parts.compose(&[a, b], &mut key).map(|()| key).map_err(|bad| bad.reason);
            assert_eq!(composed.as_deref().map_err(String::as_str), expected);
        }
    }
}
