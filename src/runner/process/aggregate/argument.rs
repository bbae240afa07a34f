//! The values that aggregates need of each record, packed for the thread that owns the key.

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::record::{BadRecord, Field};
use crate::job::FieldPath;
use crate::values::decimal::{Decimal, DecimalError};
use crate::values::value::{ColumnType, Value};

/// The arguments of all aggregates of a job. Aggregates that need the same value share an argument.
#[derive(Debug, Clone)]
pub(super) struct Arguments {
    pub(super) fields: Vec<FieldPath>,
    list: Vec<Argument>,
    /// Whether a text that reads as a number is a number, as in CSV and plain text, which have no types.
    untyped: bool,
}

/// One value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    /// An index into the fields.
    field: usize,
    kind: ArgumentKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    /// Only whether the field has a value.
    Presence,
    /// An exact number, rounded to this number of decimal places.
    Number { round: Option<u8> },
    /// A value of a column of this type.
    Value(ColumnType),
    /// The text of any value, for a sketch.
    Text,
}

impl ArgumentKind {
    /// Returns what a column of `column_type` needs. Numbers are rounded to `round` decimal places.
    pub(super) fn of(column_type: ColumnType, round: Option<u8>) -> ArgumentKind {
        match column_type {
            ColumnType::Number => ArgumentKind::Number { round },
            other => ArgumentKind::Value(other),
        }
    }
}

impl Arguments {
    pub(super) fn new(untyped: bool) -> Arguments {
        Arguments { fields: Vec::new(), list: Vec::new(), untyped }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the number of an argument, after adding it if it is new.
    pub(super) fn add(&mut self, field: &FieldPath, kind: ArgumentKind) -> usize {
        let field = self.fields.iter().position(|known| known == field).unwrap_or_else(|| {
            self.fields.push(field.clone());
            self.fields.len() - 1
        });
        let argument = Argument { field, kind };
        self.list.iter().position(|known| *known == argument).unwrap_or_else(|| {
            self.list.push(argument);
            self.list.len() - 1
        })
    }

    /// Appends the arguments of a record to `packed`. `fields` are the values of [`Arguments::fields`].
    #[inline]
    pub(super) fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        for argument in &self.list {
            let field = &fields[argument.field];
            if matches!(field, Field::Missing) {
                packed.push(0);
                continue;
            }
            packed.push(1);
            let refuse =
                |reason: &str| BadRecord { reason: format!("field `{}` {reason}", self.fields[argument.field]) };
            match argument.kind {
                ArgumentKind::Presence => {}
                ArgumentKind::Number { round } => {
                    let mut number = self.number(field).map_err(|reason| refuse(&reason))?;
                    if let Some(places) = round {
                        let rounded = number.round(places);
                        number = rounded.ok_or_else(|| refuse(&DecimalError::TooLarge.to_string()))?;
                    }
                    packed.extend_from_slice(&number.units().to_le_bytes());
                }
                ArgumentKind::Value(column_type) => {
                    self.pack_value(field, column_type, packed).map_err(|r| refuse(&r))?
                }
                ArgumentKind::Text => match field {
                    Field::Text(text) => put_text(packed, text),
                    Field::Number(text) => match Decimal::parse(text.as_bytes()) {
                        Ok(number) => put_text(packed, &number.to_string()),
                        Err(_) => put_text(packed, text),
                    },
                    Field::Bool(yes) => put_text(packed, if *yes { "true" } else { "false" }),
                    Field::Json(text) => put_text(packed, text),
                    Field::Missing => unreachable!("a missing field has no text"),
                },
            }
        }
        Ok(())
    }

    #[inline]
    fn number(&self, field: &Field<'_>) -> Result<Decimal, String> {
        let text = match field {
            Field::Number(text) => text,
            Field::Text(text) if self.untyped => text.as_ref().trim(),
            other => return Err(format!("is {}, expected a number", kind_of(other))),
        };
        Decimal::parse(text.as_bytes()).map_err(|error| format!("{error}: `{}`", shorten(text)))
    }

    fn pack_value(&self, field: &Field<'_>, column_type: ColumnType, packed: &mut Vec<u8>) -> Result<(), String> {
        match (column_type, field) {
            (ColumnType::Text, Field::Text(text)) => put_text(packed, text),
            (ColumnType::Bool, Field::Bool(yes)) => packed.push(u8::from(*yes)),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "true" => packed.push(1),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "false" => packed.push(0),
            (ColumnType::Int, Field::Number(_) | Field::Text(_)) => {
                let number = self.number(field)?;
                let whole = number.units() / Decimal::ONE.units();
                match i64::try_from(whole) {
                    Ok(whole) if i128::from(whole) * Decimal::ONE.units() == number.units() => {
                        packed.extend_from_slice(&whole.to_le_bytes());
                    }
                    _ => return Err(format!("is {number}, expected a 64-bit integer")),
                }
            }
            (ColumnType::Json, Field::Json(text) | Field::Number(text)) => put_text(packed, text),
            (ColumnType::Json, Field::Bool(yes)) => put_text(packed, if *yes { "true" } else { "false" }),
            (ColumnType::Json, Field::Text(text)) => {
                // Escaping makes control characters longer, possibly too long for a segment.
                let quoted = Value::Text(text.to_string()).to_json();
                if quoted.len() > MAX_VALUE_BYTES {
                    return Err(format!("has {} bytes as JSON, expected at most {MAX_VALUE_BYTES}", quoted.len()));
                }
                put_text(packed, &quoted);
            }
            (expected, found) => return Err(format!("is {}, expected {}", kind_of(found), name_of(expected))),
        }
        Ok(())
    }

    /// Splits what [`Arguments::pack`] packed into the values of the arguments.
    #[inline]
    pub(super) fn split<'a>(&self, mut packed: &'a [u8], values: &mut [Option<&'a [u8]>]) {
        for (argument, value) in self.list.iter().zip(values) {
            let (present, rest) = (packed[0] != 0, &packed[1..]);
            packed = rest;
            if present {
                let length = match argument.kind {
                    ArgumentKind::Presence => 0,
                    ArgumentKind::Number { .. } | ArgumentKind::Value(ColumnType::Number) => 16,
                    ArgumentKind::Value(ColumnType::Int) => 8,
                    ArgumentKind::Value(ColumnType::Bool) => 1,
                    ArgumentKind::Text | ArgumentKind::Value(_) => {
                        let length = u32::from_le_bytes(packed[..4].try_into().expect("four bytes"));
                        packed = &packed[4..];
                        length as usize
                    }
                };
                let (bytes, rest) = packed.split_at(length);
                *value = Some(bytes);
                packed = rest;
            }
        }
    }
}

fn put_text(packed: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("a field is below 4 GiB");
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(text.as_bytes());
}

fn kind_of(field: &Field<'_>) -> &'static str {
    match field {
        Field::Missing => "missing",
        Field::Text(_) => "text",
        Field::Number(_) => "a number",
        Field::Bool(_) => "a bool",
        Field::Json(text) if text.starts_with('[') => "a list",
        Field::Json(_) => "an object",
    }
}

fn name_of(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Int => "an integer",
        ColumnType::Number => "a number",
        ColumnType::Text => "text",
        ColumnType::Bool => "a bool",
        ColumnType::Json => "JSON",
        ColumnType::Sketch => "a sketch",
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
