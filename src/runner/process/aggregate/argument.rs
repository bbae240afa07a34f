//! The values that aggregates need of each record, packed for the thread that owns the key.

use crate::format::limits::MAX_VALUE_BYTES;
use crate::input::record::{BadRecord, Field, Filter, Tree, is_number};
use crate::job::{Condition, FieldPath};
use crate::runner::process::aggregate::conditions::Conditions;
use crate::values::decimal::{Decimal, DecimalError};
use crate::values::number_text::canonical_number;
use crate::values::value::{ColumnType, Value};

/// The arguments of all aggregates of a job. Aggregates that need the same value share an argument.
#[derive(Debug, Clone)]
pub(super) struct Arguments {
    pub(super) fields: Vec<FieldPath>,
    list: Vec<Argument>,
    conditions: Conditions,
    /// Whether a text that reads as a number is a number, as in CSV and plain text, which have no types.
    untyped: bool,
    /// For each field, whether only the first records say that it is a number.
    is_inferred: Vec<bool>,
}

/// One value of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    /// An index into the fields, which [`ArgumentKind::Truth`] does not need.
    field: usize,
    kind: ArgumentKind,
    /// The condition without which the argument is missing.
    condition: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ArgumentKind {
    /// Only whether the condition is true.
    Truth,
    /// Only whether the field has a value.
    Presence,
    /// An exact number, rounded to this number of decimal places.
    Number { round: Option<u8> },
    /// A value of a column of this type.
    Value(ColumnType),
    /// The bytes that only equal values of one type share, for a sketch.
    Identity,
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
        Arguments {
            fields: Vec::new(),
            list: Vec::new(),
            conditions: Conditions::default(),
            untyped,
            is_inferred: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Returns the number of an argument, after adding it if it is new. Unless `condition` is true, it is missing.
    pub(super) fn add(&mut self, field: &FieldPath, kind: ArgumentKind, condition: Option<usize>) -> usize {
        let field = self.add_field(field);
        self.add_argument(Argument { field, kind, condition })
    }

    /// Returns the number of the argument that exists if `condition` is true, after adding it if it is new.
    pub(super) fn add_truth(&mut self, condition: usize) -> usize {
        self.add_argument(Argument { field: 0, kind: ArgumentKind::Truth, condition: Some(condition) })
    }

    /// Returns the number of the condition of the aggregate `name`, after adding it if it is new.
    pub(super) fn add_condition(&mut self, name: &str, condition: &Condition, filter: Filter) -> usize {
        let fields = condition.fields.iter().map(|field| self.add_field(field)).collect();
        self.conditions.add(name, condition, filter, fields)
    }

    fn add_field(&mut self, field: &FieldPath) -> usize {
        self.fields.iter().position(|known| known == field).unwrap_or_else(|| {
            self.fields.push(field.clone());
            self.is_inferred.push(false);
            self.fields.len() - 1
        })
    }

    fn add_argument(&mut self, argument: Argument) -> usize {
        self.list.iter().position(|known| *known == argument).unwrap_or_else(|| {
            self.list.push(argument);
            self.list.len() - 1
        })
    }

    /// Takes note of the fields whose type is only known from the first records.
    ///
    /// In text without types, a value of such a field that is not spelled as JSON spells numbers may be a code, such as
    /// `007`. So it makes its record bad, where a number would change it.
    pub(super) fn infer(&mut self, is_inferred: impl Fn(&FieldPath) -> bool) {
        self.is_inferred = self.fields.iter().map(is_inferred).collect();
    }

    /// Appends the arguments of a record to `packed`. `fields` are the values of [`Arguments::fields`].
    #[inline]
    pub(super) fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        let holds = self.conditions.hold(fields)?;
        for argument in &self.list {
            if let Some(holds) = argument.condition.map(|condition| holds[condition])
                && (!holds || argument.kind == ArgumentKind::Truth)
            {
                packed.push(u8::from(holds));
                continue;
            }
            let field = &fields[argument.field];
            if matches!(field, Field::Missing) {
                packed.push(0);
                continue;
            }
            packed.push(1);
            let refuse =
                |reason: &str| BadRecord { reason: format!("field `{}` {reason}", self.fields[argument.field]) };
            match argument.kind {
                ArgumentKind::Truth | ArgumentKind::Presence => {}
                ArgumentKind::Number { round } => {
                    let number = self.number(argument, field, round).map_err(|reason| refuse(&reason))?;
                    packed.extend_from_slice(&number.units().to_le_bytes());
                }
                ArgumentKind::Value(column_type) => {
                    if let (ColumnType::Json, Field::Json(text)) = (column_type, field) {
                        Tree::parse(text)?;
                    }
                    self.pack_value(argument, field, column_type, packed).map_err(|r| refuse(&r))?
                }
                ArgumentKind::Identity => self.pack_identity(field, packed)?,
            }
        }
        Ok(())
    }

    #[inline]
    fn number(&self, argument: &Argument, field: &Field<'_>, round: Option<u8>) -> Result<Decimal, String> {
        let text = match field {
            Field::Number(text) => text,
            Field::Text(text) if self.untyped && self.is_inferred[argument.field] && !is_number(text) => {
                let name = &self.fields[argument.field];
                return Err(format!(
                    "is `{}`, which may be text: the first records have only numbers in `{name}`; declare \
                     `types: {{{name}: text}}` or `types: {{{name}: number}}` in `input`",
                    shorten(text)
                ));
            }
            Field::Text(text) if self.untyped => text.as_ref(),
            other => return Err(format!("is {}, expected a number", kind_of(other))),
        };
        Decimal::read(text, round).map_err(|error| match error {
            DecimalError::TooFine => {
                let name = &self.fields[argument.field];
                format!("{error}: `{}`; round it, as in `sum(round({name}, 18))`", shorten(text))
            }
            error => format!("{error}: `{}`", shorten(text)),
        })
    }

    /// Packs what a sketch counts: the same bytes for equal values, however they are spelled, and other bytes for a
    /// value of another type.
    ///
    /// Text counts as it is. Text that reads as another value is marked by a byte that no text begins with.
    fn pack_identity(&self, field: &Field<'_>, packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        match field {
            Field::Text(text) if !self.untyped && reads_as_another(text) => {
                put_bytes(packed, &[&[0xFF], text.as_bytes()].concat());
            }
            Field::Text(text) => put_text(packed, text),
            Field::Number(text) => put_text(packed, &canonical_number(text)),
            Field::Bool(yes) => put_text(packed, if *yes { "true" } else { "false" }),
            Field::Json(text) => put_text(packed, &Tree::parse(text)?.canonical()),
            Field::Missing => unreachable!("a missing field is not counted"),
        }
        Ok(())
    }

    fn pack_value(
        &self,
        argument: &Argument,
        field: &Field<'_>,
        column_type: ColumnType,
        packed: &mut Vec<u8>,
    ) -> Result<(), String> {
        match (column_type, field) {
            (ColumnType::Text, Field::Text(text)) => put_text(packed, text),
            (ColumnType::Bool, Field::Bool(yes)) => packed.push(u8::from(*yes)),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "true" => packed.push(1),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "false" => packed.push(0),
            (ColumnType::Int, Field::Number(_) | Field::Text(_)) => {
                let number = self.number(argument, field, None)?;
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
                    ArgumentKind::Truth | ArgumentKind::Presence => 0,
                    ArgumentKind::Number { .. } | ArgumentKind::Value(ColumnType::Number) => 16,
                    ArgumentKind::Value(ColumnType::Int) => 8,
                    ArgumentKind::Value(ColumnType::Bool) => 1,
                    ArgumentKind::Identity | ArgumentKind::Value(_) => {
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
    put_bytes(packed, text.as_bytes());
}

fn put_bytes(packed: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("a field is below 4 GiB");
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(bytes);
}

/// Returns whether a text is how a value of another type is packed for a sketch.
fn reads_as_another(text: &str) -> bool {
    matches!(text.as_bytes(), b"true" | b"false" | [b'[' | b'{', ..])
        || (is_number(text) && canonical_number(text) == text)
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
        ColumnType::Sketch | ColumnType::Quantiles => "a sketch",
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
